/** Amazon Web Services: a region's transit gateway with IPsec connections to the hubs. README.md says what it makes there. */
import { createHash } from 'node:crypto'
import type { NetworkId, Region } from '#src/fabric/fabric.ts'
import type { Address } from '#src/net/address.ts'
import type { CloudProvider, Observed, ResourceId, Run, Telemetry } from '../cloud.ts'
import { applyStep } from './apply.ts'
import { type ClientOf, type Counter, createClient, createCounter, instrument } from './client.ts'
import { desired, withKeys } from './desired.ts'
import { classify, CloudError, finding, trouble } from './errors.ts'
import type { Context } from './kind.ts'
import * as read from './observe.ts'
import { permissions } from './permissions.ts'
import { awsTiming, type Clock, createGatherer, realClock, type Timing, until } from './poll.ts'
import { judge, surroundings } from './preflight.ts'
import { createReads, type Reads } from './reads.ts'
import { localName, regionOf, tagOf } from './scheme.ts'
import { steps } from './steps.ts'
import { verify } from './verify.ts'

export { withKeys } from './desired.ts'
export { CloudError } from './errors.ts'
export { awsTiming, type Timing } from './poll.ts'
export { waves } from './steps.ts'
export type { Counter } from './client.ts'

export interface AwsOptions {
  /** Default: the SDK's own chains for credentials and endpoint. */
  readonly client?: ClientOf
  readonly clock?: Clock
  readonly timing?: Partial<Timing>
  /** What is shown and compared of a pre-shared key; the vault's keyed one, else SHA-256 cut to 64 bits. */
  readonly fingerprint?: (secret: string) => string
}
export interface AwsProvider extends CloudProvider {
  readonly calls: Counter
}
const never = new AbortController().signal

export function createAwsProvider(options: AwsOptions = {}): AwsProvider {
  const clock = options.clock ?? realClock
  const timing = { ...awsTiming, ...options.timing }
  const fingerprint = options.fingerprint ?? ((secret: string) => createHash('sha256').update(`causeway psk ${secret}`).digest('hex').slice(0, 16))
  const counter = createCounter()
  const clientOf = createClients(options.client ?? createClient, counter.count)
  const gatherers = new Map<string, ReturnType<typeof createGatherer>>()
  const gathererOf = (location: string): ReturnType<typeof createGatherer> => {
    const known = gatherers.get(location) ?? createGatherer(() => clock.sleep(timing.gather, never))
    gatherers.set(location, known)
    return known
  }
  const readsOf = (network: NetworkId, location: string, signal: AbortSignal): Reads =>
    createReads(clientOf(location, 'again'), network, gathererOf(location), signal)

  function contextOf(network: NetworkId, region: Region, run: Run): Context {
    const reads = readsOf(network, region.location, run.signal)
    const send = (retries: 'once' | 'again'): Context['once'] => {
      const client = clientOf(region.location, retries)
      return ((command: Parameters<Context['once']>[0]) => client.send(command, { abortSignal: run.signal })) as Context['once']
    }
    const connectionState = async (id: ResourceId): Promise<true | undefined> => {
      const found = read.readConnections(await reads.connections(), fingerprint).find((of) => of.id === id && of.state !== 'deleting')
      return found?.state === 'ready' ? true : undefined
    }
    // What a step hangs on stays the same while it lasts: asked for once.
    const parents = new Map<ResourceId, string>()
    let gateways: readonly string[] = []
    return {
      network,
      operation: run.operation,
      reads,
      once: send('once'),
      again: send('again'),
      fingerprint,
      psk: (tunnel) => run.psk(tunnel),
      idOf: async (of) => {
        const id = run.cloudId(of) ?? parents.get(of) ?? (await parentId(reads, fingerprint, of))
        parents.set(of, id)
        return id
      },
      gateways: async () => {
        if (gateways.length === 0) gateways = read.readTransitGateways(await reads.transitGateways()).map(({ cloudId }) => cloudId)
        return [...gateways].sort()
      },
      settled: async (id) => {
        const limit = 30 * 60_000
        await until({
          what: id,
          limit,
          clock,
          timing,
          signal: run.signal,
          beat: () => run.heartbeat(run.resume ?? ''),
          check: () => connectionState(id),
        })
      },
    }
  }

  return {
    calls: counter,
    resources: desired,
    keyed: (resources, secrets) => withKeys(resources, new Map([...secrets].map(([tunnel, secret]) => [tunnel, fingerprint(secret)]))),
    steps,
    verify,
    permissions,
    classify,
    async observe(network, region, signal) {
      const vpcs = region.networks.map((of) => of.id)
      return read.ofRegion(await read.observeAll(readsOf(network, region.location, signal), fingerprint, vpcs), region)
    },
    async preflight(network, region, signal) {
      return judge(network, region, await surroundings(readsOf(network, region.location, signal), region))
    },
    apply: (network, region, step, run) => applyStep({ context: contextOf(network, region, run), run, clock, timing }, step),
    async tunnels(network, region, signal) {
      const connections = await readsOf(network, region.location, signal).connections()
      return telemetry(region, connections)
    },
    async sweep(network, locations, signal) {
      const found = await Promise.all(locations.map((location) => sweepOne(readsOf(network, location, signal), location, signal)))
      return found.flat()
    },
  }

  /** Twice, and what either saw: a describe may leave out what is a few seconds old. */
  async function sweepOne(reads: Reads, location: string, signal: AbortSignal): Promise<readonly Observed[]> {
    const first = await read.observeAll(reads, fingerprint, undefined)
    await clock.sleep(timing.poll, signal)
    const second = await read.observeAll(reads, fingerprint, undefined)
    const all = new Map([...first, ...second].map((of) => [`${of.type} ${of.cloudId}`, { ...of, properties: { ...of.properties, location } }]))
    return [...all.values()]
  }
}

