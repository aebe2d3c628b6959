/**
 * Numbers that must never move: whoever holds one keeps it, newcomers get the lowest that nobody holds. A removed
 * owner's number comes back only when its allocation is no longer in `held`, so a running gateway never meets its
 * predecessor's address.
 */
import { createHash } from 'node:crypto'
import type { Allocation, ClassId, Finding, NodeId, SegmentId, SiteId, TunnelId, UplinkId } from '#src/fabric/fabric.ts'
import { compareText, edgeInterfaceId, firstEdgePort, firstMeshPort, meshInterfaceId, nodeLimit, portsEnd, slots } from '#src/fabric/ids.ts'
import type { Intent } from '#src/intent/intent.ts'
import { lengthOf, type Prefix, prefix, prefixBits, prefixFromBits } from '#src/net/address.ts'
import { type External, type ExternalPath, interfaceOf } from './externals.ts'
import type { Path } from './paths.ts'

export interface Numbers {
  readonly ula: Prefix
  readonly node: (node: NodeId) => number
  readonly slot: (site: SiteId, uplink: UplinkId) => number
  readonly tunnel: (tunnel: TunnelId) => number
  /** Of IPsec tunnels. */
  readonly inside: (tunnel: TunnelId) => Prefix
  /** Of edge, mesh and IPsec interfaces, by `site/interface`. */
  readonly port: (owner: string) => number
  readonly trafficClass: (id: ClassId) => number
  readonly segment: (id: SegmentId) => number
}

/** RFC 4193 section 3.2.2 in spirit: 40 bits of a hash, here of the network's name, so that it is the same before anything is stored. */
export function ulaOf(network: string): Prefix {
  const digest = createHash('sha256').update(`causeway ula ${network}`).digest()
  const global = BigInt(`0x${digest.subarray(0, 5).toString('hex')}`)
  return prefixFromBits(6, (0xfdn << 120n) | (global << 80n), 48)
}

