/** `customerGatewayConfiguration`: the XML document, inside the answer as text, that AWS gives a network administrator. */
import { hostOfInside } from './tunnel-options.ts'
import type { TunnelSettings, VpnConnection, World } from './world.ts'
import { escaped } from './xml.ts'

const side = (name: string, outside: string, inside: string, insideIpv6: string): string =>
  `      <${name}>
        <tunnel_outside_address><ip_address>${outside}</ip_address></tunnel_outside_address>
        <tunnel_inside_address><ip_address>${inside}</ip_address><network_mask>255.255.255.252</network_mask><network_cidr>30</network_cidr></tunnel_inside_address>${insideIpv6}
      </${name}>`

const six = ({ insideIpv6Cidr: inside }: TunnelSettings, n: 1 | 2): string =>
  inside === null
    ? ''
    : `\n        <tunnel_inside_ipv6_address><ipv6_address>${hostOfInside(inside, n)}</ipv6_address><prefix_length>126</prefix_length></tunnel_inside_ipv6_address>`

/** The first algorithm of each list, as AWS writes one set of values a tunnel. */
export function customerConfiguration(world: World, row: VpnConnection): string {
  const customer = world.customerGateways[row.customerGateway]
  const tunnels = row.tunnels.map(
    ({ outside, settings }) => `    <ipsec_tunnel>
${side('customer_gateway', customer?.address ?? '', hostOfInside(settings.insideCidr, 2), six(settings, 2))}
${side('vpn_gateway', outside, hostOfInside(settings.insideCidr, 1), six(settings, 1))}
      <ike>
        <authentication_protocol>${escaped(settings.phase1Integrity[0] ?? '').toLowerCase()}</authentication_protocol>
        <encryption_protocol>${escaped(settings.phase1Encryption[0] ?? '').toLowerCase()}</encryption_protocol>
        <lifetime>${settings.phase1Lifetime}</lifetime>
        <perfect_forward_secrecy>group${settings.phase1Groups[0]}</perfect_forward_secrecy>
        <mode>main</mode>
        <pre_shared_key>${escaped(settings.preSharedKey)}</pre_shared_key>
      </ike>
      <ipsec>
        <protocol>esp</protocol>
        <authentication_protocol>${escaped(settings.phase2Integrity[0] ?? '').toLowerCase()}</authentication_protocol>
        <encryption_protocol>${escaped(settings.phase2Encryption[0] ?? '').toLowerCase()}</encryption_protocol>
        <lifetime>${settings.phase2Lifetime}</lifetime>
        <perfect_forward_secrecy>group${settings.phase2Groups[0]}</perfect_forward_secrecy>
        <mode>tunnel</mode>
        <clear_df_bit>true</clear_df_bit>
        <fragmentation_before_encryption>true</fragmentation_before_encryption>
        <tcp_mss_adjustment>1379</tcp_mss_adjustment>
        <dead_peer_detection><interval>10</interval><retries>3</retries></dead_peer_detection>
      </ipsec>
    </ipsec_tunnel>`,
  )
  return `<?xml version="1.0" encoding="UTF-8"?>
<vpn_connection id="${row.id}">
  <customer_gateway_id>${row.customerGateway}</customer_gateway_id>
  <vpn_gateway_id></vpn_gateway_id>
  <vpn_connection_type>ipsec.1</vpn_connection_type>
  <vpn_connection_attributes>NoBGPVPNConnection</vpn_connection_attributes>
${tunnels.join('\n')}
</vpn_connection>`
}
