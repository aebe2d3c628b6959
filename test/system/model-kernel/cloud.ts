/** The region of a network in an emulated account, made by the real provider: packets go the way that was built. */
import { createClient } from '#providers/aws/client.ts'
import { createAwsProvider } from '#providers/aws/index.ts'
import type { ReturnRoutes, Run } from '#providers/cloud.ts'
import type { Fabric, Fact, SecretRef, TunnelId } from '#src/fabric/fabric.ts'
import type { Address } from '#src/net/address.ts'
import { returnRoutes } from '#src/path/return-routes.ts'
import { converge } from '#test/contract/aws-region.ts'

/** Of src/lab/demo/aws-seed.json: the one that answers in the VPC. */
export const vpcHost = { box: 'vpc-model', addresses: { 4: '10.96.1.10' as Address, 6: '2600:1f18:1234:5600::a' as Address } } as const
const credentials = { accessKeyId: 'AKIADEMOLABCAUSEWAY0', secretAccessKey: 'unused' }

export interface Cloud {
  readonly facts: readonly Fact[]
  /** Keys by the id of their reference. */
  readonly secrets: Readonly<Record<string, string>>
  /** Points the return routes to these connections. */
  route(routes: ReturnRoutes): Promise<void>
}

export async function makeRegion(fabric: Fabric, endpoint: string): Promise<Cloud> {
  const region = fabric.regions[0]!
  const network = fabric.network.id
  const provider = createAwsProvider({
    client: (location, retries) => createClient(location, retries, { endpoint, credentials }),
    timing: { poll: 100, gather: 10, settle: 2_000 },
  })
  const keyOf = (tunnel: TunnelId): string => `key.of.${tunnel.replaceAll(/[^A-Za-z0-9]/g, '.')}`
  const run: Run = {
    operation: 'model-kernel',
    signal: AbortSignal.timeout(120_000),
    heartbeat: () => {},
    resume: undefined,
    psk: async (tunnel) => keyOf(tunnel),
    cloudId: () => undefined,
  }
  const made = await converge(provider, network, region, provider.resources(network, region, returnRoutes(fabric, region.id, new Set())), run)
  const tunnels = region.connections.flatMap(({ members }) => members.map(({ tunnel }) => tunnel))
  const refOf = (tunnel: TunnelId): SecretRef => ({ id: `psk/${tunnel}`, version: 1 }) as SecretRef
  return {
    facts: [
      ...made.flatMap((fact) => (fact.kind === 'cloud-endpoint' ? [fact] : [])),
      ...tunnels.map((tunnel): Fact => ({ kind: 'psk', tunnel, linkEpoch: 0, ref: refOf(tunnel) })),
    ],
    secrets: Object.fromEntries(tunnels.map((tunnel) => [refOf(tunnel).id, keyOf(tunnel)])),
    route: async (routes) =>
      void (await converge(provider, network, region, provider.resources(network, region, routes), { ...run, signal: AbortSignal.timeout(60_000) })),
  }
}