export function allocate(
  intent: Intent,
  paths: readonly Path[],
  joins: readonly ExternalPath[],
  held: readonly Allocation[],
): { readonly numbers: Numbers; readonly claims: readonly Allocation[]; readonly findings: readonly Finding[] } {
  const ledger = openLedger(held)
  const findings: Finding[] = []
  const uplinks = intent.sites.flatMap((site) => site.uplinks.map((uplink) => ({ site: site.id, owner: `${site.id}/${uplink.id}` })))
  const ports = interfacePorts(paths)
  const ipsecTunnels = joins.flatMap((path) => path.tunnels.map((owner) => ({ owner })))

  const ula = held.find((one) => one.kind === 'ula' && one.owner === intent.network)?.value ?? ulaOf(intent.network)
  if (!held.some((one) => one.kind === 'ula' && one.owner === intent.network))
    ledger.claims.push({ kind: 'ula', owner: intent.network, value: ula as Prefix })
  const node = ledger.number(
    'node',
    [...intent.sites, ...intent.regions, ...intent.peers].map((node) => ({ owner: node.id })),
    { first: 0, step: 1, end: nodeLimit },
  )
  const slot = ledger.number(
    'slot',
    uplinks.map(({ site, owner }) => ({ owner, scope: site })),
    { first: 0, step: 1, end: slots },
  )
  const tunnel = ledger.number('tunnel', [...paths.map((path) => ({ owner: path.id })), ...ipsecTunnels], {
    first: 1,
    step: 1,
    end: Number.MAX_SAFE_INTEGER / 8,
  })
  const mesh = ledger.number('port', ports.mesh, { first: firstMeshPort, step: 2, end: firstEdgePort })
  const ipsec = ledger.number('port', ipsecPorts(joins), { first: firstMeshPort, step: 2, end: firstEdgePort })
  const inside = insides(ledger, joins)
  const edge = ledger.number('port', ports.edge, { first: firstEdgePort, step: 2, end: portsEnd })
  // Class 0 is what unmarked packets get, so it can't go to whoever comes first.
  const defaultClass = 'default' as ClassId
  if (!held.some((one) => one.kind === 'class' && one.owner === defaultClass)) ledger.claim('class', defaultClass, 0)
  const trafficClass = ledger.number(
    'class',
    intent.classes.map((one) => ({ owner: one.id })),
    { first: 1, step: 1, end: 64 },
  )
  const segment = ledger.number(
    'segment',
    intent.segments.map((id) => ({ owner: id })),
    { first: 0, step: 1, end: 4096 },
  )

  const full = (owners: readonly string[], finding: (owner: string) => Omit<Finding, 'severity' | 'witness'>) => {
    for (const owner of owners) findings.push({ ...finding(owner), severity: 'error', witness: [] })
  }
  full(slot.refused, (owner) => ({
    code: 'I120',
    at: [`site/${owner.replace('/', '/uplink/')}`],
    says: `${owner} is the ninth uplink of its site`,
    instead: `a site has at most ${slots} uplinks; one that was removed counts until its number is released`,
  }))
  for (const [site, owners] of Map.groupBy([...mesh.refused, ...ipsec.refused, ...edge.refused], (owner) => owner.slice(0, owner.indexOf('/')))) {
    full([site], () => ({
      code: 'I121',
      at: [`site/${site}`],
      says: `${site} has ${owners.length} ${owners.length === 1 ? 'tunnel' : 'tunnels'} more than ports`,
      instead: 'give it fewer uplinks or hubs',
    }))
  }
  for (const { external, tunnel } of inside.refused) {
    const { id, role, pool } = external
    full([tunnel], () =>
      pool === null
        ? {
            code: 'I124',
            at: [`${role === 'cloud' ? 'region' : role}/${id}`, 'network'],
            says: `tunnel ${tunnel} is one too many for the addresses inside IPsec tunnels`,
            instead: `a network has ${insideCount} of them, one for each tunnel; those removed count until released`,
          }
        : {
            code: 'I124',
            at: [`peer/${id}/inside`, `peer/${id}`],
            says: `tunnel ${tunnel} is one too many for the addresses of ${pool}`,
            instead: 'write a larger network, four addresses for each tunnel, or leave inside: out',
          },
    )
  }
  full(trafficClass.refused, (owner) => ({
    code: 'I122',
    at: [`class/${owner}`],
    says: `class "${owner}" is one too many`,
    instead: 'a network has at most 64 classes',
  }))
  full(segment.refused, (owner) => ({
    code: 'I123',
    at: [`segment/${owner}`],
    says: `segment "${owner}" is one too many`,
    instead: 'a network has at most 4096 segments',
  }))

  const of =
    (numbers: ReadonlyMap<string, number>, what: string) =>
    (owner: string): number => {
      const number = numbers.get(owner)
      if (number === undefined) throw new TypeError(`${what} ${owner} has no number`)
      return number
    }
  const slotOf = of(slot.numbers, 'uplink')
  const insideNumberOf = of(inside.numbers, 'IPsec tunnel')
  const portOf = of(new Map([...mesh.numbers, ...ipsec.numbers, ...edge.numbers]), 'interface')
  const numbers: Numbers = {
    ula: ula as Prefix,
    node: of(node.numbers, 'node'),
    slot: (site, uplink) => slotOf(`${site}/${uplink}`),
    tunnel: of(tunnel.numbers, 'tunnel'),
    inside: (id) => insideAt(insideNumberOf(id)),
    port: portOf,
    trafficClass: of(trafficClass.numbers, 'class'),
    segment: of(segment.numbers, 'segment'),
  }
  return { numbers, claims: ledger.claims, findings }
}

/** Interfaces whose port is allocated: one per path at an edge, and at both ends of a mesh path. */
function interfacePorts(paths: readonly Path[]): Record<'edge' | 'mesh', { owner: string; scope: string }[]> {
  const edge: { owner: string; scope: string }[] = []
  const mesh: { owner: string; scope: string }[] = []
  for (const {
    role,
    ends: [a, b],
  } of paths) {
    if (role === 'spoke') edge.push({ owner: `${a.site.id}/${edgeInterfaceId(a.uplink.id, b.site.id, b.uplink.id)}`, scope: a.site.id })
    else {
      mesh.push({ owner: `${a.site.id}/${meshInterfaceId(a.uplink.id, b.site.id, b.uplink.id)}`, scope: a.site.id })
      mesh.push({ owner: `${b.site.id}/${meshInterfaceId(b.uplink.id, a.site.id, a.uplink.id)}`, scope: b.site.id })
    }
  }
  return { edge, mesh }
}

const ipsecPorts = (joins: readonly ExternalPath[]): { owner: string; scope: string }[] =>
  joins.flatMap((path) => path.external.members.map((member) => ({ owner: `${path.site.id}/${interfaceOf(path, member)}`, scope: path.site.id })))

