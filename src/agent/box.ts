/** What this box is and has, and whether a bundle fits it. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { hostname, release } from 'node:os'
import type { Features, OsInterface } from '#providers/device.ts'
import type { Finding, SiteConfig, TunnelId, Uplink } from '#src/fabric/fabric.ts'
import { familiesOf } from '#src/fabric/uplinks.ts'
import { contains, familyOf, hostOf, hostPrefix, networkOf, overlaps, parseAddress, parseAddressWithLength } from '#src/net/address.ts'
import type { Inventory, PathReport } from '#src/wire/messages.ts'
import type { Way } from './controller.ts'
import { AgentError, type Trouble } from './trouble.ts'
import { agentVersion } from './version.ts'

function firstOf(...paths: readonly string[]): string {
  for (const path of paths) {
    try {
      const text = readFileSync(path, 'utf8').trim()
      if (text !== '' && !/^(none|not specified|to be filled by o\.e\.m\.|default string|0+)$/i.test(text)) return text
    } catch {
      // Not every box has every file, nor lets everybody read it.
    }
  }
  return ''
}

/** @param serial what the maker or the operator calls the box; '' = read it. */
export function inventoryOf(features: Features, interfaces: readonly OsInterface[], serial: string): Inventory {
  const os = /^PRETTY_NAME="?([^"\n]*)"?/m.exec(firstOf('/etc/os-release', '/usr/lib/os-release'))?.[1] ?? 'Linux'
  return {
    serial:
      serial ||
      firstOf('/sys/class/dmi/id/product_serial', '/sys/firmware/devicetree/base/serial-number', '/etc/machine-id').replaceAll('\0', '') ||
      hostname(),
    hostname: hostname(),
    os,
    kernel: release(),
    agentVersion,
    wireguard: features.wireguard,
    ipsec: features.ipsec,
    interfaces: interfaces.map(({ name, up, addresses, router }) => ({ name, up, addresses: [...addresses], router })),
  }
}

/** A10, before anything else needs the right. */
export function checkRights(features: Features): void {
  if (features.wireguard === 'none') {
    throw new AgentError(
      'A10',
      "Can't create network interfaces: no WireGuard in the kernel, and no wireguard-go with /dev/net/tun, or no right to use them (CAP_NET_ADMIN)",
      'Run as root on the host, install wireguard-go, or add --cap-add NET_ADMIN --device /dev/net/tun to the container',
    )
  }
  if (!features.nftables) throw new AgentError('A10', "Can't set the firewall: nft is missing or not permitted", 'Run as root and install nftables')
  if (!features.nexthops)
    throw new AgentError('A10', "Can't set routes: the kernel has no nexthop objects (Linux 5.3 or newer)", 'Install a newer kernel')
}

const bare = (address: string): string => address.split('/')[0]!

/** What the prober knows of a tunnel. */
export interface Heard {
  isDown(tunnel: TunnelId): boolean
  isHeard(tunnel: TunnelId): boolean
}
const nothing: Heard = { isDown: () => false, isHeard: () => false }

/** Ways out of this box: every interface that has a router, by an address of each family. Doubtful: a path on it died, and none answers now. */
export function waysOf(interfaces: readonly OsInterface[], config: SiteConfig | null, { isDown, isHeard }: Heard = nothing): readonly Way[] {
  const anyHeard = config?.tunnels.some((one) => isHeard(one.id)) ?? false
  return interfaces.flatMap(({ name, addresses, router }) => {
    const global = addresses.map(bare).filter((one) => !one.startsWith('fe80'))
    const local = [4, 6].flatMap((family) => global.find((one) => isIP(one) === family) ?? [])
    if (router === '') return []
    const uplink = config?.uplinks.find((one) => one.interface === name)
    const own = config?.tunnels.filter((one) => one.uplink === uplink?.id) ?? []
    return local.map((address) => ({
      name: uplink ? `${uplink.id} (${name})` : name,
      localAddress: address,
      doubtful: anyHeard && own.some((one) => isDown(one.id)) && !own.some((one) => isHeard(one.id)),
    }))
  })
}

