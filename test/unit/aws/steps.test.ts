import { describe, expect, test } from 'vitest'
import { desired, withKeys } from '#providers/aws/desired.ts'
import { isRef } from '#providers/aws/difference.ts'
import { steps, waves } from '#providers/aws/steps.ts'
import { verify } from '#providers/aws/verify.ts'
import type { Observed, Resource, ResourceId, Step } from '#providers/cloud.ts'
import type { ConnectionId, TunnelId } from '#src/fabric/fabric.ts'
import { prefix } from '#src/net/address.ts'
import { network, sampleRegion, sampleRoutes } from '#test/contract/aws-region.ts'

const region = sampleRegion('vpc-1', [prefix('10.20.0.0/16')])
const wanted = desired(network, region, sampleRoutes(region))
/** What the cloud would report of exactly this. */
const built = (of: readonly Resource[]): readonly Observed[] =>
  of.map(({ id, type, properties }) => ({
    id,
    type,
    cloudId: `id(${id})`,
    state: 'ready',
    properties: Object.fromEntries(
      Object.entries(properties).map(([key, value]) => [key, isRef(value) ? `id(${value.ref})` : key === 'tunnels' ? tunnelsOf(value) : value]),
    ),
  }))
const tunnelsOf = (value: unknown): unknown =>
  (value as { inside: string }[]).map(({ inside, ...rest }, at) => ({ inside, outside: `203.0.113.${at}`, psk: 'p1', ...rest })).toReversed()
const show = (of: readonly Step[]): readonly string[] =>
  of.map((step) => `${step.kind} ${(step.kind === 'delete' ? step.id : step.resource.id).replace('aws-eu-west-1/', '')}`)
const change = (of: readonly Observed[], id: string, properties: Record<string, unknown>, more: Partial<Observed> = {}): readonly Observed[] =>
  of.map((one) => (one.id === `aws-eu-west-1/${id}` ? { ...one, ...more, properties: { ...one.properties, ...properties } } : one))

describe('steps', () => {
  test('from nothing: everything is created, in order', () => {
    expect(steps(wanted, []).map((step) => step.kind)).toEqual(wanted.map(() => 'create'))
  })
  test('from all: none', () => {
    expect(steps(wanted, built(wanted))).toEqual([])
  })
  test('to nothing: everything is deleted, in reverse', () => {
    const types = steps([], built(wanted)).map((step) => (step.kind === 'delete' ? step.type : ''))
    expect([...new Set(types)]).toEqual(
      [
        'security-group',
        'transit-gateway-route',
        'vpc-route',
        'transit-gateway-association',
        'vpc-attachment',
        'vpn-connection',
        'customer-gateway',
        'transit-gateway-route-table',
        'transit-gateway',
      ].sort((a, b) => types.indexOf(a) - types.indexOf(b)),
    )
    expect(types.at(-1)).toBe('transit-gateway')
    expect(types.indexOf('vpn-connection')).toBeLessThan(types.indexOf('customer-gateway'))
    expect(types.lastIndexOf('transit-gateway-association')).toBeLessThan(types.indexOf('vpn-connection'))
  })
  test('a return route that moves is one update', () => {
    const routes = new Map([...sampleRoutes(region)].map(([to]) => [to, 'dublin.isp-a' as ConnectionId] as const))
    expect(show(steps(desired(network, region, routes), built(wanted)))).toEqual(['update route/networks/10.1.10.0/23'])
  })
  test('a changed inside prefix is an update of the connection, not a new one', () => {
    const [first, second] = region.connections
    const moved = {
      ...region,
      connections: [{ ...first!, members: [{ ...first!.members[0], inside: prefix('169.254.99.0/30') }, first!.members[1]] as const }, second!],
    }
    expect(show(steps(desired(network, moved, sampleRoutes(region)), built(wanted)))).toEqual(['update connection/frankfurt.isp-a'])
  })
  test('a rotated key is an update, told by fingerprints', () => {
    const tunnel = 'frankfurt.isp-a--aws-eu-west-1/0' as TunnelId
    expect(show(steps(withKeys(wanted, new Map([[tunnel, 'p1']])), built(wanted)))).toEqual([])
    expect(show(steps(withKeys(wanted, new Map([[tunnel, 'p2']])), built(wanted)))).toEqual(['update connection/frankfurt.isp-a'])
  })
  test('an ASN that AWS does not let change takes down what hangs on it first', () => {
    const result = show(steps(desired(network, { ...region, hubAsn: 64_601 }, sampleRoutes(region)), built(wanted)))
    expect(result).toEqual([
      'delete association/dublin.isp-a',
      'delete association/frankfurt.isp-a',
      'delete connection/dublin.isp-a',
      'delete connection/frankfurt.isp-a',
      'delete customer-gateway/192.0.2.10',
      'delete customer-gateway/198.51.100.10',
      'create customer-gateway/192.0.2.10',
      'create customer-gateway/198.51.100.10',
      'create connection/frankfurt.isp-a',
      'create connection/dublin.isp-a',
      'create association/frankfurt.isp-a',
      'create association/dublin.isp-a',
      'update route/networks/10.1.10.0/23',
      'update route/networks/10.2.10.0/24',
    ])
  })
  test('what nothing hangs on is replaced in one step', () => {
    expect(show(steps(wanted, change(built(wanted), 'security-group/vpc-1', { name: 'other' })))).toEqual(['replace security-group/vpc-1'])
  })
  test('what is pending is waited for, by its creation', () => {
    expect(show(steps(wanted, change(built(wanted), 'connection/dublin.isp-a', {}, { state: 'pending' })))).toEqual([
      'create connection/dublin.isp-a',
    ])
  })
  test('of two with one name the one in use stays', () => {
    const twin = { ...built(wanted)[0]!, cloudId: 'aaa' }
    expect(steps(wanted, [twin, ...built(wanted)])).toEqual([{ kind: 'delete', id: twin.id, type: 'transit-gateway', cloudId: 'aaa' }])
  })
  test('a route that leads nowhere is pointed back', () => {
    expect(show(steps(wanted, change(built(wanted), 'route/networks/10.2.10.0/24', { to: '' })))).toEqual(['update route/networks/10.2.10.0/24'])
  })
})

