/**
 * The port to a cloud. `resources` is pure; everything else is idempotent by tag and resumable by operation id. No secret
 * is ever in a Resource or an Observed: pre-shared keys are asked for by tunnel at the moment of the call.
 */
import type { Address, Prefix } from '#src/net/address.ts'
import type { ConnectionId, Finding, NetworkId, Region, TunnelId } from '#src/fabric/fabric.ts'

/** `aws-eu-west-1/connection/frankfurt.isp-a`: stable, also the value of the tag `causeway:id`. */
export type ResourceId = string & { readonly id: 'resource' }
/** Inside `properties`: resolved to a cloud id only in `apply`. */
export interface Ref {
  readonly ref: ResourceId
}
export interface Resource {
  readonly id: ResourceId
  /** The provider's own word, e.g. `transit-gateway`, `vpn-connection`, `transit-gateway-route`. */
  readonly type: string
  readonly after: readonly ResourceId[]
  readonly properties: Readonly<Record<string, unknown>>
}
export interface Observed {
  readonly id: ResourceId
  readonly type: string
  readonly cloudId: string
  readonly state: 'ready' | 'pending' | 'deleting' | 'failed'
  readonly properties: Readonly<Record<string, unknown>>
}
export type Step =
  | { readonly kind: 'create' | 'update' | 'replace'; readonly resource: Resource }
  | { readonly kind: 'delete'; readonly id: ResourceId; readonly type: string; readonly cloudId: string }

/** What the cloud reports of what it made; joined by `configure` through the Facts `cloud-endpoint`. */
export type CloudFact =
  | { readonly kind: 'cloud'; readonly resource: ResourceId; readonly cloudId: string }
  /** The cloud's outside address of a tunnel, known only after the connection was made. */
  | { readonly kind: 'cloud-endpoint'; readonly tunnel: TunnelId; readonly address: Address }

export interface Run {
  /** `causeway:op`: the operation on whose behalf this is done. */
  readonly operation: string
  readonly signal: AbortSignal
  /** Said immediately after a call that begins something; a resumed activity gets it back in `resume`. */
  heartbeat(details: string): void
  readonly resume: string | undefined
  psk(tunnel: TunnelId): Promise<string>
  /** Cloud ids of what exists already, by resource. */
  cloudId(of: ResourceId): string | undefined
}
/** Which connection carries the return traffic of each overlay prefix; moved at run time by the region's entity. */
export type ReturnRoutes = ReadonlyMap<Prefix, ConnectionId>

export interface Telemetry {
  readonly tunnel: TunnelId
  readonly outside: Address
  readonly state: 'up' | 'down'
  readonly says: string
  /** RFC 3339. */
  readonly since: string
}
/** Whose problem it is, and what to do: yours (quota, permission), the cloud's (throttled), ours. */
export interface Trouble {
  readonly kind: 'retry' | 'conflict' | 'missing' | 'quota' | 'permission' | 'credentials' | 'fatal'
  readonly finding: Finding
  /** Milliseconds until a retry makes sense. */
  readonly after: number
}

export interface CloudProvider {
  /** Pure: what the region must consist of, in an order in which it can be made. */
  resources(network: NetworkId, region: Region, routes: ReturnRoutes): readonly Resource[]
  /** Pure: `resources` with a fingerprint of each tunnel's key beside it, so that a key that was not applied is a difference. */
  keyed?(resources: readonly Resource[], secrets: ReadonlyMap<TunnelId, string>): readonly Resource[]
  /** Everything of ours in the region, by tag (routes: by their tables), orphans too; complete in the face of eventual consistency. */
  observe(network: NetworkId, region: Region, signal: AbortSignal): Promise<readonly Observed[]>
  /** Foreign things that stand in the way or differ: a VPC that does not exist, another CIDR, a route with another target. */
  preflight(network: NetworkId, region: Region, signal: AbortSignal): Promise<readonly Finding[]>
  /** Pure: from what is to what must be, creations in order, deletions in reverse. */
  steps(wanted: readonly Resource[], observed: readonly Observed[]): readonly Step[]
  apply(network: NetworkId, region: Region, step: Step, run: Run): Promise<readonly CloudFact[]>
  /** What the cloud reports equals the intent, else a finding each: a resource changed or deleted by hand, a PSK not applied. */
  verify(wanted: readonly Resource[], observed: readonly Observed[]): readonly Finding[]
  tunnels(network: NetworkId, region: Region, signal: AbortSignal): Promise<readonly Telemetry[]>
  /** Finds all of ours by tag, in every region of `locations`, without the store. */
  sweep(network: NetworkId, locations: readonly string[], signal: AbortSignal): Promise<readonly Observed[]>
  /** The least IAM policy that all of this needs. */
  permissions(): Readonly<Record<string, unknown>>
  classify(error: unknown): Trouble
}

/** Those that this controller can speak to, by the provider's name; a cloud's SDK is loaded at the first use. */
export type Clouds = (provider: string) => Promise<CloudProvider | undefined>
