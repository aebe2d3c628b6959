/**
 * The EC2s that the contract runs against: our emulator, moto, and a real account if one is named. Each is its own
 * process behind an endpoint, so that nothing but the wire is shared with the provider.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateSubnetCommand, CreateVpcCommand, DescribeVpcsCommand, EC2Client } from '@aws-sdk/client-ec2'
import { createClient, type ClientOf } from '#providers/aws/client.ts'
import { awsTiming, type Timing } from '#providers/aws/poll.ts'
import type { AwsType } from '#providers/aws/scheme.ts'
import { type Prefix, prefix, prefixBits, prefixFromBits } from '#src/net/address.ts'

export interface Cloud {
  readonly client: ClientOf
  readonly timing: Timing
  readonly location: string
  readonly vpc: string
  readonly prefixes: readonly Prefix[]
  close(): Promise<void>
}
export interface CloudKind {
  readonly name: string
  /** Why it can't run here; '' when it can. */
  readonly skipped: string
  /** What it does not implement, with what it does instead. */
  readonly lacks: Readonly<Partial<Record<AwsType, string>>>
  start(pace?: { readonly timeScale: number }): Promise<Cloud>
}

const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' }
const fast: Timing = { poll: 100, gather: 10, settle: 3000, patience: 1 / 60 }
const emulator = 'providers/aws/emulator/main.ts'
/** Where `npm test` installs it: src/setup.mjs. */
const moto = `.causeway/cache/moto-${createHash('sha256').update(readFileSync('test/contract/moto.txt')).digest('hex').slice(0, 12)}`

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  const done = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  return done
}
/** The first line of its output, or why there is none. */
function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let out = ''
    let trouble = ''
    child.stderr?.on('data', (data: Buffer) => void (trouble += data.toString()))
    child.stdout?.on('data', (data: Buffer) => {
      out += data.toString()
      if (out.includes('\n')) resolve(out.slice(0, out.indexOf('\n')))
    })
    child.once('exit', (code) => reject(new Error(`it ended with ${code}: ${trouble}`)))
  })
}
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
const clientAt =
  (endpoint: string): ClientOf =>
  (location, retries) =>
    createClient(location, retries, { endpoint, credentials })

/** A VPC of IPv4, or of both families. */
const emulated =
  (ipv6: boolean): CloudKind['start'] =>
  ({ timeScale } = { timeScale: 0.2 }) =>
    startEmulator(ipv6, timeScale)
