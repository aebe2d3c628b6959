/** `causeway explain PATH`: what holds, and the line that says so. */
import type { Origin, Origins } from '#src/fabric/fabric.ts'
import { isSecondGateway, secondGateway } from '#src/fabric/ids.ts'
import { speaking } from '#src/fabric/lan-routing.ts'
import { formatDuration, formatRate } from '#src/fabric/quantities.ts'
import { formatWindow } from '#src/fabric/windows.ts'
import { endpointText, formatHosts, type Prefix } from '#src/net/address.ts'
import { formatPortRange } from '#src/net/ports.ts'
import { fullExpectText } from './canonical.ts'
import { classDefaults } from './defaults.ts'
import {
  type Intent,
  type IntentClass,
  type IntentLan,
  type IntentPeer,
  type IntentRegion,
  type IntentSite,
  type IntentUplink,
  modeOf,
  type Selector,
} from './intent.ts'
import { type Identity, nameOfFolder } from './fragments.ts'
import { didYouMean } from './suggest.ts'
import { formatAddresses, formatLease, formatLifetime, formatPercent } from './values.ts'

export interface Explained {
  /** Keys as in the files, joined by dots: `sites.berlin.uplinks.lte.metered`. */
  readonly path: string
  /** As one would write it. */
  readonly value: string
  /** null: nothing was written. */
  readonly at: Origin | null
  /** Where it comes from, when not from this very key: `default`, `default of medium lte`, `hubs of the network`. */
  readonly why: string
}
export type Explanation =
  | { readonly ok: true; readonly entries: readonly Explained[] }
  /** `says` ends in the nearest path, if there is one. */
  | { readonly ok: false; readonly says: string }

interface Fact {
  readonly path: readonly string[]
  readonly value: string
  /** Key into Origins. */
  readonly key: string
  readonly otherwise: string
  /** Where the value stands when not at `key`. */
  readonly elsewhere?: string
  /** Told when asked for by its own path only: a default that is no news. */
  readonly quiet?: true
}

const many = (items: readonly string[]): string => (items.length === 1 ? items[0]! : `[${items.join(', ')}]`)

function* classFacts({ id, dscp, share, sla, prefer, avoid, never }: IntentClass): Generator<Fact> {
  const own = Object.hasOwn(classDefaults, id)
  const fact = (keys: readonly string[], value: string, otherwise = own ? 'default' : 'nothing said'): Fact => ({
    path: ['classes', id, ...keys],
    value,
    key: ['class', id, ...keys].join('/'),
    otherwise,
  })
  yield fact(['sla', 'latency'], formatDuration(sla.latencyMs))
  yield fact(['sla', 'jitter'], formatDuration(sla.jitterMs))
  yield fact(['sla', 'loss'], formatPercent(sla.loss))
  yield fact(['share'], `${share}%`, id === 'default' ? 'what the other classes leave' : 'default')
  yield fact(['dscp'], String(dscp))
  for (const [verb, words] of [
    ['prefer', prefer],
    ['avoid', avoid],
    ['never', never],
  ] as const)
    yield fact([verb], many(words.map((word) => word.value)), 'default')
}

function* uplinkFacts(site: string, under: readonly string[], uplink: IntentUplink): Generator<Fact> {
  const fact = (key: string, value: string, otherwise = 'default'): Fact => ({
    path: [...under, 'uplinks', uplink.id, key],
    value,
    key: `site/${site}/uplink/${uplink.id}/${key}`,
    otherwise,
  })
  yield fact('interface', uplink.interface)
  yield fact('rate', uplink.down === 0 ? 'not stated' : formatRate(uplink), 'default: not shaped')
  yield fact('address', uplink.address ?? 'what the provider gives')
  yield fact('router', uplink.router ?? 'what the provider gives')
  yield fact('public', uplink.public ? endpointText(uplink.public.address, uplink.public.base) : uplink.address ? 'its own address' : 'none')
  const family = fact(
    'family',
    uplink.families.length > 1 ? 'both' : `ipv${uplink.families[0]}`,
    uplink.address === null ? 'default' : 'that of its address',
  )
  yield uplink.address === null && uplink.families.join() !== '4' ? family : { ...family, quiet: true }
  yield fact('transport', uplink.transport)
  yield fact('medium', uplink.medium, uplink.medium === 'ethernet' && !uplink.id.startsWith('ethernet') ? 'default' : 'from the name of the uplink')
  yield fact('metered', String(uplink.metered), `default of medium ${uplink.medium}`)
  yield fact('tags', many(uplink.tags))
  yield fact('shared_risk', many(uplink.risks))
}

