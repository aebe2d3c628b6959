/**
 * Lines of FRR's configuration in the form in which FRR writes them back: what is wanted and what runs are compared line by
 * line, and a session feels only what is said of it. Pure.
 */
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { type Address, addressFromBits, type Family, familyOf, hostOf, lengthOf, type Prefix, width } from '#src/net/address.ts'
import { standingAddress } from './vrrp.ts'

/** A line with the contexts that it stands in, outermost first: `router bgp 65000`, `address-family ipv4 unicast`, … */
export type Setting = readonly string[]

export const ip: Readonly<Record<Family, 'ip' | 'ipv6'>> = { 4: 'ip', 6: 'ipv6' }
/** A default route. */
export const anywhere: Readonly<Record<Family, Prefix>> = { 4: '0.0.0.0/0' as Prefix, 6: '::/0' as Prefix }
/** A prefix and its parts. */
export const orLonger = (of: Prefix): string => (lengthOf(of) === width(familyOf(of)) ? of : `${of} le ${width(familyOf(of))}`)
/** Any number that no other speaker of the AS or area has (RFC 6286; RFC 2328 section C.1). */
export const routerId = ({ lans, index }: SiteConfig): Address => {
  const lan = lans.find(({ prefix, via }) => via === undefined && familyOf(prefix) === 4)
  return lan ? hostOf(standingAddress(lan)) : addressFromBits(4, BigInt(index + 1))
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
    // An interface is there or isn't: what counts is what is said of it.
    const isContext = said.startsWith('address-family ') || said.startsWith('interface ')
    if (/^(no zebra nexthop|router|route-map|ip prefix-list|ipv6 prefix-list|interface|ip protocol|ipv6 protocol) /.test(path[0]!) && !isContext)
      out.push([...path])
  }
  return out
}

/**
 * What holds when one more of FRR starts: it is told the lists and maps that others know already. What is said of routers comes
 * from those that run, and must not be said again, for ospf6d leaves its neighbors when it hears its own router id.
 */
export const ofThoseThatRun = (have: readonly Setting[]): readonly Setting[] => have.filter(([first]) => /^(router|interface) /.test(first!))

export interface FrrChange {
  /** For `vtysh -f`. */
  readonly lines: readonly string[]
  /** Neighbors that are asked to announce everything once more (RFC 2918): what may be learned of them is other than before. */
  readonly refresh: readonly Address[]
}
const key = (setting: Setting): string => setting.join('\n')
/** Lines of which a second one takes the place of the first; of an area FRR wants the first to be taken back before. */
function replaced(setting: Setting): string | undefined {
  const [words] =
    /^(?:bgp router-id|ospf6? router-id|(?:ip ospf|ipv6 ospf6) (?:area|hello-interval|dead-interval|priority)|redistribute \S+|default-information originate|set ip next-hop(?= \d)|set ipv6 next-hop (?:global|local)|neighbor \S+ (?:remote-as|local-as|timers connect|timers|maximum-prefix))(?= )/.exec(
      setting.at(-1)!,
    ) ?? []
  return words && key([...setting.slice(0, -1), words])
}
const neighborOf = (setting: Setting): string | undefined => /^neighbor (\S+) /.exec(setting.at(-1)!)?.[1]

/** `make` first, `prune` when the change is confirmed; where the gateway itself gets another AS it starts anew. */
export function settingsDifference(want: readonly Setting[], have: readonly Setting[]): { readonly make: FrrChange; readonly prune: FrrChange } {
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
  const stubborn = kept.filter(
    (setting) => /^(ip ospf|ipv6 ospf6) area /.test(setting.at(-1)!) && added.some((one) => replaced(one) === replaced(setting)),
  )
  const left = kept.filter(
    (setting) =>
      !wanted.has(key(setting)) &&
      !takenBy.has(replaced(setting) ?? '') &&
      !strangers.includes(neighborOf(setting) ?? '') &&
      // What stands in it goes with it.
      (setting.length === 1 || /^(router bgp|interface) /.test(setting[0]!) || wanted.has(setting[0]!)),
  )
  const router = want.find((setting) => setting.length === 1 && setting[0]!.startsWith('router bgp '))?.[0]
  return {
    make: {
      lines: [
        ...routers.map(([line]) => `no ${line}`),
        ...written(negated(stubborn)),
        ...written([...added, ...stubborn.filter((one) => wanted.has(key(one)))]),
      ],
      refresh: heardAnew(added, kept),
    },
    prune: {
      lines: [...(router === undefined ? [] : written(strangers.map((one) => [router, `no neighbor ${one}`]))), ...written(negated(left))],
      refresh: heardAnew(left, kept).filter((one) => peers.has(one)),
    },
  }
}
const negated = (settings: readonly Setting[]): readonly Setting[] => settings.map((one) => [...one.slice(0, -1), `no ${one.at(-1)!}`])
/** Of those that have a session already. */
function heardAnew(moved: readonly Setting[], have: readonly Setting[]): readonly Address[] {
  const known = new Set(have.map(neighborOf))
  const named = moved.flatMap(([line]) => /^ip(?:v6)? prefix-list learn-(\S+) /.exec(line!)?.[1] ?? [])
  return [...new Set(named)].filter((one): one is Address => known.has(one))
}
/** Lines for vtysh: each context is entered once for all that stands in it. */
export function written(settings: readonly Setting[]): readonly string[] {
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
    if (line !== undefined) out.push(line, ...(setting.length === 1 && /^(router|route-map) /.test(line) ? ['exit'] : []))
  }
  return out
}
