/** What each type must be able to do, and what it gets for that. */
import type { EC2Client, ResourceType, TagSpecification } from '@aws-sdk/client-ec2'
import type { NetworkId, TunnelId } from '#src/fabric/fabric.ts'
import type { Observed, ResourceId } from '../cloud.ts'
import type { Difference } from './difference.ts'
import { conflict, finding, isNotFound } from './errors.ts'
import type * as read from './observe.ts'
import type { Reads } from './reads.ts'
import { type AwsObserved, type AwsResource, type AwsType, tagOf } from './scheme.ts'

export interface Context {
  readonly network: NetworkId
  readonly operation: string
  readonly reads: Reads
  /** Sends, with the caller's signal. `once` is never repeated by the SDK. */
  readonly once: EC2Client['send']
  readonly again: EC2Client['send']
  readonly fingerprint: read.Fingerprint
  psk(tunnel: TunnelId): Promise<string>
  /** The cloud id of another resource of ours; throws if there is none. */
  idOf(of: ResourceId): Promise<string>
  /** Our transit gateways that are not gone, sorted. */
  gateways(): Promise<readonly string[]>
  /** Waits until a VPN connection is `available` again. */
  settled(connection: ResourceId): Promise<void>
}
export interface Kind<T extends AwsType> {
  /** Milliseconds that AWS may take to make it, and to delete it. */
  readonly limits: readonly [number, number]
  /** All that carries this id, in whatever state. */
  find(context: Context, resource: AwsResource<T>): Promise<readonly Observed[]>
  /** One call that is never repeated by itself; the cloud id. */
  make(context: Context, resource: AwsResource<T>): Promise<string>
  change(context: Context, resource: AwsResource<T>, seen: AwsObserved<T>, differences: readonly Difference[]): Promise<void>
  /** What is left of it by its cloud id; `ours` is false for what does not carry our tag. */
  left(context: Context, cloudId: string): Promise<{ readonly state: Observed['state']; readonly ours: boolean } | undefined>
  remove(context: Context, cloudId: string): Promise<void>
}

export const minutes = (n: number): number => n * 60_000
export const tags = (context: Context, type: ResourceType, id: ResourceId): TagSpecification[] => [
  {
    ResourceType: type,
    Tags: [
      { Key: 'Name', Value: id },
      { Key: tagOf.network, Value: context.network },
      { Key: tagOf.id, Value: id },
      { Key: tagOf.operation, Value: context.operation },
    ],
  },
]
export const withId = (of: readonly Observed[], id: ResourceId): readonly Observed[] => of.filter((one) => one.id === id)
export const must = (cloudId: string | undefined): string => {
  if (cloudId === undefined || cloudId === '') throw new SyntaxError('the answer has no id: deserialization error')
  return cloudId
}
/** What the lists by tag hold is ours by that. */
export const leftIn = (of: readonly Observed[], cloudId: string): { readonly state: Observed['state']; readonly ours: boolean } | undefined => {
  const one = of.find((candidate) => candidate.cloudId === cloudId)
  return one && { state: one.state, ours: true }
}
export const unchangeable = (resource: AwsResource, differences: readonly Difference[]): Error =>
  conflict(
    finding(
      'R026',
      [resource.id],
      `AWS can't change ${differences.map(({ key }) => key).join(', ')} of ${resource.id}`,
      'it was changed by somebody else meanwhile; plan again, it is then replaced',
    ),
  )
export const unlessGone = (error: unknown): void => {
  if (!isNotFound(error)) throw error
}
