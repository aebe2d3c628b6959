/** The emulated cloud without sockets or waiting: time and ids are arguments. */
import * as sdk from '@aws-sdk/client-ec2'
import { describe, expect, it } from 'vitest'
import { actionNames, advance, call, nextChange, report } from '#providers/aws/emulator/core.ts'
import { parseSeed, type SeedInput } from '#providers/aws/emulator/seed.ts'
import { forwardingOf, tunnelsOf } from '#providers/aws/emulator/view.ts'
import { type World, worldOf } from '#providers/aws/emulator/world.ts'
import { render, type Xml } from '#providers/aws/emulator/xml.ts'
import { ids, seed } from './cloud.ts'

type Parameters = Readonly<Record<string, string | number>>
/** A region, a clock that only moves when told to, and ids that count. */
function region(change: Partial<SeedInput['regions'][number]> = {}, denied: readonly string[] = []) {
  let now = 1_000
  let count = 0
  const context = () => ({ now, hex: (n: number) => (++count).toString(16).padStart(n, '0') })
  let world: World = worldOf(parseSeed({ ...seed, regions: [{ ...seed.regions[0], ...change }] }), 'eu-west-1', context())!
  const outcome = (Action: string, parameters: Parameters = {}) => {
    const all: Parameters = { Action, Version: '2016-11-15', ...parameters }
    return call(
      world,
      Object.entries(all).map(([name, value]): [string, string] => [name, `${value}`]),
      denied,
      context(),
    )
  }
  return {
    /** Answers the result. */
    ask(action: string, parameters: Parameters = {}): Xml {
      const done = outcome(action, parameters)
      if (!done.ok) throw done.refusal
      world = done.world
      return done.result
    },
    /** `Code: message`, or `ok`. */
    refusal(action: string, parameters: Parameters = {}): string {
      const done = outcome(action, parameters)
      return done.ok ? 'ok' : `${done.refusal.code}: ${done.refusal.message}`
    },
    wait(ms: number) {
      now += ms
      world = advance(world, now)
    },
    set(next: (world: World) => World) {
      world = next(world)
    },
    get world() {
      return world
    },
    get now() {
      return now
    },
  }
}
type Region = ReturnType<typeof region>
/** The first text of an element of this name. */
const pick = (xml: Xml, name: string): string => new RegExp(`<${name}>([^<]*)</${name}>`).exec(render(xml))?.[1] ?? ''
const all = (xml: Xml, name: string): string[] => [...render(xml).matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map((match) => match[1]!)
const off = { 'Options.DefaultRouteTableAssociation': 'disable', 'Options.DefaultRouteTablePropagation': 'disable' }

function gateway(at: Region): string {
  const id = pick(at.ask('CreateTransitGateway', off), 'transitGatewayId')
  at.wait(2_500)
  return id
}
function customer(at: Region, address = '192.0.2.10'): string {
  return pick(at.ask('CreateCustomerGateway', { Type: 'ipsec.1', IpAddress: address, BgpAsn: 65_000 }), 'customerGatewayId')
}
const vpn = (CustomerGatewayId: string, TransitGatewayId: string, options: Parameters = {}): Parameters => ({
  CustomerGatewayId,
  TransitGatewayId,
  Type: 'ipsec.1',
  'Options.StaticRoutesOnly': 'true',
  ...options,
})
const tunnel = (name: string, value: string | number): Parameters => ({ [`Options.TunnelOptions.1.${name}`]: value })
/** A gateway, its table, the VPC attached, a connection; everything available and associated. */
function built(at: Region) {
  const tgw = gateway(at)
  const cgw = customer(at)
  const table = pick(at.ask('CreateTransitGatewayRouteTable', { TransitGatewayId: tgw }), 'transitGatewayRouteTableId')
  const vpc = pick(
    at.ask('CreateTransitGatewayVpcAttachment', { TransitGatewayId: tgw, VpcId: ids.vpc, 'SubnetIds.1': ids.subnetA }),
    'transitGatewayAttachmentId',
  )
  const connection = pick(at.ask('CreateVpnConnection', vpn(cgw, tgw)), 'vpnConnectionId')
  at.wait(3_000)
  const attachment = pick(
    at.ask('DescribeTransitGatewayAttachments', { 'Filter.1.Name': 'resource-type', 'Filter.1.Value.1': 'vpn' }),
    'transitGatewayAttachmentId',
  )
  for (const TransitGatewayAttachmentId of [vpc, attachment])
    at.ask('AssociateTransitGatewayRouteTable', { TransitGatewayRouteTableId: table, TransitGatewayAttachmentId })
  at.wait(1_500)
  return { tgw, cgw, table, vpc, connection, attachment }
}

describe('states that take time', () => {
  it('pass from pending to available and from deleting to deleted, and are forgotten in the end', () => {
    const at = region()
    const id = pick(at.ask('CreateTransitGateway', off), 'transitGatewayId')
    const state = () => pick(at.ask('DescribeTransitGateways', { 'TransitGatewayIds.1': id }), 'state')
    expect([state(), nextChange(at.world)]).toEqual(['pending', 3_500])
    at.wait(2_499)
    expect(state()).toBe('pending')
    at.wait(1)
    expect(state()).toBe('available')
    at.ask('DeleteTransitGateway', { TransitGatewayId: id })
    expect(state()).toBe('deleting')
    at.wait(2_500)
    expect(state()).toBe('deleted')
    at.wait(3_600_000)
    expect(at.refusal('DescribeTransitGateways', { 'TransitGatewayIds.1': id })).toMatch(/^InvalidTransitGatewayID.NotFound/)
  })

  it('hide what was just made: eventual consistency', () => {
    const at = region({ times: { consistency: 700 } })
    const cgw = customer(at)
    expect(at.refusal('DescribeCustomerGateways', { 'CustomerGatewayId.1': cgw })).toBe(
      `InvalidCustomerGatewayID.NotFound: The customerGateway ID '${cgw}' does not exist`,
    )
    expect(all(at.ask('DescribeCustomerGateways'), 'customerGatewayId')).toEqual([])
    at.wait(700)
    expect(all(at.ask('DescribeCustomerGateways'), 'customerGatewayId')).toEqual([cgw])
  })

  it('take associations and propagations along when an attachment goes, and turn its routes to blackholes', () => {
    const at = region()
    const { table, attachment, connection, cgw } = built(at)
    at.ask('CreateTransitGatewayRoute', {
      TransitGatewayRouteTableId: table,
      DestinationCidrBlock: '10.1.0.0/16',
      TransitGatewayAttachmentId: attachment,
    })
    const routes = () => {
      const found = at.ask('SearchTransitGatewayRoutes', { TransitGatewayRouteTableId: table, 'Filter.1.Name': 'type', 'Filter.1.Value.1': 'static' })
      return [pick(found, 'destinationCidrBlock'), pick(found, 'state')]
    }
    expect(routes()).toEqual(['10.1.0.0/16', 'active'])
    at.ask('DeleteVpnConnection', { VpnConnectionId: connection })
    expect(routes()).toEqual(['10.1.0.0/16', 'blackhole'])
    expect(at.refusal('DeleteCustomerGateway', { CustomerGatewayId: cgw })).toBe('IncorrectState: The customer gateway is in use.')
    at.wait(3_000)
    expect(all(at.ask('GetTransitGatewayRouteTableAssociations', { TransitGatewayRouteTableId: table }), 'resourceType')).toEqual(['vpc'])
    expect(at.refusal('DeleteCustomerGateway', { CustomerGatewayId: cgw })).toBe('ok')
  })
})

describe('tunnels', () => {
  it('run from the moment that the connection is available, with the options that were sent', () => {
    const at = region()
    const options = {
      ...tunnel('TunnelInsideCidr', '169.254.10.4/30'),
      ...tunnel('PreSharedKey', 'key.of_the.tunnel'),
      ...tunnel('Phase1DHGroupNumber.1.Value', 20),
      ...tunnel('DPDTimeoutSeconds', 40),
    }
    at.ask('CreateVpnConnection', vpn(customer(at), gateway(at), options))
    expect(tunnelsOf(at.world, at.now)).toEqual([])
    at.wait(3_000)
    const [first, second] = tunnelsOf(at.world, at.now)
    expect(first).toMatchObject({
      outside: '203.0.113.1',
      inside: '169.254.10.5/30',
      customer: '192.0.2.10',
      settings: { preSharedKey: 'key.of_the.tunnel', phase1Groups: [20], dpdTimeout: 40 },
    })
    // What was not sent is weak by default, as with AWS.
    expect(second).toMatchObject({
      outside: '203.0.113.2',
      settings: {
        phase1Groups: [2, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24],
        phase1Encryption: ['AES128', 'AES256', 'AES128-GCM-16', 'AES256-GCM-16'],
        ikeVersions: ['ikev1', 'ikev2'],
      },
    })
    expect(second?.settings.preSharedKey).toMatch(/^[A-Za-z._][A-Za-z0-9._]{7,63}$/)
  })

  it('that are modified are away until they are replaced, and their neighbour runs on', () => {
    const at = region()
    const { connection } = built(at)
    at.ask('ModifyVpnTunnelOptions', {
      VpnConnectionId: connection,
      VpnTunnelOutsideIpAddress: '203.0.113.2',
      'TunnelOptions.PreSharedKey': 'the.next_key',
    })
    expect(tunnelsOf(at.world, at.now).map((one) => one.outside)).toEqual(['203.0.113.1'])
    expect(
      at.refusal('ModifyVpnTunnelOptions', {
        VpnConnectionId: connection,
        VpnTunnelOutsideIpAddress: '203.0.113.1',
        'TunnelOptions.PreSharedKey': 'the.next_key',
      }),
    ).toMatch(/^IncorrectState/)
    at.wait(2_000)
    expect(tunnelsOf(at.world, at.now).map((one) => one.settings.preSharedKey)).toContain('the.next_key')
  })

  it('are UP in the telemetry when they are reported so, with the time of the change', () => {
    const at = region()
    const { connection } = built(at)
    at.wait(60_000)
    at.set((world) => report(world, { outside: '203.0.113.2', up: true, negotiated: null }, at.now))
    const telemetry = at.ask('DescribeVpnConnections', { 'VpnConnectionId.1': connection })
    expect(all(telemetry, 'status')).toEqual(['UP', 'DOWN'])
    expect(all(telemetry, 'lastStatusChange')[0]).toBe(new Date(at.now).toISOString())
  })

  const rules: readonly (readonly [string, string | number, string])[] = [
    ['PreSharedKey', 'short.1', 'The pre-shared key is invalid'],
    ['PreSharedKey', '0starts.with.zero', 'The pre-shared key is invalid'],
    ['PreSharedKey', 'has-a-dash-in-it', 'The pre-shared key is invalid'],
    ['PreSharedKey', 'x'.repeat(65), 'The pre-shared key is invalid'],
    ['TunnelInsideCidr', '169.254.10.0/29', 'must be a size /30 block'],
    ['TunnelInsideCidr', '169.254.10.1/30', 'must be a size /30 block'],
    ['TunnelInsideCidr', '10.0.0.0/30', 'must be a size /30 block'],
    ['TunnelInsideCidr', '169.254.5.0/30', 'is reserved'],
    ['TunnelInsideCidr', '169.254.169.252/30', 'is reserved'],
    ['TunnelInsideIpv6Cidr', 'fd12:3456::/126', 'can only be specified for a VPN connection whose TunnelInsideIpVersion is ipv6'],
    ['Phase1LifetimeSeconds', 899, 'between 900 and 28800'],
    ['Phase2LifetimeSeconds', 3_601, 'between 900 and 3600'],
    ['Phase1LifetimeSeconds', 900, 'It must be less than Phase1LifetimeSeconds'],
    ['RekeyMarginTimeSeconds', 59, 'between 60 and 1800'],
    ['RekeyFuzzPercentage', 101, 'between 0 and 100'],
    ['ReplayWindowSize', 63, 'between 64 and 2048'],
    ['DPDTimeoutSeconds', 29, 'between 30 and 86400'],
    ['DPDTimeoutAction', 'reboot', 'one of clear, none, restart'],
    ['StartupAction', 'begin', 'one of add, start'],
    ['StartupAction', 'start', 'It needs IKEv2 alone'],
    ['Phase1EncryptionAlgorithm.1.Value', '3DES', 'some of AES128'],
    ['Phase1IntegrityAlgorithm.1.Value', 'MD5', 'some of SHA1'],
    ['Phase1DHGroupNumber.1.Value', 5, 'some of 2, 14'],
    ['IKEVersion.1.Value', 'ikev3', 'some of ikev1'],
  ]
  it.each(rules)('refuse %s %s', (name, value, says) => {
    const at = region()
    const parameters = vpn(customer(at), gateway(at), tunnel(name, value))
    const refusal = at.refusal('CreateVpnConnection', parameters)
    expect(refusal).toMatch(name === 'TunnelInsideIpv6Cidr' ? /^InvalidParameterCombination: / : /^InvalidParameterValue: /)
    expect(refusal).toContain(says)
    expect(at.world.vpnConnections).toEqual({})
  })

  it('have inside CIDRs that are unique per gateway, within a connection too', () => {
    const at = region()
    const { tgw } = built(at)
    const cgw = customer(at, '192.0.2.11')
    const twice = { ...tunnel('TunnelInsideCidr', '169.254.20.0/30'), 'Options.TunnelOptions.2.TunnelInsideCidr': '169.254.20.0/30' }
    expect(at.refusal('CreateVpnConnection', vpn(cgw, tgw, twice))).toContain('already in use')
    at.ask('CreateVpnConnection', vpn(cgw, tgw, tunnel('TunnelInsideCidr', '169.254.20.0/30')))
    expect(at.refusal('CreateVpnConnection', vpn(cgw, tgw, tunnel('TunnelInsideCidr', '169.254.20.0/30')))).toContain('already in use')
  })

  it('are not made once more by the same call: there is no client token', () => {
    const at = region()
    const { tgw, cgw } = built(at)
    at.ask('CreateVpnConnection', vpn(cgw, tgw))
    expect(Object.keys(at.world.vpnConnections)).toHaveLength(2)
    // An identical customer gateway, however, is answered with the one that exists.
    expect(customer(at)).toBe(cgw)
  })
})

describe('IPv6', () => {
  const [vpc] = seed.regions[0]!.vpcs!
  const dual = {
    vpcs: [
      {
        ...vpc!,
        ipv6: '2600:1f18:1234:5600::/56',
        subnets: vpc!.subnets.map((one, n) => (n < 2 ? { ...one, ipv6: `2600:1f18:1234:560${n}::/64` } : one)),
        hosts: [{ ...vpc!.hosts[0]!, ipv6: '2600:1f18:1234:5600::10' }],
      },
    ],
  }
  const six = { 'Options.TunnelInsideIpVersion': 'ipv6' }

  it('is what a connection that is made for it carries, with a /126 beside the /30, and nothing else', () => {
    const at = region(dual)
    const [tgw, cgw] = [gateway(at), customer(at)]
    const made = at.ask('CreateVpnConnection', vpn(cgw, tgw, { ...six, ...tunnel('TunnelInsideIpv6Cidr', 'fd12:3456::4/126') }))
    expect(pick(made, 'tunnelInsideIpVersion')).toBe('ipv6')
    expect([pick(made, 'localIpv6NetworkCidr'), pick(made, 'localIpv4NetworkCidr')]).toEqual(['::/0', ''])
    expect(all(made, 'tunnelInsideIpv6Cidr')).toEqual(['fd12:3456::4/126', expect.stringMatching(/^fd[0-9a-f:]+\/126$/)])
    expect(all(made, 'tunnelInsideCidr').filter((one) => /^169\.254\..*\/30$/.test(one))).toHaveLength(2)
    at.wait(3_000)
    expect(tunnelsOf(at.world, at.now)[0]).toMatchObject({ inside: 'fd12:3456::5/126' })
    const [id = ''] = Object.keys(at.world.vpnConnections)
    at.ask('ModifyVpnTunnelOptions', {
      VpnConnectionId: id,
      VpnTunnelOutsideIpAddress: '203.0.113.1',
      'TunnelOptions.TunnelInsideIpv6Cidr': 'fd12:3456::8/126',
    })
    at.wait(2_000)
    expect(tunnelsOf(at.world, at.now)[0]).toMatchObject({ inside: 'fd12:3456::9/126' })
  })

  it.each([
    ['a version that is none', { 'Options.TunnelInsideIpVersion': 'ipv5' }, /^InvalidParameterValue: .*TunnelInsideIpVersion.*ipv4 or ipv6/],
    ['a /64 inside', { ...six, ...tunnel('TunnelInsideIpv6Cidr', 'fd12:3456::/64') }, /^InvalidParameterValue: .*size \/126 block from fd00::\/8/],
    ['a public inside', { ...six, ...tunnel('TunnelInsideIpv6Cidr', '2001:db8::/126') }, /^InvalidParameterValue: .*size \/126 block/],
    ['host bits', { ...six, ...tunnel('TunnelInsideIpv6Cidr', 'fd12:3456::1/126') }, /^InvalidParameterValue: .*size \/126 block/],
    [
      'one inside twice',
      { ...six, ...tunnel('TunnelInsideIpv6Cidr', 'fd12::/126'), 'Options.TunnelOptions.2.TunnelInsideIpv6Cidr': 'fd12::/126' },
      /already in use/,
    ],
    ['selectors of the other family', { ...six, 'Options.LocalIpv4NetworkCidr': '0.0.0.0/0' }, /^InvalidParameterCombination: LocalIpv4NetworkCidr/],
    ['IPv6 selectors of IPv4', { 'Options.RemoteIpv6NetworkCidr': '::/0' }, /^InvalidParameterCombination: RemoteIpv6NetworkCidr/],
  ])('is refused with %s', (_, options, expected) => {
    const at = region(dual)
    const [tgw, cgw] = [gateway(at), customer(at)]
    expect(at.refusal('CreateVpnConnection', vpn(cgw, tgw, options))).toMatch(expected)
    expect(at.world.vpnConnections).toEqual({})
  })

  it('is in an attachment whose subnets have it all, also later, and is propagated by it', () => {
    const at = region(dual)
    const { table, vpc } = built(at)
    const attached = () => pick(at.ask('DescribeTransitGatewayVpcAttachments', { 'TransitGatewayAttachmentIds.1': vpc }), 'ipv6Support')
    at.ask('EnableTransitGatewayRouteTablePropagation', { TransitGatewayRouteTableId: table, TransitGatewayAttachmentId: vpc })
    at.wait(1_000)
    const propagated = () => forwardingOf(at.world).transit[0]!.routes.map(({ destination }) => destination)
    expect([attached(), propagated()]).toEqual(['disable', ['10.50.0.0/16']])
    const enable = { TransitGatewayAttachmentId: vpc, 'Options.Ipv6Support': 'enable' }
    expect(at.refusal('ModifyTransitGatewayVpcAttachment', { ...enable, 'AddSubnetIds.1': ids.subnetA2, 'RemoveSubnetIds.1': ids.subnetA })).toMatch(
      /^InvalidParameterValue: Subnet .* has no IPv6 CIDR block/,
    )
    at.ask('ModifyTransitGatewayVpcAttachment', enable)
    at.wait(2_000)
    expect([attached(), propagated()]).toEqual(['enable', ['10.50.0.0/16', '2600:1f18:1234:5600::/56']])
  })

  it('has routes of its own, counted by themselves, in a field of its own', () => {
    const at = region({ ...dual, quotas: { routes: 2 } })
    const { tgw, table, attachment } = built(at)
    const route = (more: Parameters) => ({ RouteTableId: ids.routes, TransitGatewayId: tgw, ...more })
    at.ask('CreateRoute', route({ DestinationCidrBlock: '10.1.0.0/16' }))
    at.ask('CreateRoute', route({ DestinationIpv6CidrBlock: 'fd10:1::/64' }))
    expect(at.refusal('CreateRoute', route({ DestinationIpv6CidrBlock: 'fd10:2::/64' }))).toMatch(/^RouteLimitExceeded/)
    expect(at.refusal('CreateRoute', route({}))).toMatch(/^MissingParameter: .*DestinationCidrBlock/)
    expect(at.refusal('CreateRoute', route({ DestinationCidrBlock: 'fd10:2::/64' }))).toMatch(/^InvalidParameterValue/)
    expect(at.refusal('CreateRoute', route({ DestinationIpv6CidrBlock: '10.2.0.0/16' }))).toMatch(/^InvalidParameterValue/)
    const twice = { DestinationCidrBlock: '10.2.0.0/16', DestinationIpv6CidrBlock: 'fd10:2::/64' }
    expect(at.refusal('CreateRoute', route(twice))).toMatch(/^InvalidParameterCombination/)
    const tables = at.ask('DescribeRouteTables', { 'RouteTableId.1': ids.routes })
    expect(all(tables, 'destinationIpv6CidrBlock')).toEqual(['2600:1f18:1234:5600::/56', 'fd10:1::/64'])
    at.ask('ReplaceRoute', route({ DestinationIpv6CidrBlock: 'fd10:1::/64' }))
    at.ask('DeleteRoute', { RouteTableId: ids.routes, DestinationIpv6CidrBlock: 'fd10:1::/64' })
    expect(at.refusal('DeleteRoute', { RouteTableId: ids.routes, DestinationIpv6CidrBlock: 'fd10:1::/64' })).toContain('destination-ipv6-cidr-block')
    at.ask('CreateTransitGatewayRoute', {
      TransitGatewayRouteTableId: table,
      DestinationCidrBlock: 'fd10:1::/64',
      TransitGatewayAttachmentId: attachment,
    })
    const found = (value: string) =>
      all(
        at.ask('SearchTransitGatewayRoutes', {
          TransitGatewayRouteTableId: table,
          'Filter.1.Name': 'route-search.subnet-of-match',
          'Filter.1.Value.1': value,
        }),
        'destinationCidrBlock',
      )
    expect([found('::/0'), found('0.0.0.0/0')]).toEqual([['fd10:1::/64'], []])
  })

  it('is in groups by its own ranges and its own ICMP, and a new group lets all of it out', () => {
    const at = region(dual)
    const group = pick(at.ask('CreateSecurityGroup', { GroupName: 'x', GroupDescription: 'x', VpcId: ids.vpc }), 'groupId')
    const shown = () => at.ask('DescribeSecurityGroups', { 'GroupId.1': group })
    expect(all(shown(), 'cidrIpv6')).toEqual(['::/0'])
    const permit = (protocol: string, from: number, range: Parameters) => ({
      GroupId: group,
      'IpPermissions.1.IpProtocol': protocol,
      'IpPermissions.1.FromPort': from,
      'IpPermissions.1.ToPort': protocol === '58' ? 0 : from,
      ...range,
    })
    at.ask('AuthorizeSecurityGroupIngress', permit('58', 2, { 'IpPermissions.1.Ipv6Ranges.1.CidrIpv6': '::/0' }))
    at.ask('AuthorizeSecurityGroupIngress', permit('tcp', 443, { 'IpPermissions.1.Ipv6Ranges.1.CidrIpv6': 'fd10:1::/64' }))
    expect(all(shown(), 'ipProtocol')).toEqual(['icmpv6', 'tcp', '-1'])
    expect(at.refusal('AuthorizeSecurityGroupIngress', permit('icmp', 8, { 'IpPermissions.1.Ipv6Ranges.1.CidrIpv6': 'fd10::/64' }))).toMatch(
      /^InvalidParameterValue: Protocol icmp can't be used with fd10::\/64/,
    )
    expect(at.refusal('AuthorizeSecurityGroupIngress', permit('tcp', 1, { 'IpPermissions.1.IpRanges.1.CidrIp': 'fd10::/64' }))).toMatch(
      /^InvalidParameterValue/,
    )
    expect(forwardingOf(at.world).vpcs[0]?.hosts[0]?.addresses).toEqual(['10.50.1.10', '2600:1f18:1234:5600::10'])
  })
})

describe('refusals', () => {
  type Case = readonly [string, string, (with_: ReturnType<typeof built>) => Parameters, RegExp]
  const missing = '0123456789abcdef0'
  const cases: readonly Case[] = [
    ['an unknown action', 'RunInstances', () => ({}), /^InvalidAction: The action RunInstances is not valid/],
    ['an unknown parameter', 'DescribeVpcs', () => ({ Colour: 'red' }), /^UnknownParameter: The parameter Colour is not recognized/],
    [
      'an unknown nested parameter',
      'CreateTransitGateway',
      () => ({ ...off, 'Options.Speed': '1' }),
      /^UnknownParameter: The parameter Options.Speed/,
    ],
    ['a value where a structure belongs', 'CreateTransitGateway', () => ({ Options: 'x' }), /^UnknownParameter: The parameter Options /],
    ['a list that starts at 0', 'DescribeVpcs', () => ({ 'VpcId.0': ids.vpc }), /^UnknownParameter: The parameter VpcId.0/],
    ['no number', 'DescribeVpcs', () => ({ MaxResults: 'ten' }), /^InvalidParameterValue: Value \(ten\) for parameter MaxResults/],
    ['no truth value', 'DescribeVpcs', () => ({ DryRun: 'yes' }), /^InvalidParameterValue: Value \(yes\) for parameter DryRun/],
    ['a missing parameter', 'DeleteVpnConnection', () => ({}), /^MissingParameter: The request must contain the parameter VpnConnectionId/],
    ['another version of the API', 'DescribeVpcs', () => ({ Version: '2010-01-01' }), /^NoSuchVersion/],
    ['a dry run', 'DescribeVpcs', () => ({ DryRun: 'true' }), /^DryRunOperation: Request would have succeeded/],
    [
      'an unknown filter',
      'DescribeVpcs',
      () => ({ 'Filter.1.Name': 'colour', 'Filter.1.Value.1': 'red' }),
      /^InvalidParameterValue: The filter 'colour' is invalid/,
    ],
    ['a filter without values', 'DescribeVpcs', () => ({ 'Filter.1.Name': 'state' }), /^InvalidParameterValue: The filter 'state' has no values/],
    ['a page of 4', 'DescribeVpcs', () => ({ MaxResults: 4 }), /^InvalidParameterValue: .*between 5 and 1000/],
    ['ids and a page', 'DescribeVpcs', () => ({ 'VpcId.1': ids.vpc, MaxResults: 5 }), /^InvalidParameterCombination/],
    ['a token of its own making', 'DescribeVpcs', () => ({ NextToken: 'x' }), /^InvalidNextToken/],
    ['a malformed transit gateway', 'DeleteTransitGateway', () => ({ TransitGatewayId: 'tgw-1' }), /^InvalidTransitGatewayID.Malformed/],
    ['an unknown transit gateway', 'DeleteTransitGateway', () => ({ TransitGatewayId: `tgw-${missing}` }), /^InvalidTransitGatewayID.NotFound/],
    [
      'an unknown attachment',
      'DeleteTransitGatewayVpcAttachment',
      () => ({ TransitGatewayAttachmentId: `tgw-attach-${missing}` }),
      /^InvalidTransitGatewayAttachmentID.NotFound/,
    ],
    [
      'an unknown route table',
      'DeleteTransitGatewayRouteTable',
      () => ({ TransitGatewayRouteTableId: `tgw-rtb-${missing}` }),
      /^InvalidRouteTableID.NotFound/,
    ],
    ['an unknown customer gateway', 'DeleteCustomerGateway', () => ({ CustomerGatewayId: `cgw-${missing}` }), /^InvalidCustomerGatewayID.NotFound/],
    ['a malformed customer gateway', 'DeleteCustomerGateway', () => ({ CustomerGatewayId: 'x' }), /^InvalidCustomerGatewayId.Malformed/],
    ['an unknown connection', 'DeleteVpnConnection', () => ({ VpnConnectionId: `vpn-${missing}` }), /^InvalidVpnConnectionID.NotFound/],
    ['an unknown VPC', 'DescribeVpcs', () => ({ 'VpcId.1': `vpc-${missing}` }), /^InvalidVpcID.NotFound/],
    ['an unknown subnet', 'DescribeSubnets', () => ({ 'SubnetId.1': `subnet-${missing}` }), /^InvalidSubnetID.NotFound/],
    ['an unknown group', 'DeleteSecurityGroup', () => ({ GroupId: `sg-${missing}` }), /^InvalidGroup.NotFound/],
    ['the default group', 'DeleteSecurityGroup', () => ({ GroupId: 'sg-00000000000000001' }), /^CannotDelete/],
    [
      'AWS making a route table by itself',
      'CreateTransitGateway',
      () => ({}),
      /^InvalidParameterValue: Value \(enable\) for parameter DefaultRouteTableAssociation/,
    ],
    ['a public ASN', 'CreateTransitGateway', () => ({ ...off, 'Options.AmazonSideAsn': 3320 }), /^InvalidParameterValue: .*AmazonSideAsn/],
    [
      'a reserved tag',
      'CreateTransitGateway',
      () => ({ ...off, 'TagSpecification.1.ResourceType': 'transit-gateway', 'TagSpecification.1.Tag.1.Key': 'aws:x' }),
      /reserved for internal use/,
    ],
    [
      'a tag twice',
      'CreateTags',
      (b) => ({ 'ResourceId.1': b.tgw, 'Tag.1.Key': 'a', 'Tag.1.Value': '1', 'Tag.2.Key': 'a', 'Tag.2.Value': '2' }),
      /Duplicate tag key 'a'/,
    ],
    [
      'tags of another kind',
      'CreateTransitGateway',
      () => ({ ...off, 'TagSpecification.1.ResourceType': 'vpc', 'TagSpecification.1.Tag.1.Key': 'x' }),
      /'vpc' is not a valid taggable resource type/,
    ],
    ['tags of nothing', 'CreateTags', () => ({ 'ResourceId.1': 'nothing', 'Tag.1.Key': 'a' }), /^InvalidID/],
    [
      'a second attachment of a VPC',
      'CreateTransitGatewayVpcAttachment',
      (b) => ({ TransitGatewayId: b.tgw, VpcId: ids.vpc, 'SubnetIds.1': ids.subnetA }),
      /^DuplicateTransitGatewayAttachment/,
    ],
    [
      'two subnets of a zone',
      'CreateTransitGatewayVpcAttachment',
      (b) => ({ TransitGatewayId: b.tgw, VpcId: ids.vpc, 'SubnetIds.1': ids.subnetA, 'SubnetIds.2': ids.subnetA2 }),
      /^DuplicateSubnetsInSameZone/,
    ],
    [
      'a zone added twice',
      'ModifyTransitGatewayVpcAttachment',
      (b) => ({ TransitGatewayAttachmentId: b.vpc, 'AddSubnetIds.1': ids.subnetA2 }),
      /^DuplicateSubnetsInSameZone/,
    ],
    [
      'an attachment without a subnet',
      'ModifyTransitGatewayVpcAttachment',
      (b) => ({ TransitGatewayAttachmentId: b.vpc, 'RemoveSubnetIds.1': ids.subnetA }),
      /^InvalidParameterValue: .* must keep at least one subnet/,
    ],
    [
      'a subnet taken off that is not attached',
      'ModifyTransitGatewayVpcAttachment',
      (b) => ({ TransitGatewayAttachmentId: b.vpc, 'RemoveSubnetIds.1': ids.subnetB }),
      /^InvalidSubnetID.NotFound: .* is not attached by/,
    ],
    [
      "a connection's attachment as a VPC's",
      'ModifyTransitGatewayVpcAttachment',
      (b) => ({ TransitGatewayAttachmentId: b.attachment, 'AddSubnetIds.1': ids.subnetB }),
      /^InvalidTransitGatewayAttachmentID.NotFound/,
    ],
    [
      'a second association',
      'AssociateTransitGatewayRouteTable',
      (b) => ({ TransitGatewayRouteTableId: b.table, TransitGatewayAttachmentId: b.vpc }),
      /^Resource.AlreadyAssociated/,
    ],
    [
      'a propagation that is not there',
      'DisableTransitGatewayRouteTablePropagation',
      (b) => ({ TransitGatewayRouteTableId: b.table, TransitGatewayAttachmentId: b.vpc }),
      /^TransitGatewayRouteTablePropagation.NotFound/,
    ],
    [
      'a table in use',
      'DeleteTransitGatewayRouteTable',
      (b) => ({ TransitGatewayRouteTableId: b.table }),
      /^IncorrectState: .*has associated attachments/,
    ],
    ['a gateway in use', 'DeleteTransitGateway', (b) => ({ TransitGatewayId: b.tgw }), /^IncorrectState: .*non-deleted VPN Attachments: tgw-attach-/],
    [
      'a route to nowhere',
      'CreateTransitGatewayRoute',
      (b) => ({ TransitGatewayRouteTableId: b.table, DestinationCidrBlock: '10.1.0.0/16' }),
      /^MissingParameter: .*TransitGatewayAttachmentId/,
    ],
    [
      'a route with host bits',
      'CreateTransitGatewayRoute',
      (b) => ({ TransitGatewayRouteTableId: b.table, DestinationCidrBlock: '10.1.0.1/16', Blackhole: 'true' }),
      /^InvalidParameterValue: Value \(10.1.0.1\/16\)/,
    ],
    [
      'replacing no route',
      'ReplaceTransitGatewayRoute',
      (b) => ({ TransitGatewayRouteTableId: b.table, DestinationCidrBlock: '10.9.0.0/16', Blackhole: 'true' }),
      /^InvalidRoute.NotFound/,
    ],
    [
      'deleting no route',
      'DeleteTransitGatewayRoute',
      (b) => ({ TransitGatewayRouteTableId: b.table, DestinationCidrBlock: '10.9.0.0/16' }),
      /^InvalidRoute.NotFound/,
    ],
    [
      'the VPC route of the VPC itself',
      'CreateRoute',
      (b) => ({ RouteTableId: ids.routes, DestinationCidrBlock: '10.50.0.0/16', TransitGatewayId: b.tgw }),
      /^RouteAlreadyExists/,
    ],
    ['deleting no VPC route', 'DeleteRoute', () => ({ RouteTableId: ids.routes, DestinationCidrBlock: '10.9.0.0/16' }), /^InvalidRoute.NotFound/],
    ['a private customer gateway', 'CreateCustomerGateway', () => ({ Type: 'ipsec.1', IpAddress: '10.0.0.1' }), /Internet-routable/],
    [
      'an ASN beyond BgpAsn',
      'CreateCustomerGateway',
      () => ({ Type: 'ipsec.1', IpAddress: '192.0.2.1', BgpAsn: 2_147_483_648 }),
      /^InvalidParameterValue: .*BgpAsn/,
    ],
    [
      'a connection with BGP',
      'CreateVpnConnection',
      (b) => vpn(b.cgw, b.tgw, { 'Options.StaticRoutesOnly': 'false' }),
      /^InvalidParameterValue: .*StaticRoutesOnly/,
    ],
    [
      'three tunnels',
      'CreateVpnConnection',
      (b) =>
        vpn(b.cgw, b.tgw, {
          'Options.TunnelOptions.3.DPDTimeoutSeconds': 30,
          'Options.TunnelOptions.1.DPDTimeoutSeconds': 30,
          'Options.TunnelOptions.2.DPDTimeoutSeconds': 30,
        }),
      /at most two TunnelOptions/,
    ],
    [
      'a tunnel of another connection',
      'ModifyVpnTunnelOptions',
      (b) => ({ VpnConnectionId: b.connection, VpnTunnelOutsideIpAddress: '203.0.113.9', 'TunnelOptions.DPDTimeoutSeconds': 30 }),
      /has no tunnel with this outside address/,
    ],
    [
      'a rule that is not there',
      'RevokeSecurityGroupIngress',
      () => ({
        GroupId: 'sg-00000000000000001',
        'IpPermissions.1.IpProtocol': 'tcp',
        'IpPermissions.1.FromPort': 1,
        'IpPermissions.1.ToPort': 1,
        'IpPermissions.1.IpRanges.1.CidrIp': '10.0.0.0/8',
      }),
      /^InvalidPermission.NotFound/,
    ],
    [
      'ports the wrong way round',
      'AuthorizeSecurityGroupIngress',
      () => ({
        GroupId: 'sg-00000000000000001',
        'IpPermissions.1.IpProtocol': 'tcp',
        'IpPermissions.1.FromPort': 2,
        'IpPermissions.1.ToPort': 1,
        'IpPermissions.1.IpRanges.1.CidrIp': '10.0.0.0/8',
      }),
      /Invalid port range/,
    ],
    [
      'the rule that every group has',
      'AuthorizeSecurityGroupEgress',
      () => ({ GroupId: 'sg-00000000000000001', 'IpPermissions.1.IpProtocol': '-1', 'IpPermissions.1.IpRanges.1.CidrIp': '0.0.0.0/0' }),
      /^InvalidPermission.Duplicate/,
    ],
  ]
  it.each(cases)('of %s (%s)', (_, action, parameters, expected) => {
    const at = region()
    const before = built(at)
    const world = JSON.stringify(at.world)
    expect(at.refusal(action, parameters(before))).toMatch(expected)
    expect(JSON.stringify(at.world)).toBe(world)
  })

  it('of what the account may not do', () => {
    expect(region({}, ['CreateTransitGateway']).refusal('CreateTransitGateway', off)).toMatch(/^UnauthorizedOperation: .*ec2:CreateTransitGateway/)
  })

  it('of what is pending', () => {
    const at = region()
    const id = pick(at.ask('CreateTransitGateway', off), 'transitGatewayId')
    expect(at.refusal('CreateTransitGatewayRouteTable', { TransitGatewayId: id })).toBe(`IncorrectState: ${id} is in invalid state: pending`)
    expect(at.refusal('DeleteTransitGateway', { TransitGatewayId: id })).toMatch(/^IncorrectState/)
  })

  it('of a VPC route while the VPC is not attached', () => {
    const at = region()
    expect(at.refusal('CreateRoute', { RouteTableId: ids.routes, DestinationCidrBlock: '10.1.0.0/16', TransitGatewayId: gateway(at) })).toMatch(
      /^InvalidTransitGatewayID.NotFound/,
    )
  })

  it('of a group that another refers to', () => {
    const at = region()
    const make = (name: string) => pick(at.ask('CreateSecurityGroup', { GroupName: name, GroupDescription: name, VpcId: ids.vpc }), 'groupId')
    const [one, other] = [make('one'), make('other')]
    expect(at.refusal('CreateSecurityGroup', { GroupName: 'one', GroupDescription: 'x', VpcId: ids.vpc })).toMatch(/^InvalidGroup.Duplicate/)
    at.ask('AuthorizeSecurityGroupIngress', {
      GroupId: other,
      'IpPermissions.1.IpProtocol': 'tcp',
      'IpPermissions.1.FromPort': 1,
      'IpPermissions.1.ToPort': 1,
      'IpPermissions.1.Groups.1.GroupId': one,
    })
    expect(at.refusal('DeleteSecurityGroup', { GroupId: one })).toBe(`DependencyViolation: resource ${one} has a dependent object`)
  })

  const quotas: readonly (readonly [string, SeedInput['regions'][number]['quotas'], (at: Region) => string, string])[] = [
    ['transit gateways', { transitGateways: 1 }, (at) => (gateway(at), at.refusal('CreateTransitGateway', off)), 'TransitGatewayLimitExceeded'],
    [
      'route tables',
      { transitRouteTables: 1 },
      (at) => at.refusal('CreateTransitGatewayRouteTable', { TransitGatewayId: built(at).tgw }),
      'TransitGatewayRouteTableLimitExceeded',
    ],
    [
      'attachments',
      { attachments: 2 },
      (at) => {
        const b = built(at)
        return at.refusal('CreateVpnConnection', vpn(b.cgw, b.tgw))
      },
      'TransitGatewayAttachmentLimitExceeded',
    ],
    [
      'customer gateways',
      { customerGateways: 1 },
      (at) => (customer(at), at.refusal('CreateCustomerGateway', { Type: 'ipsec.1', IpAddress: '192.0.2.99' })),
      'CustomerGatewayLimitExceeded',
    ],
    [
      'connections',
      { vpnConnections: 1 },
      (at) => {
        const b = built(at)
        return at.refusal('CreateVpnConnection', vpn(b.cgw, b.tgw))
      },
      'VpnConnectionLimitExceeded',
    ],
    [
      'VPC routes',
      { routes: 1 },
      (at) => at.refusal('CreateRoute', { RouteTableId: ids.routes, DestinationCidrBlock: '10.1.0.0/16', TransitGatewayId: built(at).tgw }),
      'RouteLimitExceeded',
    ],
    [
      'transit routes',
      { transitRoutes: 0 },
      (at) => {
        const b = built(at)
        return at.refusal('CreateTransitGatewayRoute', {
          TransitGatewayRouteTableId: b.table,
          DestinationCidrBlock: '10.1.0.0/16',
          TransitGatewayAttachmentId: b.attachment,
        })
      },
      'RouteLimitExceeded',
    ],
    [
      'security groups',
      { securityGroups: 1 },
      (at) => at.refusal('CreateSecurityGroup', { GroupName: 'x', GroupDescription: 'x', VpcId: ids.vpc }),
      'SecurityGroupLimitExceeded',
    ],
    [
      'rules',
      { securityGroupRules: 1 },
      (at) =>
        at.refusal('AuthorizeSecurityGroupIngress', {
          GroupId: 'sg-00000000000000001',
          'IpPermissions.1.IpProtocol': '-1',
          'IpPermissions.1.IpRanges.1.CidrIp': '10.0.0.0/8',
        }),
      'RulesPerSecurityGroupLimitExceeded',
    ],
  ]
  it.each(quotas)('of more %s than the quota', (_, limit, refuse, code) => {
    expect(refuse(region({ quotas: limit }))).toMatch(new RegExp(`^${code}: `))
  })
})

describe('describing', () => {
  it('goes by pages, and each row is on one of them', () => {
    const at = region()
    for (let n = 1; n <= 12; n++) at.ask('CreateSecurityGroup', { GroupName: `g${n}`, GroupDescription: 'x', VpcId: ids.vpc })
    const seen: string[] = []
    let NextToken = ''
    let pages = 0
    do {
      const answer = at.ask('DescribeSecurityGroups', { MaxResults: 5, ...(NextToken && { NextToken }) })
      seen.push(...all(answer, 'groupName'))
      NextToken = pick(answer, 'nextToken')
      pages++
    } while (NextToken)
    expect([pages, seen.length, new Set(seen).size]).toEqual([3, 13, 13])
  })

  it('filters: values of one filter are alternatives, filters must all match, wildcards can be escaped', () => {
    const at = region()
    const make = (name: string, tag: string) =>
      at.ask('CreateSecurityGroup', {
        GroupName: name,
        GroupDescription: 'x',
        VpcId: ids.vpc,
        'TagSpecification.1.ResourceType': 'security-group',
        'TagSpecification.1.Tag.1.Key': 'causeway:id',
        'TagSpecification.1.Tag.1.Value': tag,
      })
    make('a', 'net/one')
    make('b', 'net/two')
    make('c', 'net*')
    const found = (...filters: readonly (readonly [string, ...string[]])[]) =>
      all(
        at.ask(
          'DescribeSecurityGroups',
          Object.fromEntries(
            filters.flatMap(([name, ...values], f) => [
              [`Filter.${f + 1}.Name`, name],
              ...values.map((value, v) => [`Filter.${f + 1}.Value.${v + 1}`, value]),
            ]),
          ),
        ),
        'groupName',
      ).sort()
    expect(found(['tag:causeway:id', 'net/one', 'net/two'])).toEqual(['a', 'b'])
    expect(found(['tag:causeway:id', 'net*'])).toEqual(['a', 'b', 'c'])
    expect(found(['tag:causeway:id', 'net\\*'])).toEqual(['c'])
    expect(found(['tag:causeway:id', 'net/???'], ['group-name', 'b', 'c'])).toEqual(['b'])
    expect(found(['tag-key', 'causeway:*'])).toEqual(['a', 'b', 'c'])
    expect(found(['tag:other', '*'])).toEqual([])
  })
})

describe('what forwards', () => {
  const ports = {
    'IpPermissions.1.IpProtocol': 'tcp',
    'IpPermissions.1.FromPort': 8443,
    'IpPermissions.1.ToPort': 8443,
    'IpPermissions.1.IpRanges.1.CidrIp': '10.1.0.0/16',
  }
  it('is what was built: routes by association, the live tunnels, the groups of the host', () => {
    const at = region()
    const { tgw, table, vpc, attachment, connection } = built(at)
    expect(forwardingOf(at.world).transit.map((one) => one.routes)).toEqual([[], []])
    at.ask('EnableTransitGatewayRouteTablePropagation', { TransitGatewayRouteTableId: table, TransitGatewayAttachmentId: vpc })
    at.wait(1_000)
    at.ask('CreateTransitGatewayRoute', {
      TransitGatewayRouteTableId: table,
      DestinationCidrBlock: '10.1.0.0/16',
      TransitGatewayAttachmentId: attachment,
    })
    at.ask('CreateRoute', { RouteTableId: ids.routes, DestinationCidrBlock: '10.1.0.0/16', TransitGatewayId: tgw })
    const group = pick(
      at.ask('CreateSecurityGroup', {
        GroupName: 'x',
        GroupDescription: 'x',
        VpcId: ids.vpc,
        'TagSpecification.1.ResourceType': 'security-group',
        'TagSpecification.1.Tag.1.Key': 'causeway:id',
        'TagSpecification.1.Tag.1.Value': 'x',
      }),
      'groupId',
    )
    at.ask('AuthorizeSecurityGroupIngress', { GroupId: group, ...ports })
    at.set((world) => report(world, { outside: '203.0.113.2', up: true, negotiated: null }, at.now))
    const routes = [
      { destination: '10.1.0.0/16', to: { kind: 'vpn', connection, tunnels: ['203.0.113.2'] } },
      { destination: '10.50.0.0/16', to: { kind: 'vpc', vpc: ids.vpc } },
    ]
    const { transit, vpcs } = forwardingOf(at.world)
    expect(transit).toEqual([
      { from: { kind: 'vpc', vpc: ids.vpc }, routes },
      { from: { kind: 'vpn', connection }, routes },
    ])
    expect(vpcs[0]?.hosts).toMatchObject([{ addresses: ['10.50.1.10'], routes: ['10.1.0.0/16'] }])
    expect(vpcs[0]?.hosts[0]?.ingress).toContainEqual({ protocol: 'tcp', from: 8443, to: 8443, peers: ['10.1.0.0/16'] })
  })
})

it('knows only calls that EC2 has', () => {
  expect(actionNames.filter((name) => !(`${name}Command` in sdk))).toEqual([])
  expect(new Set(actionNames).size).toBe(actionNames.length)
})
