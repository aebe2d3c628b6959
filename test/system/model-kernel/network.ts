/** An intent folder as the controller would push it: Fabric, keys and each site's config; and what run time would choose. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { compile } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import type { Fabric, Fact, Failure, Group, NodeId, Peer, Region, RegionId, SecretRef, SiteConfig, SiteId, TunnelId } from '#src/fabric/fabric.ts'
import { groupKey, type GroupName, groupsOf, nameOf } from '#src/fabric/groups.ts'
import { familyOf } from '#src/net/address.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { renderFindings } from '#src/intent/render.ts'
import type { ReturnRoutes } from '#providers/cloud.ts'
import { linesOf } from '#providers/export/peer.ts'
import type { Choice } from '#providers/device.ts'
import { returnRoutes } from '#src/path/return-routes.ts'
import { downWith, nothingDown } from '#src/verify/failures.ts'
import { cheapestUp, type Down } from '#src/verify/forward.ts'
import { type Model, modelOf } from '#src/verify/model.ts'
import { dutyOf, type Gateway, gatewaysAt, standingBy } from '#src/verify/pairs.ts'
import type { Cloud } from './cloud.ts'

export interface Network {
  readonly folder: string
  /** Pre-shared keys by the id of their reference. */
  readonly secrets: Readonly<Record<string, string>>
  readonly fabric: Fabric
  readonly model: Model
  readonly configs: ReadonlyMap<SiteId, SiteConfig>
  /** By site, then by interface. */
  readonly privateKeys: ReadonlyMap<SiteId, Readonly<Record<string, string>>>
}
/** Choices of all sites: what the kernels are told, and what the model is asked with. */
export type Steering = ReadonlyMap<NodeId, readonly Choice[]>
export interface Situation {
  readonly name: string
  /** What is broken. */
  readonly cut: Down
  /** Likewise, and what leads to a gateway that stands by. */
  readonly down: Down
  /** Who has the LANs of a site: of a pair of gateways the first that can. */
  readonly onDuty: (site: NodeId) => NodeId
  readonly steering: Steering
  /** Which connection carries the return traffic of each prefix, in each region. */
  readonly routes: ReadonlyMap<RegionId, ReturnRoutes>
}

const raw = (key: KeyObject, half: 'd' | 'x'): string => Buffer.from(key.export({ format: 'jwk' })[half]!, 'base64url').toString('base64')

export function compileFolder(folder: string): Fabric {
  const files = readdirSync(folder)
    .sort()
    .map((name) => ({ path: name, text: readFileSync(join(folder, name), 'utf8') }))
  const { intent, origins, findings } = parseIntent(files)
  const compiled = intent ? compile(intent, []) : undefined
  const fabric = compiled?.fabric
  if (!fabric) throw new Error(renderFindings([...findings, ...(compiled?.findings ?? [])], origins, files, { colour: false }))
  return fabric
}

/** As it is configured once its keys are known, and the facts of its cloud, if it has one. */
export function networkOf(folder: string, fabric: Fabric, cloud: Pick<Cloud, 'facts' | 'secrets'> = { facts: [], secrets: {} }): Network {
  const facts: Fact[] = [...cloud.facts]
  const privateKeys = new Map<SiteId, Record<string, string>>()
  for (const site of fabric.sites) {
    const own: Record<string, string> = {}
    for (const { id } of site.interfaces) {
      const { privateKey } = generateKeyPairSync('x25519')
      own[id] = raw(privateKey, 'd')
      facts.push({ kind: 'key', site: site.id, interface: id, linkEpoch: 0, publicKey: raw(privateKey, 'x') })
    }
    privateKeys.set(site.id, own)
  }
  const secrets = { ...cloud.secrets }
  for (const { id, connections } of fabric.peers) {
    const ref = { id: `psk/peer/${id}`, version: 1 } as SecretRef
    secrets[ref.id] = `key.of.${id}.of.model-kernel`
    for (const { tunnel } of connections.flatMap(({ members }) => members)) facts.push({ kind: 'psk', tunnel, linkEpoch: 0, ref })
  }
  const configs = new Map(fabric.sites.map((site) => [site.id, configure(fabric, facts, site.id)]))
  return { folder, secrets, fabric, model: modelOf(fabric), configs, privateKeys }
}