/** Most LANs are served by nobody of ours. */
function* servedFacts(
  path: readonly string[],
  { dhcp, ra, trust, via }: IntentLan,
  key: string,
  fact: (path: readonly string[], value: string, key: string, otherwise?: string) => Fact,
): Generator<Fact> {
  if (dhcp?.kind === 'relay') yield fact([...path, 'dhcp', 'relay'], dhcp.server, `${key}/dhcp`)
  if (dhcp?.kind === 'server') {
    const said = (name: string, value: string) => fact([...path, 'dhcp', name], value, `${key}/dhcp/${name}`)
    yield fact([...path, 'dhcp', 'range'], formatAddresses(dhcp.range), `${key}/dhcp/range`, 'default: the upper half of the prefix')
    yield said('lease', formatLease(dhcp.lease))
    yield said('dns', many(dhcp.dns))
    yield said('domain', dhcp.domain === '' ? 'none' : dhcp.domain)
    for (const { name, mac, address } of dhcp.reserved)
      yield fact([...path, 'dhcp', 'reserved', name], `${address} for ${mac}`, `${key}/dhcp/reserved/${name}`)
  }
  if (ra) {
    yield fact([...path, 'ra', 'dns'], many(ra.dns), `${key}/ra/dns`)
    yield fact([...path, 'ra', 'domain'], ra.domain === '' ? 'none' : ra.domain, `${key}/ra/domain`)
  }
  if (trust && via === undefined) yield fact([...path, 'trust'], trust, `${key}/trust`)
}

