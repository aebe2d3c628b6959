/**
 * A failover exercise: one uplink's outer packets are dropped for some seconds by an nft set whose element the kernel
 * itself times out, so that the uplink heals although this agent dies. Meanwhile it is watched when each class moves.
 */
import { execFile } from 'node:child_process'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { firstHubPort, portsEnd } from '#src/fabric/ids.ts'
import { type DrillMove, DrillPayload, type DrillReport, type Signed } from '#src/wire/messages.ts'
import type { Clock } from './clock.ts'
import { watchClass } from './drill-watch.ts'
import type { Identity } from './enrol.ts'
import type { Log } from './log.ts'
import { openOrder } from './orders.ts'
import type { Prober, Use } from './probe.ts'

/** Feeds rules to `nft -f -`; rejects with what nft says. */
export type DrillRun = (rules: string) => Promise<void>
export interface DrillerOptions {
  readonly prober: Pick<Prober, 'uses' | 'heard'>
  readonly clock: Pick<Clock, 'now' | 'tick' | 'wait'>
  readonly log: Log
  readonly config: () => SiteConfig | null
  readonly run: DrillRun
  /** It is worth a report. */
  readonly changed: () => void
}
export interface Driller {
  /** Resolves when it is over; an order that was answered is not taken again. */
  order(signed: Signed, identity: Identity): Promise<void>
  report(): DrillReport | null
  /** The controller took `sent` and asks for no drill any more; what happened since is still to be told. */
  told(sent: DrillReport | null): void
}

type Order = Pick<DrillReport, 'drill' | 'attempt'>

const watchEveryMs = 5
/** At a hub of thousands of spokes one look takes its time: nine tenths are left to the probes. */
const restShare = 9
/** A probe that is not answered by then counts as lost. */
const lateMs = 500
/** Ports of tunnels: ours and the cloud's IKE. DHCP and DNS go on. */
const tunnelPorts = `{ 500, 4500, ${firstHubPort}-${portsEnd - 1} }`

/** The table of the drill before goes; this one's stays when it is over, and drops nothing then. */
export const drillRules = (uplinkInterface: string, seconds: number): string => `table inet causeway_drill
delete table inet causeway_drill
table inet causeway_drill {
  set uplinks { type ifname; flags timeout; }
  chain out { type filter hook output priority -310; policy accept; oifname @uplinks meta l4proto esp drop; oifname @uplinks udp sport ${tunnelPorts} drop; oifname @uplinks udp dport ${tunnelPorts} drop; }
  chain in { type filter hook prerouting priority -310; policy accept; iifname @uplinks meta l4proto esp drop; iifname @uplinks udp sport ${tunnelPorts} drop; iifname @uplinks udp dport ${tunnelPorts} drop; }
}
add element inet causeway_drill uplinks { "${uplinkInterface}" timeout ${Math.round(seconds * 1000)}ms }
`

export const systemRun: DrillRun = (rules) =>
  new Promise((resolve, reject) => {
    const child = execFile('nft', ['-f', '-'], { timeout: 5_000 }, (error, _, stderr) =>
      error ? reject(new Error(stderr.trim() || error.message)) : resolve(),
    )
    child.stdin?.end(rules)
  })

