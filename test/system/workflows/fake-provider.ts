/** The port to the fake cloud: what a region consists of there is a gateway, a connection a hub uplink, and a route a prefix. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { CloudFact, CloudProvider, Observed, Resource, ResourceId, Run, Step, Telemetry, Trouble } from '#providers/cloud.ts'
import type { Finding, NetworkId, Region } from '#src/fabric/fabric.ts'
import { canonicalJson } from '#src/fabric/hash.ts'
import { address } from '#src/net/address.ts'
import { lock } from '#workflows/lock.ts'
import type { CloudObject } from './fake-cloud.ts'

/** Called before and after every call to the cloud, by its name: where a test kills the worker. */
export type Crossing = (boundary: string) => void

class Refused extends Error {
  readonly code: string
  constructor(code: string) {
    super(code)
    this.code = code
  }
}
const order = ['gateway', 'connection', 'route']

/** With `crossing` calls go one after another, so that a kill at one leaves no other half done: each comes to its own. */
export function fakeProvider(url: string, crossing?: Crossing): CloudProvider {
  const serially = lock()
  const cross = crossing ?? (() => {})
  const call = async <T>(op: string, body: object, signal: AbortSignal): Promise<T> =>
    crossing === undefined ? await send<T>(op, body, signal) : await serially(() => send<T>(op, body, signal))
  const send = async <T>(op: string, body: object, signal: AbortSignal): Promise<T> => {
    const name = `cloud ${op}${'id' in body ? ` ${String(body.id)}` : ''}`
    cross(`${name} before`)
    const response = await fetch(`${url}/${op}`, { method: 'POST', body: JSON.stringify(body), signal })
    const answer = (await response.json()) as T & { readonly code?: string }
    cross(`${name} after`)
    if (!response.ok) throw new Refused(answer.code ?? '')
    return answer
  }
  const list = async (signal: AbortSignal): Promise<readonly Observed[]> =>
    (await call<readonly (CloudObject & { readonly state: 'ready' | 'pending' })[]>('list', {}, signal)).map((of) => ({
      id: of.id as ResourceId,
      type: of.type,
      cloudId: of.cloudId,
      state: of.state,
      properties: of.properties,
    }))
  const ready = async (cloudId: string, signal: AbortSignal) => {
    while (!(await list(signal)).some((of) => of.cloudId === cloudId && of.state === 'ready')) await sleep(20, undefined, { signal })
  }

  const provider: CloudProvider = {
    resources: (_, region, routes) => {
      const gateway = `${region.id}/gateway` as ResourceId
      const connections = region.connections.map(
        (of): Resource => ({
          id: `${region.id}/connection/${of.id}` as ResourceId,
          type: 'connection',
          after: [gateway],
          properties: { customer: of.address, tunnels: of.members.map(({ tunnel }) => tunnel) },
        }),
      )
      const carried = [...routes].map(
        ([to, via]): Resource => ({
          id: `${region.id}/route/${to}` as ResourceId,
          type: 'route',
          after: [`${region.id}/connection/${via}` as ResourceId],
          properties: { to, via },
        }),
      )
      return [{ id: gateway, type: 'gateway', after: [], properties: { asn: region.asn } }, ...connections, ...carried]
    },
    observe: async (_network, _region, signal) => await list(signal),
    preflight: async (_, region) => (region.networks.some(({ id }) => id === 'vpc-gone') ? [finding('Y001', 'the VPC vpc-gone does not exist')] : []),
    steps: (wanted, observed) => {
      const chosen = new Map<string, Observed>()
      for (const of of observed) if (wanted.some(({ id }) => id === of.id) && !chosen.has(of.id)) chosen.set(of.id, of)
      const made = wanted.flatMap((resource): readonly Step[] => {
        const seen = chosen.get(resource.id)
        if (seen === undefined || seen.state === 'pending') return [{ kind: 'create', resource }]
        return canonicalJson(seen.properties) === canonicalJson(resource.properties) ? [] : [{ kind: 'update', resource }]
      })
      const surplus = observed.filter((of) => chosen.get(of.id) !== of).toSorted((a, b) => order.indexOf(b.type) - order.indexOf(a.type))
      return [...made, ...surplus.map((of): Step => ({ kind: 'delete', id: of.id, type: of.type, cloudId: of.cloudId }))]
    },
    apply: async (_, region, step, run) => {
      if (step.kind === 'delete') {
        await call('delete', { id: step.id, cloudId: step.cloudId, type: step.type }, run.signal)
        return []
      }
      const { id, type, properties } = step.resource
      const there = (await list(run.signal)).find((of) => of.id === id)
      if (there !== undefined && step.kind === 'update') {
        await call('update', { id, type, cloudId: there.cloudId, properties }, run.signal)
        return told(region, step.resource, there.cloudId)
      }
      const cloudId = run.resume ?? there?.cloudId ?? (await create(region, step.resource, run))
      run.heartbeat(cloudId)
      await ready(cloudId, run.signal)
      return told(region, step.resource, cloudId)
    },
    verify: (wanted, observed) =>
      wanted.flatMap((of) => {
        const seen = observed.find(({ id }) => id === of.id)
        if (seen === undefined) return [finding('Y002', `${of.id} was deleted by hand`)]
        return canonicalJson(seen.properties) === canonicalJson(of.properties) ? [] : [finding('Y003', `${of.id} was changed by hand`)]
      }),
    tunnels: async (_network, _region, signal) => await call<readonly Telemetry[]>('tunnels', {}, signal),
    sweep: async (_network, _locations, signal) => await list(signal),
    permissions: () => ({ Version: '2012-10-17', Statement: [] }),
    classify,
  }
  return provider

  async function create(region: Region, { id, type, properties }: Resource, run: Run): Promise<string> {
    const of = region.connections.find((connection) => id === `${region.id}/connection/${connection.id}`)
    const psks = await Promise.all((of?.members ?? []).map(({ tunnel }) => run.psk(tunnel)))
    return (await call<CloudObject>('create', { id, type, properties, psks }, run.signal)).cloudId
  }
}