function* siteFacts(site: IntentSite, intent: Intent, overlays: Overlays): Generator<Fact> {
  const fact = (keys: readonly string[], value: string, key: string, otherwise = 'default'): Fact => ({
    path: ['sites', site.id, ...keys],
    value,
    key: `site/${site.id}/${key}`,
    otherwise,
  })
  yield fact(['role'], site.role, 'role')
  yield fact(['place'], site.place, 'place')
  yield fact(['labels'], many(site.labels), 'labels')
  if (intent.hubs.includes(site.id))
    yield { ...fact(['hubs'], 'none', 'hubs', 'it is a hub of the network'), elsewhere: `hubs/${intent.hubs.indexOf(site.id)}` }
  else yield { ...fact(['hubs'], many(site.hubs), 'hubs', 'hubs of the network'), elsewhere: 'hubs/0' }
  if (site.maintenance) {
    yield {
      ...fact(['maintenance', 'window'], many(site.maintenance.windows.map(formatWindow)), 'maintenance', 'maintenance of the network'),
      elsewhere: 'maintenance',
    }
    yield {
      ...fact(
        ['maintenance', 'timezone'],
        site.maintenance.timezone,
        'maintenance/timezone',
        intent.maintenance ? 'maintenance of the network' : 'default',
      ),
      elsewhere: 'maintenance/timezone',
    }
  } else yield { ...fact(['maintenance'], 'any time', 'maintenance'), quiet: true }
  const second = intent.sites.find(({ id }) => id === secondGateway(site.id))
  const gateways = second ? [site, second] : [site]
  for (const [n, { id, uplinks, lans }] of gateways.entries()) {
    const under = second ? ['gateways', n === 0 ? 'a' : 'b'] : []
    if (second) yield fact([...under, 'name'], id, `gateway/${under[1]}`, n === 0 ? 'that of the site' : 'that of the site, and .b')
    for (const uplink of uplinks) yield* uplinkFacts(id, ['sites', site.id, ...under], uplink)
    for (const [i, { prefix, own, via }] of lans.entries())
      if (own !== undefined && via === undefined) {
        yield fact(
          [...under, 'address', String(i)],
          own,
          `gateway/${under[1]}/address/${prefix}`,
          `default: the first host of ${prefix} that is free`,
        )
        const [here, there] = [lans[i]!.interface, site.lans[i]!.interface]
        if (here !== there) yield fact([...under, 'interfaces', there], here, `gateway/${under[1]}/interfaces/${there}`)
      }
  }
  for (const { id, share, sla } of site.classes) {
    const own = (keys: readonly string[], value: string, otherwise = 'classes of the network'): Fact => ({
      ...fact(['classes', id, ...keys], value, ['class', id, ...keys].join('/'), otherwise),
      elsewhere: ['class', id, ...keys].join('/'),
    })
    yield own(['sla', 'latency'], formatDuration(sla.latencyMs))
    yield own(['sla', 'jitter'], formatDuration(sla.jitterMs))
    yield own(['sla', 'loss'], formatPercent(sla.loss))
    const left = id === 'default' && share !== intent.classes.find((one) => one.id === id)?.share
    const written = own(['share'], `${share}%`, left ? 'what the other classes leave' : undefined)
    // Whatever the network says of default: here it is another.
    yield left ? { ...written, elsewhere: '' } : written
  }
  for (const { id, ...words } of site.preferences ?? []) {
    const network = intent.classes.find((one) => one.id === id)
    for (const verb of ['prefer', 'avoid', 'never'] as const) {
      const whole = words[verb].length === network?.[verb].length
      const otherwise = `classes of the network${whole ? '' : ', but for what the site names itself'}`
      const value = many(words[verb].map((word) => word.value))
      yield { ...fact(['classes', id, verb], value, `class/${id}/${verb}`, otherwise), elsewhere: `class/${id}/${verb}` }
    }
  }
  const overlay = (path: readonly string[], lan: IntentLan): readonly Fact[] => {
    const called = overlays.get(`${site.id}/${lan.prefix}`)
    if (called === undefined) return []
    return [{ ...fact(path, `${called} for ${lan.prefix}`, '', 'allocated from the pool'), elsewhere: 'network/translate' }]
  }
  for (const [segment, lans] of Map.groupBy(site.lans, (lan) => lan.segment)) {
    const numbered = lans.map((lan, n) => ({ lan, key: `lan/${segment}/${n}` }))
    const interfaces = [...Map.groupBy(numbered, ({ lan }) => lan.interface).values()]
    for (const [n, own] of interfaces.entries()) {
      const path = ['segments', segment, ...(interfaces.length > 1 ? [String(n)] : [])]
      yield fact([...path, 'interface'], own[0]!.lan.interface, `${own[0]!.key}/interface`)
      const byNetwork = intent.internet.some((one) => one.segment === segment)
      yield {
        ...fact([...path, 'internet'], own[0]!.lan.internet, `${own[0]!.key}/internet`, byNetwork ? 'internet of the network' : 'default'),
        elsewhere: `internet/${segment}`,
      }
      if (intent.translate || own[0]!.lan.translate)
        yield {
          ...fact([...path, 'translate'], modeOf(intent.translate, own[0]!.lan), `${own[0]!.key}/translate`, 'translate of the network'),
          elsewhere: 'network/translate',
        }
      for (const [i, { lan, key }] of own.filter(({ lan: { via } }) => via === undefined).entries()) {
        yield fact([...path, 'prefixes', String(i)], lan.prefix, key)
        yield* overlay([...path, 'overlay', String(i)], lan)
        yield fact(
          [...path, 'address', String(i)],
          `${lan.address}${lan.own === undefined ? '' : ', shared by both gateways (VRRP)'}`,
          `${key}/address`,
          'default: the first host of the prefix',
        )
      }
      for (const { lan, key } of own) yield* servedFacts([...path], lan, key, fact)
      const lans = own.map(({ lan }) => lan)
      const none: Readonly<Record<string, string | false>> = {
        dhcp: !lans.some(({ dhcp }) => dhcp) && 'false',
        ra: !lans.some(({ ra }) => ra) && 'false',
        trust: !lans.some(({ trust }) => trust) && 'none',
        translate: !intent.translate && !lans[0]!.translate && 'never',
        next_hop: !lans.some(({ via, learned }) => via !== undefined && !learned) && 'none',
        ...Object.fromEntries((['bgp', 'ospf'] as const).map((key) => [key, !speaks(site, key, lans[0]!.interface) && 'none'])),
      }
      for (const [key, value] of Object.entries(none))
        if (value !== false) yield { ...fact([...path, key], value, `${own[0]!.key}/${key}`), quiet: true }
      for (const [i, { lan, key }] of own.filter(({ lan: { via, learned } }) => via !== undefined && !learned).entries())
        yield* [
          fact([...path, 'next_hop', String(i)], `${lan.prefix} behind ${lan.via}`, key),
          ...overlay([...path, 'overlay', 'next_hop', String(i)], lan),
        ]
      const device = own[0]!.lan.interface
      const session = speaking(site).find((one) => one.segment === segment && one.interface === device)
      if (!session) continue
      const { protocol, neighbors } = session
      const said = (key: string, value: string): Fact => fact([...path, protocol, key], value, `lan/${segment}/${protocol}/${device}/${key}`)
      const bgp = protocol === 'bgp' ? site.bgp?.find((one) => one.interface === device) : undefined
      if (bgp) yield said('asn', String(bgp.asn))
      yield said('neighbor', many(neighbors))
      for (const [i, { lan, key }] of own.filter(({ lan: { learned } }) => learned).entries())
        yield* [fact([...path, protocol, 'prefixes', String(i)], lan.prefix, key), ...overlay([...path, 'overlay', protocol, String(i)], lan)]
      if (bgp) {
        yield said('local_asn', String(bgp.localAsn))
        yield said('hold', formatLifetime(bgp.hold))
        yield said('max_prefixes', String(bgp.maxPrefixes))
      }
      if (protocol === 'ospf' && site.ospf) {
        yield said('area', site.ospf.area)
        yield said('hello', formatLifetime(site.ospf.hello))
        yield said('dead', formatLifetime(site.ospf.dead))
      }
    }
  }
}