export function createDriller({ prober, clock, log, config, run, changed }: DrillerOptions): Driller {
  let report: DrillReport | null = null
  let active = false

  const tell = (next: DrillReport) => {
    report = next
    changed()
  }
  const refuse = (of: Order, why: string, outdated = false) => {
    log('drill', `refused: ${why}`)
    tell({ ...of, state: 'refused', ...(outdated ? { outdated } : {}), brokenAt: null, healedAt: null, classes: [], why })
  }

  return {
    async order(signed, identity) {
      const opened = openOrder(signed, identity, DrillPayload, 'drill', log)
      if (opened === null) return
      const { drill, attempt = 1, uplink, seconds, beginBefore, moves } = opened
      const of: Order = { drill, attempt }
      if (active || (report?.drill === drill && report.attempt === attempt)) return
      if (clock.now() > Date.parse(beginBefore)) return refuse(of, `it had to begin before ${beginBefore}`)
      const now = config()
      const broken = now?.uplinks.find(({ id }) => id === uplink)
      if (!now || !broken || !/^[\w.-]{1,15}$/.test(broken.interface)) return refuse(of, `this box has no uplink ${uplink}`)
      const over = new Set<string>(now.tunnels.filter((tunnel) => tunnel.uplink === uplink).map(({ id }) => id))
      const other = moves && unlike(moves, prober.uses(), over)
      if (other) return refuse(of, other, true)
      active = true
      try {
        await exercise(of, uplink, broken.interface, over, seconds)
      } catch (error) {
        refuse(of, error instanceof Error ? error.message : String(error))
      } finally {
        active = false
      }
    },
    report: () => report,
    told: (sent) => {
      if (!active && report === sent) report = null
    },
  }

  async function exercise(of: Order, uplink: string, device: string, over: ReadonlySet<string>, seconds: number): Promise<void> {
    const before = prober.uses()
    await run(drillRules(device, seconds))
    const brokenAt = new Date(clock.now()).toISOString()
    const began = clock.tick()
    const watches = before.filter(({ tunnel }) => over.has(tunnel)).map((use) => watchClass(prober, use, over, began))
    const others = before.filter(({ tunnel }) => !over.has(tunnel))
    const disturbed = new Map<string, NonNullable<DrillReport['disturbed']>[number]>()
    const told = (state: 'broken' | 'healed', at: number, healedAt: string | null): DrillReport => ({
      ...of,
      state,
      brokenAt,
      healedAt,
      classes: watches.map((one) => one.fared(at)),
      disturbed: [...disturbed.values()],
      why: '',
    })

    log('drill', `${uplink} is cut for ${seconds} s`)
    tell(told('broken', began, null))
    let at = began
    let lookMs = 0
    while (at - began < seconds * 1000) {
      await clock.wait(Math.max(watchEveryMs, lookMs * restShare))
      at = clock.tick()
      const now = new Map(prober.uses().map((use) => [keyOf(use), use.tunnel]))
      for (const watch of watches) watch.look(at, now.get(keyOf(watch.use)))
      for (const use of others) {
        const to = now.get(keyOf(use)) ?? null
        if (to !== use.tunnel && !disturbed.has(keyOf(use)))
          disturbed.set(keyOf(use), { trafficClass: use.trafficClass, remote: use.remote, from: use.tunnel, to })
      }
      lookMs = clock.tick() - at
    }
    const healedAt = new Date(clock.now()).toISOString()
    log('drill', `${uplink} is whole again`)
    // The last probes are still under way.
    await clock.wait(lateMs)
    tell(told('healed', at, healedAt))
  }
}

type Way = Pick<DrillMove, 'trafficClass' | 'remote' | 'family'>
const remoteText = ({ remote, family }: Way): string => `${remote}${family === undefined ? '' : ` over IPv${family}`}`
const keyOf = (way: Way): string => `${way.trafficClass} ${remoteText(way)}`

/** What uses the uplink otherwise than the order says, for people; null: nothing does. */
function unlike(moves: readonly DrillMove[], uses: readonly Use[], over: ReadonlySet<string>): string | null {
  const ordered = new Map<string, DrillMove>(moves.map((move) => [keyOf(move), move]))
  for (const use of uses) {
    const move = ordered.get(keyOf(use))
    ordered.delete(keyOf(use))
    if (move ? move.from !== use.tunnel : over.has(use.tunnel))
      return `class ${use.trafficClass} to ${remoteText(use)} takes ${use.tunnel} now${move ? `, not ${move.from}` : ', and was to stay off this uplink'}`
  }
  const [gone] = ordered.values()
  return gone ? `class ${gone.trafficClass} has no way to ${remoteText(gone)} now, and was to take ${gone.from}` : null
}
