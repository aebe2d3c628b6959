/** Customer gateways and Site-to-Site VPN connections. */
import { addressBits, addressFromBits, type Address, parseAddress, type Prefix, rangeOf } from '#src/net/address.ts'
import { action, becoming, findLiving, fresh, isLiving, kinds, tagsFor, tagSet, tagSpecifications } from '../action.ts'
import { customerConfiguration } from '../customer-configuration.ts'
import { filterList, select } from '../describe.ts'
import { flag, group, integer, list, needed, text } from '../query.ts'
import { incorrectState, invalidValue, missing, Refusal } from '../refusal.ts'
import { insidesIn, insidesOf, settle, tunnelFields } from '../tunnel-options.ts'
import type { Attachment, Context, CustomerGateway, InsideVersion, VpnConnection, VpnTunnel, World } from '../world.ts'
import { time, type Xml } from '../xml.ts'
import { availableGateway, limitAttachments } from './transit-gateway.ts'
import { cidrOf } from './transit-routes.ts'

const customerGatewayXml = (row: CustomerGateway): Xml => ({
  customerGatewayId: row.id,
  state: row.state,
  type: 'ipsec.1',
  ipAddress: row.address,
  ...(row.asn > 2_147_483_647 ? { bgpAsnExtended: row.asn } : { bgpAsn: row.asn }),
  deviceName: row.deviceName,
  tagSet: tagSet(row.tags),
})
function publicAddress(value: string): Address {
  const parsed = parseAddress(value)
  if (!parsed.ok || value.includes(':') || /^(0|10|127|169\.254|192\.168|172\.(1[6-9]|2\d|3[01])|22[4-9]|2[3-5]\d)\./.test(value))
    throw invalidValue(value, 'IpAddress', 'It must be an Internet-routable IPv4 address.')
  return parsed.value
}
function customerAsn(BgpAsn: number | undefined, BgpAsnExtended: number | undefined): number {
  if (BgpAsn !== undefined && BgpAsnExtended !== undefined)
    throw new Refusal('InvalidParameterCombination', 'BgpAsn and BgpAsnExtended cannot both be given')
  if (BgpAsn !== undefined && (BgpAsn < 1 || BgpAsn > 2_147_483_647))
    throw invalidValue(String(BgpAsn), 'BgpAsn', 'Expecting a value between 1 and 2147483647.')
  if (BgpAsnExtended !== undefined && (BgpAsnExtended < 2_147_483_648 || BgpAsnExtended > 4_294_967_295))
    throw invalidValue(String(BgpAsnExtended), 'BgpAsnExtended', 'Expecting a value between 2147483648 and 4294967295.')
  return BgpAsn ?? BgpAsnExtended ?? 65_000
}

