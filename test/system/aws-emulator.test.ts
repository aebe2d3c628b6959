/** The emulated cloud carries packets: the real SDK builds, strongSwan answers, and what is forwarded is what was built. */
import {
  AssociateTransitGatewayRouteTableCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateCustomerGatewayCommand,
  CreateRouteCommand,
  CreateSecurityGroupCommand,
  CreateTransitGatewayCommand,
  CreateTransitGatewayRouteCommand,
  CreateTransitGatewayRouteTableCommand,
  CreateTransitGatewayVpcAttachmentCommand,
  CreateVpnConnectionCommand,
  DeleteVpnConnectionCommand,
  DescribeTransitGatewayAttachmentsCommand,
  DescribeVpnConnectionsCommand,
  EC2Client,
  EnableTransitGatewayRouteTablePropagationCommand,
  GetActiveVpnTunnelStatusCommand,
  ReplaceTransitGatewayRouteCommand,
  waitUntilVpnConnectionAvailable,
} from '@aws-sdk/client-ec2'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { UserspaceTunnel } from '#providers/linux/ipsec.ts'
import { bridge } from '#src/lab/bridge.ts'
import { startLab } from '#src/lab/client.ts'
import type { Address } from '#src/net/address.ts'
import { ids, off, seed, strong } from '#test/unit/aws-emulator/cloud.ts'
import { pingCommand, sayPings } from './ping.ts'

const state = mkdtempSync(join(tmpdir(), 'cwaws-'))
const hub = 'frankfurt'
const models = '10.50.1.10'
const models6 = '2600:1f18:1234:5600::10'
/** `c` carries IPv6, over the uplink of `a`. */
const keys = {
  a: ['a.key.of.isp_a_tunnel1', 'a.key.of.isp_a_tunnel2'],
  b: ['a.key.of.isp_b_tunnel1', 'a.key.of.isp_b_tunnel2'],
  c: ['a.key.of.ipv6_tunnel1', 'a.key.of.ipv6_tunnel2'],
} as const
type Name = keyof typeof keys
const [vpc] = seed.regions[0]!.vpcs!
const dual = {
  ...vpc!,
  ipv6: '2600:1f18:1234:5600::/56',
  subnets: vpc!.subnets.map((one) => (one.id === ids.subnetA ? { ...one, ipv6: '2600:1f18:1234:5600::/64' } : one)),
  hosts: vpc!.hosts.map((one) => ({ ...one, ipv6: models6 })),
}
const sites = {
  'network.yaml': 'network: small\nhubs: [frankfurt]\nsegments: [inference]\n',
  'frankfurt.yaml': `site: frankfurt
role: core
uplinks:
  isp-a: { interface: eth0, address: 192.0.2.10/28, router: 192.0.2.1, rate: 10G }
  isp-b: { interface: eth1, address: 198.51.100.10/28, router: 198.51.100.1, rate: 10G }
segments:
  inference: { interface: eth2, prefixes: 10.10.0.0/16 }
`,
}
let running: Awaited<ReturnType<typeof startLab>>
let endpoint: Awaited<ReturnType<typeof bridge>>
let ec2: EC2Client
const made: Record<string, string> = {}
const outsides: Record<Name, string[]> = { a: [], b: [], c: [] }

const exec = async (box: string, command: string): Promise<string> => {
  const ran = await running.lab.exec(box, ['sh', '-c', command], { timeoutMs: 60_000 })
  return ran.stdout + ran.stderr
}
/** Body of the answer, or nothing. */
async function fetchModels(target = `TCP:${models}`): Promise<string> {
  const answer = await exec(hub, `printf 'GET / HTTP/1.1\\r\\n\\r\\n' | timeout 4 socat -t 2 - ${target}:8443,connect-timeout=2 2>/dev/null`)
  return answer.split('\r\n\r\n')[1] ?? ''
}
const ping = async (to: string, from = ''): Promise<string> =>
  sayPings(await exec(hub, pingCommand(to, { count: 5, seconds: 0.1, more: from && `-I ${from}` })), 5)
