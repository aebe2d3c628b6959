/**
 * A failover exercise: one uplink's outer packets are dropped for some seconds by an nft set whose element the kernel
 * itself times out, so that the uplink heals although this agent dies. Meanwhile it is watched when each class moves.
 */
import { execFile } from 'node:child_process'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { openSigned } from '#src/wire/bundle.ts'
import { DrillPayload, type DrillReport, type Signed } from '#src/wire/messages.ts'
import type { Clock } from './clock.ts'
import { type Identity, trustOf } from './enrol.ts'
import type { Log } from './log.ts'
import type { Prober } from './probe.ts'

/** Feeds rules to `nft -f -`; rejects with what nft says. */
export type DrillRun = (rules: string) => Promise<void>
export interface DrillerOptions {
  readonly prober: Pick<Prober, 'paths'>
  readonly clock: Pick<Clock, 'now' | 'tick'>
  readonly log: Log
  readonly config: () => SiteConfig | null
  readonly run: DrillRun
  /** It is worth a report. */
  readonly changed: () => void
}
export interface Driller {
  /** Resolves when it is over; a drill that was begun is not begun again. */
  order(signed: Signed, identity: Identity): Promise<void>
  report(): DrillReport | null
  /** The controller took `sent` and asks for no drill any more; what happened since is still to be told. */
  told(sent: DrillReport | null): void
}

const watchEveryMs = 5
/** Ports of tunnels: ours and the cloud's IKE. DHCP and DNS go on. */
const tunnelPorts = '{ 500, 4500, 51820-53999 }'

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
  let active: string | null = null

  const tell = (next: DrillReport) => {
    report = next
    changed()
  }
  const refuse = (drill: string, why: string) => {
    log('drill', `refused: ${why}`)
    tell({ drill, state: 'refused', brokenAt: null, healedAt: null, classes: [], why })
  }

  return {
    async order(signed, identity) {
      const opened = openSigned(signed, trustOf(identity).bundleSigners)
      const parsed = opened.ok ? DrillPayload.safeParse(opened.payload) : null
      // Whoever sent this is not the controller: nothing to answer.
      if (!parsed?.success) return log('drill', 'an order that this network did not sign is ignored')
      const { drill, network, site, device, uplink, seconds, beginBefore } = parsed.data
      if (active !== null || report?.drill === drill) return
      if (network !== identity.network || site !== identity.site || device !== identity.device)
        return log('drill', 'an order for another box is ignored')
      if (clock.now() > Date.parse(beginBefore)) return refuse(drill, `it had to begin before ${beginBefore}`)
      const now = config()
      const broken = now?.uplinks.find(({ id }) => id === uplink)
      if (!now || !broken || !/^[\w.-]{1,15}$/.test(broken.interface)) return refuse(drill, `this box has no uplink ${uplink}`)
      active = drill
      try {
        await exercise(drill, now, broken.id, broken.interface, seconds)
      } catch (error) {
        refuse(drill, error instanceof Error ? error.message : String(error))
      } finally {
        active = null
      }
    },
    report: () => report,
    told: (sent) => {
      if (active === null && report === sent) report = null
    },
  }

  async function exercise(drill: string, site: SiteConfig, uplink: string, device: string, seconds: number): Promise<void> {
    const over = new Set<string>(site.tunnels.filter((tunnel) => tunnel.uplink === uplink).map(({ id }) => id))
    const users = () =>
      new Map(prober.paths().flatMap(({ tunnel, classes }) => classes.map((id) => [`${id} ${remoteOf(site, tunnel)}`, tunnel] as const)))
    const before = [...users()].filter(([, tunnel]) => over.has(tunnel))
    const moved = new Map<string, { readonly to: string; readonly afterMs: number }>()
    const classes = () =>
      before.map(([key, from]) => ({
        trafficClass: key.slice(0, key.indexOf(' ')),
        from,
        to: moved.get(key)?.to ?? null,
        movedAfterMs: moved.get(key)?.afterMs ?? null,
      }))

    await run(drillRules(device, seconds))
    const brokenAt = new Date(clock.now()).toISOString()
    const began = clock.tick()
    log('drill', `${uplink} is cut for ${seconds} s`)
    tell({ drill, state: 'broken', brokenAt, healedAt: null, classes: classes(), why: '' })
    while (clock.tick() - began < seconds * 1000) {
      await new Promise((resolve) => setTimeout(resolve, watchEveryMs))
      const now = users()
      for (const [key] of before) {
        const to = now.get(key)
        if (to !== undefined && !over.has(to) && !moved.has(key)) moved.set(key, { to, afterMs: Math.round(clock.tick() - began) })
      }
    }
    const healedAt = new Date(clock.now()).toISOString()
    log('drill', `${uplink} is whole again`)
    tell({ drill, state: 'healed', brokenAt, healedAt, classes: classes(), why: '' })
  }
}

const remoteOf = (site: SiteConfig, tunnel: string): string => site.tunnels.find(({ id }) => id === tunnel)?.remote ?? ''
