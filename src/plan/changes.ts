/** What a change means for each site, in the words of a plan's lines. */
import type { Fabric, Rule, Site, SiteId } from '#src/fabric/fabric.ts'
import { canonicalJson } from '#src/fabric/hash.ts'
import { siteHash, siteOf, tunnelsOf } from '#src/fabric/slice.ts'
import type { Prefix } from '#src/net/address.ts'

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

export function siteChanges(before: Fabric | null, after: Fabric): readonly SiteChange[] {
  const gone = before ? goneBetween(before, after) : nobody
  const changes = after.sites.flatMap((site): SiteChange[] => {
    const was = before ? siteOf(before, site.id) : undefined
    if (!before || !was) return [{ kind: 'add', site: site.id, hub: site.hub, text: sizeOf(after, site), class: 'additive' }]
    if (siteHash(before, site.id) === siteHash(after, site.id)) return []
    return [{ kind: 'change', site: site.id, hub: site.hub, ...changeOf(before, was, after, site, gone) }]
  })
  const removed = [...gone.sites].map((id): SiteChange => {
    const site = siteOf(before!, id)!
    return { kind: 'remove', site: id, hub: site.hub, text: sizeOf(before!, site), class: 'disruptive' }
  })
  return [...changes, ...removed].sort((a, b) => (a.site < b.site ? -1 : 1))
}

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`
const sizeOf = (fabric: Fabric, site: Site): string =>
  `${count(tunnelsOf(fabric, site.id).length, 'tunnel')}, ${count(new Set(site.lans.map((lan) => lan.segment)).size, 'segment')}`

/** What leaves with its site interrupts nobody else. */
interface Gone {
  readonly sites: ReadonlySet<SiteId>
  readonly prefixes: ReadonlySet<Prefix>
}
const nobody: Gone = { sites: new Set(), prefixes: new Set() }
function goneBetween(before: Fabric, after: Fabric): Gone {
  const sites = before.sites.filter((site) => !siteOf(after, site.id))
  return { sites: new Set(sites.map((site) => site.id)), prefixes: new Set(sites.flatMap((site) => site.lans.map((lan) => lan.prefix))) }
}

interface Delta {
  readonly noun: string
  readonly added: number
  readonly removed: number
  readonly changed: number
  /** Traffic that runs now feels it. */
  readonly interrupts: boolean
}

function changeOf(before: Fabric, was: Site, after: Fabric, site: Site, gone: Gone): { readonly text: string; readonly class: ChangeClass } {
  const far = (id: SiteId, fabric: Fabric) => tunnelsOf(fabric, id).map(({ tunnel, end }) => ({ tunnel, far: tunnel.ends[end === 0 ? 1 : 0].site }))
  const deltas = [
    delta(
      site.hub ? 'peer' : 'tunnel',
      far(was.id, before),
      far(site.id, after),
      ({ tunnel }) => tunnel.id,
      ({ far: other }) => !gone.sites.has(other),
    ),
    delta(
      'uplink',
      was.uplinks,
      site.uplinks,
      (uplink) => uplink.id,
      () => true,
    ),
    delta(
      'LAN',
      was.lans,
      site.lans,
      (lan) => lan.prefix,
      () => true,
    ),
    delta(
      'interface',
      was.interfaces.map(device),
      site.interfaces.map(device),
      (one) => one.id,
      () => false,
    ),
    rulesDelta(was.rules, site.rules, gone),
    delta(
      'route',
      was.routes,
      site.routes,
      (route) => route.to,
      (route) => !gone.prefixes.has(route.to),
    ),
    delta(
      'transit',
      was.transits,
      site.transits,
      ({ a, b }) => `${a} ${b}`,
      ({ a, b }) => !gone.prefixes.has(a) && !gone.prefixes.has(b),
    ),
    delta(
      'class',
      before.classes,
      after.classes,
      (one) => one.id,
      () => false,
    ),
    delta(
      'path order',
      was.groups,
      site.groups,
      (group) => `${group.remote} ${group.trafficClass} ${group.arrived}`,
      () => false,
    ),
    delta(
      'network setting',
      [settings(before, was)],
      [settings(after, site)],
      () => '',
      () => true,
    ),
  ]
  const felt = deltas.some((one) => one.interrupts)
  // Interfaces and path orders follow from tunnels and sites; they speak only when nothing else does.
  const moved = deltas.filter((one) => one.added + one.removed + one.changed > 0)
  const told = moved.filter((one) => !['interface', 'path order', 'route', 'transit'].includes(one.noun))
  const text = (told.length > 0 ? told : moved).map(say).join(', ') || 'far ends moved'
  const grown = moved.length > 0 && moved.every((one) => one.removed === 0 && (one.changed === 0 || one.noun === 'path order'))
  return { text: `${text}, ${felt ? 'interrupts traffic' : 'no interruption'}`, class: felt ? 'disruptive' : grown ? 'additive' : 'neutral' }
}

/** An interface gets peers without changing itself. */
const device = ({ id, kind, uplink, stem, port }: Site['interfaces'][number]) => ({ id, kind, uplink, stem, port })
/** What the whole box has once; a change restarts its overlay. */
const settings = (fabric: Fabric, { role, hub, index, loopback }: Site) => ({
  ula: fabric.network.ula,
  mtu: fabric.network.mtu,
  role,
  hub,
  index,
  loopback,
})

function delta<T>(noun: string, was: readonly T[], is: readonly T[], key: (one: T) => string, carries: (one: T) => boolean): Delta {
  const old = new Map(was.map((one) => [key(one), one]))
  const now = new Map(is.map((one) => [key(one), one]))
  const removed = was.filter((one) => !now.has(key(one)))
  const changed = is.filter((one) => old.has(key(one)) && canonicalJson(old.get(key(one))) !== canonicalJson(one))
  return {
    noun,
    added: is.filter((one) => !old.has(key(one))).length,
    removed: removed.length,
    changed: changed.length,
    interrupts: removed.some(carries) || changed.some(carries),
  }
}

/** A rule that only gains prefixes interrupts nobody; one that loses some does, unless they left with their site. */
function rulesDelta(was: readonly Rule[], is: readonly Rule[], gone: Gone): Delta {
  const plain = delta(
    'rule',
    was,
    is,
    (rule) => rule.id,
    () => false,
  )
  const now = new Map(is.map((rule) => [rule.id, rule]))
  const lost = (these: readonly Prefix[], those: readonly Prefix[]) => {
    const kept = new Set(those)
    return these.some((prefix) => !kept.has(prefix) && !gone.prefixes.has(prefix))
  }
  const left = ({ prefixes }: Rule['from']) => prefixes.every((prefix) => gone.prefixes.has(prefix))
  const narrowed = was.some((rule) => {
    const next = now.get(rule.id)
    if (!next) return !left(rule.from) && !left(rule.to)
    return (
      lost(rule.from.prefixes, next.from.prefixes) ||
      lost(rule.to.prefixes, next.to.prefixes) ||
      canonicalJson(rule.ports) !== canonicalJson(next.ports)
    )
  })
  return { ...plain, interrupts: narrowed }
}

function say({ noun, added, removed, changed }: Delta): string {
  const plural = (n: number) => (n === 1 ? noun : noun === 'class' ? 'classes' : `${noun}s`)
  const parts = [
    added > 0 && removed > 0
      ? `+${added} −${removed} ${plural(Math.max(added, removed))}`
      : added > 0
        ? `+${added} ${plural(added)}`
        : removed > 0
          ? `−${removed} ${plural(removed)}`
          : '',
    changed > 0 ? `${changed} ${plural(changed)} changed` : '',
  ]
  return parts.filter((part) => part !== '').join(', ')
}
