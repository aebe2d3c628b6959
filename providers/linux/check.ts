/** What keeps a config from being applied on this box, found without touching it. */
import { speaking } from '#src/fabric/lan-routing.ts'
import type { Features } from '../device.ts'
import type { Finding, SiteConfig } from '#src/fabric/fabric.ts'
import { isIpsecInterface } from '#src/fabric/ipsec.ts'
import { addressWithLength, comparePrefixes, contains, familyOf, hostOf, overlaps } from '#src/net/address.ts'
import { kernelHasEspOverSix } from './charons.ts'
import { finding } from './errors.ts'
import { leases } from './dnsmasq.ts'
import { advertises } from './radvd.ts'
import { peersOf } from './lookup.ts'
import type { Observed } from './observe.ts'
import type { Runner } from './run.ts'
import { highestClass, isOurs } from './scheme.ts'
import { sharedLans } from './vrrp.ts'

export function missingFeatures(features: Features, ipv6: boolean): readonly Finding[] {
  const findings: Finding[] = []
  if (features.wireguard === 'none')
    findings.push(
      finding(
        'D001',
        [],
        'this box has no WireGuard: neither in the kernel nor as wireguard-go',
        'apt-get install wireguard-go, or use a kernel of 5.6 or newer with the wireguard module',
      ),
    )
  if (!features.nftables)
    findings.push(finding('D002', [], "nft can't list tables on this box", 'apt-get install nftables, on a kernel with nf_tables'))
  if (!features.nexthops)
    findings.push(finding('D003', [], 'this box has no nexthop objects', 'use a kernel of 5.3 or newer and iproute2 of 5.3 or newer'))
  if (!ipv6)
    findings.push(
      finding(
        'D008',
        [],
        'IPv6 is switched off on this box, and the insides of tunnels are IPv6',
        'take ipv6.disable=1 off the kernel command line; no uplink needs IPv6',
      ),
    )
  return findings
}

export function missingIpsec(features: Features, config: SiteConfig): readonly Finding[] {
  const cloud = config.tunnels.find((tunnel) => tunnel.peer.kind === 'ipsec')
  if (!cloud || features.ipsec !== 'none') return []
  return [
    finding(
      'D015',
      [cloud.id],
      'this box has no strongSwan with ESP in the kernel or in user space, and the configuration has IPsec tunnels',
      'apt-get install charon-systemd libcharon-extra-plugins libstrongswan-standard-plugins libstrongswan-extra-plugins',
    ),
  ]
}

export async function missingEspOverSix(runner: Runner, features: Features, config: SiteConfig): Promise<readonly Finding[]> {
  const six = config.tunnels.find(({ peer }) => peer.kind === 'ipsec' && familyOf(peer.address) === 6)
  if (!six || features.ipsec !== 'kernel' || (await kernelHasEspOverSix(runner))) return []
  return [
    finding(
      'D018',
      [six.id],
      `the kernel of this box has no ESP in UDP over IPv6, and IPsec tunnel ${six.id} runs over IPv6`,
      'use a kernel of 5.8 or newer with ESP for IPv6 (esp6), or give the peer an IPv4 address',
    ),
  ]
}

export const missingFrr = (installed: boolean, config: SiteConfig): readonly Finding[] =>
  installed || speaking(config).length === 0
    ? []
    : [
        finding(
          'D016',
          speaking(config).map((one) => `site/${config.site}/lan/${one.segment}`),
          'this box has no FRR, and the configuration speaks with routers of its LANs',
          'apt-get install --no-install-recommends frr',
        ),
      ]
export async function missingLanServices(runner: Runner, config: SiteConfig): Promise<readonly Finding[]> {
  const services = [
    { program: 'dnsmasq', package: 'dnsmasq-base', lan: config.lans.find(leases), by: 'DHCP' },
    { program: 'radvd', package: 'radvd', lan: config.lans.find(advertises), by: 'router advertisements' },
  ]
  const missing = await Promise.all(
    services.map(async ({ program, package: name, lan, by }): Promise<readonly Finding[]> => {
      if (!lan || (await runner.read(['sh', '-c', `command -v ${program}`])).code === 0) return []
      return [
        finding(
          'D017',
          [`site/${config.site}/lan/${lan.segment}/0`],
          `this box has no ${program}, and ${lan.interface} is to be served by ${by}`,
          `apt-get install ${name}`,
        ),
      ]
    }),
  )
  return missing.flat()
}

export async function missingVrrp(runner: Runner, config: SiteConfig): Promise<readonly Finding[]> {
  const [shared] = sharedLans(config)
  if (!shared || (await runner.read(['sh', '-c', 'command -v keepalived'])).code === 0) return []
  return [
    finding(
      'D049',
      [`site/${config.site}`],
      `this box has no keepalived, and shares ${hostOf(shared.address)} with the other gateway of its site`,
      'apt-get install keepalived, and leave its own service off: systemctl disable --now keepalived',
    ),
  ]
}