const speaks = (site: IntentSite, by: 'bgp' | 'ospf', device: string): boolean =>
  speaking(site).some(({ protocol, interface: on }) => protocol === by && on === device)

function* regionFacts({ id, provider, attach, routing, location, asn, hubs, segment, networks }: IntentRegion): Generator<Fact> {
  const fact = (keys: readonly string[], value: string, key: string, otherwise = 'default'): Fact => ({
    path: ['regions', id, ...keys],
    value,
    key: `region/${id}/${key}`,
    otherwise,
  })
  yield fact(['provider'], provider, 'provider')
  yield fact(['attach'], attach, 'attach')
  yield fact(['routing'], routing, 'routing')
  yield fact(['in'], location, 'in', 'from the name of the region')
  yield fact(['asn'], String(asn), 'asn')
  yield { ...fact(['hubs'], many(hubs), 'hubs', 'hubs of the network'), elsewhere: 'hubs/0' }
  for (const network of networks) yield fact(['segments', segment, 'vpcs', network.id], many(network.prefixes), `vpc/${network.id}`)
}

function* peerFacts(peer: IntentPeer): Generator<Fact> {
  const { id, gateways, transport, hubs, lans, probe, profile } = peer
  const fact = (keys: readonly string[], value: string, key: string, otherwise = 'default'): Fact => ({
    path: ['peers', id, ...keys],
    value,
    key: `peer/${id}/${key}`,
    otherwise,
  })
  yield fact(['address'], many(gateways.map(({ address }) => address)), 'address')
  yield fact(['transport'], transport, 'transport')
  yield { ...fact(['hubs'], many(hubs), 'hubs', 'hubs of the network'), elsewhere: 'hubs/0' }
  for (const [segment, own] of Map.groupBy(lans, (lan) => lan.segment))
    for (const [i, { prefix }] of own.entries()) yield fact(['segments', segment, 'prefixes', String(i)], prefix, `lan/${segment}/${i}`)
  yield fact(['probe'], probe ?? 'the far inside address of each tunnel', 'probe')
  yield fact(['inside'], peer.pools.length === 0 ? 'the pool of clouds, 169.254.128.0/17' : many(peer.pools), 'inside')
  yield fact(['ipsec', 'ike'], many(profile.ike), 'ipsec/ike')
  yield fact(['ipsec', 'esp'], many(profile.esp), 'ipsec/esp')
  yield fact(['ipsec', 'lifetime', 'ike'], formatLifetime(profile.lifetime.ike), 'ipsec/lifetime')
  yield fact(['ipsec', 'lifetime', 'esp'], formatLifetime(profile.lifetime.esp), 'ipsec/lifetime')
  yield fact(['ipsec', 'id'], many([...new Set(gateways.map((one) => one.id))]), 'ipsec/id', 'its address')
  yield fact(['owner'], `routes our prefixes into the tunnels and lets the allows pass: causeway peer config ${id}`, 'owner', 'not ours to configure')
}

