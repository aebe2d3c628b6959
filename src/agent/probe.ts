/**
 * Probes every path and steers traffic: one socket per path, one timer for all. The deciding end sends (STAMP
 * Session-Sender) and says in each probe which tunnel it uses per class; the other end reflects, counts silence and
 * follows. A path that falls is left in the same turn of the event loop, by one batch of nexthop replacements.
 */
import { canonicalJson } from '#src/fabric/hash.ts'
import type { ClassId, NodeId, SiteConfig, TunnelId } from '#src/fabric/fabric.ts'
import { breaches, deadline, hearRemote, overall, retime, silentFor, tick } from '#src/path/machine.ts'
import { holdThroughLag, isHeld, noHold } from '#src/path/selection.ts'
import { nextProbeAt } from '#src/path/timing.ts'
import type { EndView } from '#src/wire/stamp.ts'
import type { Family } from '#src/net/address.ts'
import type { Choice, Leaving } from '#providers/device.ts'
import type { PathReport } from '#src/wire/messages.ts'
import { createAlarm } from './alarm.ts'
import { type ByTunnel, createChooser } from './choices.ts'
import { drainEnd } from './drain.ts'
import { echoBurst, type Measured, type Shots } from './burst.ts'
import { createEchoes } from './echoes.ts'
import type { OpenEcho } from './echo.ts'
import { leavingNow, sameLeaving } from './exits.ts'
import { paddedLost, planProof } from './mtu.ts'
import {
  createProbed,
  keyOf,
  lostOf,
  newPath,
  type ProbedPath,
  rehandshakeFirstMs,
  sameProbeEnds,
  standbyRole,
  standsFor,
  timingOf,
} from './paths.ts'
import type { OpenSocket } from './sockets.ts'
import { createStamps } from './stamps.ts'
import { doubtUnheard, suspectSiblings, suspicionAt } from './suspicion.ts'
import { type Trouble, troubleOf, why } from './trouble.ts'

type Report = ReturnType<typeof PathReport.parse>

export interface ProberOptions {
  /** Monotonic, ms. */
  readonly tick: () => number
  /** Since 1970, ms. */
  readonly wall: () => number
  /** [0, 1). */
  readonly random: () => number
  readonly open: OpenSocket
  readonly echo: OpenEcho
  readonly steer: (choices: readonly Choice[]) => Promise<void>
  readonly leave: (now: Leaving) => Promise<void>
  readonly rehandshake: (tunnel: TunnelId) => Promise<void>
  /** The other gateway of the site carries its traffic. Absent: there is none. */
  readonly standsBy?: () => boolean
  readonly event: (event: string, text: string, data?: Readonly<Record<string, unknown>>) => void
  /** A state or a choice changed: worth a report at once. */
  readonly changed: () => void
}
/** The tunnel that a class takes to a remote now. */
export interface Use {
  readonly trafficClass: ClassId
  readonly remote: NodeId
  /** Where the ways there are apart by family. */
  readonly family?: Family
  readonly tunnel: TunnelId
}
/** What a tunnel's probes tell of its continuity. */
export interface Heard {
  /** Tick at which the far end was last heard. */
  readonly at: number
  /** The number of the next probe; null where the far end sends them and this one only hears those that arrive. */
  readonly next: number | null
  /** Unanswered ones among the probes from `first` up to, but without, `next`. */
  lost(first: number, next: number): number
}
export interface Prober {
  /** What the groups of a config would start on, given what is known of its paths now. */
  choicesFor(config: SiteConfig): readonly Choice[]
  /** The kernel now runs this config with those choices. Paths that stay keep their history. */
  load(config: SiteConfig, generation: number, choices: readonly Choice[]): void
  /** While the kernel changes groups, their indices mean nothing. */
  hold(next: SiteConfig): void
  unload(): void
  paths(): readonly Report[]
  uses(): readonly Use[]
  heard(tunnel: TunnelId): Heard | undefined
  /** Probes of their own, beside those that the path is judged by; undefined when there is no such path. */
  burst(tunnel: TunnelId, shots: Shots): Promise<Measured | undefined>
  /** Paths that lose full packets, tunnels that don't come up. */
  findings(): readonly Trouble[]
  isUp(tunnel: TunnelId): boolean
  isDown(tunnel: TunnelId): boolean
  /** UP, and answered within the last second or so: a metered standby is UP for long without being asked. */
  isHeard(tunnel: TunnelId): boolean
  close(): void
}

