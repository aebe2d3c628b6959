import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { waves } from '#providers/aws/index.ts'
import { network, sampleRoutes } from '#test/contract/aws-region.ts'
import type { Fault } from './fake-ec2.ts'
import { createWorld, keyOf, never, type World } from './world.ts'

const types = ['TransitGateway', 'RouteTable', 'CustomerGateway', 'VpnConnection', 'VpcAttachment', 'SecurityGroup'] as const
const counts = (world: World): Record<string, number> => ({
  ...Object.fromEntries(types.map((type) => [type, world.fake.living(type).length])),
  tgwRoutes: world.fake.tgwRoutes().length,
  vpcRoutes: world.fake.vpcRoutes().length,
})
const complete = {
  TransitGateway: 1,
  RouteTable: 2,
  CustomerGateway: 2,
  VpnConnection: 2,
  VpcAttachment: 1,
  SecurityGroup: 1,
  tgwRoutes: 3,
  vpcRoutes: 4,
}
const nothing = Object.fromEntries(Object.keys(complete).map((key) => [key, 0]))

describe('a region', () => {
  test('is made, verified, and needs nothing more', async () => {
    const world = createWorld()
    await world.converge()
    expect(counts(world)).toEqual(complete)
    expect(world.provider.verify(world.wanted, await world.observe())).toEqual([])
  })

  test('is taken away without a trace', async () => {
    const world = createWorld()
    await world.converge()
    await world.converge([])
    expect(counts(world)).toEqual(nothing)
    expect(await world.provider.sweep(network, ['eu-west-1'], never)).toEqual([])
  })

  test('leaves alone what is not ours', async () => {
    const world = createWorld()
    world.fake.plant('TransitGateway', { id: 'tgw-foreign', Tags: [{ Key: 'Name', Value: 'prod' }] })
    world.fake.plant('SecurityGroup', { id: 'sg-foreign', VpcId: 'vpc-1', GroupName: 'web' })
    await world.converge()
    await world.converge([])
    expect(world.fake.living('TransitGateway').map(({ id }) => id)).toEqual(['tgw-foreign'])
    expect(world.fake.living('SecurityGroup').map(({ id }) => id)).toEqual(['sg-foreign'])
  })

  test('costs few calls when its steps run side by side', async () => {
    const world = createWorld()
    const steps = world.provider.steps(world.wanted, await world.observe())
    const before = world.fake.calls.length
    for (const group of waves(steps)) await Promise.all(group.map((step) => world.provider.apply(network, world.region, step, world.run())))
    const changing = world.fake.calls.slice(before).filter((call) => !/^(Describe|Search)/.test(call))
    // A group takes four calls: made, opened inwards and outwards, closed for AWS's default.
    expect(changing.length).toBe(world.wanted.length + 3 + world.fake.vpcRoutes().length / 2)
    expect(counts(world)).toEqual(complete)
  })

  test('tells the outside address of each tunnel by its inside prefix, not by its position', async () => {
    const world = createWorld()
    const facts = []
    for (const step of world.provider.steps(world.wanted, await world.observe()))
      facts.push(...(await world.provider.apply(network, world.region, step, world.run())))
    const options = world.fake
      .living('VpnConnection')
      .flatMap(({ fields }) => (fields['Options'] as { TunnelOptions: Record<string, string>[] }).TunnelOptions)
    for (const { tunnel, inside } of world.region.connections.flatMap(({ members }) => members)) {
      const address = options.find((option) => option['TunnelInsideCidr'] === inside)!['OutsideIpAddress']
      expect(facts).toContainEqual({ kind: 'cloud-endpoint', tunnel, address })
    }
    const up = (await world.provider.tunnels(network, world.region, never)).filter(({ state }) => state === 'up').map(({ tunnel }) => tunnel)
    expect(up).toEqual(world.region.connections.map(({ members }) => members[0].tunnel))
  })

  test('never holds a key where one could be seen', async () => {
    const world = createWorld()
    const beats: string[] = []
    const facts = []
    for (const step of world.provider.steps(world.wanted, await world.observe()))
      facts.push(...(await world.provider.apply(network, world.region, step, world.run({ heartbeat: (details) => void beats.push(details) }))))
    const everything = JSON.stringify([world.wanted, await world.observe(), facts, beats, await world.provider.tunnels(network, world.region, never)])
    const keys = world.region.connections.flatMap(({ members }) => members.map(({ tunnel }) => keyOf(tunnel)))
    expect(keys.filter((key) => everything.includes(key))).toEqual([])
    expect(everything).not.toContain('<secret>')
  })
})

describe('whatever goes wrong at whichever call', () => {
  const fault = fc.record({ at: fc.nat(40), kind: fc.constantFrom<Fault['kind']>('lost', 'refused', 'killed', 'throttled') })
  const faults = fc.uniqueArray(fault, { maxLength: 5, selector: ({ at }) => at })

  test.each([
    ['heartbeats that arrive', true],
    ['heartbeats that are lost with the worker', false],
  ])('one of each exists in the end, and none after its removal: %s', async (_name, heartbeats) => {
    await fc.assert(
      fc.asyncProperty(faults, faults, fc.constantFrom(0, 1500), async (making, removing, lag) => {
        const world = createWorld({ lag })
        world.fake.faults = making
        await world.converge(world.wanted, { heartbeats })
        expect(counts(world)).toEqual(complete)
        expect(world.provider.verify(world.wanted, await world.observe())).toEqual([])
        world.fake.faults = removing.map(({ at, kind }) => ({ at: at + 30, kind }))
        await world.converge([], { heartbeats })
        expect(counts(world)).toEqual(nothing)
      }),
      { numRuns: 40 },
    )
  })

  test('every single crash point, one by one', async () => {
    const plain = createWorld()
    await plain.converge()
    const changes = plain.fake.calls.filter((call) => !/^(Describe|Search)/.test(call)).length
    expect(changes).toBeGreaterThan(20)
    for (let at = 0; at < changes; at++) {
      const world = createWorld({ lag: 1500 })
      world.fake.faults = [{ at, kind: 'killed' }]
      expect(await world.converge()).toBe(1)
      expect(counts(world)).toEqual(complete)
    }
  })

  test('two workers that make the same at the same time end with one', async () => {
    const world = createWorld()
    const [gateway] = world.provider.steps(world.wanted, await world.observe())
    await Promise.all([1, 2].map(() => world.provider.apply(network, world.region, gateway!, world.run())))
    expect(world.fake.living('TransitGateway')).toHaveLength(1)
  })
})