const texts = (selectors: readonly Selector[]): string => many(selectors.map((selector) => selector.text))

/** What translated LANs are called in the overlay, by `site/prefix`: allocated, so the files can't say it. */
export type Overlays = ReadonlyMap<string, Prefix>
const unknown: Overlays = new Map()

/** Whose files these are, of those that make the network. */
function* identityFacts(of: Identity | null): Generator<Fact> {
  if (!of) return
  yield { path: ['folder'], value: nameOfFolder(of.owner), key: 'folder', otherwise: 'default: the name of the network' }
  yield { path: ['of'], value: of.network, key: 'folder/of', otherwise: 'the network that stands here' }
}

/** Everything that the intent says, in the order of the files' keys. */
function* facts(intent: Intent, overlays: Overlays): Generator<Fact> {
  const plain = (path: readonly string[], value: string, key: string, otherwise = 'default'): Fact => ({ path, value, key, otherwise })
  yield plain(['network'], intent.network, 'network')
  yield plain(['mtu'], String(intent.mtu), 'network/mtu')
  if (intent.translate) {
    yield plain(['translate', 'mode'], intent.translate.mode, 'network/translate')
    for (const family of [4, 6] as const)
      yield plain(['translate', 'pool', `ipv${family}`], intent.translate.pools[family], `network/translate/pool/${family}`)
  } else yield { ...plain(['translate'], 'never', 'network/translate'), quiet: true }
  yield plain(['hubs'], many(intent.hubs), 'hubs/0')
  for (const segment of intent.segments) yield plain(['segments', segment], 'declared', `segment/${segment}`)
  for (const { segment, breakout } of intent.internet) yield plain(['internet', segment], breakout, `internet/${segment}`)
  const inside = intent.segments.filter((segment) => !intent.internet.some((one) => one.segment === segment))
  for (const segment of inside) yield { ...plain(['internet', segment], 'none', ''), quiet: true }
  for (const { id, reaches } of intent.transports)
    yield plain(['transports', id], reaches.length > 0 ? `reaches ${many(reaches)}` : 'reaches itself', `transport/${id}`)
  for (const { id, hosts } of intent.groups)
    for (const [i, each] of hosts.entries()) yield plain(['groups', id, 'hosts', String(i)], formatHosts(each), `group/${id}/hosts/${i}`)
  for (const { id, at, endpoints, ports, trafficClass } of intent.services) {
    yield plain(['services', id, 'at'], texts(at), `service/${id}/at/0`)
    yield plain(
      ['services', id, 'endpoints'],
      endpoints.length > 0 ? many(endpoints.map(formatHosts)) : 'any host there',
      `service/${id}/endpoints/0`,
    )
    yield plain(['services', id, 'ports'], many(ports.map(formatPortRange)), `service/${id}/ports`)
    yield plain(['services', id, 'class'], trafficClass, `service/${id}/class`)
  }
  for (const kind of ['allow', 'deny'] as const)
    for (const [n, { from, to, ports, log }] of intent[kind].entries()) {
      const text = [from.text, '->', to.text, ...ports.map(formatPortRange)].join(' ')
      yield plain([kind, String(n)], log ? `${text}, logged` : text, `${kind}/${n}`)
    }
  for (const trafficClass of intent.classes) yield* classFacts(trafficClass)
  for (const [n, expect] of intent.expect.entries()) {
    yield plain(['expect', String(n)], fullExpectText(expect), `expect/${n}`)
  }
  if (intent.maintenance) {
    yield plain(['maintenance', 'window'], many(intent.maintenance.windows.map(formatWindow)), 'maintenance')
    yield plain(['maintenance', 'timezone'], intent.maintenance.timezone, 'maintenance/timezone')
  } else yield { ...plain(['maintenance'], 'any time', 'maintenance'), quiet: true }
  for (const site of intent.sites.filter(({ id }) => !isSecondGateway(id))) yield* siteFacts(site, intent, overlays)
  for (const region of intent.regions) yield* regionFacts(region)
  for (const peer of intent.peers) yield* peerFacts(peer)
}