async function eventually<T>(question: () => Promise<T>, isRight: (answer: T) => boolean): Promise<T> {
  let answer = await question()
  for (let tries = 0; tries < 80 && !isRight(answer); tries++) {
    await sleep(250)
    answer = await question()
  }
  return answer
}
/** So many bytes from the host in the VPC to an address of the hub: how many come. */
async function sendToHub(address: string, bytes: number): Promise<number> {
  const [protocol, target] = address.includes(':') ? ['TCP6', `[${address}]`] : ['TCP', address]
  const heard = exec(hub, `timeout 20 socat -u ${protocol}-LISTEN:9000,reuseaddr STDOUT | wc -c`)
  await eventually(
    () => exec(hub, 'ss -ltn'),
    (listening) => listening.includes(':9000'),
  )
  await exec('models', `head -c ${bytes} /dev/zero | timeout 15 socat -u STDIN ${protocol}:${target}:9000,connect-timeout=5`)
  return Number(await heard)
}
const status = async (id: string): Promise<Record<string, string | undefined>> => {
  const { VpnConnections } = await ec2.send(new DescribeVpnConnectionsCommand({ VpnConnectionIds: [id] }))
  return Object.fromEntries(VpnConnections![0]!.VgwTelemetry!.map((one) => [one.OutsideIpAddress!, one.Status]))
}
const tunnel = (name: Name, member: 0 | 1, change: Partial<UserspaceTunnel> = {}): UserspaceTunnel => {
  const slot = { a: 0, b: 2, c: 4 }[name] + member
  const own = name === 'b' ? '198.51.100.10' : '192.0.2.10'
  const outside = outsides[name][member]!
  return {
    device: `cwi${name}${member}`,
    mark: name === 'b' ? 0x20000 : 0x10000,
    local: { address: own as Address, id: own, ports: { ike: 5000 + 2 * slot, nat: 5001 + 2 * slot } },
    remote: { address: outside as Address, id: outside, port: 4500 },
    inside: (name === 'c' ? `fd12::${2 + 4 * member}/126` : `169.254.10.${2 + 4 * slot}/30`) as UserspaceTunnel['inside'],
    ...(name === 'c' ? { families: [6] as const } : {}),
    initiates: true,
    proposals: { ike: ['aes256gcm16-prfsha384-ecp384'], esp: ['aes256gcm16-ecp384'] },
    mtu: 1400,
    esp: 'userspace',
    table: 9001 + slot,
    ...change,
  }
}
async function connect(tunnels: readonly { readonly tunnel: UserspaceTunnel; readonly secret: string }[]): Promise<string[]> {
  const script = resolve('test/system/aws-emulator-hub.ts')
  const ran = await running.lab.exec(hub, [resolve('node_modules/.bin/node'), script], { stdin: JSON.stringify(tunnels), timeoutMs: 90_000 })
  return `${ran.stdout}${ran.stderr}`.trim().split('\n')
}
async function createConnection(name: Name, address: string): Promise<void> {
  const { CustomerGateway } = await ec2.send(new CreateCustomerGatewayCommand({ Type: 'ipsec.1', IpAddress: address, BgpAsn: 65_001 }))
  const options = keys[name].map((key, n) => {
    if (name !== 'c') return strong(`169.254.10.${(name === 'a' ? 0 : 8) + 4 * n}/30`, key)
    const { TunnelInsideCidr: _, ...others } = strong('', key)
    return { ...others, TunnelInsideIpv6Cidr: `fd12::${4 * n}/126` }
  })
  const { VpnConnection } = await ec2.send(
    new CreateVpnConnectionCommand({
      CustomerGatewayId: CustomerGateway!.CustomerGatewayId!,
      TransitGatewayId: made['tgw']!,
      Type: 'ipsec.1',
      Options: {
        StaticRoutesOnly: true,
        TunnelInsideIpVersion: name === 'c' ? 'ipv6' : 'ipv4',
        TunnelOptions: options,
      },
    }),
  )
  made[name] = VpnConnection!.VpnConnectionId!
  outsides[name] = VpnConnection!.Options!.TunnelOptions!.map((one) => one.OutsideIpAddress!)
  await waitUntilVpnConnectionAvailable({ client: ec2, maxWaitTime: 60, minDelay: 1, maxDelay: 1 }, { VpnConnectionIds: [made[name]] })
  const { TransitGatewayAttachments } = await ec2.send(
    new DescribeTransitGatewayAttachmentsCommand({ Filters: [{ Name: 'resource-id', Values: [made[name]] }] }),
  )
  made[`${name}-attachment`] = TransitGatewayAttachments![0]!.TransitGatewayAttachmentId!
  await ec2.send(
    new AssociateTransitGatewayRouteTableCommand({
      TransitGatewayRouteTableId: made['table']!,
      TransitGatewayAttachmentId: made[`${name}-attachment`]!,
    }),
  )
}

