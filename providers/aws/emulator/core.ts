/**
 * The emulated cloud as a function: world and call in, world and answer out. Time and ids are arguments, so that every
 * state that takes time can be tested without waiting.
 */
import type { Action } from './action.ts'
import { securityGroupActions } from './actions/security-group.ts'
import { transitGatewayActions } from './actions/transit-gateway.ts'
import { transitRouteActions } from './actions/transit-routes.ts'
import { vpcActions } from './actions/vpc.ts'
import { vpnActions } from './actions/vpn.ts'
import { decodeParameters } from './query.ts'
import { missing, Refusal } from './refusal.ts'
import type { Context, Negotiated, Timed, World } from './world.ts'
import { apiVersion, type Xml } from './xml.ts'

const actions: ReadonlyMap<string, Action> = new Map(
  [...transitGatewayActions, ...transitRouteActions, ...vpnActions, ...vpcActions, ...securityGroupActions].map((one) => [one.name, one as Action]),
)
export const actionNames: readonly string[] = [...actions.keys()]

export type Outcome = { readonly ok: true; readonly world: World; readonly result: Xml } | { readonly ok: false; readonly refusal: Refusal }

/** `parameters` as they came, with Action and Version. A refused call changes nothing. */
export function call(world: World, parameters: readonly (readonly [string, string])[], denied: readonly string[], context: Context): Outcome {
  try {
    const given = new Map(parameters)
    const name = given.get('Action')
    if (name === undefined) throw new Refusal('MissingAction', 'The request must contain the parameter Action')
    const version = given.get('Version')
    if (version === undefined) throw missing('Version')
    if (version !== apiVersion) throw new Refusal('NoSuchVersion', `The requested version (${version}) of service AmazonEC2 does not exist`)
    const action = actions.get(name)
    if (!action) throw new Refusal('InvalidAction', `The action ${name} is not valid for this web service.`)
    if (denied.includes(name))
      throw new Refusal(
        'UnauthorizedOperation',
        `You are not authorized to perform this operation. User is not authorized to perform: ec2:${name}`,
        403,
      )
    const decoded = decodeParameters(
      action.fields,
      parameters.filter(([key]) => key !== 'Action' && key !== 'Version'),
    )
    if (decoded['DryRun'] === true) throw new Refusal('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412)
    const next = structuredClone(advance(world, context.now))
    return { ok: true, result: action.run(next, decoded as never, context), world: next }
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, refusal: error }
    throw error
  }
}

/** Everything whose state may change by itself. */
function* timed(world: World): Generator<Timed> {
  for (const rows of [world.transitGateways, world.attachments, world.transitRouteTables, world.customerGateways, world.vpnConnections])
    yield* Object.values(rows)
  for (const table of Object.values(world.transitRouteTables)) {
    yield* Object.values(table.associations)
    yield* Object.values(table.propagations)
  }
}
/** When the next state changes by itself, or undefined. */
export function nextChange(world: World): number | undefined {
  let soonest: number | undefined
  const consider = (at: number | undefined): void => {
    if (at !== undefined && (soonest === undefined || at < soonest)) soonest = at
  }
  for (const one of timed(world)) consider(one.next?.at)
  return soonest
}

/** The world at `now`: the same object when nothing changed. */
export function advance(world: World, now: number): World {
  const due = nextChange(world)
  if (due === undefined || due > now) return world
  const next = structuredClone(world)
  for (const one of timed(next)) {
    if (!one.next || one.next.at > now) continue
    one.state = one.next.state
    one.next = one.state === 'deleted' ? { at: one.next.at + next.seed.times.deleted, state: 'forgotten' } : undefined
  }
  for (const rows of [next.transitGateways, next.attachments, next.transitRouteTables, next.customerGateways, next.vpnConnections] as Record<
    string,
    Timed
  >[])
    for (const [id, row] of Object.entries(rows)) if (row.state === 'forgotten') delete rows[id]
  const isGone = (attachment: string): boolean => (next.attachments[attachment]?.state ?? 'deleted') === 'deleted'
  for (const table of Object.values(next.transitRouteTables)) {
    for (const [id, { state }] of Object.entries(table.associations)) if (state === 'disassociated' || isGone(id)) delete table.associations[id]
    for (const [id, { state }] of Object.entries(table.propagations)) if (state === 'disabled' || isGone(id)) delete table.propagations[id]
  }
  for (const row of Object.values(next.vpnConnections))
    if (row.state === 'deleted') for (const tunnel of row.tunnels) tunnel.settings.preSharedKey = ''
  // What became due later than the change that was just made, in the same step.
  return advance(next, now)
}

export interface TunnelReport {
  readonly outside: string
  readonly up: boolean
  readonly negotiated: Negotiated | null
}
/** What the security associations of a tunnel are now. */
export function report(world: World, { outside, up, negotiated }: TunnelReport, now: number): World {
  const next = structuredClone(world)
  for (const row of Object.values(next.vpnConnections)) {
    const tunnel = row.state === 'deleted' ? undefined : row.tunnels.find((one) => one.outside === outside)
    if (!tunnel || (tunnel.up === up && JSON.stringify(tunnel.negotiated) === JSON.stringify(negotiated))) continue
    if (tunnel.up !== up) tunnel.changedAt = now
    tunnel.up = up
    tunnel.negotiated = negotiated
  }
  return next
}
