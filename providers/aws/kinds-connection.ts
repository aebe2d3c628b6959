/** VPN connections: two tunnels each, with every option said, because what is left out gets weak defaults. */
import {
  CreateVpnConnectionCommand,
  DeleteVpnConnectionCommand,
  ModifyVpnTunnelOptionsCommand,
  type VpnTunnelOptionsSpecification,
} from '@aws-sdk/client-ec2'
import type { TunnelId } from '#src/fabric/fabric.ts'
import { familyOf, type Prefix } from '#src/net/address.ts'
import { pairTunnels } from './difference.ts'
import { conflict, finding } from './errors.ts'
import { type Kind, minutes, tags, withId, must, leftIn, unchangeable } from './kind.ts'
import * as read from './observe.ts'
import type { ObservedTunnel, TunnelProperties } from './scheme.ts'

export const vpnConnection: Kind<'vpn-connection'> = {
  limits: [minutes(40), minutes(30)],
  find: async (context, { id }) => withId(read.readConnections(await context.reads.connections(), context.fingerprint), id),
  async make(context, { id, properties }) {
    const TunnelOptions = await Promise.all(
      properties.tunnels.map(async (tunnel) => tunnelOptions(tunnel, usableKey(tunnel.tunnel, await context.psk(tunnel.tunnel)))),
    )
    const { VpnConnection: made } = await context.once(
      new CreateVpnConnectionCommand({
        Type: 'ipsec.1',
        CustomerGatewayId: await context.idOf(properties.customerGateway.ref),
        TransitGatewayId: await context.idOf(properties.transitGateway.ref),
        Options: { StaticRoutesOnly: properties.static, TunnelInsideIpVersion: insideVersion(properties.tunnels), TunnelOptions },
        TagSpecifications: tags(context, 'vpn-connection', id),
      }),
    )
    return must(made?.VpnConnectionId)
  },
  /** One tunnel a call, one after the other, so that at most one of the two is down. */
  async change(context, resource, seen, differences) {
    if (differences.some(({ key }) => !key.includes(' '))) throw unchangeable(resource, differences)
    const pairs = pairTunnels(resource.properties.tunnels, seen.properties.tunnels)
    for (const [want, there] of pairs) {
      const keys = differences.filter(({ key }) => key.startsWith(`${want.tunnel} `)).map(({ key }) => key.slice(want.tunnel.length + 1))
      if (keys.length === 0 || !there) continue
      const key = keys.includes('psk') ? usableKey(want.tunnel, await context.psk(want.tunnel)) : undefined
      await context.again(
        new ModifyVpnTunnelOptionsCommand({
          VpnConnectionId: seen.cloudId,
          VpnTunnelOutsideIpAddress: there.outside,
          TunnelOptions: onlyChanged(tunnelOptions(want, key), want, there),
        }),
      )
      await context.settled(resource.id)
    }
  },
  left: async (context, cloudId) => leftIn(read.readConnections(await context.reads.connections(), context.fingerprint), cloudId),
  remove: async (context, cloudId) => void (await context.again(new DeleteVpnConnectionCommand({ VpnConnectionId: cloudId }))),
}
const usableKey = (tunnel: TunnelId, psk: string): string => {
  if (/^[A-Za-z1-9._][A-Za-z0-9._]{7,63}$/.test(psk)) return psk
  throw conflict(
    finding(
      'R024',
      [tunnel],
      `The pre-shared key of ${tunnel} is not one that AWS takes`,
      '8 to 64 letters, digits, dots and underscores, not beginning with 0; rotate it',
    ),
  )
}
/** Made with it, a connection keeps it: there is no call that changes what it carries. */
const insideVersion = (tunnels: readonly TunnelProperties[]): 'ipv4' | 'ipv6' =>
  tunnels.every(({ inside }) => familyOf(inside) === 6) ? 'ipv6' : 'ipv4'
const insideCidr = (inside: Prefix): Pick<Options, 'TunnelInsideCidr' | 'TunnelInsideIpv6Cidr'> =>
  familyOf(inside) === 6 ? { TunnelInsideIpv6Cidr: inside } : { TunnelInsideCidr: inside }
const values = <T>(of: readonly T[]): { Value: T }[] => of.map((Value) => ({ Value }))
type Options = VpnTunnelOptionsSpecification
const tunnelOptions = (of: TunnelProperties, psk: string | undefined): Options => ({
  ...insideCidr(of.inside),
  ...(psk === undefined ? {} : { PreSharedKey: psk }),
  IKEVersions: values(of.ike),
  Phase1EncryptionAlgorithms: values(of.encryption[0]) as NonNullable<Options['Phase1EncryptionAlgorithms']>,
  Phase2EncryptionAlgorithms: values(of.encryption[1]) as NonNullable<Options['Phase2EncryptionAlgorithms']>,
  Phase1IntegrityAlgorithms: values(of.integrity[0]) as NonNullable<Options['Phase1IntegrityAlgorithms']>,
  Phase2IntegrityAlgorithms: values(of.integrity[1]) as NonNullable<Options['Phase2IntegrityAlgorithms']>,
  Phase1DHGroupNumbers: values(of.groups[0]),
  Phase2DHGroupNumbers: values(of.groups[1]),
  Phase1LifetimeSeconds: of.ikeLifetime,
  Phase2LifetimeSeconds: of.espLifetime,
  RekeyMarginTimeSeconds: of.rekeyMargin,
  RekeyFuzzPercentage: of.rekeyFuzz,
  ReplayWindowSize: of.replayWindow,
  DPDTimeoutSeconds: of.dpdTimeout,
  DPDTimeoutAction: of.dpdAction,
  StartupAction: of.startup,
})
/** AWS refuses an inside prefix that the tunnel has already; all else may be said again. */
function onlyChanged(options: Options, want: TunnelProperties, seen: ObservedTunnel): Options {
  if (want.inside !== seen.inside) return options
  const { TunnelInsideCidr: _four, TunnelInsideIpv6Cidr: _six, ...others } = options
  return others
}