describe('changes', () => {
  test('return routes move in one call each, and nothing else is touched', async () => {
    const world = createWorld()
    await world.converge()
    const all = new Map([...sampleRoutes(world.region)].map(([to]) => [to, world.region.connections[1]!.id] as const))
    const goal = world.provider.resources(network, world.region, all)
    const before = world.fake.calls.length
    await world.converge(goal)
    expect(world.fake.calls.slice(before).filter((call) => !/^(Describe|Search)/.test(call))).toEqual(['ReplaceTransitGatewayRoute'])
  })

  test('a changed key touches its own tunnel only', async () => {
    const world = createWorld()
    await world.converge()
    const tunnel = world.region.connections[0]!.members[1].tunnel
    const [step] = world.wanted
      .filter((of) => of.id.endsWith('connection/frankfurt.isp-a'))
      .map((resource) => ({ kind: 'update' as const, resource }))
    await world.provider.apply(network, world.region, step!, world.run({ psk: async (of) => (of === tunnel ? 'another.key.of.8' : keyOf(of)) }))
    expect(world.fake.calls.filter((call) => call === 'ModifyVpnTunnelOptions')).toHaveLength(1)
    const keys = world.fake
      .living('VpnConnection')
      .flatMap(({ fields }) =>
        (fields['Options'] as { TunnelOptions: Record<string, string>[] }).TunnelOptions.map((option) => option['PreSharedKey']),
      )
    expect(keys.filter((key) => key === 'another.key.of.8')).toHaveLength(1)
  })

  test('a hub with a new address gets a new customer gateway and connection, and the old are gone', async () => {
    const world = createWorld()
    await world.converge()
    const [first, second] = world.region.connections
    const moved = {
      ...world.region,
      connections: [{ ...first!, address: '192.0.2.99' as typeof first extends undefined ? never : NonNullable<typeof first>['address'] }, second!],
    }
    const goal = world.provider.resources(network, moved, sampleRoutes(moved))
    await world.converge(goal)
    expect(counts(world)).toEqual(complete)
    expect(
      world.fake
        .living('CustomerGateway')
        .map(({ fields }) => String(fields['IpAddress']))
        .sort(),
    ).toEqual(['192.0.2.99', '198.51.100.10'])
    expect(world.provider.verify(goal, await world.observe())).toEqual([])
  })

  test('what was deleted by hand is found and made again', async () => {
    const world = createWorld()
    await world.converge()
    world.fake.living('VpnConnection')[0]!.gone = 0
    expect(world.provider.verify(world.wanted, await world.observe()).map(({ code }) => code)).toContain('R040')
    await world.converge()
    expect(counts(world)).toEqual(complete)
  })
})

describe('refusals', () => {
  test('an existing route with another target is a finding, and stays', async () => {
    const world = createWorld()
    const foreign = { RouteTableId: 'rtb-b', DestinationCidrBlock: '10.1.10.0/23', GatewayId: 'vgw-7', State: 'active' }
    ;(world.fake.vpcRoutes() as Record<string, unknown>[]).push(foreign)
    const findings = await world.provider.preflight(network, world.region, never)
    expect(findings.map(({ code, says }) => `${code} ${says}`)).toEqual(['R023 Route table rtb-b of vpc-1 leads 10.1.10.0/23 to vgw-7'])
    await expect(world.converge()).rejects.toThrow('R023')
    expect(world.fake.vpcRoutes()).toContain(foreign)
  })

  test("somebody else's customer gateway of the same address is not taken over", async () => {
    const world = createWorld()
    world.fake.plant('CustomerGateway', { id: 'cgw-foreign', IpAddress: '192.0.2.10', BgpAsn: '64600', Type: 'ipsec.1', Tags: [] })
    expect((await world.provider.preflight(network, world.region, never)).map(({ code }) => code)).toEqual(['R035'])
    await expect(world.converge()).rejects.toThrow('R035')
  })

  test('a key that AWS does not take is refused without being shown', async () => {
    const world = createWorld()
    const goal = world.wanted.filter((of) => ['transit-gateway', 'customer-gateway'].includes(of.type))
    await world.converge(goal)
    const resource = world.wanted.find((of) => of.type === 'vpn-connection')!
    const attempt = world.provider.apply(network, world.region, { kind: 'create', resource }, world.run({ psk: async () => '0secret!' }))
    await expect(attempt).rejects.toThrow(/^R024 The pre-shared key of .* is not one that AWS takes/)
    await expect(attempt).rejects.not.toThrow('0secret!')
  })

  test('a cancelled step ends at once and can be taken up', async () => {
    const world = createWorld()
    const [step] = world.provider.steps(world.wanted, await world.observe())
    const cancelled = AbortSignal.abort(new DOMException('cancelled', 'AbortError'))
    await expect(world.provider.apply(network, world.region, step!, world.run({ signal: cancelled }))).rejects.toThrow('cancelled')
    await world.converge()
    expect(counts(world)).toEqual(complete)
  })
})
