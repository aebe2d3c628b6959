import { EC2Client } from '@aws-sdk/client-ec2'
import { describe, expect, test } from 'vitest'
import { attachmentSubnets, missingSubnets, observeAll, readTunnel } from '#providers/aws/observe.ts'
import { type Clock, createGatherer, realClock, until } from '#providers/aws/poll.ts'
import { createReads } from '#providers/aws/reads.ts'
import { contains, prefix } from '#src/net/address.ts'
import { network } from '#test/contract/aws-region.ts'

const timing = { poll: 1000, gather: 0, settle: 5000, patience: 1 }
const signal = new AbortController().signal
function virtual(): Clock {
  let now = 0
  return { now: () => now, sleep: async (milliseconds) => void (now += milliseconds) }
}

describe('waiting', () => {
  test('beats at every look and ends with what it waited for', async () => {
    let looks = 0
    let beats = 0
    const result = await until({
      what: 'x',
      limit: 60_000,
      clock: virtual(),
      timing,
      signal,
      beat: () => void beats++,
      check: async () => (++looks === 4 ? 'ready' : undefined),
    })
    expect([result, beats]).toEqual(['ready', 4])
  })
  test('ends at its limit, with the reason if there is one', async () => {
    const base = { what: 'vpn-connection x', limit: 120_000, clock: virtual(), timing, signal, beat: () => {}, check: async () => undefined }
    await expect(until(base)).rejects.toThrow('R020 vpn-connection x did not become ready within 2 min')
    await expect(until({ ...base, clock: virtual(), cause: () => new Error('HTTP 500') })).rejects.toThrow('HTTP 500')
  })
  test('what cannot come right any more ends it at once', async () => {
    let looks = 0
    const check = async (): Promise<undefined> => {
      looks++
      throw new Error('UnauthorizedOperation')
    }
    await expect(until({ what: 'x', limit: 60_000, clock: virtual(), timing, signal, beat: () => {}, check })).rejects.toThrow(
      'UnauthorizedOperation',
    )
    expect(looks).toBe(1)
  })
  test('a raised signal ends a sleep', async () => {
    const controller = new AbortController()
    const sleep = realClock.sleep(60_000, controller.signal)
    controller.abort(new Error('stop'))
    await expect(sleep).rejects.toThrow('stop')
  })
})

describe('gathering', () => {
  test('those who ask together share a request, those who ask later get a newer one', async () => {
    let value = 0
    const release: (() => void)[] = []
    const gather = createGatherer(() => new Promise((resolve) => void release.push(resolve)))
    const fetch = async (): Promise<number> => ++value
    const [a, b] = [gather('k', fetch), gather('k', fetch)]
    release[0]!()
    expect(await Promise.all([a, b])).toEqual([1, 1])
    const c = gather('k', fetch)
    release[1]!()
    expect(await c).toBe(2)
  })
  test('a request that began before the question does not answer it', async () => {
    let begun = 0
    const gather = createGatherer(async () => {})
    const slow = (): Promise<number> => new Promise((resolve) => void setTimeout(resolve, 20, ++begun))
    const first = gather('k', slow)
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(begun).toBe(1)
    expect(await Promise.all([first, gather('k', slow)])).toEqual([1, 2])
  })
})