beforeAll(async () => {
  for (const [name, text] of Object.entries(sites)) {
    mkdirSync(join(state, 'sites'), { recursive: true })
    writeFileSync(join(state, 'sites', name), text)
  }
  const aws = { seed: join(state, 'seed.json'), socket: join(state, 'ec2'), control: join(state, 'control-ec2'), timeScale: 0.2 }
  writeFileSync(aws.seed, JSON.stringify({ ...seed, regions: [{ ...seed.regions[0], vpcs: [dual] }] }))
  running = await startLab({ sites: join(state, 'sites'), controllerSocket: '', state: join(state, 'lab'), detached: false, aws })
  endpoint = await bridge(aws.socket)
  ec2 = new EC2Client({
    region: 'eu-west-1',
    endpoint: endpoint.url,
    credentials: { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'unused' },
  })
  await exec(
    hub,
    'ip rule add fwmark 0x10000/0xff0000 lookup 7700 prio 10; ip route add default via 192.0.2.1 table 7700; ip rule add fwmark 0x20000/0xff0000 lookup 7701 prio 10; ip route add default via 198.51.100.1 table 7701; ip addr add 10.10.0.1/32 dev lo; ip addr add fd10::1/128 dev lo nodad; mkdir -m 700 /run/hub',
  )
  const created = await ec2.send(new CreateTransitGatewayCommand(off))
  made['tgw'] = created.TransitGateway!.TransitGatewayId!
  const patiently = async <T>(what: () => Promise<T>): Promise<T> => {
    for (let tries = 0; ; tries++) {
      try {
        return await what()
      } catch (error) {
        if ((error as Error).name !== 'IncorrectState' || tries > 40) throw error
        await sleep(100)
      }
    }
  }
  made['table'] = (await patiently(() => ec2.send(new CreateTransitGatewayRouteTableCommand({ TransitGatewayId: made['tgw']! }))))
    .TransitGatewayRouteTable!.TransitGatewayRouteTableId!
  const { TransitGatewayVpcAttachment } = await ec2.send(
    new CreateTransitGatewayVpcAttachmentCommand({
      TransitGatewayId: made['tgw'],
      VpcId: ids.vpc,
      SubnetIds: [ids.subnetA],
      Options: { Ipv6Support: 'enable' },
    }),
  )
  const member = { TransitGatewayRouteTableId: made['table'], TransitGatewayAttachmentId: TransitGatewayVpcAttachment!.TransitGatewayAttachmentId! }
  await patiently(() => ec2.send(new AssociateTransitGatewayRouteTableCommand(member)))
  await ec2.send(new EnableTransitGatewayRouteTablePropagationCommand(member))
  await createConnection('a', '192.0.2.10')
  await createConnection('b', '198.51.100.10')
  await createConnection('c', '192.0.2.10')
})
afterAll(async () => {
  ec2.destroy()
  endpoint.close()
  await running.stop()
  rmSync(state, { recursive: true, force: true })
})

describe('the tunnels of an emulated connection', () => {
  it('are real: both come up with the keys that were sent, and their insides answer', async () => {
    expect(await status(made['a']!)).toEqual({ [outsides.a[0]!]: 'DOWN', [outsides.a[1]!]: 'DOWN' })
    const up = ([0, 1] as const).flatMap((member) =>
      (['a', 'b'] as const).map((name) => ({ tunnel: tunnel(name, member), secret: keys[name][member] })),
    )
    expect(await connect(up)).toEqual(['cwia0 up', 'cwib0 up', 'cwia1 up', 'cwib1 up'])
    for (const inside of [1, 5, 9, 13]) expect(await ping(`169.254.10.${inside}`)).toBe('5/5')
    for (const name of ['a', 'b'] as const)
      expect(
        await eventually(
          () => status(made[name]!),
          (now) => Object.values(now).every((one) => one === 'UP'),
        ),
      ).toEqual({ [outsides[name][0]!]: 'UP', [outsides[name][1]!]: 'UP' })
    expect(
      (await ec2.send(new GetActiveVpnTunnelStatusCommand({ VpnConnectionId: made['a']!, VpnTunnelOutsideIpAddress: outsides.a[0]! })))
        .ActiveVpnTunnelStatus,
    ).toMatchObject({
      Phase1EncryptionAlgorithm: 'AES256-GCM-16',
      Phase1DHGroup: 20,
      Phase2EncryptionAlgorithm: 'AES256-GCM-16',
      IkeVersion: 'ikev2',
    })
  })
})