/** The /30s inside IPsec tunnels, each numbered by its place among all of IPv4's. */
const insideAt = (number: number): Prefix => prefixFromBits(4, BigInt(number) << 2n, 30)
const insideNumber = (of: Prefix): number => Number(prefixBits(of).value >> 2n)
const insideRange = (pool: Prefix) => ({ first: insideNumber(pool), step: 1, end: insideNumber(pool) + 2 ** (30 - lengthOf(pool)) })
/**
 * Usually the upper half of 169.254.0.0/16 less 169.254.169.0/24, where clouds have their metadata. AWS refuses 169.254.0.0
 * to 5.3 and 169.254.169.252/30, Azure takes 169.254.21.0 to 22.255.
 */
const usualPool = insideRange(prefix('169.254.128.0/17'))
const metadata = insideRange(prefix('169.254.169.0/24'))
const insideCount = usualPool.end - usualPool.first - (metadata.end - metadata.first)

/** A peer that states another pool gets other addresses, and the old ones again when it goes back. */
function insides(ledger: ReturnType<typeof openLedger>, joins: readonly ExternalPath[]) {
  const numbers = new Map<string, number>()
  const refused: { readonly external: External; readonly tunnel: TunnelId }[] = []
  for (const [pool, paths] of Map.groupBy(joins, ({ external }) => external.pool)) {
    const ownerOf = (tunnel: TunnelId): string => (pool === null ? tunnel : `${tunnel}@${pool}`)
    const all = paths.flatMap(({ external, tunnels }) => tunnels.map((tunnel) => ({ external, tunnel, owner: ownerOf(tunnel) })))
    const found = ledger.number('inside', all, pool === null ? usualPool : insideRange(pool))
    for (const one of all) {
      const number = found.numbers.get(one.owner)
      if (number === undefined) refused.push(one)
      else numbers.set(one.tunnel, number)
    }
  }
  return { numbers, refused }
}

type NumberKind = Exclude<Allocation['kind'], 'ula'>
/** A value is unique within its scope: the site for slots and ports, else the network. */
const scopeOf = (kind: NumberKind, owner: string): string => (kind === 'slot' || kind === 'port' ? owner.slice(0, owner.indexOf('/')) : '')

function openLedger(held: readonly Allocation[]) {
  const claims: Allocation[] = []
  const known = new Map<string, number>()
  const taken = new Map<string, Set<number>>()
  const takenIn = (kind: NumberKind, scope: string): Set<number> => {
    const key = `${kind} ${scope}`
    let values = taken.get(key)
    if (!values) {
      values = new Set()
      taken.set(key, values)
    }
    return values
  }
  const note = (kind: NumberKind, owner: string, value: number) => {
    known.set(`${kind} ${owner}`, value)
    takenIn(kind, scopeOf(kind, owner)).add(value)
  }
  for (let value = metadata.first; value < metadata.end; value++) takenIn('inside', '').add(value)
  for (const one of held) if (one.kind !== 'ula') note(one.kind, one.owner, one.kind === 'inside' ? insideNumber(one.value) : one.value)

  const claim = (kind: NumberKind, owner: string, value: number) => {
    note(kind, owner, value)
    claims.push({ kind, owner, value: kind === 'inside' ? insideAt(value) : value } as Allocation)
  }
  /** In the order of owners' names, so that the order of the input means nothing. */
  const number = (
    kind: NumberKind,
    wanted: readonly { readonly owner: string; readonly scope?: string }[],
    range: { readonly first: number; readonly step: number; readonly end: number },
  ) => {
    const numbers = new Map<string, number>()
    const refused: string[] = []
    // Where the search for a free value goes on: values below are taken, and none is given back.
    const next = new Map<string, number>()
    for (const { owner, scope = '' } of [...wanted].sort((a, b) => compareText(a.owner, b.owner))) {
      let value = known.get(`${kind} ${owner}`)
      if (value === undefined) {
        const values = takenIn(kind, scope)
        value = next.get(scope) ?? range.first
        while (values.has(value)) value += range.step
        next.set(scope, value)
        if (value >= range.end) {
          refused.push(owner)
          continue
        }
        claim(kind, owner, value)
      }
      numbers.set(owner, value)
    }
    return { numbers, refused }
  }
  return { claims, claim, number }
}
