/** One third party's gateway: what its keys mean together, with defaults. */
import type { IpsecProfile, PeerGateway, PeerId, SegmentId, SiteId } from '#src/fabric/fabric.ts'
import { ipsecProfiles, profileOf } from '#src/fabric/ipsec.ts'
import { type Address, comparePrefixes, contains, type Family, familyOf, lengthOf, overlaps, type Prefix, prefix } from '#src/net/address.ts'
import { defaultTransport } from './defaults.ts'
import type { IntentPeer } from './intent.ts'
import { readOwnHubs, reportUnknownSegment } from './names.ts'
import { overlapping } from './overlap.ts'
import type { NamedPeer } from './raw.ts'
import { noteFields } from './places.ts'
import { largest, poolExample, special } from './ranges.ts'
import type { Report } from './report.ts'
import type { Names } from './selector.ts'
import type { Located } from './spec.ts'
import { oneOf } from './suggest.ts'
import { formatLifetime } from './values.ts'

export function readPeer(
  { name, fields }: NamedPeer,
  names: Names,
  transports: ReadonlySet<string>,
  networkHubs: readonly SiteId[],
  report: Report,
): IntentPeer {
  const id = name.value as PeerId
  const base = `peer/${id}`
  report.origins.set(base, name.at)
  const { address, transport, hubs, probe, inside } = fields
  const { ike, esp, lifetime, id: identity } = fields.ipsec?.fields ?? {}
  noteFields(base, { address, transport, hubs, probe, inside }, report.origins)
  noteFields(`${base}/ipsec`, { ike, esp, lifetime: lifetime?.fields.ike ?? lifetime?.fields.esp, id: identity }, report.origins)
  if (transport && !transports.has(transport.value)) {
    const meant = report.meant(transport.value, transports)
    report.error(
      'I053',
      transport.at,
      `transport "${transport.value}" is not declared${meant}`,
      meant === '' ? `write one of ${oneOf(transports)}` : '',
    )
  }
  const lans = readPrefixes(base, name, fields.segments ?? [], names, report)
  if (probe) checkProbe(probe, lans, inside?.map(({ value }) => value) ?? [], report)
  return {
    id,
    gateways: readGateways(base, address ?? [], identity, report),
    transport: transport?.value ?? defaultTransport,
    hubs: readOwnHubs(base, hubs, networkHubs, names, report),
    lans,
    probe: probe?.value ?? null,
    pools: readPools(base, inside ?? [], report),
    profile: profileOf(proposals(ike, 'ike'), proposals(esp, 'esp'), readLifetime(lifetime?.fields ?? {}, report)),
  }
}

const standard = ipsecProfiles.strong
function proposals(written: readonly Located<string>[] | undefined, kind: 'ike' | 'esp'): readonly string[] {
  const own = [...new Set(written?.map(({ value }) => value))]
  return own.length > 0 ? own : standard[kind]
}

/** Of IKE and ESP, seconds. */
const lifetimes = { ike: { low: 900, high: 86_400 }, esp: { low: 300, high: 28_800 } } as const
function readLifetime(written: { readonly ike?: Located<number>; readonly esp?: Located<number> }, report: Report): IpsecProfile['lifetime'] {
  for (const kind of ['ike', 'esp'] as const) {
    const { low, high } = lifetimes[kind]
    const own = written[kind]
    if (own && (own.value < low || own.value > high))
      report.error('I093', own.at, `a lifetime of ${own.text} is out of range`, `write ${formatLifetime(low)} to ${formatLifetime(high)}`)
  }
  const lifetime = { ike: written.ike?.value ?? standard.lifetime.ike, esp: written.esp?.value ?? standard.lifetime.esp }
  const [at] = [written.esp, written.ike].flatMap((own) => own?.at ?? [])
  if (at && lifetime.esp > lifetime.ike)
    report.error(
      'I093',
      at,
      `ESP would live for ${formatLifetime(lifetime.esp)}, longer than IKE with ${formatLifetime(lifetime.ike)}`,
      'let IKE live at least as long: it makes the keys of ESP',
    )
  return lifetime
}

function readGateways(base: string, written: readonly Located<Address>[], id: Located<string> | undefined, report: Report): readonly PeerGateway[] {
  const seen = new Map<Address, Located<Address>>()
  for (const [i, each] of written.entries()) {
    const { value, at } = each
    report.origins.set(`${base}/address/${i}`, at)
    const other = seen.get(value)
    if (other) report.error('I090', [at, other.at], `${value} stands twice`, 'write two addresses of the peer, or one')
    else if (special.some((range) => contains(range, value)))
      report.error('I091', at, `${value} can't be the address of a host`, "write the peer's own address")
    else if (seen.size === 2) report.error('I090', at, 'a peer has one or two addresses', 'leave the others out, or declare another peer')
    else seen.set(value, each)
  }
  return [...seen.keys()].map((address) => ({ address, id: id?.value ?? address }))
}