/** After a demotion the far end must hear of it before it counts silence. */
const demotionMs = 250
/** Two probes of an ordinary standby. */
const heardMs = 1_250
const rehandshakeMostMs = 60_000
const sameGroups = (a: SiteConfig | null, b: SiteConfig): boolean => a !== null && canonicalJson(a.groups) === canonicalJson(b.groups)

export function createProber(options: ProberOptions): Prober {
  const { random } = options
  const records = new Map<string, ProbedPath>()
  let config: SiteConfig | null = null
  let generation = 0
  /** Since 1970, ms. */
  let drainsUntil = Number.NEGATIVE_INFINITY
  let byTunnel: ByTunnel = new Map()
  const chooser = createChooser()
  let leaving: Leaving | null = null
  let views = new Map<NodeId, number[]>()
  let held = false
  let lag = noHold
  let dirty = false
  let nextSecond = 0

  /** Chooses for every group, and moves those whose choice changed, in one batch. */
  function decide(now: number): void {
    dirty = false
    if (!config || held || isHeld(lag, now)) return
    decideExits(config)
    const { moved, moves } = chooser.decide(config, byTunnel, now)
    if (moved.length === 0) return
    options.steer(moved).catch((error: unknown) => options.event('steer', `could not move traffic: ${why(error)}`))
    for (const { remote, classes, from, to, reason } of moves)
      options.event('steer', `${remote} ${classes.join(', ')}: ${from} → ${to} (${reason})`, { remote, classes, to, reason })
    options.changed()
  }

  function decideExits(of: SiteConfig): void {
    const next = leavingNow(of, byTunnel, leaving)
    if (sameLeaving(leaving, next)) return
    const moved = leaving?.by !== next?.by
    leaving = next
    if (!next) return
    options.leave(next).catch((error: unknown) => options.event('exit', `could not move what leaves to the internet: ${why(error)}`))
    if (moved) options.event('exit', `hosts leave to the internet over ${next.by}`, { uplink: next.by })
  }

  /** New roles and views follow from the choices; who has to know is told at once. */
  function announce(now: number): void {
    if (!config) return
    const inUse = new Set(chooser.chosen(config).map((one) => one.tunnel))
    const before = views
    views = chooser.views(config, byTunnel)
    for (const record of records.values()) {
      // How often probes come is the deciding end's choice, so the other end goes by its word and not by its own choice.
      const role = chooser.isUsedThere(record) || (record.tunnel.decides && inUse.has(record.tunnel.id)) ? 'active' : standbyRole(record.tunnel)
      if (record.role === 'active' && role !== 'active' && record.tunnel.decides) record.activeUntil = now + demotionMs
      record.role = role
      const view = views.get(record.tunnel.remote)!
      const said = before.get(record.tunnel.remote)
      if (said === undefined || said.some((one, i) => one !== view[i])) probeBy(record, now)
      retimeRecord(record, now)
    }
  }

  /** ping keeps its own time: there `nextAt` is when it must have spoken. */
  function probeBy(record: ProbedPath, at: number): void {
    if (record.tunnel.decides && record.tunnel.probe === 'stamp') record.nextAt = Math.min(record.nextAt, at)
  }

  function retimeRecord(record: ProbedPath, now: number): void {
    const degraded =
      record.role === 'metered-standby' &&
      [...records.values()].some((one) => one.role === 'active' && one.tunnel.remote === record.tunnel.remote && overall(one.path) !== 'UP')
    const timing = timingOf(record, now, silentFor(record.path, now), degraded)
    // Faster: the next probe must not wait for the slow one's turn.
    if (timing.intervalMs < record.path.timing.intervalMs) probeBy(record, nextProbeAt(now, timing.intervalMs, random()))
    retime(record.path, now, timing)
    echoes.followTiming(record, now)
  }

  const endView = (record: ProbedPath): EndView => ({
    tunnel: record.tunnel.index,
    generation,
    state: overall(record.path),
    draining: options.wall() < drainsUntil || (options.standsBy?.() ?? false),
    received: record.received >>> 0,
    highest: record.highest,
    view: views.get(record.tunnel.remote) ?? [],
  })

  /** Something came of a path that is still probed: `work` tells its state machine. */
  function heard(record: ProbedPath, work: (now: number) => void): void {
    if (records.get(keyOf(record.tunnel)) !== record) return
    const now = options.tick()
    const before = overall(record.path)
    const doubted = record.suspect
    work(now)
    if (doubted && !record.suspect) dirty = true
    const after = overall(record.path)
    if (after !== before) stateChanged(record, before, after, now)
    // Once for all that lies in the sockets: a hub that chose anew for each packet would fall behind them for good.
    if (dirty) alarm.soon()
  }
  function widthChanged({ tunnel, path }: ProbedPath): void {
    const size = `packets of ${config?.network.mtu ?? 0} bytes`
    options.event('mtu', `${tunnel.id} ${path.narrow ? `loses ${size}` : `carries ${size} again`}`, { tunnel: tunnel.id })
    dirty = true
    options.changed()
  }

  function stateChanged(record: ProbedPath, before: string, after: string, now: number): void {
    dirty = true
    options.event('path', `${record.tunnel.id} ${before} → ${after}`, { tunnel: record.tunnel.id, from: before, to: after })
    if (after === 'DOWN' && record.tunnel.initiates) {
      record.rehandshakes = 0
      record.rehandshakeAt = now + rehandshakeFirstMs
    } else if (after !== 'DOWN') record.rehandshakeAt = Number.POSITIVE_INFINITY
    if (record.path.alive === 'UP') record.trouble = null
    if (before === 'INIT' || before === 'DOWN' || after === 'DOWN') planProof(record, now)
    if (after === 'DOWN' && record.path.follows && record.role === 'active') doubtUnheard(records, record)
    byTunnel = standsFor(records.values())
    retimeRecord(record, now)
    options.changed()
  }

  function open(record: ProbedPath, now: number): void {
    if (record.tunnel.probe === 'icmp') echoes.open(record, now)
    else stamps.open(record)
  }

  function rehandshake(record: ProbedPath, now: number): void {
    // It answers, so its session works: a new handshake would interrupt the traffic that an agent's restart did not.
    if (record.path.replies > 0) {
      record.rehandshakeAt = now + rehandshakeFirstMs
      return
    }
    record.rehandshakeAt = now + Math.min(rehandshakeMostMs, rehandshakeFirstMs * 2 ** ++record.rehandshakes)
    options.rehandshake(record.tunnel.id).catch((error: unknown) => {
      options.event('path', `${record.tunnel.id}: no new handshake: ${why(error)}`)
      if (record.path.alive === 'UP' || records.get(keyOf(record.tunnel)) !== record) return
      record.trouble = troubleOf(error)
      options.changed()
    })
  }

  /** The one timer: silence first, then probes, so that the probes already carry the new choice. */
  function run(): void {
    const now = options.tick()
    const late = now - alarm.at
    alarm.clear()
    const wereUp = [...records.values()].filter((one) => one.path.alive === 'UP')
    const everySecond = now >= nextSecond
    for (const record of records.values()) {
      if (!everySecond && now < deadline(record.path)) continue
      const before = overall(record.path)
      tick(record.path, now)
      if (paddedLost(record, now)) widthChanged(record)
      const after = overall(record.path)
      if (after !== before) stateChanged(record, before, after, now)
      if (everySecond) {
        retimeRecord(record, now)
        planProof(record, now)
      }
    }
    if (everySecond) {
      nextSecond = now + 1_000
      // `returnAfter` runs out with time alone.
      dirty = true
    }
    suspectSiblings(records, now, (record) => {
      probeBy(record, now)
      retimeRecord(record, now)
    })
    const fell = wereUp.filter((one) => one.path.alive !== 'UP').length
    const windowMs = Math.min(...[...records.values()].map((one) => one.path.timing.intervalMs * one.path.timing.multiplier), 600)
    lag = holdThroughLag(lag, { now, lagMs: late, windowMs, fell, wereUp: wereUp.length })
    if (dirty) {
      decide(now)
      announce(now)
    }
    for (const record of records.values()) {
      if (!record.socket && !record.echo && now >= record.reopenAt) open(record, now)
      if (record.tunnel.decides && now >= record.nextAt) {
        if (record.tunnel.probe === 'icmp') echoes.overdue(record, now)
        else stamps.send(record, now)
      }
      if (record.tunnel.decides && record.tunnel.probe === 'stamp' && now >= record.proof.nextAt) stamps.sendPadded(record, now)
      if (now >= record.rehandshakeAt) rehandshake(record, now)
    }
    arm(now)
  }

  function arm(now: number): void {
    if (records.size === 0) return
    let at = Math.min(nextSecond, isHeld(lag, now) ? lag.until : Number.POSITIVE_INFINITY)
    for (const record of records.values()) {
      at = Math.min(
        at,
        suspicionAt(records, record),
        deadline(record.path),
        record.rehandshakeAt,
        record.tunnel.decides ? record.nextAt : Number.POSITIVE_INFINITY,
        record.socket || record.echo ? Number.POSITIVE_INFINITY : record.reopenAt,
      )
    }
    alarm.set(at)
  }

  const alarm = createAlarm(options.tick, run)
  const echoes = createEchoes({
    echo: options.echo,
    tick: options.tick,
    deviceOf: ({ tunnel }) => config?.interfaces.find((one) => one.id === tunnel.interface && one.linkEpoch === tunnel.linkEpoch)?.device ?? null,
    heard,
    ended(record, said) {
      options.event('path', `${record.tunnel.id}: ping ended: ${said || 'without a word'}`)
      if (records.get(keyOf(record.tunnel)) === record) arm(options.tick())
    },
  })
  const stamps = createStamps({
    open: options.open,
    tick: options.tick,
    wall: options.wall,
    random,
    mtu: () => config?.network.mtu ?? 0,
    view: endView,
    heard,
    said(record, view, sentAt, now) {
      const { path } = record
      if (path.remoteState !== view.state || path.remoteDraining !== view.draining) dirty = true
      hearRemote(path, now, view.state, view.draining)
      if (chooser.heard(record.tunnel.remote, view.view, sentAt)) dirty = true
    },
    widthChanged,
  })
  function forget(record: ProbedPath): void {
    record.socket?.close()
    record.echo?.close()
    record.echo = null
    records.delete(keyOf(record.tunnel))
  }

  const uses = (): readonly Use[] =>
    (config ? chooser.chosen(config) : []).flatMap(({ group: { remote, trafficClass, arrived, family }, tunnel }) =>
      arrived === 'anywhere' ? [{ trafficClass, remote, ...(family === undefined ? {} : { family }), tunnel }] : [],
    )

  return {
    choicesFor: (next) => chooser.startOf(config, next, options.tick()),
    hold(next) {
      held = !sameGroups(config, next)
    },
    load(next, number, choices) {
      const now = options.tick()
      const wanted = new Map(next.tunnels.map((tunnel) => [keyOf(tunnel), tunnel]))
      const sameClasses = config !== null && canonicalJson(config.classes) === canonicalJson(next.classes)
      // Steering went on meanwhile where the groups are the same: then the choices that were given are old.
      if (!sameGroups(config, next)) chooser.load(choices)
      // What was said to the kernel was about other uplinks, perhaps.
      if (config?.exits?.join(' ') !== next.exits?.join(' ')) leaving = null
      config = next
      generation = number
      drainsUntil = drainEnd(next)
      held = false
      for (const record of records.values()) {
        const tunnel = wanted.get(keyOf(record.tunnel))
        if (!tunnel || !sameProbeEnds(tunnel, record.tunnel) || tunnel.decides !== record.tunnel.decides) forget(record)
        else {
          record.tunnel = tunnel
          if (!sameClasses) record.path = newPath(tunnel, next, now)
        }
      }
      for (const [key, tunnel] of wanted) if (!records.has(key)) records.set(key, createProbed(tunnel, next, now, random))
      byTunnel = standsFor(records.values())
      dirty = true
      alarm.clear()
      views = new Map()
      announce(now)
      run()
    },
    unload() {
      for (const record of records.values()) forget(record)
      config = null
      chooser.load([])
      byTunnel = new Map()
    },
    paths() {
      if (!config) return []
      const { classes } = config
      const now = options.tick()
      const wall = options.wall()
      const used = Map.groupBy(uses(), ({ tunnel }) => tunnel)
      const number = (of: number) => (Number.isFinite(of) ? Math.round(of * 1000) / 1000 : null)
      return [...byTunnel.values()].map(({ tunnel, path }) => {
        const own = used.get(tunnel.id) ?? []
        const byRemote = Map.groupBy(own, ({ remote, family }) => `${remote} ${family ?? ''}`)
        return {
          tunnel: tunnel.id,
          state: overall(path),
          since: new Date(wall - (now - path.since)).toISOString(),
          rttMs: number(path.rttMs),
          jitterMs: number(path.jitterMs),
          loss: path.follows ? null : number(path.loss),
          classes: [...new Set<string>(own.map(({ trafficClass }) => trafficClass))].sort(),
          uses: [...byRemote.values()].map((of) => {
            const { remote, family } = of[0]!
            return { remote, ...(family === undefined ? {} : { family }), classes: of.map(({ trafficClass }) => trafficClass) }
          }),
          breaches: breaches(path).flatMap((i) => classes[i]?.id ?? []),
        }
      })
    },
    uses,
    async burst(tunnel, shots) {
      const record = byTunnel.get(tunnel)
      if (!record || !config) return undefined
      return record.tunnel.probe === 'icmp'
        ? await echoBurst(options.echo, echoes.target(record), config.network.mtu, shots)
        : await stamps.burst(record, shots)
    },
    heard(tunnel) {
      const record = byTunnel.get(tunnel)
      return (
        record && {
          at: record.path.lastReplyAt,
          next: record.tunnel.decides ? record.sequence : null,
          lost: (first, next) => lostOf(record, first, next),
        }
      )
    },
    findings: () =>
      [...byTunnel.values()].flatMap(({ tunnel, path, trouble }): readonly Trouble[] => {
        if (path.alive !== 'UP') return trouble ? [trouble] : []
        if (!path.narrow) return []
        return [
          {
            code: 'A38',
            says: `${tunnel.id} answers small packets and loses those of ${config?.network.mtu ?? 0} bytes (an MTU black hole)`,
            instead: 'Have the provider let ICMP "packet too big" through, or set a lower mtu: in network.yaml',
          },
        ]
      }),
    isUp: (tunnel) => byTunnel.get(tunnel)?.path.alive === 'UP',
    isDown: (tunnel) => byTunnel.get(tunnel)?.path.alive === 'DOWN',
    isHeard: (tunnel) => {
      const path = byTunnel.get(tunnel)?.path
      return path?.alive === 'UP' && options.tick() - path.lastReplyAt < heardMs
    },
    close() {
      alarm.clear()
      for (const record of records.values()) forget(record)
      config = null
    },
  }
}
