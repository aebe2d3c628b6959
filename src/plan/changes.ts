/** What a change means for each site, in the words of a plan's lines. */
import type { Deny, Fabric, Forwarding, NodeId, Route, Site, SiteId, Transit, Uplink } from '#src/fabric/fabric.ts'
import { classesAt } from '#src/fabric/classes.ts'
import { groupKey, groupsOf } from '#src/fabric/groups.ts'
import { sameContent } from '#src/fabric/hash.ts'
import { nodeOf, siteOfGateway } from '#src/fabric/ids.ts'
import { speaking } from '#src/fabric/lan-routing.ts'
import { counted, plural } from '#src/fabric/plural.ts'
import { routesOf } from '#src/fabric/routes.ts'
import { externalsOf, nodesOf, siteOf, siteSlice, tunnelsOf, twinOf } from '#src/fabric/slice.ts'
import { enclosing, type Prefix } from '#src/net/address.ts'
import { once } from '#src/net/once.ts'
import { subtractPrefixes } from '#src/net/sets.ts'
import { type AllowedEnd, diffReachability, type ReachabilityDifference } from './reachability.ts'

/** additive: only something new. neutral: the same traffic passes. disruptive: traffic that runs now is interrupted or ended. */
export type ChangeClass = 'additive' | 'neutral' | 'disruptive'
export interface SiteChange {
  readonly kind: 'add' | 'change' | 'remove'
  readonly site: SiteId
  readonly hub: boolean
  /** `8 tunnels, 2 segments`, `+4 peers, no interruption`. */
  readonly text: string
  readonly class: ChangeClass
}

export function siteChanges(before: Fabric | null, after: Fabric, difference: Difference = differenceOf(before, after)): readonly SiteChange[] {
  const { gone } = difference
  const changes = after.sites.flatMap((site): SiteChange[] => {
    const was = before ? siteOf(before, site.id) : undefined
    if (!before || !was) return [{ kind: 'add', site: site.id, hub: site.hub, text: sizeOf(after, site), class: 'additive' }]
    // What the hashes of the two would say, without making them.
    if (sameContent(siteSlice(before, site.id), siteSlice(after, site.id))) return []
    return [{ kind: 'change', site: site.id, hub: site.hub, ...changeOf(before, was, after, site, difference) }]
  })
  const removed = [...gone.sites].map((id): SiteChange => {
    const site = siteOf(before!, id)!
    return { kind: 'remove', site: id, hub: site.hub, text: sizeOf(before!, site), class: 'disruptive' }
  })
  return [...changes, ...removed].sort((a, b) => (a.site < b.site ? -1 : 1))
}

const sizeOf = (fabric: Fabric, site: Site): string =>
  `${counted(tunnelsOf(fabric, site.id).length, 'tunnel')}, ${counted(new Set(site.lans.map((lan) => lan.segment)).size, 'segment')}`

/** Sites, regions and peers that are in one Fabric only: what leaves or comes with them interrupts nobody else. */
interface Moved {
  readonly sites: ReadonlySet<SiteId>
  readonly nodes: ReadonlySet<NodeId>
  readonly prefixes: ReadonlySet<Prefix>
}
const nobody: Moved = { sites: new Set(), nodes: new Set(), prefixes: new Set() }
function onlyIn(fabric: Fabric, other: Fabric): Moved {
  const sites = fabric.sites.filter((site) => !siteOf(other, site.id))
  const nodes = [...sites, ...externalsOf(fabric).filter((one) => !twinOf(other, one))]
  return {
    sites: new Set(sites.map((site) => site.id)),
    nodes: new Set(nodes.map((node) => node.id)),
    // What a second gateway has, its site has in both.
    prefixes: new Set(nodes.filter(({ id }) => !siteOf(other, siteOfGateway(id as SiteId))).flatMap((node) => node.lans.map((lan) => lan.prefix))),
  }
}

