/** A config's parts by name, read once: a hub has thousands of tunnels and groups, and each looks for the other. */
import type { Group, ReadyInterface, ReadyTunnel, Route, SiteConfig } from '#src/fabric/fabric.ts'
import { groupKey, type GroupName, groupsOf } from '#src/fabric/groups.ts'
import { type Family, familyOf } from '#src/net/address.ts'

interface Lookup {
  readonly interfaces: ReadonlyMap<string, ReadyInterface>
  readonly peers: ReadonlyMap<string, readonly ReadyTunnel[]>
  readonly devices: ReadonlyMap<string, string>
  readonly groups: ReadonlyMap<string, Group>
  readonly families: ReadonlyMap<string, readonly Family[]>
}
const known = new WeakMap<SiteConfig, Lookup>()
const interfaceKey = (id: string, linkEpoch: number): string => `${id} ${linkEpoch}`

/** Map.groupBy, which the agent's oldest Node (20) lacks. */
function grouped<T>(all: readonly T[], keyOf: (one: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>()
  for (const one of all) {
    const group = groups.get(keyOf(one))
    if (group) group.push(one)
    else groups.set(keyOf(one), [one])
  }
  return groups
}

/** What leaves at the hub goes where its prefixes do, in the families of the LANs that leave there. */
const exitRoutes = ({ exitHub, lans }: SiteConfig): readonly Pick<Route, 'to' | 'remote'>[] =>
  exitHub === undefined ? [] : lans.filter((lan) => lan.internet === 'hub').map((lan) => ({ to: lan.prefix, remote: exitHub }))

function lookup(config: SiteConfig): Lookup {
  const found = known.get(config)
  if (found) return found
  const interfaces = new Map(config.interfaces.map((one) => [interfaceKey(one.id, one.linkEpoch), one]))
  const devices = new Map<string, string>()
  for (const tunnel of config.tunnels.toSorted((a, b) => b.linkEpoch - a.linkEpoch)) {
    const device = interfaces.get(interfaceKey(tunnel.interface, tunnel.linkEpoch))?.device
    if (device !== undefined) devices.set(tunnel.id, device)
  }
  const made: Lookup = {
    interfaces,
    devices,
    peers: grouped(config.tunnels, (tunnel) => interfaceKey(tunnel.interface, tunnel.linkEpoch)),
    groups: new Map(groupsOf(config).map((group) => [groupKey(group), group])),
    families: new Map(
      [...grouped([...config.routes, ...exitRoutes(config)], (route) => route.remote)].map(([remote, routes]) => [
        remote,
        ([4, 6] as const).filter((family) => routes.some((route) => familyOf(route.to) === family)),
      ]),
    ),
  }
  known.set(config, made)
  return made
}

export const groupOf = (config: SiteConfig, of: GroupName): Group | undefined => lookup(config).groups.get(groupKey(of))
/** That of packets of a family. */
export const groupFor = (config: SiteConfig, { family, ...either }: Required<GroupName>): Group | undefined =>
  groupOf(config, either) ?? groupOf(config, { ...either, family })
export const interfaceOf = (config: SiteConfig, tunnel: ReadyTunnel): ReadyInterface | undefined =>
  lookup(config).interfaces.get(interfaceKey(tunnel.interface, tunnel.linkEpoch))
export const peersOf = (config: SiteConfig, of: ReadyInterface): readonly ReadyTunnel[] =>
  lookup(config).peers.get(interfaceKey(of.id, of.linkEpoch)) ?? []
/** The device of a tunnel. While two link epochs stand side by side, the older one carries: it is the one already proven. */
export const deviceOf = (config: SiteConfig, tunnel: string): string | undefined => lookup(config).devices.get(tunnel)
/** Families in which a group is used: those of the routes to its remote, as far as the group is for them. */
export function familiesOf(config: SiteConfig, { remote, family }: Pick<Group, 'remote' | 'family'>): readonly Family[] {
  const all = lookup(config).families.get(remote) ?? []
  return family === undefined ? all : all.filter((one) => one === family)
}
