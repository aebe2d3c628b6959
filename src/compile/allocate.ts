/** Who gets a number of what kind. Numbers never move: whoever holds one keeps it (ledger.ts). */
import { createHash } from 'node:crypto'
import type { Allocation, ClassId, Finding, NodeId, SegmentId, SiteId, TunnelId, UplinkId } from '#src/fabric/fabric.ts'
import { firstEdgePort, firstMeshPort, nodeLimit, portsEnd, slots } from '#src/fabric/ids.ts'
import { counted } from '#src/fabric/plural.ts'
import type { Intent, IntentSite } from '#src/intent/intent.ts'
import { familyOf, type Prefix, prefixFromBits } from '#src/net/address.ts'
import { flatten } from './arrays.ts'
import { type External, type ExternalPath, interfaceOf } from './externals.ts'
import { insideAt, insideCount, insideRange, insideScope, usualPool } from './insides.ts'
import { type Held, type Ledger, none, type Numbered, openLedger, readHeld } from './ledger.ts'
import type { List } from './list.ts'
import { createMemo, type Memo } from './memo.ts'
import { interfaceTowards, type Path, type PathEnd, type Paths } from './paths.ts'
import { sitesOf } from './sites.ts'

export interface Numbers {
  readonly ula: Prefix
  readonly node: (node: NodeId) => number
  readonly slot: (site: SiteId, uplink: UplinkId) => number
  readonly tunnel: (tunnel: TunnelId) => number
  /** Of IPsec tunnels, of a pool of their peer; null: of that of clouds. */
  readonly inside: (tunnel: TunnelId, pool: Prefix | null) => Prefix
  /** Of IPsec interfaces, by `site/interface`. */
  readonly port: (owner: string) => number
  readonly trafficClass: (id: ClassId) => number
  readonly segment: (id: SegmentId) => number
  /** What is held gives one number to two owners. */
  readonly contradict: boolean
}
export interface Allocated {
  /** The same object while nobody wants one who wanted none before. */
  readonly numbers: Numbers
  /** In the order of sites: all of the site and of the paths that begin there, the same object while none moves. */
  readonly at: List<readonly number[]>
  readonly claims: readonly Allocation[]
  readonly findings: readonly Finding[]
}

/** What of `Allocated.at` a site itself has, and its n-th uplink. */
export const nodeAt = (values: readonly number[]): number => values[0]!
export const slotAt = (values: readonly number[], n: number): number => values[1 + n]!
/** Likewise its n-th path: the tunnel, and the port of an end. A hub's towards spokes is computed. A site's paths are all of one role. */
export const tunnelAt = (values: readonly number[], site: IntentSite, n: number): number => values[1 + site.uplinks.length + n]!
export function portAt(values: readonly number[], site: IntentSite, paths: readonly Path[], n: number, end: 0 | 1): number {
  const first = 1 + site.uplinks.length + paths.length
  return values[paths[n]!.role === 'mesh' ? first + 2 * n + end : first + n]!
}

/** RFC 4193 section 3.2.2 in spirit: 40 bits of a hash, here of the network's name, so that it is the same before anything is stored. */
export function ulaOf(network: string): Prefix {
  const digest = createHash('sha256').update(`causeway ula ${network}`).digest()
  const global = BigInt(`0x${digest.subarray(0, 5).toString('hex')}`)
  return prefixFromBits(6, (0xfdn << 120n) | (global << 80n), 48)
}

