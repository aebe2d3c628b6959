/**
 * Probes every path and steers traffic: one socket per path, one timer for all. The deciding end sends (STAMP
 * Session-Sender) and says in each probe which tunnel it uses per class; the other end reflects, counts silence and
 * follows. A path that falls is left in the same turn of the event loop, by one batch of nexthop replacements.
 */
import { canonicalJson } from '#src/fabric/hash.ts'
import type { Group, SiteConfig, SiteId, TunnelId } from '#src/fabric/fabric.ts'
import { deadline, health, hearRemote, overall, probeAnswered, probeSent, retime, silentFor, tick } from '#src/path/machine.ts'
import type { HopHealth } from '#src/path/path.ts'
import { follow, holdThroughLag, isHeld, noHold, type Selection, select } from '#src/path/selection.ts'
import { nextProbeAt } from '#src/path/timing.ts'
import {
  decodeProbe,
  decodeReply,
  encodeProbe,
  encodeReply,
  type EndView,
  maximumUnpadded,
  noTunnel,
  type Probe,
  type Reply,
} from '#src/wire/stamp.ts'
import type { Choice } from '#providers/device.ts'
import type { PathReport } from '#src/wire/messages.ts'
import { createAlarm } from './alarm.ts'
import { createProbed, keyOf, newPath, type ProbedPath, rehandshakeFirstMs, remember, sentTick, standbyRole, standsFor, timingOf } from './paths.ts'
import type { OpenSocket } from './sockets.ts'
import { why } from './trouble.ts'

type Report = ReturnType<typeof PathReport.parse>

export interface ProberOptions {
  /** Monotonic, ms. */
  readonly tick: () => number
  /** Since 1970, ms. */
  readonly wall: () => number
  /** [0, 1). */
  readonly random: () => number
  readonly open: OpenSocket
  readonly steer: (choices: readonly Choice[]) => Promise<void>
  readonly rehandshake: (tunnel: TunnelId) => Promise<void>
  readonly event: (event: string, text: string, data?: Readonly<Record<string, unknown>>) => void
  /** A state or a choice changed: worth a report at once. */
  readonly changed: () => void
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
  isUp(tunnel: TunnelId): boolean
  close(): void
}

const demotionMs = 250
const clockStepMs = 10_000
/** A path is suspected when it has been silent for so many of its intervals; it is DOWN after three. */
const suspectAfter = 1.5
/**
 * With no way left the last one is kept for a while: an agent that is restarted at the far end answers no probe, and
 * its data plane goes on.
 */
const lastChoiceMs = 5_000
const reopenMs = 1_000
const rehandshakeMostMs = 60_000
const groupKey = (of: Pick<Group, 'remote' | 'trafficClass' | 'arrived'>): string => `${of.remote} ${of.trafficClass} ${of.arrived}`

