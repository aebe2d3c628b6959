/** A router of a LAN that speaks, as most that stand in real ones do: FRR, with a folder of its own in its box. */
import type { ChildProcess } from 'node:child_process'
import { type Address, type AddressWithLength, type Family, familyOf, hostOf, type Prefix } from '#src/net/address.ts'
import { type Box, enter, ipBatch, must, start } from './box.ts'
import type { LanRouter } from './underlay.ts'

interface Announcer {
  readonly announces: readonly Prefix[]
}
export interface BgpSpeaker extends Announcer {
  readonly protocol: 'bgp'
  readonly asn: number
  /** The gateway, or each of a pair, and its AS number. */
  readonly gateways: readonly Address[]
  readonly gatewayAsn: number
}
export interface OspfSpeaker extends Announcer {
  readonly protocol: 'ospf'
  readonly area: Address
  /** Seconds. */
  readonly hello: number
  readonly dead: number
}
export type Speaker = BgpSpeaker | OspfSpeaker

const folder = '/run/router'
type Where = Pick<LanRouter, 'address'>

const words: Readonly<Record<Family, { readonly ip: string; readonly ospf: string; readonly unicast: string }>> = {
  4: { ip: 'ip', ospf: 'ospf', unicast: 'ipv4 unicast' },
  6: { ip: 'ipv6', ospf: 'ospf6', unicast: 'ipv6 unicast' },
}
/** Of 32 bits, also where it has IPv6 alone; no two routers of a LAN have the same. */
const routerId = (own: AddressWithLength): string => (familyOf(own) === 4 ? hostOf(own) : '192.0.2.254')

/** What its daemon is told. It takes whatever it hears, and announces its own prefixes. */
export const speakerText = (speaker: Speaker, where: Where): string =>
  [...(speaker.protocol === 'bgp' ? bgpText(speaker, where) : ospfText(speaker, where)), ''].join('\n')

function bgpText({ asn, gateways, gatewayAsn, announces }: BgpSpeaker, { address }: Where): readonly string[] {
  return [
    `router bgp ${asn}`,
    ` bgp router-id ${routerId(address)}`,
    ' no bgp ebgp-requires-policy',
    ' no bgp network import-check',
    ' no bgp default ipv4-unicast',
    ...gateways.flatMap((one) => [` neighbor ${one} remote-as ${gatewayAsn}`, ` neighbor ${one} timers connect 1`]),
    ` address-family ${words[familyOf(address)].unicast}`,
    ...announces.map((one) => `  network ${one}`),
    ...gateways.map((one) => `  neighbor ${one} activate`),
  ]
}
function ospfText({ area, hello, dead, announces }: OspfSpeaker, { address }: Where): readonly string[] {
  const family = familyOf(address)
  const { ip, ospf } = words[family]
  return [
    ...announces.map((one) => `${ip} prefix-list own permit ${one}`),
    'route-map own permit 10',
    ` match ${ip} address prefix-list own`,
    'interface eth0',
    ` ${ip} ${ospf} dead-interval ${dead}`,
    ` ${ip} ${ospf} hello-interval ${hello}`,
    ` ${ip} ${ospf} area ${area}`,
    `router ${ospf}`,
    ` ${ospf} router-id ${routerId(address)}`,
    ...(family === 4 ? [' timers throttle lsa all 1000'] : []),
    ' redistribute kernel route-map own',
  ]
}

/** Also where it is: Debian and Ubuntu, Fedora and its kin. */
const startText = `cd ${folder}
for home in /usr/lib/frr /usr/libexec/frr; do [ ! -x $home/$1 ] || exec $home/$1 -u root -g root -i $PWD/$1.pid -z $PWD/zserv --vty_socket $PWD -P 0 -f $PWD/$1.conf; done
echo "this network has a router that speaks BGP or OSPF, and FRR is not installed: apt-get install --no-install-recommends frr"; exit 1`

export async function startSpeaker(box: Box, speaker: Speaker, router: LanRouter, log: string): Promise<readonly ChildProcess[]> {
  const program = speaker.protocol === 'bgp' ? 'bgpd' : `${words[familyOf(router.address)].ospf}d`
  const put = `mkdir -p ${folder} && cd ${folder} && : > vtysh.conf && : > zebra.conf && cat > ${program}.conf`
  await must(enter(box, ['sh', '-c', put]), speakerText(speaker, router))
  // OSPF announces what zebra finds in the kernel; its hosts are nearer.
  if (speaker.protocol === 'ospf')
    await ipBatch(
      box,
      speaker.announces.map((one) => `route add ${one} dev lo metric 20000`),
    )
  return ['zebra', program].map((one) => start(enter(box, ['sh', '-c', startText, 'sh', one]), { log }))
}
