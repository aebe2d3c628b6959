/** Transit gateway route tables: associations, propagations, static routes. */
import { contains, type Family, familyOf, lengthOf, parsePrefix, type Prefix } from '#src/net/address.ts'
import { action, becoming, findLiving, fresh, kinds, tagsFor, tagSet, tagSpecifications } from '../action.ts'
import { filterList, matching, page, pageFields, select } from '../describe.ts'
import { flag, integer, list, needed, text } from '../query.ts'
import { incorrectState, invalidValue, missing, Refusal } from '../refusal.ts'
import type { Attachment, Context, Timed, TransitRouteTable, World } from '../world.ts'
import { time, type Xml } from '../xml.ts'
import { associationOf, availableGateway } from './transit-gateway.ts'

const tableXml = (row: TransitRouteTable): Xml => ({
  transitGatewayRouteTableId: row.id,
  transitGatewayId: row.gateway,
  state: row.state,
  defaultAssociationRouteTable: false,
  defaultPropagationRouteTable: false,
  creationTime: time(row.createdAt),
  tagSet: tagSet(row.tags),
})
function availableTable(world: World, id: string, context: Context): TransitRouteTable {
  const row = findLiving(kinds.transitRouteTable, world.transitRouteTables, id, context)
  if (row.state !== 'available') throw incorrectState(`${id} is in invalid state: ${row.state}`)
  return row
}
function attachmentFor(world: World, table: TransitRouteTable, id: string, context: Context): Attachment {
  const row = findLiving(kinds.attachment, world.attachments, id, context)
  if (row.gateway !== table.gateway) throw new Refusal('InvalidParameterValue', `${id} and ${table.id} belong to different transit gateways`)
  if (row.state !== 'available') throw incorrectState(`${id} is in invalid state: ${row.state}`)
  return row
}
const memberXml = (world: World, id: string, state: string): { [name: string]: Xml } => ({
  transitGatewayAttachmentId: id,
  resourceId: world.attachments[id]?.resourceId,
  resourceType: world.attachments[id]?.resourceType,
  state,
})
/** Associations or propagations of one table as rows that can be filtered. */
const members = (world: World, of: Record<string, Timed>) =>
  Object.entries(of).map(([id, { state }]) => ({
    id,
    state,
    resourceId: world.attachments[id]?.resourceId,
    resourceType: world.attachments[id]?.resourceType,
  }))
const memberFilters = {
  'transit-gateway-attachment-id': (row: ReturnType<typeof members>[number]) => [row.id],
  'resource-id': (row: ReturnType<typeof members>[number]) => [row.resourceId],
  'resource-type': (row: ReturnType<typeof members>[number]) => [row.resourceType],
}
const member = { TransitGatewayRouteTableId: needed(text), TransitGatewayAttachmentId: needed(text) }
const memberQuery = { TransitGatewayRouteTableId: needed(text), Filter: filterList, ...pageFields }

/** `family`: null, either. */
export function cidrOf(family: Family | null, value: string, name: string): Prefix {
  const parsed = parsePrefix(value)
  if (!parsed.ok || (family !== null && familyOf(parsed.value) !== family)) throw invalidValue(value, name, 'This is not a valid CIDR block.')
  return parsed.value
}
/** A block, or one address. */
const blockOf = (value: string, name: string): Prefix =>
  cidrOf(null, value.includes('/') ? value : `${value}/${value.includes(':') ? 128 : 32}`, name)

// ---- routes

