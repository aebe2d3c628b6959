/** A seed and a real SDK client against an emulator on a loopback port. */
import { EC2Client } from '@aws-sdk/client-ec2'
import { createEmulator, type Emulator, type EmulatorOptions } from '#providers/aws/emulator/emulator.ts'
import { listen } from '#providers/aws/emulator/listen.ts'
import type { SeedInput } from '#providers/aws/emulator/seed.ts'

export const ids = {
  vpc: 'vpc-0a0a0a0a0a0a0a0a0',
  subnetA: 'subnet-0a0a0a0a0a0a0a0a1',
  subnetB: 'subnet-0a0a0a0a0a0a0a0a2',
  subnetA2: 'subnet-0a0a0a0a0a0a0a0a3',
  routes: 'rtb-0a0a0a0a0a0a0a0a0',
} as const
export const seed = {
  accessKeys: ['AKIAEXAMPLE'],
  regions: [
    {
      name: 'eu-west-1',
      outside: '203.0.113.0/26',
      vpcs: [
        {
          id: ids.vpc,
          cidr: '10.50.0.0/16',
          tags: { Name: 'models' },
          subnets: [
            { id: ids.subnetA, cidr: '10.50.1.0/24', zone: 'eu-west-1a' },
            { id: ids.subnetB, cidr: '10.50.2.0/24', zone: 'eu-west-1b' },
            { id: ids.subnetA2, cidr: '10.50.3.0/24', zone: 'eu-west-1a' },
          ],
          routeTables: [{ id: ids.routes, main: true }],
          hosts: [{ name: 'models', address: '10.50.1.10', subnet: ids.subnetA, groups: ['default', 'tag:causeway:id'] }],
        },
      ],
    },
    { name: 'eu-central-1', outside: '203.0.113.64/26' },
  ],
} satisfies SeedInput

export interface Cloud {
  readonly emulator: Emulator
  readonly endpoint: string
  readonly client: EC2Client
  clientIn(region: string, accessKeyId?: string): EC2Client
  close(): Promise<void>
}
export async function startCloud(change: Partial<EmulatorOptions> = {}): Promise<Cloud> {
  const emulator = createEmulator({ seed, timeScale: 0, ...change })
  const server = await listen(emulator.handle, '0')
  const clients: EC2Client[] = []
  const clientIn = (region: string, accessKeyId = 'AKIAEXAMPLE'): EC2Client => {
    const client = new EC2Client({ region, endpoint: server.where, maxAttempts: 1, credentials: { accessKeyId, secretAccessKey: 'unused' } })
    clients.push(client)
    return client
  }
  return {
    emulator,
    endpoint: server.where,
    client: clientIn('eu-west-1'),
    clientIn,
    async close() {
      for (const client of clients) client.destroy()
      await server.close()
      await emulator.close()
    },
  }
}
export const off = { Options: { DefaultRouteTableAssociation: 'disable', DefaultRouteTablePropagation: 'disable' } } as const
/** The one profile of the design: what Causeway sends for each tunnel. */
export const strong = (inside: string, key: string) => ({
  TunnelInsideCidr: inside,
  PreSharedKey: key,
  Phase1EncryptionAlgorithms: [{ Value: 'AES256-GCM-16' }],
  Phase1IntegrityAlgorithms: [{ Value: 'SHA2-384' }],
  Phase1DHGroupNumbers: [{ Value: 20 }],
  Phase2EncryptionAlgorithms: [{ Value: 'AES256-GCM-16' }],
  Phase2IntegrityAlgorithms: [{ Value: 'SHA2-384' }],
  Phase2DHGroupNumbers: [{ Value: 20 }],
  IKEVersions: [{ Value: 'ikev2' }],
  DPDTimeoutSeconds: 30,
})