const settingsXml = ({ outside, settings }: VpnTunnel): Xml => ({
  outsideIpAddress: outside,
  tunnelInsideCidr: settings.insideCidr,
  tunnelInsideIpv6Cidr: settings.insideIpv6Cidr ?? undefined,
  preSharedKey: settings.preSharedKey,
  phase1LifetimeSeconds: settings.phase1Lifetime,
  phase2LifetimeSeconds: settings.phase2Lifetime,
  rekeyMarginTimeSeconds: settings.rekeyMargin,
  rekeyFuzzPercentage: settings.rekeyFuzz,
  replayWindowSize: settings.replayWindow,
  dpdTimeoutSeconds: settings.dpdTimeout,
  dpdTimeoutAction: settings.dpdAction,
  phase1EncryptionAlgorithmSet: settings.phase1Encryption.map((value) => ({ value })),
  phase2EncryptionAlgorithmSet: settings.phase2Encryption.map((value) => ({ value })),
  phase1IntegrityAlgorithmSet: settings.phase1Integrity.map((value) => ({ value })),
  phase2IntegrityAlgorithmSet: settings.phase2Integrity.map((value) => ({ value })),
  phase1DHGroupNumberSet: settings.phase1Groups.map((value) => ({ value })),
  phase2DHGroupNumberSet: settings.phase2Groups.map((value) => ({ value })),
  ikeVersionSet: settings.ikeVersions.map((value) => ({ value })),
  startupAction: settings.startup,
  enableTunnelLifecycleControl: settings.lifecycleControl,
})
const connectionXml = (world: World, row: VpnConnection): Xml => ({
  vpnConnectionId: row.id,
  state: row.state,
  type: 'ipsec.1',
  category: 'VPN',
  customerGatewayId: row.customerGateway,
  transitGatewayId: row.gateway,
  gatewayAssociationState: row.state === 'available' || row.state === 'modifying' ? 'associated' : 'not-associated',
  // Gone with the connection, as its keys are.
  customerGatewayConfiguration: row.state === 'deleted' ? undefined : customerConfiguration(world, row),
  options: {
    enableAcceleration: false,
    staticRoutesOnly: row.staticRoutesOnly,
    ...(row.insideVersion === 'ipv4'
      ? { localIpv4NetworkCidr: row.localCidr, remoteIpv4NetworkCidr: row.remoteCidr }
      : { localIpv6NetworkCidr: row.localCidr, remoteIpv6NetworkCidr: row.remoteCidr }),
    outsideIpAddressType: 'PublicIpv4',
    tunnelInsideIpVersion: row.insideVersion,
    tunnelOptionSet: row.state === 'deleted' ? [] : row.tunnels.map(settingsXml),
  },
  routes: [],
  tagSet: tagSet(row.tags),
  // The order says nothing, as with AWS: by outside address, which is not the order of the options.
  vgwTelemetry: row.tunnels
    .toSorted((a, b) => Number(addressBits(b.outside) - addressBits(a.outside)))
    .map((tunnel) => ({
      outsideIpAddress: tunnel.outside,
      status: tunnel.up ? 'UP' : 'DOWN',
      statusMessage: tunnel.up ? 'IPSEC IS UP' : 'IPSEC IS DOWN',
      lastStatusChange: time(tunnel.changedAt),
      acceptedRouteCount: 0,
    })),
})

function freeOutsides(world: World): readonly [Address, Address] {
  const used = new Set(
    Object.values(world.vpnConnections).flatMap((row) => (row.state === 'deleted' ? [] : row.tunnels.map((tunnel) => tunnel.outside))),
  )
  const { low, high } = rangeOf(world.seed.outside)
  const free: Address[] = []
  for (let bits = low + 1n; bits < high && free.length < 2; bits++) {
    const candidate = addressFromBits(4, bits)
    if (!used.has(candidate)) free.push(candidate)
  }
  const [first, second] = free
  if (first === undefined || second === undefined) throw new Refusal('InsufficientCapacity', `${world.seed.outside} has no two free addresses`, 500)
  return [first, second]
}

function insideVersionOf(given = 'ipv4'): InsideVersion {
  if (given !== 'ipv4' && given !== 'ipv6') throw invalidValue(given, 'TunnelInsideIpVersion', 'Expecting ipv4 or ipv6.')
  return given
}
interface Selectors {
  readonly LocalIpv4NetworkCidr?: string | undefined
  readonly RemoteIpv4NetworkCidr?: string | undefined
  readonly LocalIpv6NetworkCidr?: string | undefined
  readonly RemoteIpv6NetworkCidr?: string | undefined
}
/** Of the family that the tunnels process; those of the other can't be said. */
function selectors(version: InsideVersion, of: Selectors): Pick<VpnConnection, 'localCidr' | 'remoteCidr'> {
  const [own, other] = version === 'ipv4' ? ([4, 6] as const) : ([6, 4] as const)
  for (const name of [`LocalIpv${other}NetworkCidr`, `RemoteIpv${other}NetworkCidr`] as const)
    if (of[name] !== undefined)
      throw new Refusal('InvalidParameterCombination', `${name} cannot be specified for a VPN connection whose TunnelInsideIpVersion is ${version}`)
  const cidr = (name: keyof Selectors): Prefix => cidrOf(own, of[name] ?? (own === 4 ? '0.0.0.0/0' : '::/0'), name)
  return { localCidr: cidr(`LocalIpv${own}NetworkCidr`), remoteCidr: cidr(`RemoteIpv${own}NetworkCidr`) }
}