export function createProber(options: ProberOptions): Prober {
  const { random } = options
  const records = new Map<string, ProbedPath>()
  const packet = Buffer.alloc(maximumUnpadded)
  let config: SiteConfig | null = null
  let generation = 0
  let byTunnel: ReadonlyMap<TunnelId, ProbedPath> = new Map()
  let tunnelByIndex = new Map<number, TunnelId>()
  let current = new Map<string, Selection['hop']>()
  /** The far site's latest word: class index → tunnel index. */
  const announced = new Map<SiteId, readonly number[]>()
  /** When that was said, by the far end's clock: words over a slow path arrive after newer ones over a fast one. */
  const announcedAt = new Map<SiteId, number>()
  let views = new Map<SiteId, number[]>()
  /** Groups whose ways are all DOWN: since when. */
  const lostAt = new Map<string, number>()
  let held = false
  let lag = noHold
  let dirty = false
  let nextSecond = 0

  const classIndex = (of: SiteConfig, id: string): number => of.classes.findIndex((one) => one.id === id)
  const healthFor =
    (position: number, now: number, trusting: boolean) =>
    (tunnel: TunnelId): HopHealth | undefined => {
      const record = byTunnel.get(tunnel)
      if (!record || position < 0) return undefined
      const of = health(record.path, position)
      return !trusting && isMute(record, now) ? { ...of, state: 'DOWN' } : of
    }

  function choose(of: SiteConfig, group: Group, now: number): Selection {
    const position = classIndex(of, group.trafficClass)
    const trafficClass = of.classes[position]
    const before = current.get(groupKey(group)) ?? 'unreachable'
    if (!trafficClass) return { hop: 'unreachable', reason: 'all-down' }
    const direct = group.via.map((hop) => byTunnel.get(hop.tunnel)).find((record) => record?.tunnel.remote === group.remote)
    const index = direct && !direct.tunnel.decides ? announced.get(direct.tunnel.remote)?.[trafficClass.index] : undefined
    const followed = index === undefined || index === noTunnel ? undefined : tunnelByIndex.get(index)
    const choice = follow(group, healthFor(position, now, false), trafficClass.sla, before, now, followed)
    if (choice.hop !== 'unreachable') return choice
    // Better a doubtful way than none.
    return select(group, healthFor(position, now, true), trafficClass.sla, before, now)
  }

  /** Whether a group that lost its last way still keeps it. */
  function lingers(key: string, before: Selection['hop'] | undefined, hop: Selection['hop'], now: number): boolean {
    if (hop !== 'unreachable' || before === undefined || before === 'unreachable') {
      lostAt.delete(key)
      return false
    }
    const since = lostAt.get(key) ?? now
    lostAt.set(key, since)
    return now - since < lastChoiceMs
  }

  /** Chooses for every group, and moves those whose choice changed, in one batch. */
  function decide(now: number): void {
    dirty = false
    if (!config || held || isHeld(lag, now)) return
    const moved: Choice[] = []
    const moves = new Map<string, { readonly remote: string; readonly move: string; readonly classes: string[]; readonly to: string }>()
    for (const group of config.groups) {
      const { hop, reason } = choose(config, group, now)
      const key = groupKey(group)
      const before = current.get(key)
      if (lingers(key, before, hop, now) || before === hop) continue
      current.set(key, hop)
      moved.push({ remote: group.remote, trafficClass: group.trafficClass, arrived: group.arrived, hop })
      const name = (of: Selection['hop'] | undefined) =>
        of === undefined || of === 'unreachable' ? 'unreachable' : (group.via[of]?.tunnel ?? 'unreachable')
      if (group.arrived !== 'anywhere') continue
      const move = `${name(before)} → ${name(hop)} (${reason})`
      const told = moves.get(`${group.remote} ${move}`)
      if (told) told.classes.push(group.trafficClass)
      else moves.set(`${group.remote} ${move}`, { remote: group.remote, move, classes: [group.trafficClass], to: name(hop) })
    }
    if (moved.length === 0) return
    options.steer(moved).catch((error: unknown) => options.event('steer', `could not move traffic: ${why(error)}`))
    announce(now)
    for (const { remote, move, classes, to } of moves.values())
      options.event('steer', `${remote} ${classes.join(', ')}: ${move}`, { remote, classes, to })
    options.changed()
  }

  /** New roles and views follow from the choices; who has to know is told at once. */
  function announce(now: number): void {
    if (!config) return
    const inUse = new Set<TunnelId>()
    const before = views
    views = new Map()
    const width = config.classes.reduce((most, one) => Math.max(most, one.index + 1), 0)
    for (const record of records.values()) if (!views.has(record.tunnel.remote)) views.set(record.tunnel.remote, Array<number>(width).fill(noTunnel))
    for (const group of config.groups) {
      const hop = current.get(groupKey(group))
      const tunnel = hop === undefined || hop === 'unreachable' ? undefined : byTunnel.get(group.via[hop]?.tunnel ?? ('' as TunnelId))
      if (!tunnel) continue
      inUse.add(tunnel.tunnel.id)
      const trafficClass = config.classes[classIndex(config, group.trafficClass)]
      if (group.arrived === 'anywhere' && tunnel.tunnel.remote === group.remote && trafficClass)
        views.get(tunnel.tunnel.remote)![trafficClass.index] = tunnel.tunnel.index
    }
    for (const record of records.values()) {
      const theirs = announced.get(record.tunnel.remote)?.includes(record.tunnel.index) ?? false
      // How often probes come is the deciding end's choice, so the other end goes by its word and not by its own choice.
      const role = theirs || (record.tunnel.decides && inUse.has(record.tunnel.id)) ? 'active' : standbyRole(record.tunnel)
      if (record.role === 'active' && role !== 'active' && record.tunnel.decides) record.activeUntil = now + demotionMs
      record.role = role
      const view = views.get(record.tunnel.remote)!
      const said = before.get(record.tunnel.remote)
      if (record.tunnel.decides && (said === undefined || said.some((one, i) => one !== view[i]))) record.nextAt = now
      retimeRecord(record, now)
    }
    arm(now)
  }

  function retimeRecord(record: ProbedPath, now: number): void {
    const degraded =
      record.role === 'metered-standby' &&
      [...records.values()].some((one) => one.role === 'active' && one.tunnel.remote === record.tunnel.remote && overall(one.path) !== 'UP')
    const timing = timingOf(record, now, silentFor(record.path, now), degraded)
    // Faster: the next probe must not wait for the slow one's turn.
    if (record.tunnel.decides && timing.intervalMs < record.path.timing.intervalMs)
      record.nextAt = Math.min(record.nextAt, nextProbeAt(now, timing.intervalMs, random()))
    retime(record.path, now, timing)
  }

  const endView = (record: ProbedPath): EndView => ({
    tunnel: record.tunnel.index,
    generation,
    state: overall(record.path),
    draining: false,
    received: record.received >>> 0,
    highest: record.highest,
    view: views.get(record.tunnel.remote) ?? [],
  })

  function sendProbe(record: ProbedPath, now: number): void {
    const sequence = record.sequence++
    remember(record, sequence, now)
    probeSent(record.path, now, sequence)
    record.nextAt = nextProbeAt(now, record.path.timing.intervalMs, random())
    if (!record.socket) return
    const length = encodeProbe(packet, { ...endView(record), sequence: sequence >>> 0, session: record.session, sentAt: options.wall() })
    record.socket.send(packet, length, record.tunnel.farInside)
  }

  /** What the far end says, whether in a probe or in a reply. */
  function hear(record: ProbedPath, said: EndView, sentAt: number): void {
    const { path } = record
    if (path.remoteState !== said.state || path.remoteDraining !== said.draining) dirty = true
    hearRemote(path, said.state, said.draining)
    const behind = (announcedAt.get(record.tunnel.remote) ?? Number.NEGATIVE_INFINITY) - sentAt
    // Much older is no late word: its clock was set back.
    if (behind > 0 && behind < clockStepMs) return
    announcedAt.set(record.tunnel.remote, sentAt)
    const before = announced.get(record.tunnel.remote)
    if (before?.length === said.view.length && before.every((one, i) => one === said.view[i])) return
    announced.set(record.tunnel.remote, said.view)
    dirty = true
  }

  function onProbe(record: ProbedPath, probe: Probe, now: number): void {
    if (probe.session !== record.farSession) {
      // The far end started again and counts from 0.
      record.farSession = probe.session
      record.received = 0
      record.highest = 0
      record.path.repliedSeq = -1
      record.path.seen = 0
    }
    const stale = record.received > 0 && probe.sequence < record.highest
    record.received++
    record.highest = Math.max(record.highest, probe.sequence)
    if (!stale) hear(record, probe, probe.sentAt)
    if (record.path.follows) probeAnswered(record.path, now, probe.sequence, Number.NaN)
    if (record.suspect && record.path.follows) clear(record)
    const wall = options.wall()
    const length = encodeReply(packet, {
      ...endView(record),
      sequence: record.reflected++ >>> 0,
      session: probe.session,
      sentAt: wall,
      receivedAt: wall,
      probeSequence: probe.sequence,
      probeSentAt: probe.sentAt,
      probeTtl: 255,
    })
    record.socket?.send(packet, length, record.tunnel.farInside)
  }

  function onReply(record: ProbedPath, reply: Reply, now: number): void {
    if (reply.session !== record.session) return
    const sent = sentTick(record, reply.probeSequence)
    if (sent === undefined) return
    if (reply.probeSequence >= record.path.repliedSeq) hear(record, reply, reply.sentAt)
    if (record.suspect) clear(record)
    probeAnswered(record.path, now, reply.probeSequence, now - sent)
  }

  function onPacket(record: ProbedPath, data: Buffer, from: string): void {
    if (from !== record.tunnel.farInside || records.get(keyOf(record.tunnel)) !== record) return
    const now = options.tick()
    const before = overall(record.path)
    const probe = decodeProbe(data)
    if (probe?.tunnel === record.tunnel.index) onProbe(record, probe, now)
    else {
      const reply = decodeReply(data)
      if (reply?.tunnel === record.tunnel.index) onReply(record, reply, now)
    }
    const after = overall(record.path)
    if (after !== before) stateChanged(record, before, after, now)
    if (dirty) {
      decide(now)
      announce(now)
    }
  }

  function stateChanged(record: ProbedPath, before: string, after: string, now: number): void {
    dirty = true
    options.event('path', `${record.tunnel.id} ${before} → ${after}`, { tunnel: record.tunnel.id, from: before, to: after })
    if (after === 'DOWN' && record.tunnel.initiates) {
      record.rehandshakes = 0
      record.rehandshakeAt = now + rehandshakeFirstMs
    } else if (after !== 'DOWN') record.rehandshakeAt = Number.POSITIVE_INFINITY
    if (after === 'DOWN' && record.path.follows && record.role === 'active') doubtUnheard(record)
    byTunnel = standsFor(records.values())
    retimeRecord(record, now)
    options.changed()
  }

  /** A standby that shares a line with `record`, at this end or at the other. */
  const isSibling = (record: ProbedPath, other: ProbedPath): boolean =>
    other !== record &&
    other.role !== 'active' &&
    other.path.alive === 'UP' &&
    (other.tunnel.uplink === record.tunnel.uplink ||
      (other.tunnel.remote === record.tunnel.remote && other.tunnel.remoteUplink === record.tunnel.remoteUplink))

  /** The end that follows hears the other's questions: a sibling that wasn't asked since then is on the dead line, too. */
  function doubtUnheard(record: ProbedPath): void {
    for (const other of records.values()) {
      if (other.suspect || other.tunnel.decides || !isSibling(record, other) || other.path.lastReplyAt > record.path.quietFrom) continue
      other.suspect = true
      other.suspectSince = record.path.quietFrom
    }
  }

  /**
   * A silent active path throws doubt on all that share a line with it: they are probed at once, so that when it is declared
   * DOWN it is known which of them answer, and traffic isn't moved from one dead path to the next.
   */
  function suspectSiblings(now: number): void {
    for (const record of records.values()) {
      const { path, tunnel } = record
      if (record.role !== 'active' || path.alive !== 'UP' || !tunnel.decides || record.suspect) continue
      if (now - path.quietFrom < suspectAfter * path.timing.intervalMs + path.jitterMs) continue
      for (const other of records.values()) {
        if (other.suspect || !other.tunnel.decides || !isSibling(record, other)) continue
        other.suspect = true
        other.nextAt = now
        other.suspectSince = now
        retimeRecord(other, now)
      }
    }
  }
  function clear(record: ProbedPath): void {
    record.suspect = false
    dirty = true
  }
  /** Suspected, asked, and silent for longer than an answer takes. */
  const isMute = (record: ProbedPath, now: number): boolean =>
    record.suspect && now - record.suspectSince > Math.max(record.path.rttMs * 1.25 + 4 * record.path.jitterMs, 20)

  function openSocket(record: ProbedPath): void {
    record.socket = options.open(
      record.tunnel.inside,
      (data, from) => onPacket(record, data, from),
      () => {
        record.socket = null
        record.reopenAt = options.tick() + reopenMs
      },
    )
  }

  function rehandshake(record: ProbedPath, now: number): void {
    record.rehandshakeAt = now + Math.min(rehandshakeMostMs, rehandshakeFirstMs * 2 ** ++record.rehandshakes)
    options.rehandshake(record.tunnel.id).catch((error: unknown) => options.event('path', `${record.tunnel.id}: no new handshake: ${why(error)}`))
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
      const after = overall(record.path)
      if (after !== before) stateChanged(record, before, after, now)
      if (everySecond) retimeRecord(record, now)
    }
    if (everySecond) {
      nextSecond = now + 1_000
      // `returnAfter` runs out with time alone.
      dirty = true
    }
    suspectSiblings(now)
    const fell = wereUp.filter((one) => one.path.alive !== 'UP').length
    const windowMs = Math.min(...[...records.values()].map((one) => one.path.timing.intervalMs * one.path.timing.multiplier), 600)
    lag = holdThroughLag(lag, { now, lagMs: late, windowMs, fell, wereUp: wereUp.length })
    if (dirty) decide(now)
    for (const record of records.values()) {
      if (!record.socket && now >= record.reopenAt) openSocket(record)
      if (record.tunnel.decides && now >= record.nextAt) sendProbe(record, now)
      if (now >= record.rehandshakeAt) rehandshake(record, now)
    }
    arm(now)
  }

  const suspicionAt = (record: ProbedPath): number =>
    record.role === 'active' && record.tunnel.decides && record.path.alive === 'UP' && hasUnsuspectedSibling(record)
      ? record.path.quietFrom + suspectAfter * record.path.timing.intervalMs + record.path.jitterMs + 1
      : Number.POSITIVE_INFINITY
  function hasUnsuspectedSibling(record: ProbedPath): boolean {
    for (const other of records.values()) {
      if (!other.suspect && other.tunnel.decides && isSibling(record, other)) return true
    }
    return false
  }

  function arm(now: number): void {
    if (records.size === 0) return
    let at = Math.min(nextSecond, isHeld(lag, now) ? lag.until : Number.POSITIVE_INFINITY)
    for (const record of records.values()) {
      at = Math.min(
        at,
        suspicionAt(record),
        deadline(record.path),
        record.rehandshakeAt,
        record.tunnel.decides ? record.nextAt : Number.POSITIVE_INFINITY,
        record.socket ? Number.POSITIVE_INFINITY : record.reopenAt,
      )
    }
    alarm.set(at)
  }

  const alarm = createAlarm(options.tick, run)
  function forget(record: ProbedPath): void {
    record.socket?.close()
    records.delete(keyOf(record.tunnel))
  }

  return {
    choicesFor: (next) => {
      const now = options.tick()
      // By tunnel, since an index of the old config may mean another tunnel in the new one.
      const keep = new Map<string, TunnelId>()
      for (const group of config?.groups ?? []) {
        const hop = current.get(groupKey(group))
        const tunnel = hop === undefined || hop === 'unreachable' ? undefined : group.via[hop]?.tunnel
        if (tunnel !== undefined) keep.set(groupKey(group), tunnel)
      }
      const ready = new Set(next.tunnels.map((one) => one.id))
      return next.groups.map((group) => {
        const kept = group.via.findIndex((hop) => hop.tunnel === keep.get(groupKey(group)) && ready.has(hop.tunnel))
        const fresh = select(group, (tunnel) => (ready.has(tunnel) ? unproven : undefined), unlimited, 'unreachable', now).hop
        return { remote: group.remote, trafficClass: group.trafficClass, arrived: group.arrived, hop: kept >= 0 ? kept : fresh }
      })
    },
    hold(next) {
      held = config === null || canonicalJson(config.groups) !== canonicalJson(next.groups)
    },
    load(next, number, choices) {
      const now = options.tick()
      const wanted = new Map(next.tunnels.map((tunnel) => [keyOf(tunnel), tunnel]))
      const sameClasses = config !== null && canonicalJson(config.classes) === canonicalJson(next.classes)
      config = next
      generation = number
      held = false
      for (const record of records.values()) {
        const tunnel = wanted.get(keyOf(record.tunnel))
        if (
          !tunnel ||
          tunnel.inside !== record.tunnel.inside ||
          tunnel.farInside !== record.tunnel.farInside ||
          tunnel.decides !== record.tunnel.decides
        )
          forget(record)
        else {
          record.tunnel = tunnel
          if (!sameClasses) record.path = newPath(tunnel, next, now)
        }
      }
      for (const [key, tunnel] of wanted) if (!records.has(key)) records.set(key, createProbed(tunnel, next, now, random))
      byTunnel = standsFor(records.values())
      tunnelByIndex = new Map(next.tunnels.map((tunnel) => [tunnel.index, tunnel.id]))
      current = new Map(choices.map((choice) => [groupKey(choice), choice.hop]))
      dirty = true
      alarm.clear()
      views = new Map()
      announce(now)
      run()
    },
    unload() {
      for (const record of records.values()) forget(record)
      config = null
      current = new Map()
      byTunnel = new Map()
    },
    paths() {
      if (!config) return []
      const now = options.tick()
      const wall = options.wall()
      const classes = new Map<TunnelId, string[]>()
      for (const group of config.groups) {
        const hop = current.get(groupKey(group))
        if (group.arrived !== 'anywhere' || hop === undefined || hop === 'unreachable') continue
        const tunnel = group.via[hop]!.tunnel
        const held = classes.get(tunnel) ?? []
        if (!held.includes(group.trafficClass)) held.push(group.trafficClass)
        classes.set(tunnel, held)
      }
      const number = (of: number) => (Number.isFinite(of) ? Math.round(of * 1000) / 1000 : null)
      return [...byTunnel.values()].map(({ tunnel, path }) => ({
        tunnel: tunnel.id,
        state: overall(path),
        since: new Date(wall - (now - path.since)).toISOString(),
        rttMs: number(path.rttMs),
        jitterMs: number(path.jitterMs),
        loss: path.follows ? null : number(path.loss),
        classes: (classes.get(tunnel.id) ?? []).sort(),
      }))
    },
    isUp: (tunnel) => byTunnel.get(tunnel)?.path.alive === 'UP',
    close() {
      alarm.clear()
      for (const record of records.values()) forget(record)
      config = null
    },
  }
}

const unlimited = { loss: 0, latencyMs: 0, jitterMs: 0 }
const unproven: HopHealth = {
  state: 'INIT',
  rttMs: Number.NaN,
  jitterMs: 0,
  loss: 0,
  remoteState: 'INIT',
  remoteDraining: false,
  upSince: Number.POSITIVE_INFINITY,
}