describe('reading', () => {
  function clientOf(answer: (action: string, input: Record<string, unknown>) => object): EC2Client {
    const client = new EC2Client({ region: 'eu-west-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } })
    client.middlewareStack.add(
      (_next, context) => async (args) => ({
        output: { $metadata: {}, ...answer((context as { commandName?: string }).commandName!, args.input as Record<string, unknown>) } as never,
        response: {},
      }),
      { step: 'initialize', priority: 'low' },
    )
    return client
  }
  const readsOf = (client: EC2Client, abort = signal) =>
    createReads(
      client,
      network,
      createGatherer(async () => {}),
      abort,
    )
  const tags = [{ Key: 'causeway:network', Value: 'acme' }]

  test('takes all pages', async () => {
    const client = clientOf((_action, input) =>
      input['NextToken'] === undefined
        ? { TransitGateways: [{ TransitGatewayId: 'tgw-1', Tags: tags }], NextToken: 'more' }
        : { TransitGateways: [{ TransitGatewayId: 'tgw-2', Tags: tags }] },
    )
    expect((await readsOf(client).transitGateways()).map((of) => of.TransitGatewayId)).toEqual(['tgw-1', 'tgw-2'])
  })
  test('does not believe the filter: what lacks the tag is not ours', async () => {
    const foreign = [{ Key: 'causeway:network', Value: 'other' }]
    const client = clientOf(() => ({
      CustomerGateways: [{ CustomerGatewayId: 'cgw-1', Tags: tags }, { CustomerGatewayId: 'cgw-2', Tags: foreign }, { CustomerGatewayId: 'cgw-3' }],
    }))
    expect((await readsOf(client).customerGateways()).map((of) => of.CustomerGatewayId)).toEqual(['cgw-1'])
  })
  test('a connection that the list lacks but an attachment names is found, a foreign one is not', async () => {
    const own = { VpnConnectionId: 'vpn-1', State: 'available', Tags: [...tags, { Key: 'causeway:id', Value: 'aws/connection/frankfurt.isp-a' }] }
    const client = clientOf((action, input) => {
      const byId = JSON.stringify(input).includes('vpn-connection-id')
      if (action === 'DescribeTransitGatewaysCommand') return { TransitGateways: [{ TransitGatewayId: 'tgw-1', State: 'available', Tags: tags }] }
      if (action === 'DescribeTransitGatewayAttachmentsCommand')
        return {
          TransitGatewayAttachments: ['vpn-1', 'vpn-2'].map((ResourceId) => ({
            ResourceId,
            ResourceType: 'vpn',
            State: 'available',
            TransitGatewayAttachmentId: `a-${ResourceId}`,
          })),
        }
      return action === 'DescribeVpnConnectionsCommand' && byId ? { VpnConnections: [own, { VpnConnectionId: 'vpn-2', State: 'available' }] } : {}
    })
    const seen = await observeAll(readsOf(client), () => '', undefined)
    expect(seen.filter((of) => of.type === 'vpn-connection').map((of) => of.cloudId)).toEqual(['vpn-1'])
  })
  test('more routes than one answer holds are asked for by halves', async () => {
    const all = [
      ...Array.from({ length: 300 }, (_, n) => `10.${n % 256}.${Math.floor(n / 256)}.0/24`),
      ...Array.from({ length: 150 }, (_, n) => `fd10:${n.toString(16)}::/64`),
    ].map(prefix)
    const client = clientOf((_action, input) => {
      const filter = (input['Filters'] as { Name: string; Values: string[] }[]).find(({ Name }) => Name === 'route-search.subnet-of-match')
      const inside = filter ? all.filter((of) => contains(prefix(filter.Values[0]!), of)) : all
      return {
        Routes: inside.slice(0, 100).map((DestinationCidrBlock) => ({ DestinationCidrBlock })),
        AdditionalRoutesAvailable: inside.length > 100,
      }
    })
    const found = (await readsOf(client).routes('tgw-rtb-1')).map((of) => String(of.DestinationCidrBlock))
    expect(found.sort()).toEqual(all.sort())
  })
  test('one who gives up does not take the answer from the others', async () => {
    const controller = new AbortController()
    const gather = createGatherer(() => new Promise((resolve) => void setTimeout(resolve, 10)))
    const client = clientOf(() => ({ CustomerGateways: [{ CustomerGatewayId: 'cgw-1', Tags: tags }] }))
    const leaving = createReads(client, network, gather, controller.signal).customerGateways()
    const staying = createReads(client, network, gather, signal).customerGateways()
    controller.abort(new Error('stop'))
    await expect(leaving).rejects.toThrow('stop')
    expect(await staying).toHaveLength(1)
  })
  test('what a tunnel reports of its key is a fingerprint, and nothing when AWS hides it', () => {
    expect(readTunnel({ PreSharedKey: 'secret.key' }, (key) => `${key.length}`).psk).toBe('10')
    expect(readTunnel({}, () => 'x')).not.toHaveProperty('psk')
  })
})

describe('subnets of an attachment', () => {
  const subnet = (SubnetId: string, zone: string, CidrBlock: string, more: object = {}) => ({
    SubnetId,
    AvailabilityZoneId: zone,
    CidrBlock,
    AvailableIpAddressCount: 5,
    ...more,
  })
  const all = [
    subnet('subnet-b', 'euw1-az1', '10.0.0.0/24'),
    subnet('subnet-a', 'euw1-az1', '10.0.1.0/28'),
    subnet('subnet-full', 'euw1-az2', '10.0.2.0/28', { AvailableIpAddressCount: 0 }),
    subnet('subnet-c', 'euw1-az2', '10.0.3.0/24'),
    subnet('subnet-outpost', 'euw1-az3', '10.0.4.0/24', { OutpostArn: 'arn' }),
  ]
  test('are one a zone: the smallest that has room', () => {
    expect(attachmentSubnets(all, false)).toEqual(['subnet-a', 'subnet-c'])
  })
  test('have IPv6 where the attachment is to have it, and others make room', () => {
    const six = [{ Ipv6CidrBlock: 'fd50::/64', Ipv6CidrBlockState: { State: 'associated' as const } }]
    const dual = [...all, subnet('subnet-d', 'euw1-az1', '10.0.5.0/24', { Ipv6CidrBlockAssociationSet: six })]
    expect(attachmentSubnets(dual, true)).toEqual(['subnet-d'])
    expect(attachmentSubnets(dual, false)).toEqual(['subnet-a', 'subnet-c'])
    expect(missingSubnets(dual, [], true)).toEqual(['subnet-d'])
  })
  test('are added only for zones that lack one', () => {
    expect(missingSubnets(all, ['subnet-b'], false)).toEqual(['subnet-c'])
  })
})
