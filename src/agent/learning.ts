/** What routers of LANs announce, as the installer and the engineer should know it: sessions that are down, prefixes that nobody announces. */
import type { DeviceDriver, Learning } from '#providers/device.ts'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { canonicalJson } from '#src/fabric/hash.ts'
import { speaking } from '#src/fabric/lan-routing.ts'
import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import { line, type Trouble } from './trouble.ts'

export interface LearningWatch {
  /** Every few seconds. */
  look(config: SiteConfig | null): Promise<void>
  findings(): readonly Trouble[]
  /** Tick at which it began to look, when it last found all OSPF neighbors and what they are to announce; else null. */
  heardAt(): number | null
}

/** One cause is told once: with every session of a LAN down nobody asks why its prefixes are gone. */
export function troublesOf(config: SiteConfig, { sessions, missing }: Learning): readonly Trouble[] {
  const down = sessions.filter(({ up }) => !up)
  const silent = (device: string): boolean => sessions.every((one) => one.interface !== device || down.includes(one))
  return [
    ...down.map(({ protocol, segment, interface: device, neighbor, state }) => ({
      code: 'A41',
      ...(protocol === 'bgp'
        ? {
            says: `The BGP session with ${neighbor} on ${segment} (${device}) is not up: ${state}`,
            instead: 'Look at the cable, and at address and AS numbers of the router',
          }
        : {
            says: `${neighbor} on ${segment} (${device}) is no OSPF neighbor: ${state}`,
            instead: 'Look at the cable, and at area, hello and dead interval of the router',
          }),
    })),
    ...config.lans
      .filter((lan) => lan.learned && missing.includes(lan.prefix) && !silent(lan.interface))
      .map(({ prefix, segment, interface: device }) => ({
        code: 'A42',
        says: `No router on ${segment} (${device}) announces ${prefix} or a part of it`,
        instead: 'Look why the router has lost it; until then nobody reaches it',
      })),
  ]
}

const nothing: Learning = { sessions: [], missing: [] }
/** Whether every OSPF neighbor is there, and all that is declared behind them. */
const hearsAll = ({ lans, ospf }: SiteConfig, { sessions, missing }: Learning): boolean =>
  sessions.every(({ protocol, up }) => protocol !== 'ospf' || up) &&
  !lans.some((lan) => lan.learned && lan.interface === ospf?.interface && missing.includes(lan.prefix))

export function createLearningWatch({
  learning,
  clock,
  log,
  changed,
}: {
  readonly learning: DeviceDriver['learning']
  readonly clock: Pick<Clock, 'tick'>
  readonly log: Log
  readonly changed: () => void
}): LearningWatch {
  let before: readonly Trouble[] = []
  let told: readonly Trouble[] = []
  let heardAt: number | null = null
  return {
    findings: () => told,
    heardAt: () => heardAt,
    async look(config) {
      const at = clock.tick()
      const learned = config && speaking(config).length > 0 ? await learning() : nothing
      heardAt = config && hearsAll(config, learned) ? at : null
      const now = config ? troublesOf(config, learned) : []
      // A session that was just made, or flaps once, is no news: what holds for two looks is.
      const lasting = now.filter((one) => before.some((other) => other.code === one.code && other.says === one.says))
      before = now
      if (canonicalJson(lasting) === canonicalJson(told)) return
      for (const one of lasting) if (!told.some(({ says }) => says === one.says)) log('routing', line(one), { code: one.code })
      if (lasting.length === 0) log('routing', 'all routers of the LANs announce what is declared')
      told = lasting
      changed()
    },
  }
}