describe('waves', () => {
  test('keep what hangs together apart, and run the rest side by side', () => {
    const groups = waves(steps(wanted, []))
    expect(groups.map((group) => group.length)).toEqual([4, 5, 8])
    const done = new Set<ResourceId>()
    for (const group of groups) {
      for (const step of group) if (step.kind !== 'delete') expect(step.resource.after.every((id) => done.has(id))).toBe(true)
      for (const step of group) if (step.kind !== 'delete') done.add(step.resource.id)
    }
  })
  test('never put a deletion beside what it hangs on', () => {
    expect(waves(steps([], built(wanted))).map((group) => [...new Set(group.map((step) => (step.kind === 'delete' ? step.type : '')))])).toEqual([
      ['security-group', 'transit-gateway-route', 'vpc-route'].sort((a, b) => order(a) - order(b)),
      ['transit-gateway-association'],
      ['vpc-attachment', 'vpn-connection'],
      ['customer-gateway', 'transit-gateway-route-table'],
      ['transit-gateway'],
    ])
  })
})
const order = (type: string): number => ['transit-gateway-route', 'security-group', 'vpc-route'].indexOf(type)

describe('verify', () => {
  const says = (of: readonly Observed[], goal = wanted): readonly string[] => verify(goal, of).map((one) => `${one.code} ${one.severity} ${one.says}`)
  test('has nothing to say of what is as it must be', () => {
    expect(says(built(wanted))).toEqual([])
  })
  test('names what was deleted by hand', () => {
    expect(says(built(wanted).filter((one) => one.type !== 'vpc-route'))).toEqual([
      'R040 error The vpc route aws-eu-west-1/vpc-route/vpc-1/10.1.10.0/23 does not exist in AWS',
      'R040 error The vpc route aws-eu-west-1/vpc-route/vpc-1/10.2.10.0/24 does not exist in AWS',
    ])
  })
  test('names what was changed by hand, with both values', () => {
    expect(says(change(built(wanted), 'security-group/vpc-1', { ingress: ['any 0.0.0.0/0'] }))).toEqual([
      'R041 error ingress of aws-eu-west-1/security-group/vpc-1 (id(aws-eu-west-1/security-group/vpc-1)) is any 0.0.0.0/0 in AWS, it must be icmp/3.4 0.0.0.0/0, tcp/8443 10.1.10.0/23',
    ])
  })
  test('names the tunnel whose options are weaker than asked for', () => {
    const weak = built(wanted).map((one) =>
      one.id.endsWith('connection/dublin.isp-a')
        ? {
            ...one,
            properties: {
              ...one.properties,
              tunnels: (one.properties['tunnels'] as object[]).map((of, at) => (at === 0 ? { ...of, groups: [[2], [2]] } : of)),
            },
          }
        : one,
    )
    expect(says(weak).map((text) => text.slice(0, 70))).toEqual(['R041 error dublin.isp-a--aws-eu-west-1/1 groups of aws-eu-west-1/conne'])
  })
  test('says that a key is another, and not which', () => {
    const goal = withKeys(wanted, new Map([['dublin.isp-a--aws-eu-west-1/0' as TunnelId, 'p2']]))
    expect(says(built(wanted), goal)).toEqual(['R025 error AWS has another pre-shared key for dublin.isp-a--aws-eu-west-1/0 than the vault'])
  })
  test('tells apart what failed, what waits and what is left over', () => {
    const failed = change(built(wanted), 'attachment/vpc-1', {}, { state: 'failed' })
    expect(says(failed)).toEqual(['R043 error AWS reports aws-eu-west-1/attachment/vpc-1 (id(aws-eu-west-1/attachment/vpc-1)) as failed'])
    const waiting = change(built(wanted), 'attachment/vpc-1', {}, { state: 'pending' })
    expect(says(waiting)).toEqual(['R044 note AWS is still working on aws-eu-west-1/attachment/vpc-1 (id(aws-eu-west-1/attachment/vpc-1))'])
    const orphan: Observed = {
      id: 'aws-eu-west-1/connection/gone.isp' as ResourceId,
      type: 'vpn-connection',
      cloudId: 'vpn-9',
      state: 'ready',
      properties: {},
    }
    expect(says([...built(wanted), orphan])).toEqual([
      'R042 warning The vpn connection vpn-9 carries our tag aws-eu-west-1/connection/gone.isp, and nothing wants it',
    ])
  })
})
