/**
 * BGP with the routers of LANs, as lines of FRR's configuration in the form in which FRR writes them back: what is wanted
 * and what runs are compared line by line, and a session feels only what is said of it. Pure.
 */
import type { BgpLan, SiteConfig } from '#src/fabric/fabric.ts'
import { announced, learnable } from '#src/fabric/bgp.ts'
import { addressFromBits, type Address, contains, type Family, familyOf, hostOf, lengthOf, networkOf, type Prefix, width } from '#src/net/address.ts'
import { sharedLans, standingAddress } from './vrrp.ts'

/** A line with the contexts that it stands in, outermost first: `router bgp 65000`, `address-family ipv4 unicast`, … */
export type Setting = readonly string[]

const ip: Readonly<Record<Family, string>> = { 4: 'ip', 6: 'ipv6' }
const routeMap = 'route-map learn permit 10'
const learnList = (neighbor: Address): string => `learn-${neighbor}`
const announceList = (neighbor: Address): string => `announce-${neighbor}`
const anywhere: Readonly<Record<Family, Prefix>> = { 4: '0.0.0.0/0' as Prefix, 6: '::/0' as Prefix }
const unicast = (family: Family): string => `address-family ${family === 4 ? 'ipv4' : 'ipv6'} unicast`
/** A prefix and its parts. */
const orLonger = (of: Prefix): string => (lengthOf(of) === width(familyOf(of)) ? of : `${of} le ${width(familyOf(of))}`)

/** One speaker for all LANs; a LAN for which the gateway is of another AS is told that one instead (RFC 7705). */
const ownAsn = (sessions: readonly BgpLan[]): number => Math.min(...sessions.map((one) => one.localAsn))
/** Any number that no other speaker of the AS has (RFC 6286). */
const routerId = ({ lans, index }: SiteConfig): Address => {
  const lan = lans.find(({ prefix, via }) => via === undefined && familyOf(prefix) === 4)
  return lan ? hostOf(standingAddress(lan)) : addressFromBits(4, BigInt(index + 1))
}
/** The address that two gateways share on the LAN of a neighbor: whichever of them says it, packets go to the one that has it. */
const sharedWith = ({ lans }: SiteConfig, neighbor: Address): Address | undefined => {
  const lan = sharedLans({ lans }).find(({ address }) => contains(networkOf(address), neighbor))
  return lan && hostOf(lan.address)
}

/** Everything that FRR is told; [] when the site speaks to no router. Filters come first: no session is ever without. */
export function bgpSettings(config: SiteConfig): readonly Setting[] {
  const sessions = config.bgp ?? []
  if (sessions.length === 0) return []
  const peers = sessions.flatMap((session) => session.neighbors.map((neighbor) => ({ session, neighbor, family: familyOf(neighbor) })))
  const told = new Map(sessions.map((session) => [session, { 4: announced(config, session, 4), 6: announced(config, session, 6) }]))
  const lists = peers.flatMap(({ session, neighbor, family }) => {
    const { prefixes, passedOn, byDefault } = told.get(session)![family]
    return [
      ...learnable(config, session, family).map((one) => `${ip[family]} prefix-list ${learnList(neighbor)} permit ${orLonger(one)}`),
      ...[...prefixes, ...(byDefault ? [anywhere[family]] : [])].map((one) => `${ip[family]} prefix-list ${announceList(neighbor)} permit ${one}`),
      ...passedOn.map((one) => `${ip[family]} prefix-list ${announceList(neighbor)} permit ${orLonger(one)}`),
    ]
  })
  const router = `router bgp ${ownAsn(sessions)}`
  const speaker = [
    `bgp router-id ${routerId(config)}`,
    'no bgp default ipv4-unicast',
    // What is announced is in the overlay, and not in this box's main table.
    'no bgp network import-check',
    ...peers.flatMap(({ session: { asn, localAsn, hold }, neighbor }) => [
      `neighbor ${neighbor} remote-as ${asn}`,
      ...(localAsn === ownAsn(sessions) ? [] : [`neighbor ${neighbor} local-as ${localAsn} no-prepend replace-as`]),
      `neighbor ${neighbor} timers ${Math.floor(hold / 3)} ${hold}`,
      `neighbor ${neighbor} timers connect 5`,
    ]),
  ]
  const families = ([4, 6] as const).flatMap((family) =>
    peers.some((one) => one.family === family)
      ? [
          ...new Set(
            sessions.flatMap((session) => {
              const { prefixes, byDefault } = told.get(session)![family]
              return [...prefixes, ...(byDefault ? [anywhere[family]] : [])].map((one) => `network ${one}`)
            }),
          ),
          ...peers
            .filter((one) => one.family === family)
            .flatMap(({ session, neighbor }) => [
              sharedWith(config, neighbor) === undefined
                ? `neighbor ${neighbor} next-hop-self`
                : `neighbor ${neighbor} route-map ${announceList(neighbor)} out`,
              `neighbor ${neighbor} prefix-list ${learnList(neighbor)} in`,
              `neighbor ${neighbor} prefix-list ${announceList(neighbor)} out`,
              // Whatever next hop it names: packets go to the router that the line is about.
              `neighbor ${neighbor} route-map learn in`,
              `neighbor ${neighbor} maximum-prefix ${session.maxPrefixes} restart 1`,
              `neighbor ${neighbor} activate`,
            ]),
        ].map((line): Setting => [router, unicast(family), line])
      : [],
  )
  return [
    ...lists.map((line): Setting => [line]),
    [routeMap],
    [routeMap, 'set ip next-hop peer-address'],
    [routeMap, 'set ipv6 next-hop peer-address'],
    ...peers.flatMap(({ neighbor }): readonly Setting[] => {
      const shared = sharedWith(config, neighbor)
      const map = `route-map ${announceList(neighbor)} permit 10`
      return shared === undefined ? [] : [[map], [map, `set ip next-hop ${shared}`]]
    }),
    [router],
    ...speaker.map((line): Setting => [router, line]),
    ...families,
  ]
}