export function allocate(
  intent: Intent,
  paths: Paths,
  joins: readonly ExternalPath[],
  held: readonly Allocation[],
  memo: Memo = createMemo(),
): Allocated {
  const known = memo.once('held numbers', [held], () => readHeld(held))
  const sites = sitesOf(intent, memo)
  // Sites whose numbers are all held are not looked at again.
  const owners = memo.rows('owners at sites', [], [sites, paths.of], siteOwners)
  const numbersHeld = memo.rows('numbers held at sites', [known], [owners], (own) => heldBy(own, known))
  const newcomers = memo.sparse('owners without numbers', [], [owners, numbersHeld], (own, values) => (values ? nobody : [own]))
  const { regions, peers, network, classes, segments } = intent
  const { numbers, claims, findings, given } = memo.once('numbers', [known, newcomers, joins, regions, peers, network, classes, segments], () =>
    numbered(intent, joins, newcomers, known),
  )

  const keep = (site: string, values: readonly number[]) => memo.keep('numbers', values, site)
  const atOld = memo.rows('numbers of sites', [known], [sites, numbersHeld], ({ id }, values) => (values ? keep(id, values) : noNumbers))
  return { numbers, at: given.length === 0 || findings.length > 0 ? atOld : filled(atOld, given, keep), claims, findings }
}
/** Of a few newcomers the places are looked for, of many all places looked at. */
function filled(at: List<readonly number[]>, given: readonly Given[], keep: (...given: Given) => readonly number[]): List<readonly number[]> {
  if (given.length < few) return at.with(at.placesOf(noNumbers).map((place, n) => [place, keep(...given[n]!)] as const))
  const next = given.values()
  return at.map((values) => (values === noNumbers ? keep(...next.next().value!) : values), at)
}
const few = 16

function numbered(
  intent: Intent,
  joins: readonly ExternalPath[],
  newcomers: readonly Owners[],
  known: Held,
): Omit<Allocated, 'at'> & { readonly given: readonly Given[] } {
  const ledger = openLedger(known)
  const findings: Finding[] = []
  const wanted = (kind: keyof Owners): readonly string[] => flatten(newcomers.map((own) => own[kind]))
  const externals = [...intent.regions, ...intent.peers].map(({ id }) => id)
  const ipsecTunnels = joins.flatMap((path) => path.members.map(({ tunnel }) => tunnel))

  const stored = known.ula.get(intent.network)
  const ula = stored ?? ulaOf(intent.network)
  if (stored === undefined) ledger.claims.push({ kind: 'ula', owner: intent.network, value: ula })
  const node = ledger.number('node', wanted('node').concat(externals), { first: 0, step: 1, end: nodeLimit })
  const slot = ledger.number('slot', wanted('slot'), { first: 0, step: 1, end: slots })
  const tunnel = ledger.number('tunnel', wanted('tunnel').concat(ipsecTunnels), { first: 1, step: 1, end: Number.MAX_SAFE_INTEGER / 8 })
  const mesh = ledger.number('port', wanted('mesh'), { first: firstMeshPort, step: 2, end: firstEdgePort })
  const ipsec = ledger.number('port', ipsecPorts(joins), { first: firstMeshPort, step: 2, end: firstEdgePort })
  const inside = insides(ledger, joins)
  const edge = ledger.number('port', wanted('edge'), { first: firstEdgePort, step: 2, end: portsEnd })
  // Class 0 is what unmarked packets get, so it can't go to whoever comes first.
  if (!known.of.class.has(defaultClass)) ledger.claims.push({ kind: 'class', owner: defaultClass, value: 0 })
  const trafficClass = ledger.number(
    'class',
    intent.classes.map(({ id }) => id).filter((id) => id !== defaultClass),
    { first: 1, step: 1, end: 64 },
  )
  const segment = ledger.number('segment', intent.segments, { first: 0, step: 1, end: 4096 })

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
      says: `${site} has ${counted(owners.length, 'tunnel')} more than ports`,
      instead: 'give it fewer uplinks or hubs',
    }))
  }
  for (const { external, tunnel, pool } of inside.refused) {
    const { id, role } = external
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
            at: [`peer/${id}/inside/${familyOf(pool)}`, `peer/${id}`],
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

  const numbers: Numbers = {
    ula,
    node: node.of,
    slot: (site, uplink) => slot.of(`${site}/${uplink}`),
    tunnel: tunnel.of,
    inside: inside.of,
    port: ipsec.of,
    trafficClass: (id) => (id === defaultClass ? 0 : trafficClass.of(id)),
    segment: segment.of,
    contradict: known.contradict,
  }
  return { numbers, claims: ledger.claims, findings, given: numbersOf(newcomers, { node, slot, tunnel, mesh, edge }) }
}