/** What is asked about every site, region and peer. */
export interface Difference {
  readonly gone: Moved
  readonly arrived: Moved
  readonly reachability: ReachabilityDifference
  /** Who may call or be called less than before, by somebody that stays: only there does a rule less end what passes. */
  readonly closing: ReadonlySet<NodeId>
  /** Who had hosts before. */
  readonly ownerOf: (hosts: Prefix) => NodeId | undefined
}
export function differenceOf(before: Fabric | null, after: Fabric): Difference {
  const [gone, arrived] = before ? [onlyIn(before, after), onlyIn(after, before)] : [nobody, nobody]
  const reachability = diffReachability(before, after)
  const staying = (ends: readonly AllowedEnd[]) => ends.flatMap(({ node }) => (gone.nodes.has(node) ? [] : [node]))
  const closing = reachability.closed.flatMap(({ from, to }) => {
    const [callers, called] = [staying(from), staying(to)]
    return callers.length > 0 && called.length > 0 ? [...callers, ...called] : []
  })
  return { gone, arrived, reachability, closing: new Set(closing), ownerOf: ownersIn(before) }
}
function ownersIn(fabric: Fabric | null): Difference['ownerOf'] {
  const owners = once(
    () =>
      new Map((fabric ? nodesOf(fabric) : []).flatMap(({ id, lans }) => lans.map(({ prefix }) => [prefix, siteOfGateway(id as SiteId)] as const))),
  )
  return (hosts) => [...enclosing(hosts)].map((prefix) => owners().get(prefix)).find((owner) => owner !== undefined)
}

export interface Delta {
  readonly noun: string
  /** In place of counts. */
  readonly text?: string
  readonly added: number
  readonly removed: number
  readonly changed: number
  /** Traffic that runs now feels it. */
  readonly interrupts: boolean
}

function changeOf(before: Fabric, was: Site, after: Fabric, site: Site, difference: Difference): Judged {
  const { gone } = difference
  const far = (id: SiteId, fabric: Fabric) =>
    tunnelsOf(fabric, id).map(({ tunnel, end }) => ({ tunnel, far: nodeOf(tunnel.ends[end === 0 ? 1 : 0]) }))
  const stays = ({ far: other }: { readonly far: NodeId }) => !gone.nodes.has(other)
  const deltas = [
    delta(site.hub ? 'peer' : 'tunnel', far(was.id, before), far(site.id, after), ({ tunnel }) => tunnel.id, stays),
    delta('uplink', was.uplinks.map(wire), site.uplinks.map(wire), byId, always),
    delta('uplink property', inBoth(was.uplinks, site.uplinks), inBoth(site.uplinks, was.uplinks), byId, never),
    delta('LAN', was.lans.map(attached), site.lans.map(attached), (lan) => lan.local ?? lan.prefix, always),
    // Neighbors that stay keep their session.
    delta('BGP session', sessionsOf(was, 'bgp'), sessionsOf(site, 'bgp'), ({ neighbor, interface: on }) => `${on} ${neighbor}`, always),
    delta('OSPF neighbor', sessionsOf(was, 'ospf'), sessionsOf(site, 'ospf'), ({ neighbor, interface: on }) => `${on} ${neighbor}`, always),
    delta('LAN service', services(was), services(site), ({ id }) => id, never),
    delta('internet breakout', breakouts(was), breakouts(site), ({ prefix }) => prefix, always),
    delta(
      'LAN let out',
      (was.exitsFor ?? []).map((prefix) => ({ prefix })),
      (site.exitsFor ?? []).map((prefix) => ({ prefix })),
      ({ prefix }) => prefix,
      ({ prefix }) => !gone.prefixes.has(prefix),
    ),
    delta('exit', exitsOf(was), exitsOf(site), ({ id }) => id, never),
    delta('interface', was.interfaces.map(device), site.interfaces.map(device), byId, never),
    ...policyDeltas(was, site, difference),
    routesDelta(routesOf(before, was), routesOf(after, site), gone),
    transitsDelta(was.transits, site.transits, difference),
    delta('class', classesAt(before.classes, was), classesAt(after.classes, site), byId, never),
    ...homes(was, site),
    delta('path order', groupsOf(was), groupsOf(site), groupKey, never),
    ...settings(before, was, after, site),
  ]
  return judged(deltas, 'far ends moved', quiet)
}

export interface Judged {
  readonly text: string
  readonly class: ChangeClass
}
/** What moved, as text, and whether traffic that runs feels it. `otherwise`: what it is when none of these did. */
export function judged(deltas: readonly Delta[], otherwise: string, quiet: ReadonlySet<string> = new Set()): Judged {
  const felt = deltas.some((one) => one.interrupts)
  const moved = deltas.filter((one) => one.added + one.removed + one.changed > 0)
  const told = moved.filter((one) => !quiet.has(one.noun))
  const text = (told.length > 0 ? told : moved).map(say).join(', ') || otherwise
  const grown = moved.some((one) => one.added > 0) && moved.every((one) => one.removed === 0 && (one.changed === 0 || one.noun === 'path order'))
  return { text: `${text}, ${felt ? 'interrupts traffic' : 'no interruption'}`, class: felt ? 'disruptive' : grown ? 'additive' : 'neutral' }
}