describe('the VPC', () => {
  it('is reached when routes both ways and a security group say so, and not before', async () => {
    await exec(hub, `ip route add ${models}/32 dev cwia0 src 10.10.0.1`)
    expect(await fetchModels()).toBe('')
    await ec2.send(
      new CreateTransitGatewayRouteCommand({
        TransitGatewayRouteTableId: made['table']!,
        DestinationCidrBlock: '10.10.0.0/16',
        TransitGatewayAttachmentId: made['a-attachment']!,
      }),
    )
    await ec2.send(new CreateRouteCommand({ RouteTableId: ids.routes, DestinationCidrBlock: '10.10.0.0/16', TransitGatewayId: made['tgw']! }))
    await sleep(500)
    expect(await fetchModels()).toBe('')
    const { GroupId } = await ec2.send(
      new CreateSecurityGroupCommand({
        GroupName: 'causeway',
        Description: 'from the sites',
        VpcId: ids.vpc,
        TagSpecifications: [{ ResourceType: 'security-group', Tags: [{ Key: 'causeway:id', Value: 'x' }] }],
      }),
    )
    made['group'] = GroupId!
    await ec2.send(
      new AuthorizeSecurityGroupIngressCommand({
        GroupId: GroupId!,
        IpPermissions: [{ IpProtocol: 'tcp', FromPort: 8443, ToPort: 8443, IpRanges: [{ CidrIp: '10.10.0.0/16' }] }],
      }),
    )
    expect(
      await eventually(
        () => fetchModels(),
        (body) => body !== '',
      ),
    ).toBe('models')
    expect(await ping(models, '10.10.0.1')).toBe('0/5')
  })

  it('sends segments that fit into a tunnel', async () => {
    // As a host behind the hub would, which knows nothing of tunnels.
    await exec(hub, `ip route replace ${models}/32 dev cwia0 src 10.10.0.1 advmss 1460`)
    expect(await sendToHub('10.10.0.1', 300_000)).toBe(300_000)
  })

  it('answers through the connection that the route names, and through its other tunnel when one is down', async () => {
    const received = async (device: string) =>
      (
        JSON.parse(await exec(hub, `ip -s -j link show dev ${device} 2>/dev/null || echo '[]'`)) as {
          readonly stats64: { readonly rx: { readonly packets: number } }
        }[]
      )[0]?.stats64.rx.packets ?? 0
    const taking = async (): Promise<string[]> => {
      const devices = ['cwia0', 'cwia1', 'cwib0', 'cwib1']
      const before = await Promise.all(devices.map(received))
      await fetchModels()
      const after = await Promise.all(devices.map(received))
      // A request's answer is several packets; the kernel's own are one or two.
      return devices.filter((_, n) => after[n]! - before[n]! >= 3)
    }
    const [first] = await taking()
    expect(first).toMatch(/^cwia[01]$/)
    await ec2.send(
      new ReplaceTransitGatewayRouteCommand({
        TransitGatewayRouteTableId: made['table']!,
        DestinationCidrBlock: '10.10.0.0/16',
        TransitGatewayAttachmentId: made['b-attachment']!,
      }),
    )
    const [second] = await eventually(taking, ([one]) => one?.startsWith('cwib') === true)
    expect(second).toMatch(/^cwib[01]$/)
    await exec(hub, `kill $(for p in $(pgrep charon-systemd); do grep -qs '^iff:.*${second}$' /proc/$p/fdinfo/* && echo $p; done)`)
    const other = second === 'cwib0' ? 'cwib1' : 'cwib0'
    expect(await eventually(taking, ([one]) => one === other)).toEqual([other])
  })
})