const nobody: readonly Owners[] = []
const defaultClass = 'default' as ClassId
const noNumbers: readonly number[] = []

/** Who is numbered because of a site: itself, its uplinks, the paths that begin there and their interfaces at either end. */
type Owners = Readonly<Record<'node' | 'slot' | 'tunnel' | 'mesh' | 'edge', readonly string[]>>
const kinds = ['node', 'slot', 'tunnel', 'mesh', 'edge'] as const
const numberOf = { node: 'node', slot: 'slot', tunnel: 'tunnel', mesh: 'port', edge: 'port' } as const
function siteOwners(site: IntentSite, paths: readonly Path[]): Owners {
  const port = (role: Path['role'], near: PathEnd, far: PathEnd): string => `${near.site.id}/${interfaceTowards(role, near.uplink.id, far)}`
  return {
    node: [site.id],
    // A pair's are told apart by one hub interface for each slot (routing rule 6).
    slot: site.uplinks.map((uplink) => `${site.id}/${uplink.id}`),
    tunnel: paths.map((path) => path.id),
    mesh: paths.flatMap(({ role, ends: [low, high] }) => (role === 'mesh' ? [port(role, low, high), port(role, high, low)] : [])),
    edge: paths.flatMap(({ role, ends: [near, far] }) => (role === 'spoke' ? [port(role, near, far)] : [])),
  }
}

type Given = readonly [site: string, values: readonly number[]]
/** By site what each got, where all that they own was numbered in their order. */
function numbersOf(all: readonly Owners[], numbered: Readonly<Record<keyof Owners, Numbered>>): readonly Given[] {
  const next = { node: 0, slot: 0, tunnel: 0, mesh: 0, edge: 0 }
  const given = (own: Owners, kind: keyof Owners) => numbered[kind].values.slice(next[kind], (next[kind] += own[kind].length))
  return all.map((own) => [own.node[0]!, ([] as number[]).concat(...kinds.map((kind) => given(own, kind)))])
}

const ipsecPorts = (joins: readonly ExternalPath[]): readonly string[] =>
  joins.flatMap((path) => path.members.map(({ member }) => `${path.site.id}/${interfaceOf(path, member)}`))

/** A peer that states another pool gets other addresses, and the old ones again when it goes back. */
function insides(ledger: Ledger, joins: readonly ExternalPath[]) {
  const ownerOf = (tunnel: TunnelId, pool: Prefix | null): string => (pool === null ? tunnel : `${tunnel}@${pool}`)
  const found = new Map<string, Prefix>()
  const refused: { readonly external: External; readonly tunnel: TunnelId; readonly pool: Prefix | null }[] = []
  const wanted = joins
    .filter(({ carried }) => carried !== 6)
    .flatMap(({ external, members }) => external.pools.flatMap((pool) => members.map(({ tunnel }) => ({ external, tunnel, pool }))))
  for (const [pool, all] of Map.groupBy(wanted, (one) => one.pool)) {
    const scope = pool === null ? '' : insideScope(pool)
    const owners = all.map(({ tunnel }) => ownerOf(tunnel, pool))
    const { values } = ledger.number('inside', owners, pool === null ? usualPool : insideRange(pool), scope)
    for (const [n, one] of all.entries()) {
      if (values[n] === none) refused.push(one)
      else found.set(owners[n]!, insideAt(values[n]!, scope))
    }
  }
  return { refused, of: (tunnel: TunnelId, pool: Prefix | null) => found.get(ownerOf(tunnel, pool))! }
}

/** What a site's owners hold, when each holds its number. */
function heldBy(own: Owners, { of }: Held): readonly number[] | null {
  const values: number[] = []
  for (const kind of kinds) {
    for (const owner of own[kind]) {
      const value = of[numberOf[kind]].get(owner)
      if (value === undefined) return null
      values.push(value)
    }
  }
  return values
}