export function connectionOf(world: World, id: string, context: Context): VpnConnection {
  return findLiving(kinds.vpnConnection, world.vpnConnections, id, context)
}
function tunnelOf(row: VpnConnection, outside: string): VpnTunnel {
  const found = row.tunnels.find((tunnel) => tunnel.outside === outside)
  if (!found) throw invalidValue(outside, 'VpnTunnelOutsideIpAddress', `${row.id} has no tunnel with this outside address.`)
  return found
}

export const vpnActions = [
  action(
    'CreateCustomerGateway',
    {
      Type: needed(text),
      IpAddress: text,
      PublicIp: text,
      BgpAsn: integer,
      BgpAsnExtended: integer,
      DeviceName: text,
      TagSpecification: tagSpecifications,
    },
    (world, { Type, IpAddress, PublicIp, BgpAsn, BgpAsnExtended, DeviceName, TagSpecification }, context) => {
      if (Type !== 'ipsec.1') throw invalidValue(Type, 'Type', 'Expecting ipsec.1.')
      const given = IpAddress ?? PublicIp
      if (given === undefined) throw missing('IpAddress')
      const address = publicAddress(given)
      const asn = customerAsn(BgpAsn, BgpAsnExtended)
      const living = Object.values(world.customerGateways).filter(isLiving)
      // An identical request is answered with what exists (API Reference, CreateCustomerGateway).
      const twin = living.find((row) => row.address === address && row.asn === asn && row.deviceName === DeviceName)
      if (twin) return { customerGateway: customerGatewayXml(twin) }
      if (living.length >= world.seed.quotas.customerGateways)
        throw new Refusal(
          'CustomerGatewayLimitExceeded',
          `The maximum number of customer gateways has been reached: ${world.seed.quotas.customerGateways}`,
        )
      const row: CustomerGateway = {
        ...fresh(kinds.customerGateway, world, context),
        ...becoming('pending', 'available', world.seed.times.customerGateway, context),
        tags: tagsFor('customer-gateway', TagSpecification),
        address,
        asn,
        deviceName: DeviceName,
      }
      world.customerGateways[row.id] = row
      return { customerGateway: customerGatewayXml(row) }
    },
  ),
  action('DescribeCustomerGateways', { CustomerGatewayId: list(text), Filter: filterList }, (world, { CustomerGatewayId, Filter }, context) => {
    const { rows } = select(
      kinds.customerGateway,
      world.customerGateways,
      { ids: CustomerGatewayId, Filter },
      {
        'customer-gateway-id': (row) => [row.id],
        state: (row) => [row.state],
        type: () => ['ipsec.1'],
        'ip-address': (row) => [row.address],
        'bgp-asn': (row) => [row.asn],
        'device-name': (row) => [row.deviceName],
      },
      context,
    )
    return { customerGatewaySet: rows.map(customerGatewayXml) }
  }),
  action('DeleteCustomerGateway', { CustomerGatewayId: needed(text) }, (world, { CustomerGatewayId }, context) => {
    const row = findLiving(kinds.customerGateway, world.customerGateways, CustomerGatewayId, context)
    if (Object.values(world.vpnConnections).some((one) => one.customerGateway === row.id && one.state !== 'deleted'))
      throw incorrectState('The customer gateway is in use.')
    if (row.state !== 'available') throw incorrectState(`${row.id} is in invalid state: ${row.state}`)
    Object.assign(row, becoming('deleting', 'deleted', world.seed.times.customerGateway, context))
    return { return: true }
  }),
  action(
    'CreateVpnConnection',
    {
      CustomerGatewayId: needed(text),
      Type: needed(text),
      TransitGatewayId: needed(text),
      Options: group({
        StaticRoutesOnly: flag,
        EnableAcceleration: flag,
        TunnelInsideIpVersion: text,
        LocalIpv4NetworkCidr: text,
        RemoteIpv4NetworkCidr: text,
        LocalIpv6NetworkCidr: text,
        RemoteIpv6NetworkCidr: text,
        OutsideIpAddressType: text,
        TunnelOptions: list(group(tunnelFields)),
      }),
      TagSpecification: tagSpecifications,
    },
    (world, { CustomerGatewayId, Type, TransitGatewayId, Options, TagSpecification }, context) => {
      if (Type !== 'ipsec.1') throw invalidValue(Type, 'Type', 'Expecting ipsec.1.')
      const customer = findLiving(kinds.customerGateway, world.customerGateways, CustomerGatewayId, context)
      if (!isLiving(customer)) throw incorrectState(`${customer.id} is in invalid state: ${customer.state}`)
      const gateway = availableGateway(world, TransitGatewayId, context)
      if (Object.values(world.vpnConnections).filter((row) => row.state !== 'deleted').length >= world.seed.quotas.vpnConnections)
        throw new Refusal('VpnConnectionLimitExceeded', `The maximum number of VPN connections has been reached: ${world.seed.quotas.vpnConnections}`)
      limitAttachments(world)
      if (Options?.EnableAcceleration === true) throw invalidValue('true', 'EnableAcceleration', 'The emulator does not know it.')
      const insideVersion = insideVersionOf(Options?.TunnelInsideIpVersion)
      if ((Options?.OutsideIpAddressType ?? 'PublicIpv4') !== 'PublicIpv4')
        throw invalidValue(Options!.OutsideIpAddressType!, 'OutsideIpAddressType', 'The emulator knows only PublicIpv4.')
      if (Options?.StaticRoutesOnly !== true) throw invalidValue('false', 'StaticRoutesOnly', 'The emulator has no BGP: state true.')
      const options = Options.TunnelOptions ?? []
      if (options.length > 2)
        throw new Refusal('InvalidParameterValue', 'A VPN connection has two tunnels: at most two TunnelOptions can be specified.')
      const taken = insidesOf(world, gateway.id)
      const tunnels = freeOutsides(world).map((outside, n): VpnTunnel => {
        const settings = settle(options[n] ?? ({} as (typeof options)[number]), insideVersion, undefined, taken, context)
        for (const inside of insidesIn(settings)) taken.add(inside)
        return { outside, settings, readyAt: 0, up: false, changedAt: context.now, negotiated: null }
      })
      const row: VpnConnection = {
        ...fresh(kinds.vpnConnection, world, context),
        ...becoming('pending', 'available', world.seed.times.vpnConnection, context),
        tags: tagsFor('vpn-connection', TagSpecification),
        customerGateway: customer.id,
        gateway: gateway.id,
        insideVersion,
        ...selectors(insideVersion, Options),
        staticRoutesOnly: true,
        tunnels,
      }
      const attachment: Attachment = {
        ...fresh(kinds.attachment, world, context),
        ...becoming('pending', 'available', world.seed.times.vpnConnection, context),
        tags: {},
        gateway: gateway.id,
        resourceType: 'vpn',
        resourceId: row.id,
        subnets: [],
        ipv6: false,
      }
      world.vpnConnections[row.id] = row
      world.attachments[attachment.id] = attachment
      return { vpnConnection: connectionXml(world, row) }
    },
  ),
  action('DescribeVpnConnections', { VpnConnectionId: list(text), Filter: filterList }, (world, { VpnConnectionId, Filter }, context) => {
    const { rows } = select(
      kinds.vpnConnection,
      world.vpnConnections,
      { ids: VpnConnectionId, Filter },
      {
        'vpn-connection-id': (row) => [row.id],
        state: (row) => [row.state],
        type: () => ['ipsec.1'],
        'customer-gateway-id': (row) => [row.customerGateway],
        'transit-gateway-id': (row) => [row.gateway],
        'option.static-routes-only': (row) => [row.staticRoutesOnly],
      },
      context,
    )
    return { vpnConnectionSet: rows.map((row) => connectionXml(world, row)) }
  }),
  action('DeleteVpnConnection', { VpnConnectionId: needed(text) }, (world, { VpnConnectionId }, context) => {
    const row = connectionOf(world, VpnConnectionId, context)
    if (row.state === 'deleting') return { return: true }
    if (row.state === 'pending') throw incorrectState(`${row.id} is in invalid state: ${row.state}`)
    const leaving = becoming('deleting', 'deleted', world.seed.times.vpnConnection, context)
    Object.assign(row, leaving)
    for (const attachment of Object.values(world.attachments)) if (attachment.resourceId === row.id) Object.assign(attachment, { ...leaving })
    return { return: true }
  }),
  action(
    'ModifyVpnTunnelOptions',
    { VpnConnectionId: needed(text), VpnTunnelOutsideIpAddress: needed(text), TunnelOptions: needed(group(tunnelFields)) },
    (world, { VpnConnectionId, VpnTunnelOutsideIpAddress, TunnelOptions }, context) => {
      const row = connectionOf(world, VpnConnectionId, context)
      if (row.state !== 'available') throw incorrectState(`${row.id} is in invalid state: ${row.state}`)
      const tunnel = tunnelOf(row, VpnTunnelOutsideIpAddress)
      tunnel.settings = settle(TunnelOptions, row.insideVersion, tunnel.settings, insidesOf(world, row.gateway, tunnel.outside), context)
      tunnel.readyAt = context.now + world.seed.times.tunnel
      Object.assign(row, becoming('modifying', 'available', world.seed.times.tunnel, context))
      return { vpnConnection: connectionXml(world, row) }
    },
  ),
  action(
    'GetVpnTunnelReplacementStatus',
    { VpnConnectionId: needed(text), VpnTunnelOutsideIpAddress: needed(text) },
    (world, { VpnConnectionId, VpnTunnelOutsideIpAddress }, context) => {
      const row = connectionOf(world, VpnConnectionId, context)
      const tunnel = tunnelOf(row, VpnTunnelOutsideIpAddress)
      return {
        vpnConnectionId: row.id,
        transitGatewayId: row.gateway,
        customerGatewayId: row.customerGateway,
        vpnTunnelOutsideIpAddress: tunnel.outside,
        maintenanceDetails: { pendingMaintenance: 'false' },
      }
    },
  ),
  action(
    'GetActiveVpnTunnelStatus',
    { VpnConnectionId: needed(text), VpnTunnelOutsideIpAddress: needed(text) },
    (world, { VpnConnectionId, VpnTunnelOutsideIpAddress }, context) => {
      const row = connectionOf(world, VpnConnectionId, context)
      const tunnel = tunnelOf(row, VpnTunnelOutsideIpAddress)
      const { negotiated } = tunnel
      return {
        activeVpnTunnelStatus: {
          ...(negotiated && {
            phase1EncryptionAlgorithm: negotiated.phase1.encryption,
            phase1IntegrityAlgorithm: negotiated.phase1.integrity,
            phase1DHGroup: negotiated.phase1.group,
            phase2EncryptionAlgorithm: negotiated.phase2.encryption,
            phase2IntegrityAlgorithm: negotiated.phase2.integrity,
            phase2DHGroup: negotiated.phase2.group,
            ikeVersion: negotiated.ike,
          }),
          provisioningStatus: row.state === 'available' && tunnel.readyAt <= context.now ? 'available' : 'pending',
        },
      }
    },
  ),
]