function readPrefixes(
  base: string,
  name: Located<string>,
  entries: NonNullable<NamedPeer['fields']['segments']>,
  names: Names,
  report: Report,
): IntentPeer['lans'] {
  if (entries.length === 0 && !report.findings.some(({ severity }) => severity === 'error'))
    report.error('I090', name.at, `peer "${name.value}" has no segment`, 'say what is behind it: inference: { prefixes: 172.20.0.0/16 }')
  const all = entries
    .flatMap(({ key, value }) => {
      reportUnknownSegment(key, names, report)
      const segment = key.value as SegmentId
      report.origins.set(`${base}/lan/${segment}`, key.at)
      return (value?.fields.prefixes ?? []).filter((each) => isUsable(each, report)).map((each) => ({ ...each, segment, prefix: each.value }))
    })
    .sort((a, b) => (a.segment === b.segment ? comparePrefixes(a.prefix, b.prefix) : a.segment < b.segment ? -1 : 1))
  for (const own of Map.groupBy(all, ({ segment }) => segment).values())
    for (const [i, { segment, at }] of own.entries()) report.origins.set(`${base}/lan/${segment}/${i}`, at)
  for (const [each, over] of overlapping(all)) {
    const says = each.prefix === over.prefix ? `${each.prefix} stands twice at this peer` : `${each.prefix} is part of ${over.prefix} at this peer`
    report.error('I033', [each.at, over.at], says, 'state every network once')
  }
  return all.map(({ segment, prefix: own }) => ({ segment, prefix: own }))
}

function isUsable({ value, at }: Located<Prefix>, report: Report): boolean {
  const family = familyOf(value)
  const large = lengthOf(value) < largest[family]
  if (!large && !special.some((range) => overlaps(range, value))) return true
  report.error(
    'I032',
    at,
    `${value} can't be behind a peer`,
    large
      ? `write networks of /${largest[family]} or smaller`
      : `write a network for hosts, like one of ${family === 4 ? '172.16.0.0/12' : 'fd00::/8'}`,
  )
  return false
}

/** One of a family, that of IPv4 first. */
function readPools(base: string, written: readonly Located<Prefix>[], report: Report): readonly Prefix[] {
  const pools = new Map<Family, Located<Prefix>>()
  for (const pool of written) {
    const family = familyOf(pool.value)
    const first = pools.get(family)
    if (first)
      report.error('I096', [pool.at, first.at], `${pool.value} is a second network of IPv${family}`, 'write one of each family, large enough')
    else {
      report.origins.set(`${base}/inside/${family}`, pool.at)
      pools.set(family, pool)
    }
  }
  return [pools.get(4), pools.get(6)].flatMap((pool) => (pool && isPool(pool, report) ? [pool.value] : []))
}

/** Of IPv4, link-local is what the insides are made of; the rest of what is not for hosts, and where clouds have their metadata, is not. */
const linkLocal = prefix('169.254.0.0/16')
const noPool: readonly Prefix[] = [...special.filter((range) => range !== linkLocal), prefix('169.254.169.0/24')]
function isPool({ value, at }: Located<Prefix>, report: Report): boolean {
  const family = familyOf(value)
  const [widest, narrowest] = [largest[family], family === 4 ? 30 : 126]
  const bad = noPool.some((range) => overlaps(range, value))
  if (!bad && lengthOf(value) >= widest && lengthOf(value) <= narrowest) return true
  report.error(
    'I096',
    at,
    `${value} can't hold the addresses inside tunnels`,
    bad
      ? `write a network for hosts, like ${poolExample[family]}`
      : `write a network of /${widest} to /${narrowest}; each tunnel takes a /${narrowest}`,
  )
  return false
}

/** `insides`: the pools as written. */
function checkProbe(probe: Located<Address>, lans: IntentPeer['lans'], insides: readonly Prefix[], report: Report): void {
  const { value, at } = probe
  const families = insides.length === 0 ? [4 as const] : insides.map(familyOf)
  if (!families.includes(familyOf(value))) {
    report.error(
      'I095',
      at,
      `${value} can't be asked: probes come from the IPv${families[0]} address inside the tunnel`,
      `write an IPv${families[0]} host, or leave probe: out`,
    )
    return
  }
  if (lans.some((lan) => contains(lan.prefix, value)) || insides.some((pool) => contains(pool, value))) return
  const asked = lans.find((lan) => families.includes(familyOf(lan.prefix)))
  report.error(
    'I095',
    at,
    `${value} is neither behind the peer nor an address inside its tunnels`,
    asked ? `write a host of ${asked.prefix} that answers ICMP, or leave probe: out` : 'write a host behind the peer, or leave probe: out',
  )
}
