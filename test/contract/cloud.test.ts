/** One suite for every EC2: what the provider promises must hold on each of them, with the real SDK on the wire. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createAwsProvider, type AwsProvider, waves } from '#providers/aws/index.ts'
import type { CloudFact, Observed, Resource, Run, Step } from '#providers/cloud.ts'
import type { Region, TunnelId } from '#src/fabric/fabric.ts'
import { familiesIn } from '#src/net/sets.ts'
import { carrying, network, sampleRegion, sampleRoutes } from './aws-region.ts'
import { type Cloud, type CloudKind, clouds } from './clouds.ts'

const never = new AbortController().signal
const keyOf = (tunnel: TunnelId): string => `key.${tunnel.replaceAll(/[^A-Za-z0-9]/g, '.')}`.slice(0, 64)
const minutes = (n: number): number => n * 60_000

for (const kind of clouds)
  describe.skipIf(kind.skipped !== '')(`on ${kind.name}${kind.skipped === '' ? '' : `: left out, ${kind.skipped}`}`, () => {
    contract(kind)
  })

/** What is left still comes after what the left out came after. */
function without(of: readonly Resource[], out: (one: Resource) => boolean): readonly Resource[] {
  const dropped = new Map(of.filter(out).map((one) => [one.id, one] as const))
  const follow = (one: Resource): readonly Resource['id'][] => one.after.flatMap((id) => (dropped.has(id) ? follow(dropped.get(id)!) : [id]))
  return of.filter((one) => !dropped.has(one.id)).map((one) => ({ ...one, after: follow(one) }))
}

function contract(kind: CloudKind): void {
  let cloud: Cloud
  let provider: AwsProvider
  let region: Region
  let wanted: readonly Resource[]
  const limit = minutes(kind.name === 'a real account' ? 60 : 2)
  const has = (type: string): boolean => !(type in kind.lacks)
  /** What needs every part of a region is no promise where some are lacking. */
  const testWhole: (name: string, check: () => Promise<void>, limit?: number) => void = Object.keys(kind.lacks).length === 0 ? test : () => {}

  beforeAll(async () => {
    cloud = await kind.start()
    provider = createAwsProvider({ client: cloud.client, timing: cloud.timing })
    region = sampleRegion(cloud.vpc, cloud.prefixes, { location: cloud.location })
    wanted = without(provider.resources(network, region, sampleRoutes(region)), (of) => !has(of.type))
  }, limit)
  afterAll(async () => {
    await cloud?.close()
  })

  const observe = async (): Promise<readonly Observed[]> => (await provider.observe(network, region, never)).filter((of) => has(of.type))
  const run = (more: Partial<Run> = {}): Run => ({
    operation: 'op-contract',
    signal: never,
    heartbeat: () => {},
    resume: undefined,
    psk: async (tunnel) => keyOf(tunnel),
    cloudId: () => undefined,
    ...more,
  })
  async function walk(steps: readonly Step[]): Promise<readonly CloudFact[]> {
    const facts: CloudFact[] = []
    for (const group of waves(steps)) facts.push(...(await Promise.all(group.map((step) => provider.apply(network, region, step, run())))).flat())
    return facts
  }

  test('nothing stands in the way', async () => {
    expect(await provider.preflight(network, region, never)).toEqual([])
  })

  test('a VPC that does not exist, or has other prefixes, is found before anything is made', async () => {
    const [first] = region.networks
    const other = { ...region, networks: [{ ...first!, id: 'vpc-0123456789abcdef0' }] }
    expect((await provider.preflight(network, other, never)).map(({ code }) => code)).toEqual(['R030'])
    const wrong = { ...region, networks: [{ ...first!, prefixes: [] }] }
    expect((await provider.preflight(network, wrong, never)).map(({ code }) => code)).toEqual(['R031'])
  })

  test(
    'a region is made, and what the cloud reports of it is what was asked for',
    async () => {
      const facts = await walk(provider.steps(wanted, await observe()))
      const seen = await observe()
      expect(seen.map(({ id }) => id).sort()).toEqual(wanted.map(({ id }) => id).sort())
      expect(provider.verify(wanted, seen)).toEqual([])
      expect(facts.filter((fact) => fact.kind === 'cloud')).toHaveLength(wanted.length)
    },
    limit,
  )

  test(
    'made again, nothing changes',
    async () => {
      expect(provider.steps(wanted, await observe())).toEqual([])
      const before = await observe()
      const create = wanted.map((resource): Step => ({ kind: 'create', resource }))
      await walk(create)
      expect(await observe()).toEqual(before)
    },
    limit,
  )

  testWhole('each tunnel has an outside address and is reported by it', async () => {
    const members = region.connections.flatMap((of) => of.members)
    const reported = await provider.tunnels(network, region, never)
    expect(reported.map(({ tunnel }) => tunnel).sort()).toEqual(members.map(({ tunnel }) => tunnel).sort())
    expect(new Set(reported.map(({ outside }) => outside)).size).toBe(members.length)
  })

  testWhole(
    'return routes move to the other connection and back',
    async () => {
      for (const to of [1, undefined]) {
        const routes = new Map([...sampleRoutes(region)].map(([of, own]) => [of, to === undefined ? own : carrying(region, of)[to]!.id] as const))
        const goal = provider.resources(network, region, routes)
        const steps = provider.steps(goal, await observe())
        // In each family one: frankfurt's two prefixes are one route.
        expect(steps.map((step) => step.kind)).toEqual(familiesIn(cloud.prefixes).map(() => 'update'))
        await walk(steps)
        expect(provider.verify(goal, await observe())).toEqual([])
      }
    },
    limit,
  )

  testWhole(
    'a new key reaches one tunnel, and no key is ever seen',
    async () => {
      const tunnel = region.connections[0]!.members[1].tunnel
      const rotated = run({ psk: async (of) => (of === tunnel ? 'rotated.key.of.this.test' : keyOf(of)) })
      const before = JSON.stringify(await observe())
      for (const resource of wanted.filter((of) => of.type === 'vpn-connection'))
        await provider.apply(network, region, { kind: 'update', resource }, rotated)
      const after = JSON.stringify(await observe())
      expect(after).not.toBe(before)
      expect(after).not.toContain('rotated.key')
      expect(before).not.toContain(keyOf(tunnel))
    },
    limit,
  )

  test('wrong credentials are named as such', async () => {
    const wrong = createAwsProvider({
      client: (location, retries) => {
        const client = cloud.client(location, retries)
        client.config.credentials = async () => ({ accessKeyId: 'AKIAWRONG', secretAccessKey: 'wrong' })
        return client
      },
    })
    const found = wrong.observe(network, region, never).then(
      () => 'no error',
      (error: unknown) => wrong.classify(error).kind,
    )
    // moto takes any credentials.
    expect(await found).toBe(kind.name.startsWith('moto') ? 'no error' : 'credentials')
  })

  test(
    'taken away, nothing of ours is left anywhere at this location',
    async () => {
      await walk(provider.steps([], await observe()))
      const left = await provider.sweep(network, [region.location], never)
      expect(left.filter((of) => has(of.type) && of.state !== 'deleting')).toEqual([])
    },
    limit,
  )
}