function createClients(make: ClientOf, count: (action: string) => void): ClientOf {
  const known = new Map<string, ReturnType<ClientOf>>()
  const instrumented = new WeakSet<object>()
  return (location, retries) => {
    const key = `${location} ${retries}`
    const client = known.get(key) ?? make(location, retries)
    if (!instrumented.has(client)) instrument(client, count)
    instrumented.add(client)
    known.set(key, client)
    return client
  }
}

async function parentId(reads: Reads, fingerprint: read.Fingerprint, of: ResourceId): Promise<string> {
  const list = async (): Promise<readonly Observed[]> => {
    const [kind] = localName(of).split('/')
    switch (kind) {
      case 'transit-gateway':
        return read.readTransitGateways(await reads.transitGateways())
      case 'route-table':
        return read.readRouteTables(await reads.routeTables())
      case 'customer-gateway':
        return read.readCustomerGateways(await reads.customerGateways())
      case 'connection':
        return read.readConnections(await reads.connections(), fingerprint)
      case 'attachment':
        return read.readVpcAttachments(await reads.vpcAttachments(), [])
      default:
        return []
    }
  }
  const found = (await list()).filter((one) => one.id === of && one.state !== 'deleting').map((one) => one.cloudId)
  const [first] = found.sort()
  if (first !== undefined) return first
  throw new CloudError(
    trouble('missing', finding('R029', [of], `${of} does not exist, and something else needs it`, 'plan again: what it hangs on comes first'), 2000),
  )
}

/** Which tunnel it is, the outside address tells and the inside prefix confirms; the position in AWS's lists says nothing. */
export function telemetry(region: Region, connections: Awaited<ReturnType<Reads['connections']>>): readonly Telemetry[] {
  const members = region.connections.flatMap((of) => of.members)
  return connections.flatMap((of) => {
    const ours = regionOf(read.tagValue(of.Tags, tagOf.id) ?? '') === region.id
    if (!ours || of.State === 'deleted' || of.State === 'deleting') return []
    return (of.VgwTelemetry ?? []).flatMap((said): readonly Telemetry[] => {
      const option = of.Options?.TunnelOptions?.find((one) => one.OutsideIpAddress === said.OutsideIpAddress)
      const member = members.find((one) => option && one.inside === read.insideOf(option))
      if (!member || said.OutsideIpAddress === undefined) return []
      return [
        {
          tunnel: member.tunnel,
          outside: said.OutsideIpAddress as Address,
          state: said.Status === 'UP' ? 'up' : 'down',
          says: said.StatusMessage ?? '',
          since: (said.LastStatusChange ?? new Date(0)).toISOString(),
        },
      ]
    })
  })
}