export function misfits(config: SiteConfig, { interfaces }: Pick<Observed, 'interfaces'>): readonly Finding[] {
  const findings: Finding[] = []
  const known = interfaces.map((one) => one.name).join(', ') || 'none'
  for (const uplink of config.uplinks) {
    const at = [`site/${config.site}/uplink/${uplink.id}`]
    const os = interfaces.find((one) => one.name === uplink.interface)
    if (!os) {
      findings.push(
        finding(
          'D004',
          [`${at[0]!}/interface`, ...at],
          `uplink ${uplink.id} is to use ${uplink.interface}, which this box doesn't have`,
          `write one of: ${known}; or plug it in`,
        ),
      )
      continue
    }
    const { endpoint } = uplink
    if (endpoint.kind === 'fixed' && !os.addresses.includes(endpoint.address)) {
      findings.push(
        finding(
          'D006',
          [`${at[0]!}/address`, ...at],
          `${uplink.interface} has ${os.addresses.join(', ') || 'no address'}, but uplink ${uplink.id} says ${endpoint.address}`,
          'configure that address in the operating system, or correct `address:`',
        ),
      )
    }
    if (endpoint.kind === 'dynamic' && os.addresses.length > 0 && os.router === '') {
      findings.push(
        finding(
          'D012',
          at,
          `${uplink.interface} has an address but no default router`,
          'look at the DHCP client of that interface; tunnels over it stay down until it has one',
          { severity: 'warning' },
        ),
      )
    }
  }
  for (const lan of config.lans) {
    if (!interfaces.some((one) => one.name === lan.interface)) {
      findings.push(
        finding(
          'D005',
          [`site/${config.site}/lan/${lan.segment}/0`],
          `segment ${lan.segment} is to be on ${lan.interface}, which this box doesn't have`,
          `write one of: ${known}; or plug it in`,
        ),
      )
    }
  }
  for (const one of config.interfaces) {
    if (!isOurs(one.device))
      findings.push(
        finding(
          'D009',
          [one.id],
          `"${one.device}" can't be a tunnel's device name`,
          'a name begins with cwh, cwe, cwm or cwi, ends with p0 or p1 and has at most 15 characters',
        ),
      )
    const peers = peersOf(config, one)
    // WireGuard would silently move the prefix to the peer that was written last.
    const ranges = peers
      .flatMap((tunnel) => (tunnel.peer.kind === 'wireguard' ? tunnel.peer.allowedIps : []).map((prefix) => ({ tunnel, prefix })))
      .sort((a, b) => comparePrefixes(a.prefix, b.prefix))
    let outer = ranges[0]
    for (const range of ranges.slice(1)) {
      if (outer && overlaps(outer.prefix, range.prefix)) {
        if (outer.tunnel !== range.tunnel)
          findings.push(
            finding(
              'D011',
              [outer.tunnel.id, range.tunnel.id],
              `${range.prefix} would be behind two peers of ${one.device}: ${outer.tunnel.id} and ${range.tunnel.id}`,
              'one of them must not announce it; this is a fault in the bundle, report it',
            ),
          )
      } else outer = range
    }
  }
  for (const one of config.classes) {
    if (one.index > highestClass)
      findings.push(
        finding(
          'D010',
          [`class/${one.id}`],
          `class ${one.id} has number ${one.index}, and a gateway has room for 0 to ${highestClass}`,
          'use fewer classes',
        ),
      )
  }
  const ports = new Map<number, string>()
  for (const one of config.interfaces) {
    // IPsec takes two: IKE, and IKE with ESP in UDP.
    const own = isIpsecInterface(one) ? [one.port, one.port + 1] : [one.listenPort]
    const taken = own.find((port) => ports.has(port))
    const other = taken === undefined ? undefined : ports.get(taken)
    if (other !== undefined)
      findings.push(
        finding('D013', [one.id], `${one.device} and ${other} would both listen on udp/${taken}`, 'this is a fault in the bundle, report it'),
      )
    for (const port of own) ports.set(port, one.device)
  }
  for (const uplink of config.uplinks) {
    const addresses = interfaces.find((one) => one.name === uplink.interface)?.addresses.map((address) => hostOf(addressWithLength(address))) ?? []
    const clash = config.lans.find((lan) => addresses.some((address) => contains(lan.prefix, address)))
    if (clash)
      findings.push(
        finding(
          'D014',
          [`site/${config.site}/uplink/${uplink.id}`],
          `the provider gives ${uplink.interface} an address inside ${clash.prefix}, which is segment ${clash.segment} of this site`,
          `change the provider's router to another network, e.g. 192.168.77.0/24`,
        ),
      )
  }
  return findings
}
