/**
 * One of two gateways of a site: when it offers to carry the traffic of its LANs, and when it says in its probes that it
 * stands by. VRRP decides between the two, by what each offers.
 */
import type { DeviceDriver } from '#providers/device.ts'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { isSecondGateway } from '#src/fabric/ids.ts'
import type { Clock } from './clock.ts'

/** How often it looks. What is offered is a sign of life too, which VRRP misses after seconds. */
export const pairEveryMs = 200
const signEveryMs = 1_000
/** A box whose tunnels come back takes its LANs back only then: each move costs connections that others opened. */
export const returnAfterMs = 5_000
/**
 * One that lost the LANs may have lost its OSPF neighbors with them. How much longer than a dead interval, in which they elect
 * a designated router, it waits until it has heard them again; OSPFv3 of FRR takes up to ten seconds more.
 */
export const hearingMs = 15_000

export interface PairOptions {
  readonly device: Pick<DeviceDriver, 'offer' | 'carries'>
  readonly clock: Pick<Clock, 'tick'>
  /** It carries its LANs' traffic now, or no longer: worth a report at once. */
  readonly changed: (carries: boolean) => void
}
/** What the box knows of itself. `unproven`: after a start, no path has been judged yet. */
export interface Ability {
  readonly ways: 'up' | 'down' | 'unproven'
  readonly drains: boolean
  /** Tick at which it was last seen to hear by OSPF all that is declared; null: something is missing, or nobody has looked yet. */
  readonly heardAt: number | null
}
export interface PairMember {
  /** To be called every `pairEveryMs`. */
  look(config: SiteConfig | null, ability: Ability): Promise<void>
}

export const isPair = (config: SiteConfig | null): boolean => config?.lans.some(({ own }) => own !== undefined) ?? false

export function createPairMember({ device, clock, changed }: PairOptions): PairMember {
  let carried: boolean | null = null
  let offered: boolean | null = null
  let saidAt = Number.NEGATIVE_INFINITY
  /** Tick since when it could carry; null: it can't. */
  let ableSince: number | null = null
  /** Tick at which it was last without the LANs for a reason that may have cost it its neighbors: a start, or their loss. */
  let lostAt = clock.tick()

  /** Whether it would know the way to what is behind the routers. The second always takes what the first can't carry. */
  function knowsRoutes(config: SiteConfig, heardAt: number | null, now: number): boolean {
    if (!config.ospf || isSecondGateway(config.site)) return true
    return (heardAt !== null && heardAt >= lostAt) || now - Math.max(lostAt, ableSince ?? now) >= config.ospf.dead * 1_000 + hearingMs
  }

  return {
    async look(config, { ways, drains, heardAt }) {
      if (config === null || !isPair(config)) {
        carried = null
        return
      }
      const now = clock.tick()
      const carries = device.carries()
      if (carries !== carried && carried !== null) {
        changed(carries)
        if (!carries) lostAt = now
      }
      carried = carries
      // After a start of the agent traffic goes on as it did, until the paths are known.
      if (ways === 'unproven' && !drains) {
        if (offered !== null && now - saidAt >= signEveryMs) await say(offered, now)
        return
      }
      const able = ways === 'up' && !drains
      ableSince = able ? (ableSince ?? now) : null
      // Who has the LANs already keeps them, and who never offered any has nothing to come back from.
      const offer = able && (carries || ((offered !== false || now - (ableSince ?? now) >= returnAfterMs) && knowsRoutes(config, heardAt, now)))
      if (offer !== offered || now - saidAt >= signEveryMs) await say(offer, now)
    },
  }

  async function say(offer: boolean, now: number): Promise<void> {
    offered = offer
    saidAt = now
    await device.offer(offer)
  }
}