function told(region: Region, { id }: Resource, cloudId: string): readonly CloudFact[] {
  const index = region.connections.findIndex((of) => id === `${region.id}/connection/${of.id}`)
  const endpoints = (region.connections[index]?.members ?? []).map(
    ({ tunnel }, member): CloudFact => ({ kind: 'cloud-endpoint', tunnel, address: address(`203.0.113.${10 + index * 2 + member}`) }),
  )
  return [{ kind: 'cloud', resource: id, cloudId }, ...endpoints]
}

const finding = (code: string, says: string): Finding => ({ code, severity: 'error', at: [], says, instead: '', witness: [] })
const meanings: Readonly<Record<string, { readonly kind: Trouble['kind']; readonly says: string }>> = {
  Throttling: { kind: 'retry', says: 'the cloud is busy' },
  Quota: { kind: 'quota', says: 'the quota of 5 gateways is used up' },
  Unauthorized: { kind: 'permission', says: 'the permission fake:Create is missing' },
  NotFound: { kind: 'missing', says: 'it is not there' },
  Dependency: { kind: 'retry', says: 'what it needs is not there yet' },
  DependencyViolation: { kind: 'retry', says: 'something still hangs on it' },
}
function classify(error: unknown): Trouble {
  const code = error instanceof Refused ? error.code : ''
  const meaning = meanings[code] ?? (error instanceof TypeError ? { kind: 'retry', says: 'no answer' } : { kind: 'fatal', says: String(error) })
  return { kind: meaning.kind, finding: finding('Y009', meaning.says), after: meaning.kind === 'retry' ? 30 : 0 }
}

/** The network that the fake cloud belongs to. */
export const fakeNetwork = 'acme' as NetworkId