const describe = (of: OsInterface): string => {
  const facts = [of.up ? 'cable in' : 'no cable', ...of.addresses.map(bare).filter((one) => !one.startsWith('fe80'))]
  return `${of.name} (${facts.join(', ')})`
}
const list = (names: readonly string[]): string => (names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`)

/** A07 and A08: whether the plan's interfaces are on this box, and its addresses don't clash with the LANs. */
export function checkInterfaces(config: SiteConfig, interfaces: readonly OsInterface[]): readonly Finding[] {
  const findings: Finding[] = []
  const wanted = [...new Set([...config.uplinks.map((one) => one.interface), ...config.lans.map((one) => one.interface)])]
  const has = new Set(interfaces.map((one) => one.name))
  if (wanted.some((name) => !has.has(name))) {
    findings.push({
      code: 'A07',
      severity: 'error',
      at: [],
      says: `The plan says ${list(wanted)}; this box has ${interfaces.map(describe).join(', ') || 'no interface'}`,
      instead: 'Reported to the engineer, who can change the plan; leave the cables as they are',
      witness: wanted.filter((name) => !has.has(name)).map((name) => `there is no ${name}`),
    })
  }
  for (const uplink of config.uplinks) {
    for (const text of interfaces.find((one) => one.name === uplink.interface)?.addresses ?? []) {
      const clash = clashOf(config, uplink, text)
      if (clash === null) continue
      findings.push({
        code: 'A08',
        severity: 'error',
        at: [],
        says: `The provider's router gives this box ${bare(text)} on ${uplink.interface}, and ${clash}`,
        instead: 'Change the network of the router, or tell the engineer (A08)',
        witness: [],
      })
    }
  }
  return findings
}

/** What is called by the addresses of the provider's link: a LAN of this site, or one elsewhere, whose packets would stay on the link. */
function clashOf({ lans, routes }: SiteConfig, { endpoint }: Uplink, text: string): string | null {
  const address = parseAddressWithLength(text)
  if (!address.ok) return null
  const [host, link] = [hostOf(address.value), networkOf(address.value)]
  const own = lans.find(({ local, prefix }) => contains(local ?? prefix, host))
  if (own) return `the ${own.segment} network is ${own.local ?? own.prefix} too`
  // Of a fixed address it was proven (V015). Nobody else is on a link of one address.
  if (endpoint.kind === 'fixed' || link === hostPrefix(host)) return null
  const elsewhere = routes.find(({ to }) => overlaps(to, link))
  return elsewhere ? `${elsewhere.to} is at ${elsewhere.remote}: what is sent there stays on the router's ${link}` : null
}

const blockedAfterMs = 15_000

/** Uplinks none of whose tunnels has been up for a while, though they have an address. Whether TCP works there decides what it is. */
export function silentUplinks(
  config: SiteConfig,
  interfaces: readonly OsInterface[],
  paths: readonly ReturnType<typeof PathReport.parse>[],
  now: number,
): readonly Uplink[] {
  const state = new Map<string, (typeof paths)[number]>(paths.map((path) => [path.tunnel, path]))
  return config.uplinks.filter((uplink) => {
    const own = config.tunnels.filter((one) => one.uplink === uplink.id).flatMap((one) => state.get(one.id) ?? [])
    const here = interfaces.find((one) => one.name === uplink.interface)
    return (
      here?.up === true &&
      here.addresses.length > 0 &&
      own.length > 0 &&
      own.every((path) => path.state === 'DOWN' && now - Date.parse(path.since) > blockedAfterMs)
    )
  })
}

/** A45: a line that is up, with an address, and none of a family that its provider is said to give. */
export function missingFamilies({ uplinks }: Pick<SiteConfig, 'uplinks'>, interfaces: readonly OsInterface[]): readonly Trouble[] {
  return uplinks.flatMap(({ id, interface: device, endpoint }): Trouble[] => {
    const here = interfaces.find((one) => one.name === device)
    // What is link-local is no address of the provider's.
    const has = (here?.addresses ?? []).map(bare).flatMap((text) => {
      const address = text.startsWith('fe80') ? null : parseAddress(text)
      return address?.ok ? [familyOf(address.value)] : []
    })
    if (endpoint.kind !== 'dynamic' || here?.up !== true || has.length === 0) return []
    return familiesOf(endpoint)
      .filter((family) => !has.includes(family))
      .map((family) => ({
        code: 'A45',
        says: `${id} (${device}) has no IPv${family} address, and the plan says that its provider gives one: nothing goes over IPv${family} there`,
        instead: `Switch IPv${family} on at the provider's router, or tell the engineer to write family: ipv${has[0]!} at ${id}`,
      }))
  })
}

/** A09 */
export function udpBlocked(config: SiteConfig, uplink: Uplink, port: number): Trouble {
  const tunnels = config.tunnels.filter((one) => one.uplink === uplink.id)
  const hubs = list([...new Set(tunnels.map((one) => one.remote as string))].sort())
  const ports = [
    ...new Set(tunnels.flatMap((one) => (one.peer.kind === 'ipsec' || one.peer.endpoint === 'roams' ? [] : [one.peer.endpoint.port]))),
  ].sort((a, b) => a - b)
  return {
    code: 'A09',
    says: `Enrolled, but ${uplink.id} gets no reply on ${list(ports.map((one) => `udp/${one}`))} from ${hubs} (${port}/tcp works). The carrier or firewall drops UDP`,
    instead: 'Ask for UDP to be let through, or leave it: what works over another uplink goes on',
  }
}
