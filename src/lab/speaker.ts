/** A router of a LAN that speaks BGP, as most that stand in real ones do: FRR, with a folder of its own in its box. */
import type { ChildProcess } from 'node:child_process'
import { type Address, type Family, familyOf, hostOf, type Prefix } from '#src/net/address.ts'
import { type Box, enter, must, start } from './box.ts'
import type { LanRouter } from './underlay.ts'

export interface Speaker {
  readonly asn: number
  /** The gateway, or each of a pair, and its AS number. */
  readonly gateways: readonly Address[]
  readonly gatewayAsn: number
  readonly announces: readonly Prefix[]
}

const folder = '/run/router'

/** What bgpd is told. It takes whatever it hears, and announces its own prefixes. */
export function speakerText({ asn, gateways, gatewayAsn, announces }: Speaker, { address }: Pick<LanRouter, 'address'>): string {
  const family = familyOf(address)
  const word: Readonly<Record<Family, string>> = { 4: 'ipv4', 6: 'ipv6' }
  return [
    `router bgp ${asn}`,
    // Of 32 bits, also where it has IPv6 alone; no two routers of a LAN have the same.
    ` bgp router-id ${family === 4 ? hostOf(address) : '192.0.2.254'}`,
    ' no bgp ebgp-requires-policy',
    ' no bgp network import-check',
    ' no bgp default ipv4-unicast',
    ...gateways.flatMap((one) => [` neighbor ${one} remote-as ${gatewayAsn}`, ` neighbor ${one} timers connect 1`]),
    ` address-family ${word[family]} unicast`,
    ...announces.map((one) => `  network ${one}`),
    ...gateways.map((one) => `  neighbor ${one} activate`),
    '',
  ].join('\n')
}

/** Also where it is: Debian and Ubuntu, Fedora and its kin. */
const startText = `cd ${folder}
for home in /usr/lib/frr /usr/libexec/frr; do [ ! -x $home/$1 ] || exec $home/$1 -u root -g root -i $PWD/$1.pid -z $PWD/zserv --vty_socket $PWD -P 0 -f $PWD/$1.conf; done
echo "this network has a router that speaks BGP, and FRR is not installed: apt-get install --no-install-recommends frr"; exit 1`

export async function startSpeaker(box: Box, speaker: Speaker, router: LanRouter, log: string): Promise<readonly ChildProcess[]> {
  const put = `mkdir -p ${folder} && cd ${folder} && : > vtysh.conf && : > zebra.conf && cat > bgpd.conf`
  await must(enter(box, ['sh', '-c', put]), speakerText(speaker, router))
  return ['zebra', 'bgpd'].map((program) => start(enter(box, ['sh', '-c', startText, 'sh', program]), { log }))
}