describe('a connection that carries IPv6', () => {
  it('comes up with insides of IPv6, reaches the host in the VPC and is reached by it', async () => {
    expect(await connect(([0, 1] as const).map((member) => ({ tunnel: tunnel('c', member), secret: keys.c[member] })))).toEqual([
      'cwic0 up',
      'cwic1 up',
    ])
    for (const inside of ['fd12::1', 'fd12::5']) expect(await ping(inside)).toBe('5/5')
    await exec(hub, `ip route add ${models6}/128 dev cwic0 src fd10::1`)
    const fetch6 = () => fetchModels(`TCP6:[${models6}]`)
    expect(await fetch6()).toBe('')
    const route = { TransitGatewayRouteTableId: made['table']!, DestinationCidrBlock: 'fd10::/64' }
    await ec2.send(new CreateTransitGatewayRouteCommand({ ...route, TransitGatewayAttachmentId: made['c-attachment']! }))
    await ec2.send(new CreateRouteCommand({ RouteTableId: ids.routes, DestinationIpv6CidrBlock: 'fd10::/64', TransitGatewayId: made['tgw']! }))
    await sleep(500)
    expect(await fetch6(), 'no group lets it in').toBe('')
    const permission = { IpProtocol: 'tcp', FromPort: 8443, ToPort: 8443, Ipv6Ranges: [{ CidrIpv6: 'fd10::/64' }] }
    await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId: made['group']!, IpPermissions: [permission] }))
    expect(await eventually(fetch6, (body) => body !== '')).toBe('models')
    expect(await ping(models6, 'fd10::1')).toBe('0/5')
    expect(await sendToHub('fd10::1', 300_000)).toBe(300_000)
  })
  it('carries nothing else, there or back', async () => {
    await exec(hub, `ip route replace ${models}/32 dev cwic0 src 10.10.0.1`)
    expect(await fetchModels()).toBe('')
    await exec(hub, `ip route replace ${models}/32 dev cwia0 src 10.10.0.1`)
    expect(
      await eventually(
        () => fetchModels(),
        (body) => body !== '',
      ),
    ).toBe('models')
    const route = { TransitGatewayRouteTableId: made['table']!, DestinationCidrBlock: 'fd10::/64' }
    const fetch6 = () => fetchModels(`TCP6:[${models6}]`)
    await ec2.send(new ReplaceTransitGatewayRouteCommand({ ...route, TransitGatewayAttachmentId: made['a-attachment']! }))
    expect(await eventually(fetch6, (body) => body === '')).toBe('')
    await ec2.send(new ReplaceTransitGatewayRouteCommand({ ...route, TransitGatewayAttachmentId: made['c-attachment']! }))
    expect(await eventually(fetch6, (body) => body !== '')).toBe('models')
  })
})

describe('an emulated tunnel', () => {
  it('refuses a wrong key and a weaker proposal', async () => {
    const spare = (change: Partial<UserspaceTunnel>) =>
      tunnel('a', 1, { device: 'cwix', table: 9009, local: { ...tunnel('a', 1).local, ports: { ike: 5020, nat: 5021 } }, ...change })
    const reasons = () => readFileSync(join(state, 'lab', 'logs', `${outsides.a[1]}.log`), 'utf8')
    expect(await connect([{ tunnel: spare({}), secret: 'not.the.key' }])).toEqual(['cwix D044'])
    expect(reasons()).toContain('N(AUTH_FAILED)')
    expect(reasons()).not.toContain('N(NO_PROP)')
    expect(await connect([{ tunnel: spare({ proposals: { ike: ['aes128-sha256-modp2048'], esp: ['aes128-sha256'] } }), secret: keys.a[1] }])).toEqual(
      ['cwix D044'],
    )
    expect(reasons()).toContain('N(NO_PROP)')
    // It was for these, and for nothing else.
    expect(await connect([{ tunnel: spare({}), secret: keys.a[1] }])).toEqual(['cwix up'])
  })

  it('goes with its connection: no charon, no box and no key is left', async () => {
    await ec2.send(new DeleteVpnConnectionCommand({ VpnConnectionId: made['b']! }))
    const boxes = () => running.lab.status().then(({ boxes: all }) => all.map((box) => box.name).filter((name) => name.startsWith('203.')))
    // Boxes are listed as they were made, and two tunnels are made at once.
    expect((await eventually(boxes, (left) => left.length === 4)).toSorted()).toEqual([...outsides.a, ...outsides.c].toSorted())
    expect(
      await eventually(
        () => ping(`169.254.10.1`),
        (answered) => answered === '5/5',
      ),
    ).toBe('5/5')
    const written = readdirSync(join(state, 'lab', 'logs'))
      .map((name) => readFileSync(join(state, 'lab', 'logs', name), 'utf8'))
      .join('')
    expect(written).toContain('CreateVpnConnection')
    for (const key of Object.values(keys).flat()) expect(written).not.toContain(key)
  })
})
