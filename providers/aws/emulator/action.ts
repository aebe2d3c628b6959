/** What an action is: its name, the parameters it takes, and what it does to the world. */
import { type DecodedFields, type Fields, flag, group, list, needed, text } from './query.ts'
import { invalidValue, Refusal } from './refusal.ts'
import type { Context, Resource, Tags, Timed, World } from './world.ts'
import type { Xml } from './xml.ts'

export interface Action {
  readonly name: string
  readonly fields: Fields
  /** Changes `world` in place: the core hands it a copy, and throws that away when a Refusal is thrown. */
  run(world: World, parameters: never, context: Context): Xml
}
export const action = <F extends Fields>(name: string, fields: F, run: (world: World, parameters: DecodedFields<F>, context: Context) => Xml) => ({
  name,
  fields: { ...fields, DryRun: flag },
  run,
})

// ---- finding

/** What a kind of resource is called in ids and errors. */
export interface Kind {
  readonly prefix: string
  readonly notFound: string
  readonly malformed: string
  readonly noun: string
}
const kind = (prefix: string, error: string, noun: string, malformed = error): Kind => ({
  prefix,
  notFound: `${error}.NotFound`,
  malformed: `${malformed}.Malformed`,
  noun,
})
export const kinds = {
  transitGateway: kind('tgw', 'InvalidTransitGatewayID', 'Transit Gateway'),
  attachment: kind('tgw-attach', 'InvalidTransitGatewayAttachmentID', 'Transit Gateway Attachment'),
  transitRouteTable: kind('tgw-rtb', 'InvalidRouteTableID', 'Transit Gateway Route Table'),
  customerGateway: kind('cgw', 'InvalidCustomerGatewayID', 'customerGateway', 'InvalidCustomerGatewayId'),
  vpnConnection: kind('vpn', 'InvalidVpnConnectionID', 'vpnConnection'),
  vpc: kind('vpc', 'InvalidVpcID', 'vpc', 'InvalidVpcId'),
  subnet: kind('subnet', 'InvalidSubnetID', 'subnet', 'InvalidSubnetId'),
  routeTable: kind('rtb', 'InvalidRouteTableID', 'routeTable', 'InvalidRouteTableId'),
  securityGroup: kind('sg', 'InvalidGroup', 'security group', 'InvalidGroupId'),
} as const

const isId = (of: Kind, id: string): boolean => new RegExp(`^${of.prefix}-([0-9a-f]{8}|[0-9a-f]{17})$`).test(id)
/** Throws *.Malformed, and *.NotFound for what is not there or not seen yet. */
export function find<R extends Resource>(of: Kind, rows: Record<string, R>, id: string, { now }: Context): R {
  if (!isId(of, id)) throw new Refusal(of.malformed, `Invalid id: "${id}" (expecting "${of.prefix}-...")`)
  const row = rows[id]
  if (!row || row.visibleAt > now) throw new Refusal(of.notFound, `The ${of.noun} ID '${id}' does not exist`)
  return row
}
/** Also *.NotFound for what is deleted but still described. */
export function findLiving<R extends Resource>(of: Kind, rows: Record<string, R>, id: string, context: Context): R {
  const row = find(of, rows, id, context)
  if (row.state === 'deleted') throw new Refusal(of.notFound, `The ${of.noun} ID '${id}' does not exist`)
  return row
}
export const isLiving = (row: Timed): boolean => row.state !== 'deleted' && row.state !== 'deleting'

/** A state that becomes another by itself after `ms`: with 0, before the next call. */
export const becoming = (state: string, later: string, ms: number, { now }: Context): { state: string; next: Timed['next'] } => ({
  state,
  next: { at: now + ms, state: later },
})
export const fresh = (of: Kind, world: World, context: Context) => ({
  id: `${of.prefix}-${context.hex(17)}`,
  createdAt: context.now,
  visibleAt: context.now + world.seed.times.consistency,
})

// ---- tags

const tag = group({ Key: needed(text), Value: text })
export const tagSpecifications = list(group({ ResourceType: needed(text), Tag: list(tag) }))
export const tagList = list(tag)
type TagInput = readonly { readonly Key: string; readonly Value: string | undefined }[] | undefined

/** Throws for the tags that EC2 refuses: reserved, too long, too many, twice. */
export function tagsOf(input: TagInput): Tags {
  const tags: Tags = {}
  for (const { Key, Value = '' } of input ?? []) {
    if (/^aws:/i.test(Key)) throw new Refusal('InvalidParameterValue', `Tag keys starting with 'aws:' are reserved for internal use`)
    if (Key.length > 127) throw new Refusal('InvalidParameterValue', `Tag key exceeds the maximum length of 127 characters`)
    if (Value.length > 256) throw new Refusal('InvalidParameterValue', `Tag value exceeds the maximum length of 256 characters`)
    if (Object.hasOwn(tags, Key)) throw new Refusal('InvalidParameterValue', `Duplicate tag key '${Key}' specified.`)
    tags[Key] = Value
  }
  limitTags(tags)
  return tags
}
export function limitTags(tags: Tags): void {
  if (Object.keys(tags).length > 50) throw new Refusal('TagLimitExceeded', 'The maximum number of tags for a resource is 50')
}
type Specifications = readonly { readonly ResourceType: string; readonly Tag: TagInput }[] | undefined
export function tagsFor(resourceType: string, input: Specifications): Tags {
  for (const { ResourceType } of input ?? [])
    if (ResourceType !== resourceType)
      throw invalidValue(ResourceType, 'TagSpecification', `'${ResourceType}' is not a valid taggable resource type for this operation.`)
  return tagsOf(input?.flatMap((one) => one.Tag ?? []))
}
/** Sorted, so that answers can be compared. */
export const tagSet = (tags: Tags): Xml =>
  Object.entries(tags)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ({ key, value }))