/** They follow from tunnels, sites and rules, and speak only when nothing else does. */
const quiet: ReadonlySet<string> = new Set(['exit', 'LAN let out', 'interface', 'path order', 'route', 'transit'])
export const always = () => true
export const never = () => false
export const byId = ({ id }: { readonly id: string }) => id
/** What of an uplink tunnels stand on, and what only ranks them. */
const wire = ({ id, slot, interface: name, endpoint }: Site['uplinks'][number]) => ({ id, slot, interface: name, endpoint })
const quality = ({ id, transport, medium, metered, tags, up, down }: Site['uplinks'][number]) => ({ id, transport, medium, metered, tags, up, down })
const inBoth = (these: readonly Uplink[], those: readonly Uplink[]) => these.filter((one) => those.some((other) => other.id === one.id)).map(quality)
/** Whether it may leave to the internet is told apart: that it may is felt by nobody, that it may no more ends connections. */
const attached = (lan: Site['lans'][number]) => ({ ...lan, internet: null, dhcp: null, ra: null, trust: null })
/** DHCP, router advertisements and trusted marks: who has an address keeps it, and packets go on in another class. */
const services = ({ lans }: Site) =>
  lans.flatMap(({ prefix, dhcp, ra, trust }) =>
    Object.entries({ dhcp, ra, trust }).flatMap(([kind, is]) => (is === undefined ? [] : [{ id: `${prefix} ${kind}`, is }])),
  )
const breakouts = ({ lans, exitHub }: Site) =>
  lans.flatMap(({ prefix, internet }) => (internet ? [{ prefix, at: internet === 'hub' ? exitHub : 'here' }] : []))
const sessionsOf = (site: Site, by: 'bgp' | 'ospf') =>
  speaking(site).flatMap(({ protocol, neighbors, ...session }) => (protocol === by ? neighbors.map((neighbor) => ({ ...session, neighbor })) : []))
const exitsOf = ({ exits = [] }: Site) => exits.map((id, order) => ({ id, order }))
/** An interface gets peers without changing itself. */
const device = ({ id, kind, uplink, stem, port }: Site['interfaces'][number]) => ({ id, kind, uplink, stem, port })
/** Whom it prefers: who joins it or no longer does is told by its tunnels. */
function homes({ hubs: old }: Site, { hubs: now }: Site): Delta[] {
  const moved = old.join() !== now.join() && [...old].sort().join() === [...now].sort().join()
  return moved ? [{ noun: 'hub', text: `hubs ${old.join(', ')} → ${now.join(', ')}`, added: 0, removed: 0, changed: 1, interrupts: false }] : []
}
/** What the whole box has once; a change restarts its overlay. */
function settings(before: Fabric, was: Site, after: Fabric, site: Site): Delta[] {
  const { network: old } = before
  const { network: now } = after
  const texts = [
    old.mtu === now.mtu ? '' : `MTU ${old.mtu} → ${now.mtu}`,
    was.hub === site.hub ? '' : site.hub ? 'becomes a hub' : 'is a hub no more',
    was.role === site.role ? '' : `${was.role} → ${site.role}`,
    was.loopback === site.loopback ? '' : `node address ${was.loopback} → ${site.loopback}`,
  ]
  return texts.filter((text) => text !== '').map((text) => ({ noun: 'setting', text, added: 0, removed: 0, changed: 1, interrupts: true }))
}

export function delta<T>(noun: string, was: readonly T[], is: readonly T[], key: (one: T) => string, carries: (one: T) => boolean): Delta {
  const old = new Map(was.map((one) => [key(one), one]))
  const now = new Map(is.map((one) => [key(one), one]))
  const removed = was.filter((one) => !now.has(key(one)))
  const changed = is.filter((one) => old.has(key(one)) && !sameContent(old.get(key(one)), one))
  return {
    noun,
    added: is.filter((one) => !old.has(key(one))).length,
    removed: removed.length,
    changed: changed.length,
    interrupts: removed.some(carries) || changed.some(carries),
  }
}