/** Every group on the cheapest hop that is up, as all agents would settle when `failures` last. */
export function settled(fabric: Fabric, name: string, failures: readonly Failure[]): Situation {
  const { down: cut } = downWith(fabric, failures)
  const { down, onDuty } = duties(fabric, cut)
  const routes = new Map(
    fabric.regions.map(({ id, connections }) => {
      const dead = connections.filter(({ members }) => members.every(({ tunnel }) => down(tunnel)))
      return [id, returnRoutes(fabric, id, new Set(dead.map((of) => of.id)))] as const
    }),
  )
  const steering = new Map<NodeId, readonly Choice[]>(
    fabric.sites.map((site) => [site.id, groupsOf(site).map((group): Choice => ({ ...nameOf(group), hop: cheapestUp(site.id, group, down) }))]),
  )
  for (const region of fabric.regions) steering.set(region.id, choicesOf(region, routes.get(region.id)!, down))
  for (const peer of fabric.peers) steering.set(peer.id, by(peer, linesOf(peer).find(({ tunnel }) => !down(tunnel))?.tunnel))
  return { name, cut, down, onDuty, steering, routes }
}
function duties(fabric: Fabric, cut: Down): Pick<Situation, 'down' | 'onDuty'> {
  const model = modelOf(fabric)
  const pairs = fabric.sites.map(({ id }) => ({ id, gateways: gatewaysAt(model, id) })).filter(({ gateways }) => gateways.length > 1)
  const chosen = new Map<NodeId, Gateway>(pairs.map(({ id, gateways }) => [id, dutyOf(gateways, cut, 'settled')[0]!]))
  return {
    down: pairs.reduce((down: Down, { id, gateways }) => standingBy(gateways, chosen.get(id)!, down), cut),
    onDuty: (site) => chosen.get(site)?.id ?? site,
  }
}
/** A cloud knows no groups: its route names a connection, of which it takes a tunnel that is up. */
const choicesOf = (region: Region, routes: ReturnRoutes, down: Down): readonly Choice[] =>
  groupsOf(region).map((group): Choice => {
    const { family } = group
    const to = region.routes.find((one) => one.remote === group.remote && (family === undefined || familyOf(one.to) === family))?.to
    const connection = region.connections.find(({ id }) => id === routes.get(to!))
    const hop = group.via.findIndex(({ tunnel }) => !down(tunnel) && connection?.members.some((member) => member.tunnel === tunnel))
    return { ...nameOf(group), hop: hop < 0 ? 'unreachable' : hop }
  })

/** The same, but a peer sends by its n-th tunnel. */
export const sendingBy = (of: Situation, { peers }: Fabric, id: string, n: number): Situation => {
  const peer = peers.find((one) => one.id === id)!
  const { tunnel } = linesOf(peer)[n]!
  return { ...of, name: `${of.name}, ${id} by ${tunnel}`, steering: new Map(of.steering).set(peer.id, by(peer, tunnel)) }
}
/** As its text asks, a peer sends by one tunnel to all of us. */
const by = (peer: Peer, tunnel: TunnelId | undefined): readonly Choice[] =>
  groupsOf(peer).map((group): Choice => {
    const hop = group.via.findIndex((one) => one.tunnel === tunnel)
    return { ...nameOf(group), hop: hop < 0 ? 'unreachable' : hop }
  })

/** Every group on any of its hops, for run time may choose each of them: nothing is broken. */
export function shuffled(fabric: Fabric, seed: number): Situation {
  const { down, onDuty } = duties(fabric, nothingDown)
  const numbers = fc.sample(fc.nat(), { seed, numRuns: fabric.sites.reduce((sum, site) => sum + groupsOf(site).length, 0) })
  const pick = ({ via }: Group): Choice['hop'] => {
    const hops = via
      .keys()
      .toArray()
      .filter((n) => !down(via[n]!.tunnel))
    return hops[numbers.pop()! % hops.length] ?? 'unreachable'
  }
  const steering = new Map<NodeId, readonly Choice[]>(
    fabric.sites.map((site) => [site.id, groupsOf(site).map((group): Choice => ({ ...nameOf(group), hop: pick(group) }))]),
  )
  const routes = new Map<RegionId, ReturnRoutes>()
  for (const region of fabric.regions) {
    // One remote and family, one connection: prefixes of a site don't part ways.
    const chosen = [...Map.groupBy(region.routes, ({ to, remote }) => `${remote} ${familyOf(to)}`).values()].flatMap((same, n) => {
      const able = region.connections.filter(({ members: [{ inside }] }) => familyOf(inside) === familyOf(same[0]!.to))
      return same.map(({ to }) => [to, able[(seed + n) % able.length]!.id] as const)
    })
    routes.set(region.id, new Map(chosen))
    steering.set(
      region.id,
      choicesOf(region, routes.get(region.id)!, () => false),
    )
  }
  for (const peer of fabric.peers) steering.set(peer.id, by(peer, linesOf(peer)[seed % linesOf(peer).length]!.tunnel))
  return { name: `every group on a random hop`, cut: nothingDown, down, onDuty, steering, routes }
}

/** The same, but `site` reaches `remote` through another tunnel, in every class that may use it. */
export function via(of: Situation, fabric: Fabric, site: string, remote: string, tunnel: TunnelId | string): Situation {
  const groups = groupsOf(fabric.sites.find((one) => one.id === site)!)
  const moved = of.steering.get(site as SiteId)!.map((choice, index): Choice => {
    const hop = groups[index]!.via.findIndex((one) => one.tunnel === tunnel)
    return choice.remote === remote && choice.arrived === 'anywhere' && hop >= 0 ? { ...choice, hop } : choice
  })
  return { ...of, name: `${of.name}, ${site} to ${remote} by ${tunnel}`, steering: new Map(of.steering).set(site as SiteId, moved) }
}

/** The choices as `walk` asks for them. */
export function chooser(steering: Steering): (node: string, group: GroupName) => number | 'unreachable' {
  const known = new Map([...steering].map(([site, choices]) => [site as string, new Map(choices.map((choice) => [groupKey(choice), choice.hop]))]))
  return (node, group) => known.get(node)!.get(groupKey(group))!
}
/** What has to be steered to come from one to the other. */
export function changes(before: Steering, after: Steering): Steering {
  const old = chooser(before)
  const moved = [...after].map(([site, choices]) => [site, choices.filter((choice) => old(site, choice) !== choice.hop)] as const)
  return new Map(moved.filter(([, choices]) => choices.length > 0))
}
