/** Lines that do nothing, what no gateway can keep apart and what none can log: said, so that nobody counts on it. */
import type { Finding, Place } from '#src/fabric/fabric.ts'
import { linkOf } from '#src/fabric/lans.ts'
import { comparePrefixes, contains, type Family, overlaps, type Prefix } from '#src/net/address.ts'
import { anyPort, portsOverlap } from '#src/net/ports.ts'
import { familiesIn } from '#src/net/sets.ts'
import type { Intent } from '#src/intent/intent.ts'
import { isSame } from './arrays.ts'
import { type Memo } from './memo.ts'
import type { NetworkRoutes } from './network-routes.ts'
import type { Pairing, Resolved, ResolvedLine, Selection } from './resolve.ts'
import { sitesOf } from './sites.ts'
import { onceOf } from '#src/net/once.ts'

export const denies = ({ allows, denies: lines }: Resolved, network: NetworkRoutes, behind: Behind, memo: Memo): readonly Finding[] =>
  memo.once('lines that do nothing', [allows, lines, network.all, behind], () => [
    ...unlike('allow', allows),
    ...unlike('deny', lines),
    ...lines.flatMap((deny, n) => (isUnlike(deny) ? [] : keptBy(deny, n, allows, network, behind))),
    ...unlogged('allow', allows),
    ...unlogged('deny', lines),
  ])

/** Whom it names and what they would call have no address family in common anywhere. */
const isUnlike = onceOf(
  ({ pairings }: ResolvedLine): boolean =>
    pairings.length > 0 && pairings.every(({ from, to }) => ([4, 6] as const).every((family) => !has(from, family) || !has(to, family))),
)
const has = ({ places }: Selection, family: Family): boolean => places.some(({ prefixes }) => familiesIn(prefixes).includes(family))
const unlike = (kind: 'allow' | 'deny', lines: readonly ResolvedLine[]): readonly Finding[] =>
  lines.flatMap((line, n): readonly Finding[] => {
    const [pairing] = isUnlike(line) ? line.pairings : []
    if (!pairing) return []
    const [mine, theirs] = [pairing.from, pairing.to].map((of) => (has(of, 4) ? 'IPv4' : 'IPv6'))
    return [
      warning(
        'I105',
        [`${kind}/${n}`],
        `"${textOf(line)}" meets nothing: ${mine} only on one side, ${theirs} on the other`,
        'give one side prefixes of the other family too; nothing translates between the two',
      ),
    ]
  })

/** Only gateways of ours write a log. */
const unlogged = (kind: 'allow' | 'deny', lines: readonly ResolvedLine[]): readonly Finding[] =>
  lines.flatMap((line, n): readonly Finding[] => {
    const between = line.log ? strangers(line)[0] : undefined
    return between === undefined
      ? []
      : [
          warning(
            'I104',
            [`${kind}/${n}/log`, `${kind}/${n}`],
            `nobody can log "${textOf(line)}" between ${between.text}`,
            'log it where a site is at one end',
          ),
        ]
  })

const textOf = ({ text }: ResolvedLine): string => text.replace(/^deny /, '')
function keptBy(deny: ResolvedLine, n: number, allows: readonly ResolvedLine[], network: NetworkRoutes, behind: Behind): readonly Finding[] {
  const at = [`deny/${n}`]
  const text = textOf(deny)
  const lan = withinOneLan(deny, network, behind)
  const apart = unkept(deny, allows)
  return [
    ...(allows.some((allow) => deny.ports.some((a) => allow.ports.some((b) => portsOverlap(a, b))) && meet(deny, allow))
      ? []
      : [warning('I102', at, `nothing allows what "${text}" denies`, 'remove it, or keep it for an allow to come')]),
    ...(lan === undefined ? [] : [warning('I103', at, `"${text}" keeps nobody apart within ${lan}`, 'give them segments of their own')]),
    ...(apart === undefined
      ? []
      : [warning('I103', at, `"${text}" can't be kept between ${apart}`, 'deny it whatever the port, both ways, or let their owners do it')]),
  ]
}
const warning = (code: string, at: readonly string[], says: string, instead: string): Finding => ({
  code,
  severity: 'warning',
  at,
  says,
  instead,
  witness: [],
})