/**
 * Prefixes that come or leave with their site are told by that site's line; what is left is a change of policy. It is felt
 * where it closes something: a rule may say otherwise what others say too.
 */
export function policyDeltas(was: Policy, is: Policy, { gone, arrived, closing }: Difference): readonly Delta[] {
  const deltas = [
    delta('rule', without(was.rules, gone), without(is.rules, arrived), byId, always),
    delta('deny', without(was.denies ?? [], gone), without(is.denies ?? [], arrived), byId, never),
  ]
  const closes = closing.has(siteOfGateway(is.id))
  return deltas.map((one) => ({ ...one, interrupts: closes && one.added + one.removed + one.changed > 0 }))
}
type Policy = Pick<Forwarding, 'rules' | 'denies'> & { readonly id: NodeId }
/** One route to each prefix; the group behind it is a change of its own. */
export const routesDelta = (was: readonly Route[], is: readonly Route[], { prefixes }: Moved): Delta =>
  delta(
    'route',
    was,
    is,
    ({ to }) => to,
    ({ to }) => !prefixes.has(to),
  )
/** Likewise: what a hub may carry no more, whichever lines say it. */
function transitsDelta(was: readonly Transit[], is: readonly Transit[], { gone, arrived, ownerOf }: Difference): Delta {
  const rest = (transits: readonly Transit[], { prefixes }: Moved) =>
    transits
      .map(({ id, a, b }) => ({ id, a: a.filter((one) => !prefixes.has(one)), b: b.filter((one) => !prefixes.has(one)) }))
      .filter(({ a, b }) => a.length > 0 && b.length > 0)
  const old = rest(was, gone)
  const now = rest(is, arrived)
  const same = ({ id, a, b }: Transit): boolean =>
    now.some((next) => next.id === id && subtractPrefixes(a, next.a).length + subtractPrefixes(b, next.b).length === 0)
  const interrupts = old.some(
    (one) => !now.some((next) => !lost(one.a, next.a) && !lost(one.b, next.b)) && !same(one) && !carriedBy(now, one, ownerOf),
  )
  return { ...delta('transit', old, now, byId, never), interrupts }
}
/** Each pair by some of these, but for what a site would send to itself: no hub sees that. */
function carriedBy(transits: readonly Pick<Transit, 'a' | 'b'>[], { a, b }: Pick<Transit, 'a' | 'b'>, ownerOf: Difference['ownerOf']): boolean {
  const sides = transits.flatMap(({ a: these, b: those }) => [
    { near: new Set(these), far: those },
    { near: new Set(those), far: these },
  ])
  // Most prefixes are in the same few.
  const known = Map.groupBy(a, (prefix) => sides.flatMap(({ near }, n) => (near.has(prefix) ? [n] : [])).join())
  return [...known].every(([on, alike]) => {
    const carried = new Set(on === '' ? [] : on.split(',').flatMap((n) => sides[Number(n)]!.far))
    const owners = new Set(b.filter((prefix) => !carried.has(prefix)).map(ownerOf))
    return owners.size === 0 || (owners.size === 1 && !owners.has(undefined) && alike.every((prefix) => owners.has(ownerOf(prefix))))
  })
}
function lost(these: readonly Prefix[], those: readonly Prefix[]): boolean {
  const kept = new Set(those)
  return these.some((prefix) => !kept.has(prefix))
}
function without<R extends Deny>(rules: readonly R[], { prefixes }: Moved): R[] {
  const rest = (flow: Deny['from']) => ({ ...flow, prefixes: flow.prefixes.filter((prefix) => !prefixes.has(prefix)) })
  return rules
    .map((rule) => ({ ...rule, from: rest(rule.from), to: rest(rule.to) }))
    .filter((rule) => rule.from.prefixes.length > 0 && rule.to.prefixes.length > 0)
}

function say({ noun, text, added, removed, changed }: Delta): string {
  if (text !== undefined) return text
  const parts = [
    added > 0 && removed > 0
      ? `+${added} −${removed} ${plural(Math.max(added, removed), noun)}`
      : added > 0
        ? `+${counted(added, noun)}`
        : removed > 0
          ? `−${counted(removed, noun)}`
          : '',
    changed > 0 ? `${counted(changed, noun)} changed` : '',
  ]
  return parts.filter((part) => part !== '').join(', ')
}
