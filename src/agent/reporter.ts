/** What a box says of itself in each report, but for what it was asked: drills, drains and measurements say their own. */
import type { DeviceDriver, OsInterface } from '#providers/device.ts'
import type { SiteConfig, TunnelId } from '#src/fabric/fabric.ts'
import type { Report } from '#src/wire/messages.ts'
import { inventoryOf } from './box.ts'
import { type Clock, instant } from './clock.ts'
import type { Disk } from './disk.ts'
import type { BoxKeys } from './keys.ts'
import { createMeter } from './load.ts'
import { isPair } from './pair.ts'
import type { Prober } from './probe.ts'
import type { Trouble } from './trouble.ts'

/** What the box is now, as far as it is known elsewhere. */
export interface Told {
  readonly config: SiteConfig | null
  readonly interfaces: readonly OsInterface[]
  readonly findings: readonly Trouble[]
  readonly headlessSince: string | null
}
export interface Reporter {
  compose(now: Told): Promise<Composed>
}
export interface Composed {
  readonly report: Report
  /** The controller has it: what doesn't change is not said again. */
  delivered(): void
}

export function createReporter(of: {
  readonly driver: Pick<DeviceDriver, 'features' | 'counters' | 'carries'>
  readonly prober: Pick<Prober, 'paths'>
  readonly keys: Pick<BoxKeys, 'publicKeys'>
  readonly disk: Pick<Disk, 'state'>
  readonly clock: Clock
  readonly serial: string
}): Reporter {
  const { driver, prober, keys, disk, clock, serial } = of
  const meter = createMeter(() => clock.tick())
  let inventorySent = ''
  /** Seconds since 1970; 0: never. While link epochs overlap, of the one that shook hands last. */
  let handshakes: ReadonlyMap<TunnelId, number> = new Map()

  /** Where the far ends are seen: what only a hub can tell of a site behind NAT. Notes load and handshakes of the tunnels on the way. */
  async function endpoints(config: SiteConfig | null): Promise<Report['endpoints']> {
    const roaming = new Set(config?.tunnels.filter((one) => one.peer.kind === 'wireguard' && one.peer.endpoint === 'roams').map((one) => one.id))
    if (roaming.size === 0 && !meter.isDue()) return []
    const counters = await driver.counters()
    meter.look(counters)
    handshakes = new Map([...counters].sort((a, b) => a.lastHandshake - b.lastHandshake).map((one) => [one.tunnel, one.lastHandshake]))
    return counters.flatMap(({ tunnel, endpoint }) => {
      const match = /^\[?([0-9a-fA-F.:]+)\]?:(\d+)$/.exec(endpoint)
      return match && roaming.has(tunnel) ? [{ tunnel, address: match[1]!, port: Number(match[2]) }] : []
    })
  }
  const shookHands = (tunnel: TunnelId) => {
    const last = handshakes.get(tunnel) ?? 0
    return last === 0 ? {} : { handshakeAt: instant(last * 1000) }
  }

  return {
    async compose({ config, interfaces, findings, headlessSince }) {
      const inventory = inventoryOf(await driver.features(), interfaces, serial)
      const text = JSON.stringify(inventory)
      const { commit: state, confirmed } = disk.state()
      const commit: Report['commit'] =
        state.state === 'pending' ? { state: 'pending', triple: state.triple, nonce: state.nonce, deadline: state.deadline } : state
      const report: Report = {
        running: confirmed,
        commit,
        keys: keys.publicKeys().map((one) => ({ ...one })),
        endpoints: await endpoints(config),
        paths: prober.paths().map((path) => ({ ...path, load: meter.of(path.tunnel as TunnelId), ...shookHands(path.tunnel as TunnelId) })),
        findings: findings.map((one) => ({ ...one, severity: 'error' as const })),
        headlessSince,
        ...(isPair(config) ? { carries: driver.carries() } : {}),
        ...(text === inventorySent ? {} : { inventory }),
      }
      return { report, delivered: () => void (inventorySent = text) }
    },
  }
}