export interface TransitEntry {
  readonly destination: Prefix
  readonly attachment: Attachment | null
  readonly type: 'static' | 'propagated'
  readonly state: 'active' | 'blackhole'
}
/** A static route wins over a propagated one of the same prefix; VPN attachments propagate nothing without BGP. */
export function transitEntries(world: World, table: TransitRouteTable): readonly TransitEntry[] {
  const propagated = Object.entries(table.propagations)
    .filter(([, { state }]) => state === 'enabled')
    .flatMap(([id]): TransitEntry[] => {
      const attachment = world.attachments[id]
      const vpc = attachment?.resourceType === 'vpc' && attachment.state === 'available' ? world.vpcs[attachment.resourceId] : undefined
      const blocks = vpc === undefined ? [] : [vpc.cidr, ...(attachment?.ipv6 && vpc.ipv6 !== undefined ? [vpc.ipv6] : [])]
      return blocks.flatMap((destination): TransitEntry[] =>
        attachment && !table.routes[destination] ? [{ destination, attachment, type: 'propagated', state: 'active' }] : [],
      )
    })
  const fixed = Object.entries(table.routes).map(([destination, route]): TransitEntry => {
    const attachment = route.attachment === null ? null : (world.attachments[route.attachment] ?? null)
    return { destination: destination as Prefix, attachment, type: 'static', state: attachment?.state === 'available' ? 'active' : 'blackhole' }
  })
  return [...fixed, ...propagated]
}
const entryXml = ({ destination, attachment, type, state }: TransitEntry): Xml => ({
  destinationCidrBlock: destination,
  transitGatewayAttachments: attachment
    ? [{ resourceId: attachment.resourceId, transitGatewayAttachmentId: attachment.id, resourceType: attachment.resourceType }]
    : [],
  type,
  state,
})
const routeFields = {
  DestinationCidrBlock: needed(text),
  TransitGatewayRouteTableId: needed(text),
  TransitGatewayAttachmentId: text,
  Blackhole: flag,
}
type RouteInput = {
  readonly DestinationCidrBlock: string
  readonly TransitGatewayAttachmentId: string | undefined
  readonly Blackhole: boolean | undefined
}
function target(world: World, table: TransitRouteTable, { TransitGatewayAttachmentId, Blackhole }: RouteInput, context: Context): string | null {
  if (Blackhole === true && TransitGatewayAttachmentId !== undefined)
    throw new Refusal('InvalidParameterCombination', 'The parameter Blackhole cannot be used with the parameter TransitGatewayAttachmentId')
  if (Blackhole === true) return null
  if (TransitGatewayAttachmentId === undefined) throw missing('TransitGatewayAttachmentId')
  return attachmentFor(world, table, TransitGatewayAttachmentId, context).id
}
const noRoute = (destination: string, table: string): Refusal =>
  new Refusal('InvalidRoute.NotFound', `Route ${destination} not found in Transit Gateway Route Table ${table}`)
const written = (world: World, table: TransitRouteTable, destination: string): Xml => ({
  route: entryXml(transitEntries(world, table).find((one) => one.destination === destination && one.type === 'static')!),
})