/** The classes of the network, as they hold at a site: when asked for, or every site's page would be mostly that. */
function inherited([kind, id, key]: readonly string[], intent: Intent, origins: Origins): readonly Fact[] {
  const site = intent.sites.find((one) => one.id === id)
  if (kind !== 'sites' || key === undefined || !site) return []
  const said = new Set([...siteFacts(site, intent, unknown)].map(({ path }) => path.join('.')))
  return intent.classes
    .flatMap((one) => [...classFacts(one)])
    .map((fact): Fact => {
      const at = ['sites', site.id, ...fact.path]
      return { ...fact, path: at, key: '', otherwise: origins.has(fact.key) ? 'classes of the network' : fact.otherwise, elsewhere: fact.key }
    })
    .filter(({ path }) => !said.has(path.join('.')))
}

/** The words that a path may leave out: names are in one set, so `berlin.uplinks` and `model-api.at` say enough. */
function full(path: readonly string[], intent: Intent): readonly string[] {
  const [first = ''] = path
  if (intent.sites.some((site) => site.id === first)) return ['sites', ...path]
  if (intent.regions.some((region) => region.id === first)) return ['regions', ...path]
  if (intent.peers.some((peer) => peer.id === first)) return ['peers', ...path]
  if (intent.groups.some((group) => group.id === first)) return ['groups', ...path]
  if (intent.services.some((service) => service.id === first)) return ['services', ...path]
  if (intent.classes.some((each) => each.id === first)) return ['classes', ...path]
  return path
}

function placed({ path, value, key, otherwise, elsewhere }: Fact, origins: Origins): Explained {
  const own = origins.get(key)
  if (own) return { path: path.join('.'), value, at: own, why: '' }
  return { path: path.join('.'), value, at: (elsewhere === undefined ? undefined : origins.get(elsewhere)) ?? null, why: otherwise }
}

/** The whole intent, defaults included. */
export const explainAll = (intent: Intent, origins: Origins, overlays = unknown): readonly Explained[] =>
  [...facts(intent, overlays)].filter(({ quiet }) => !quiet).map((fact) => placed(fact, origins))

/** Everything at or below `path`: `berlin.uplinks.lte`, `classes.business.sla.latency`, `hubs`; dots or slashes. */
export function explain(intent: Intent, origins: Origins, path: string, overlays = unknown, identity: Identity | null = null): Explanation {
  const wanted = full(
    path.split(/[./]/).filter((part) => part !== ''),
    intent,
  )
  const all = [...identityFacts(identity), ...facts(intent, overlays), ...inherited(wanted, intent, origins)]
  const below = all.filter((fact) => wanted.every((part, i) => fact.path[i] === part))
  const told = below.filter((fact) => !fact.quiet || fact.path.length === wanted.length)
  const found = told.length > 0 ? told : below
  if (wanted.length > 0 && found.length > 0) return { ok: true, entries: found.map((fact) => placed(fact, origins)) }
  const depth = wanted.findIndex((_, i) => !all.some((fact) => wanted.slice(0, i + 1).every((part, j) => fact.path[j] === part)))
  const stem = wanted.slice(0, Math.max(0, depth))
  const next = new Set(
    all
      .filter((fact) => stem.every((part, i) => fact.path[i] === part))
      .map((fact) => fact.path[stem.length])
      .filter((part) => part !== undefined),
  )
  const names =
    stem.length === 0
      ? [
          ...next,
          ...intent.sites.map((site) => site.id),
          ...intent.regions.map((region) => region.id),
          ...intent.peers.map((peer) => peer.id),
          ...intent.groups.map((group) => group.id),
          ...intent.services.map((service) => service.id),
          ...intent.classes.map((each) => each.id),
        ]
      : [...next]
  const wrong = wanted[stem.length] ?? ''
  const meant = didYouMean(wrong, names)
  const under = stem.length === 0 ? '' : ` under ${stem.join('.')}`
  return {
    ok: false,
    says:
      wrong === ''
        ? 'an empty path explains nothing; write one like berlin.uplinks'
        : `there is no "${wrong}"${under}${meant === '' ? (next.size > 0 ? `; there are ${[...next].slice(0, 16).join(', ')}` : '') : meant}`,
  }
}
