/** What a gateway tells the routers of a LAN, and what it hears from them: both follow from the rest of its configuration. */
import { contains, type Family, familyOf, type Prefix } from '#src/net/address.ts'
import { mergePrefixes, subtractPrefixes } from '#src/net/sets.ts'
import type { BgpLan, Forwarding, Lan, LanRouters, OspfLan } from './fabric.ts'
import { isOnLink, linkOf } from './lans.ts'

type Speaker = Pick<Forwarding, 'lans' | 'rules' | 'denies'>

export interface Speaking extends LanRouters {
  readonly protocol: 'bgp' | 'ospf'
}
/** All LANs on which a gateway speaks with routers. */
export const speaking = ({ bgp = [], ospf }: { readonly bgp?: readonly BgpLan[]; readonly ospf?: OspfLan }): readonly Speaking[] => [
  ...bgp.map((one): Speaking => ({ ...one, protocol: 'bgp' })),
  ...(ospf ? [{ ...ospf, protocol: 'ospf' } as const] : []),
]

/** What the routers of the LAN send for: its own prefixes, where they are neighbors, and all that is behind them. */
const near = ({ lans }: Speaker, { interface: device, neighbors }: LanRouters): readonly Lan[] =>
  lans.filter((lan) => lan.interface === device && neighbors.some((one) => isOnLink(linkOf(lan), one)))

/** Of both BGP and OSPF: a router is told of its own family, and tells of it. */
export const spokenTo = ({ neighbors }: LanRouters): readonly Family[] =>
  ([4, 6] as const).filter((family) => neighbors.some((one) => familyOf(one) === family))

/** What may be learned: these and parts of them. */
export const learnable = ({ lans }: Speaker, { interface: device }: LanRouters, family: Family): readonly Prefix[] =>
  lans.filter((lan) => lan.learned && lan.interface === device && familyOf(lan.prefix) === family).map((lan) => lan.prefix)

export interface Announced {
  /** In the fewest prefixes: whom an allow lets the LAN call, and by whom it is called. */
  readonly prefixes: readonly Prefix[]
  /** What routers of other LANs here announce, for as long as they do. */
  readonly passedOn: readonly Prefix[]
  /** That hosts of the LAN may leave to the internet through this gateway. */
  readonly byDefault: boolean
}
export function announced(of: Speaker, session: LanRouters, family: Family): Announced {
  const own = near(of, session)
  const prefixes = own.map((lan) => lan.prefix)
  const touches = (some: readonly Prefix[]): boolean => some.some((one) => prefixes.some((lan) => contains(lan, one) || contains(one, lan)))
  const covers = (some: readonly Prefix[]): boolean => prefixes.every((lan) => some.some((one) => contains(one, lan)))
  const closed = (of.denies ?? []).filter(({ ports }) => ports.some(({ protocol }) => protocol === 'any'))
  const opposite = { from: 'to', to: 'from' } as const
  const far = (['from', 'to'] as const).flatMap((end) =>
    subtractPrefixes(
      mergePrefixes(of.rules.filter((rule) => touches(rule[end].prefixes)).flatMap((rule) => rule[opposite[end]].prefixes)),
      mergePrefixes(closed.filter((deny) => covers(deny[end].prefixes)).flatMap((deny) => deny[opposite[end]].prefixes)),
    ),
  )
  const others = subtractPrefixes(mergePrefixes(far.filter((one) => familyOf(one) === family)), mergePrefixes(prefixes))
  const elsewhere = of.lans.filter((lan) => lan.learned && lan.interface !== session.interface).map((lan) => lan.prefix)
  return {
    prefixes: subtractPrefixes(others, mergePrefixes(elsewhere)),
    passedOn: elsewhere.filter((one) => others.some((other) => contains(one, other) || contains(other, one))),
    byDefault: own.some((lan) => lan.internet !== undefined && familyOf(lan.prefix) === family),
  }
}