export const transitRouteActions = [
  action(
    'CreateTransitGatewayRouteTable',
    { TransitGatewayId: needed(text), TagSpecifications: tagSpecifications },
    (world, { TransitGatewayId, TagSpecifications }, context) => {
      const gateway = availableGateway(world, TransitGatewayId, context)
      if (
        Object.values(world.transitRouteTables).filter((row) => row.gateway === gateway.id && row.state !== 'deleted').length >=
        world.seed.quotas.transitRouteTables
      )
        throw new Refusal(
          'TransitGatewayRouteTableLimitExceeded',
          `You have reached the limit of ${world.seed.quotas.transitRouteTables} route tables for ${gateway.id}`,
        )
      const row: TransitRouteTable = {
        ...fresh(kinds.transitRouteTable, world, context),
        ...becoming('pending', 'available', world.seed.times.routeTable, context),
        tags: tagsFor('transit-gateway-route-table', TagSpecifications),
        gateway: gateway.id,
        associations: {},
        propagations: {},
        routes: {},
      }
      world.transitRouteTables[row.id] = row
      return { transitGatewayRouteTable: tableXml(row) }
    },
  ),
  action(
    'DescribeTransitGatewayRouteTables',
    { TransitGatewayRouteTableIds: list(text), Filter: filterList, ...pageFields },
    (world, { TransitGatewayRouteTableIds, ...asked }, context) => {
      const { rows, nextToken } = select(
        kinds.transitRouteTable,
        world.transitRouteTables,
        { ids: TransitGatewayRouteTableIds, ...asked },
        {
          'transit-gateway-route-table-id': (row) => [row.id],
          'transit-gateway-id': (row) => [row.gateway],
          state: (row) => [row.state],
          'default-association-route-table': () => [false],
          'default-propagation-route-table': () => [false],
        },
        context,
      )
      return { transitGatewayRouteTables: rows.map(tableXml), nextToken }
    },
  ),
  action('DeleteTransitGatewayRouteTable', { TransitGatewayRouteTableId: needed(text) }, (world, { TransitGatewayRouteTableId }, context) => {
    const row = availableTable(world, TransitGatewayRouteTableId, context)
    const associated = Object.keys(row.associations)
    if (associated.length > 0) throw incorrectState(`${row.id} has associated attachments: ${associated.join(', ')}.`)
    Object.assign(row, becoming('deleting', 'deleted', world.seed.times.routeTable, context))
    return { transitGatewayRouteTable: tableXml(row) }
  }),
  action('AssociateTransitGatewayRouteTable', member, (world, { TransitGatewayRouteTableId, TransitGatewayAttachmentId }, context) => {
    const table = availableTable(world, TransitGatewayRouteTableId, context)
    const attachment = attachmentFor(world, table, TransitGatewayAttachmentId, context)
    if (associationOf(world, attachment.id))
      throw new Refusal('Resource.AlreadyAssociated', `Transit Gateway Attachment ${attachment.id} is already associated to a route table.`)
    const made = becoming('associating', 'associated', world.seed.times.association, context)
    table.associations[attachment.id] = made
    return { association: { transitGatewayRouteTableId: table.id, ...memberXml(world, attachment.id, made.state) } }
  }),
  action('DisassociateTransitGatewayRouteTable', member, (world, { TransitGatewayRouteTableId, TransitGatewayAttachmentId }, context) => {
    const table = availableTable(world, TransitGatewayRouteTableId, context)
    findLiving(kinds.attachment, world.attachments, TransitGatewayAttachmentId, context)
    const association = table.associations[TransitGatewayAttachmentId]
    if (!association) throw new Refusal('InvalidAssociation.NotFound', `${TransitGatewayAttachmentId} is not associated with ${table.id}`)
    if (association.state !== 'associated') throw incorrectState(`the association is in invalid state: ${association.state}`)
    Object.assign(association, becoming('disassociating', 'disassociated', world.seed.times.association, context))
    return { association: { transitGatewayRouteTableId: table.id, ...memberXml(world, TransitGatewayAttachmentId, association.state) } }
  }),
  action('EnableTransitGatewayRouteTablePropagation', member, (world, { TransitGatewayRouteTableId, TransitGatewayAttachmentId }, context) => {
    const table = availableTable(world, TransitGatewayRouteTableId, context)
    const attachment = attachmentFor(world, table, TransitGatewayAttachmentId, context)
    if (table.propagations[attachment.id])
      throw new Refusal('TransitGatewayRouteTablePropagation.Duplicate', `Propagation of ${attachment.id} to ${table.id} already exists`)
    const made = becoming('enabling', 'enabled', world.seed.times.propagation, context)
    table.propagations[attachment.id] = made
    return { propagation: { transitGatewayRouteTableId: table.id, ...memberXml(world, attachment.id, made.state) } }
  }),
  action('DisableTransitGatewayRouteTablePropagation', member, (world, { TransitGatewayRouteTableId, TransitGatewayAttachmentId }, context) => {
    const table = availableTable(world, TransitGatewayRouteTableId, context)
    findLiving(kinds.attachment, world.attachments, TransitGatewayAttachmentId, context)
    const propagation = table.propagations[TransitGatewayAttachmentId]
    if (!propagation)
      throw new Refusal('TransitGatewayRouteTablePropagation.NotFound', `Propagation of ${TransitGatewayAttachmentId} to ${table.id} does not exist`)
    Object.assign(propagation, becoming('disabling', 'disabled', world.seed.times.propagation, context))
    return { propagation: { transitGatewayRouteTableId: table.id, ...memberXml(world, TransitGatewayAttachmentId, propagation.state) } }
  }),
  action('GetTransitGatewayRouteTableAssociations', memberQuery, (world, { TransitGatewayRouteTableId, Filter, ...asked }, context) => {
    const table = findLiving(kinds.transitRouteTable, world.transitRouteTables, TransitGatewayRouteTableId, context)
    const { rows, nextToken } = page(matching(members(world, table.associations), Filter, memberFilters), (row) => row.id, asked)
    return { associations: rows.map((row) => memberXml(world, row.id, row.state)), nextToken }
  }),
  action('GetTransitGatewayRouteTablePropagations', memberQuery, (world, { TransitGatewayRouteTableId, Filter, ...asked }, context) => {
    const table = findLiving(kinds.transitRouteTable, world.transitRouteTables, TransitGatewayRouteTableId, context)
    const { rows, nextToken } = page(matching(members(world, table.propagations), Filter, memberFilters), (row) => row.id, asked)
    return { transitGatewayRouteTablePropagations: rows.map((row) => memberXml(world, row.id, row.state)), nextToken }
  }),
  action('CreateTransitGatewayRoute', routeFields, (world, asked, context) => {
    const table = availableTable(world, asked.TransitGatewayRouteTableId, context)
    const destination = cidrOf(null, asked.DestinationCidrBlock, 'DestinationCidrBlock')
    const attachment = target(world, table, asked, context)
    if (table.routes[destination])
      throw new Refusal('RouteAlreadyExists', `Route ${destination} already exists in Transit Gateway Route Table ${table.id}`)
    if (Object.keys(table.routes).length >= world.seed.quotas.transitRoutes)
      throw new Refusal('RouteLimitExceeded', `You have reached the limit of routes of ${table.id}`)
    table.routes[destination] = { attachment }
    return written(world, table, destination)
  }),
  action('ReplaceTransitGatewayRoute', routeFields, (world, asked, context) => {
    const table = availableTable(world, asked.TransitGatewayRouteTableId, context)
    const destination = cidrOf(null, asked.DestinationCidrBlock, 'DestinationCidrBlock')
    const attachment = target(world, table, asked, context)
    if (!table.routes[destination]) throw noRoute(destination, table.id)
    table.routes[destination] = { attachment }
    return written(world, table, destination)
  }),
  action('DeleteTransitGatewayRoute', { TransitGatewayRouteTableId: needed(text), DestinationCidrBlock: needed(text) }, (world, asked, context) => {
    const table = availableTable(world, asked.TransitGatewayRouteTableId, context)
    const destination = cidrOf(null, asked.DestinationCidrBlock, 'DestinationCidrBlock')
    if (!table.routes[destination]) throw noRoute(destination, table.id)
    const before = written(world, table, destination) as { readonly route: { readonly [name: string]: Xml } }
    delete table.routes[destination]
    return { route: { ...before.route, state: 'deleted' } }
  }),
  action(
    'SearchTransitGatewayRoutes',
    { TransitGatewayRouteTableId: needed(text), Filter: needed(filterList), MaxResults: integer, NextToken: text },
    (world, { TransitGatewayRouteTableId, Filter, ...asked }, context) => {
      const table = findLiving(kinds.transitRouteTable, world.transitRouteTables, TransitGatewayRouteTableId, context)
      const related = Filter.filter(({ Name }) => Name.startsWith('route-search.'))
      const rows = related.reduce<readonly TransitEntry[]>(
        (left, { Name, Value = [] }) => left.filter((row) => Value.some((value) => isRelated(Name, row.destination, blockOf(value, Name), left))),
        transitEntries(world, table),
      )
      const filtered = matching(
        rows,
        Filter.filter((one) => !related.includes(one)),
        {
          type: (row) => [row.type],
          state: (row) => [row.state],
          'attachment.transit-gateway-attachment-id': (row) => [row.attachment?.id],
          'attachment.resource-id': (row) => [row.attachment?.resourceId],
          'attachment.resource-type': (row) => [row.attachment?.resourceType],
        },
      )
      const found = page(filtered, (row) => row.destination, asked)
      return { routeSet: found.rows.map(entryXml), additionalRoutesAvailable: found.nextToken !== undefined, nextToken: found.nextToken }
    },
  ),
]
function isRelated(filter: string, route: Prefix, asked: Prefix, among: readonly TransitEntry[]): boolean {
  switch (filter) {
    case 'route-search.exact-match':
      return route === asked
    case 'route-search.longest-prefix-match':
      return contains(route, asked) && !among.some((other) => lengthOf(other.destination) > lengthOf(route) && contains(other.destination, asked))
    case 'route-search.supernet-of-match':
      return contains(route, asked)
    case 'route-search.subnet-of-match':
      return contains(asked, route)
    default:
      throw new Refusal('InvalidParameterValue', `The filter '${filter}' is invalid`)
  }
}