/** `show running-config`: contexts are told by indentation. What a box always says of itself is left out. */
export function readSettings(text: string): readonly Setting[] {
  const out: Setting[] = []
  const path: string[] = []
  for (const line of text.split('\n')) {
    const [, indent = '', said = ''] = /^( *)(.*?)\s*$/.exec(line)!
    if (said === '' || said === '!' || said.startsWith('exit')) continue
    path.length = Math.min(path.length, indent.length)
    // In which place of a list a line stands says nothing: all of ours permit.
    path.push(said.replace(/^(ip(?:v6)? prefix-list \S+) seq \d+ /, '$1 '))
    if (/^(router bgp|route-map|ip prefix-list|ipv6 prefix-list) /.test(path[0]!) && !said.startsWith('address-family ')) out.push([...path])
  }
  return out
}

export interface BgpChange {
  /** For `vtysh -f`. */
  readonly lines: readonly string[]
  /** Neighbors that are asked to announce everything once more (RFC 2918): what may be learned of them is other than before. */
  readonly refresh: readonly Address[]
}
const key = (setting: Setting): string => setting.join('\n')
/** Lines of which a second one takes the place of the first. */
function replaced(setting: Setting): string | undefined {
  const [words] =
    /^(?:bgp router-id|set ip next-hop(?= \d)|neighbor \S+ (?:remote-as|local-as|timers connect|timers|maximum-prefix))(?= )/.exec(setting.at(-1)!) ??
    []
  return words && key([...setting.slice(0, -1), words])
}
const neighborOf = (setting: Setting): string | undefined => /^neighbor (\S+) /.exec(setting.at(-1)!)?.[1]

/** `make` first, `prune` when the change is confirmed; where the gateway itself gets another AS it starts anew. */
export function bgpDifference(want: readonly Setting[], have: readonly Setting[]): { readonly make: BgpChange; readonly prune: BgpChange } {
  const wanted = new Set(want.map(key))
  const routers = have.filter(([first, ...rest]) => rest.length === 0 && first!.startsWith('router bgp ') && !wanted.has(first!))
  const kept = have.filter(([first]) => !routers.some(([other]) => other === first))
  const present = new Set(kept.map(key))
  const added = want.filter((setting) => !present.has(key(setting)))
  const takenBy = new Set(want.flatMap((setting) => replaced(setting) ?? []))
  const peers = new Set(want.map(neighborOf))
  const strangers = [...new Set(kept.flatMap((setting) => (setting.length === 2 ? (neighborOf(setting) ?? []) : [])))].filter(
    (one) => !peers.has(one),
  )
  const left = kept.filter(
    (setting) =>
      !wanted.has(key(setting)) &&
      !takenBy.has(replaced(setting) ?? '') &&
      !strangers.includes(neighborOf(setting) ?? '') &&
      // What stands in it goes with it.
      (setting.length === 1 || setting[0]!.startsWith('router bgp ') || wanted.has(setting[0]!)),
  )
  const router = want.find((setting) => setting.length === 1 && setting[0]!.startsWith('router bgp '))?.[0]
  return {
    make: { lines: [...routers.map(([line]) => `no ${line}`), ...written(added)], refresh: heardAnew(added, kept) },
    prune: {
      lines: [
        ...(router === undefined ? [] : written(strangers.map((one) => [router, `no neighbor ${one}`]))),
        ...written(left.map((setting) => [...setting.slice(0, -1), `no ${setting.at(-1)!}`])),
      ],
      refresh: heardAnew(left, kept).filter((one) => peers.has(one)),
    },
  }
}
/** Of those that have a session already. */
function heardAnew(moved: readonly Setting[], have: readonly Setting[]): readonly Address[] {
  const known = new Set(have.map(neighborOf))
  const named = moved.flatMap(([line]) => /^ip(?:v6)? prefix-list learn-(\S+) /.exec(line!)?.[1] ?? [])
  return [...new Set(named)].filter((one): one is Address => known.has(one))
}
/** Each context is entered once for all that stands in it. */
function written(settings: readonly Setting[]): readonly string[] {
  const out: string[] = []
  let inside: readonly string[] = []
  for (const setting of [...settings, []]) {
    const context = setting.slice(0, -1)
    if (context.join('\n') !== inside.join('\n')) {
      if (inside.length > 0) out.push(...(inside.length > 1 ? ['exit-address-family'] : []), 'exit')
      out.push(...context)
      inside = context
    }
    const line = setting.at(-1)
    if (line !== undefined) out.push(line, ...(setting.length === 1 && /^(router bgp|route-map) /.test(line) ? ['exit'] : []))
  }
  return out
}