async function startEmulator(ipv6: boolean, timeScale: number): Promise<Cloud> {
  const folder = mkdtempSync(join(tmpdir(), 'cw-ec2-'))
  const seed = {
    accessKeys: [credentials.accessKeyId],
    regions: [
      {
        name: 'eu-west-1',
        outside: '203.0.113.0/25',
        vpcs: [
          {
            id: 'vpc-0a1b2c3d',
            cidr: '10.20.0.0/16',
            ...(ipv6 ? { ipv6: '2600:1f18:1234:5600::/56' } : {}),
            subnets: [
              { id: 'subnet-00000001', cidr: '10.20.0.0/24', ...(ipv6 ? { ipv6: '2600:1f18:1234:5600::/64' } : {}), zone: 'eu-west-1a' },
              { id: 'subnet-00000002', cidr: '10.20.1.0/24', ...(ipv6 ? { ipv6: '2600:1f18:1234:5601::/64' } : {}), zone: 'eu-west-1b' },
              // Smaller, and of no use where the attachment is to have IPv6.
              { id: 'subnet-00000003', cidr: '10.20.2.0/28', zone: 'eu-west-1b' },
            ],
            routeTables: [
              { id: 'rtb-00000001', main: true },
              { id: 'rtb-00000002', subnets: ['subnet-00000002'] },
            ],
          },
        ],
        times: { consistency: 200 / timeScale },
      },
    ],
  }
  writeFileSync(join(folder, 'seed.json'), JSON.stringify(seed))
  const port = await freePort()
  const child = spawn(process.execPath, [emulator, '--port', String(port), '--seed', join(folder, 'seed.json'), '--time-scale', String(timeScale)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  await firstLine(child)
  return {
    client: clientAt(`http://127.0.0.1:${port}`),
    timing: fast,
    location: 'eu-west-1',
    vpc: 'vpc-0a1b2c3d',
    prefixes: ['10.20.0.0/16', ...(ipv6 ? ['2600:1f18:1234:5600::/56'] : [])].map(prefix),
    close: async () => {
      await ended(child)
      rmSync(folder, { recursive: true })
    },
  }
}

async function startMoto(ipv6: boolean): Promise<Cloud> {
  const port = await freePort()
  const child = spawn('python3', ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], {
    stdio: 'ignore',
    env: { ...process.env, PYTHONPATH: moto },
  })
  const endpoint = `http://127.0.0.1:${port}`
  const raw = new EC2Client({ region: 'eu-west-1', endpoint, credentials, maxAttempts: 1 })
  const make = async (): Promise<Pick<Cloud, 'vpc' | 'prefixes'>> => {
    const { Vpc } = await raw.send(new CreateVpcCommand({ CidrBlock: '10.20.0.0/16', AmazonProvidedIpv6CidrBlock: ipv6 }))
    const six = Vpc?.Ipv6CidrBlockAssociationSet?.flatMap(({ Ipv6CidrBlock: of }) => (of ? [prefix(of)] : [])) ?? []
    for (const [n, zone] of ['a', 'b'].entries())
      await raw.send(
        new CreateSubnetCommand({
          VpcId: Vpc?.VpcId,
          CidrBlock: `10.20.${n}.0/28`,
          AvailabilityZone: `eu-west-1${zone}`,
          ...(six[0] ? { Ipv6CidrBlock: prefixFromBits(6, prefixBits(six[0]).value + (BigInt(n) << 64n), 64) } : {}),
        }),
      )
    return { vpc: Vpc?.VpcId ?? '', prefixes: [prefix('10.20.0.0/16'), ...six] }
  }
  for (let tries = 0; ; tries++) {
    try {
      return { client: clientAt(endpoint), timing: fast, location: 'eu-west-1', ...(await make()), close: () => ended(child) }
    } catch (error) {
      if (tries > 100 || child.exitCode !== null) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

/** The account, Region and VPC that the environment names; it costs about half a dollar. */
async function startReal(): Promise<Cloud> {
  const location = process.env['AWS_REGION'] ?? 'eu-west-1'
  const vpc = process.env['CAUSEWAY_TEST_AWS_VPC']
  if (vpc === undefined) throw new Error('CAUSEWAY_TEST_AWS_VPC names no VPC: docs/aws.md')
  const { Vpcs } = await new EC2Client({ region: location }).send(new DescribeVpcsCommand({ VpcIds: [vpc] }))
  const [four, six] = [Vpcs?.[0]?.CidrBlockAssociationSet ?? [], Vpcs?.[0]?.Ipv6CidrBlockAssociationSet ?? []]
  const prefixes = [...four.map((set) => prefix(set.CidrBlock ?? '')), ...six.map((set) => prefix(set.Ipv6CidrBlock ?? ''))]
  return { client: createClient, timing: awsTiming, location, vpc, prefixes, close: async () => {} }
}

const inMoto = (name: string, ipv6: boolean): CloudKind => ({
  name,
  skipped: existsSync(moto) ? '' : process.env['CAUSEWAY_WITHOUT_MOTO'] || 'it is not installed: npm test does that',
  lacks: {
    'vpc-attachment': 'keeps no tags of it',
    'transit-gateway-association': 'associates with a default table although that is disabled, and answers disassociation with HTTP 500',
    'transit-gateway-route': 'forgets where a route to a VPN attachment leads',
  },
  start: () => startMoto(ipv6),
})

export const clouds: readonly CloudKind[] = [
  { name: 'the emulator', skipped: '', lacks: {}, start: emulated(false) },
  { name: 'the emulator, in both families', skipped: '', lacks: {}, start: emulated(true) },
  inMoto('moto', false),
  inMoto('moto, in both families', true),
  ...(process.env['CAUSEWAY_TEST_AWS'] === '1' ? [{ name: 'a real account', skipped: '', lacks: {}, start: startReal }] : []),
]