/** By prefix behind a router on a LAN, the link to it. */
export type Behind = ReadonlyMap<Prefix, Prefix>
export function behindRouters(intent: Intent, memo: Memo): Behind {
  const routed = memo.sparse('prefixes behind routers', [], [sitesOf(intent, memo)], ({ lans }) =>
    lans.filter(({ via }) => via !== undefined).map((lan) => ({ prefix: lan.prefix, link: linkOf(lan) })),
  )
  return memo.once('links by prefix', [routed], () => new Map(routed.map(({ prefix, link }) => [prefix, link])))
}

/** Hosts of one LAN talk without their gateway. A whole segment is not kept apart from itself. */
function withinOneLan({ pairings }: ResolvedLine, { all }: NetworkRoutes, behind: Behind): string | undefined {
  const linkAt = (hosts: Prefix): Prefix | undefined => {
    const lan = lanOf(hosts, all)
    return lan === undefined ? undefined : (behind.get(lan) ?? lan)
  }
  for (const { from, to } of pairings) {
    for (const caller of from.places) {
      const target = placesOf(to).get(keyOf(caller))
      if (!target || target.prefixes.join() === caller.prefixes.join()) continue
      for (const one of caller.prefixes) {
        const lan = linkAt(one)
        if (lan !== undefined && target.prefixes.some((other) => linkAt(other) === lan)) return `${lan} of ${caller.node}`
      }
    }
  }
  return undefined
}
/** LANs are in order and disjoint. */
function lanOf(hosts: Prefix, all: NetworkRoutes['all']): Prefix | undefined {
  const n = all.firstFrom(hosts, ({ to }, prefix) => comparePrefixes(to, prefix))
  const lan = [all.at(n), all.at(n - 1)].find((one) => one && contains(one.to, hosts))?.to
  return lan !== undefined && contains(lan, hosts) ? lan : undefined
}

/** Clouds and peers that a line has at both ends, where no gateway of ours is. */
function strangers({ pairings }: ResolvedLine): readonly { readonly pairing: Pairing; readonly text: string }[] {
  const strange = ({ located }: Selection) => located.all.filter(({ role }) => role === 'region' || role === 'peer').map(({ place }) => place.node)
  return pairings.flatMap((pairing) => {
    const [a] = strange(pairing.from)
    const b = strange(pairing.to).find((one) => one !== a)
    return a === undefined || b === undefined ? [] : [{ pairing, text: `${a} and ${b}, where no gateway of ours is` }]
  })
}
/**
 * Between two clouds or peers no gateway of ours keeps state: hubs leave out pairs of prefixes, whatever the port, and
 * not those that an allow of the other direction needs.
 */
function unkept(deny: ResolvedLine, allows: readonly ResolvedLine[]): string | undefined {
  const whole = deny.ports.some((range) => isSame(range, anyPort))
  return strangers(deny).find(({ pairing }) => {
    const back = { pairings: [{ ...pairing, from: pairing.to, to: pairing.from }] }
    return !whole || allows.some((allow) => meet(back, allow))
  })?.text
}

/** Some connection is in both. */
function meet(one: Pick<ResolvedLine, 'pairings'>, other: Pick<ResolvedLine, 'pairings'>): boolean {
  const byCaller = Map.groupBy(other.pairings, ({ caller }) => caller)
  const anyone = byCaller.get(null) ?? []
  return one.pairings.some(({ caller, from, to }) =>
    (caller === null ? other.pairings : [...anyone, ...(byCaller.get(caller) ?? [])]).some((each) => share(from, each.from) && share(to, each.to)),
  )
}
function share(a: Selection, b: Selection): boolean {
  const [few, many] = a.places.length <= b.places.length ? [a, placesOf(b)] : [b, placesOf(a)]
  return few.places.some((place) => many.get(keyOf(place))?.prefixes.some((one) => place.prefixes.some((other) => overlaps(one, other))) ?? false)
}
const keyOf = ({ node, segment }: Place): string => `${node}/${segment}`
const placesOf = onceOf((selection: Selection): ReadonlyMap<string, Place> => new Map(selection.places.all.map((place) => [keyOf(place), place])))
