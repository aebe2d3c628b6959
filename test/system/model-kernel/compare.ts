/** What the model says of a probe, what the kernels did with it, and the difference in words. */
import type { ClassId, Fabric, Lan, NodeId, SiteId, UplinkId } from '#src/fabric/fabric.ts'
import { siteOfGateway } from '#src/fabric/ids.ts'
import { linkOf } from '#src/fabric/lans.ts'
import { type Address, contains, familyOf } from '#src/net/address.ts'
import { formatPacket } from '#src/verify/packets.ts'
import { walk, type Walk } from '#src/verify/forward.ts'
import { chooser, type Network, type Situation } from './network.ts'
import { boxOf, calledAt, nodesOf, outside, type Place, type Probe } from './probes.ts'
import { keyOf, type Seen } from './witness.ts'

/** By box; on the internet by the lines that lead there. */
export type Witnesses = ReadonlyMap<string, Seen>
/** Where a packet was seen, sorted: `frankfurt over berlin.fiber--frankfurt.isp-a`, `frankfurt-inference as EF`. */
export type Sightings = readonly string[]
export interface Expectation {
  readonly request: Sightings
  readonly reply: Sightings
  readonly delivered: boolean
  /** The reply comes back to who asked. */
  readonly answered: boolean
  /** Its owner lets pass what we say, and nobody takes his word: such a packet may come as far as a gateway of ours. */
  readonly foreign?: boolean
  readonly says: readonly string[]
}

export function expectation(network: Network, situation: Situation, probe: Probe): Expectation {
  const { model, fabric } = network
  const choose = chooser(situation.steering)
  /** A cloud knows no classes: what comes out of it is marked anew. */
  const markedFrom = (node: NodeId, trafficClass: ClassId): ClassId => (model.node(node)?.of.kind === 'site' ? trafficClass : ('default' as ClassId))
  const dscpOf = new Map(fabric.classes.map((one) => [one.id, one.dscp]))
  // A node of the model has one LAN side, a gateway has several: this is the only thing said here and not by the model.
  const foreign = model.node(probe.site)!.of.kind === 'peer'
  if (!contains(probe.lan, probe.source))
    return {
      foreign,
      request: [],
      reply: [],
      delivered: false,
      answered: false,
      says: [`${probe.source} is not of ${probe.box}: dropped as spoofed`],
    }
  const from = situation.onDuty(probe.site)
  const given = walk(model, probe, situation.down, { from, choose })
  const own = model.node(probe.site)!.of.lans.find(({ prefix }) => prefix === probe.lan)
  const chosen = marking(fabric, own, given.outcome.trafficClass)
  const there = chosen === given.outcome.trafficClass ? given : walk(model, probe, situation.down, { from, choose, trafficClass: chosen! })
  const request = sightings(network, there)
  if (there.outcome.kind === 'left') return outwards(network, situation, probe, there)
  if (there.outcome.kind !== 'delivered')
    return {
      request,
      reply: [],
      delivered: false,
      answered: false,
      foreign: foreign && there.outcome.at === probe.site,
      says: words('request', there),
    }
  const { at, lan, trafficClass } = there.outcome
  const arrived = `${boxOf(model.node(at)!.of as Place, lan)} as dscp ${dscpOf.get(markedFrom(probe.site, trafficClass))}`
  const delivered = { request: [...request, arrived].sort(), delivered: true }
  // Nothing answers a protocol that nobody knows.
  if (probe.protocol === 'other') return { ...delivered, reply: [], answered: false, says: words('request', there) }
  const answer = marking(fabric, lan, given.outcome.trafficClass) ?? trafficClass
  const back = walk(model, { ...probe, source: probe.destination, destination: probe.source }, situation.down, {
    from: at,
    choose,
    direction: 'reply',
    trafficClass: answer,
  })
  const answered = back.outcome.kind === 'delivered'
  // A router answers its neighbours past the gateway, and they hear what its host claims (witness.ts).
  const claimed = lan.via !== undefined && at === from && linkOf(lan) === (own?.local ?? probe.lan)
  const home = answered ? [`${probe.box} as dscp ${claimed ? 46 : dscpOf.get(markedFrom(at, answer))}`] : []
  return { ...delivered, answered, reply: [...sightings(network, back), ...home].sort(), says: [...words('request', there), ...words('reply', back)] }
}

/** What hosts of a LAN that is trusted choose where the rule leaves it open: ours claim EF in everything (witness.ts). */
const marking = ({ classes }: Fabric, lan: Lan | undefined, given: ClassId | null): ClassId | null =>
  lan?.trust === 'dscp' && given === 'default' ? (classes.find(({ dscp }) => dscp === claim)?.id ?? given) : given
const claim = 46

/** What left is seen on the line; an answer comes back to the gateway that let it out, and from there as the site's own. */
function outwards(network: Network, situation: Situation, probe: Probe, there: Walk): Expectation {
  const { outcome } = there
  if (outcome.kind !== 'left') throw new TypeError('it did not leave')
  const isSeen = probe.protocol === 'tcp' || probe.protocol === 'udp'
  const request = [...sightings(network, there), ...(isSeen ? [lineOf(outcome.at, outcome.uplinks)] : [])].sort()
  const says = words('request', there)
  const isAnswered = probe.protocol !== 'other' && outside.some((one) => contains(one, probe.destination))
  if (!isAnswered) return { request, reply: [], delivered: false, answered: false, says }
  const back: string[] = []
  const choose = chooser(situation.steering)
  for (let at = outcome.at; siteOfGateway(at) !== probe.site; ) {
    const name = {
      remote: probe.site,
      trafficClass: 'default' as ClassId,
      arrived: back.length > 0 ? 'mesh' : 'anywhere',
      family: familyOf(probe.source),
    } as const
    const group = network.model.node(at)!.group(name)!
    const { next, tunnel } = group.via[choose(at, group) as number]!
    back.push(`${next} by ${deviceOf(network, next, tunnel)}`)
    at = next
  }
  return { request, reply: [...back, `${probe.box} as dscp 0`].sort(), delivered: false, answered: true, says }
}
/** In one order. */
export const linesOf = ({ sites }: Fabric): readonly (readonly [site: SiteId, uplink: UplinkId])[] =>
  sites.flatMap(({ id, uplinks }) => uplinks.map((uplink) => [id, uplink.id] as const))
const lineOf = (site: NodeId, uplinks: readonly string[]): string => `internet from ${site} over ${uplinks.join(' or ')}`

/** Nobody watches inside a cloud: there the host sees what arrived. */
const sightings = (network: Network, { hops }: Walk): Sightings =>
  hops
    .filter(({ next }) => network.fabric.sites.some((site) => site.id === next))
    .map(({ next, hop }) => `${next} by ${wayOf(network, next, deviceOf(network, next, hop.tunnel))}`)
    .sort()
/** Of the two tunnels of a connection the cloud takes either. */
function wayOf({ configs }: Network, site: string, device: string): string {
  const config = [...configs.values()].find((one) => one.site === site)!
  const interfaceId = config.interfaces.find((one) => one.device === device)!.id
  const tunnel = config.tunnels.find((one) => one.interface === interfaceId)
  return tunnel?.role === 'cloud' ? `the connection ${site}.${tunnel.uplink}` : device
}

function words(what: string, { hops, outcome }: Walk): readonly string[] {
  const way = hops.map(({ node, hop, next }) => `${what}: ${node} → ${next} by ${hop.tunnel}`)
  const end =
    outcome.kind === 'delivered'
      ? `delivered at ${outcome.at} as ${outcome.trafficClass}${outcome.rules.length > 0 ? ` by ${outcome.rules.join(' and ')}` : ''}`
      : outcome.kind === 'left'
        ? `left at ${outcome.at} over ${outcome.uplinks.join(' or ')}`
        : `dropped at ${outcome.at ?? 'no site'}: ${outcome.why}`
  return [...way, `${what}: ${end}`]
}

const deviceOf = (network: Network, site: string, tunnel: string): string => {
  const config = [...network.configs.values()].find((one) => one.site === site)!
  const ready = config.tunnels.find((one) => one.id === tunnel)!
  return config.interfaces.find((one) => one.id === ready.interface)!.device
}
/** The numbers of `gatewayWitness`. */
export const devicesOf = (network: Network, site: string): readonly string[] =>
  [...network.configs.values()].find((one) => one.site === site)!.interfaces.map((one) => one.device)

export interface Observation {
  readonly request: Sightings
  readonly reply: Sightings
}
export function observation(network: Network, witnesses: Witnesses, probe: Probe): Observation {
  const { fabric } = network
  const { protocol, source, destination, sourcePort, port } = probe
  /** On the line its source is that of an uplink, and the port, which no other probe has, stays. */
  const left = (): Sightings =>
    protocol !== 'tcp' && protocol !== 'udp'
      ? []
      : [...(witnesses.get('internet')?.packets ?? [])].flatMap(([key, noted]) => {
          const [kind, , to, from, service] = key.split(' ')
          if (kind !== protocol || to !== destination || Number(from) !== sourcePort || Number(service) !== port) return []
          return noted.map((line) => {
            const [site, uplink] = linesOf(fabric)[line - 1]!
            const exits = network.model.node(site)?.breakout?.uplinks[familyOf(destination)] ?? []
            return lineOf(site, exits.includes(uplink) ? exits : [uplink])
          })
        })
  const homes = new Map<string, Place>(nodesOf(fabric).flatMap((node) => node.lans.map((lan) => [boxOf(node, lan), node])))
  /** A tunnel has the overlay's names, a host hears of itself by its own. */
  const find = (of: (named: (overlay: Address) => Address) => string): Sightings =>
    [...witnesses]
      .filter(([box]) => box !== 'internet')
      .flatMap(([box, { packets }]) => {
        const devices = fabric.sites.some((site) => site.id === box) ? devicesOf(network, box) : undefined
        const home = devices ? undefined : homes.get(box)
        // Its own hosts may be called so, and without ports nothing tells whose packet it is.
        const twin = home?.lans.some(({ local }) => local !== undefined && [probe.source, probe.destination].some((one) => contains(local, one)))
        if (twin && probe.protocol !== 'tcp' && probe.protocol !== 'udp') return []
        const key = of((overlay) => (home ? calledAt(home, overlay) : overlay))
        return (packets.get(key) ?? []).map((noted) =>
          devices ? `${box} by ${wayOf(network, box, devices[noted - 1]!)}` : `${box} as dscp ${noted}`,
        )
      })
      .sort()
  return {
    request: [...find((named) => keyOf(protocol, named(source), sourcePort, named(destination), port)), ...left()].sort(),
    reply: find((named) => keyOf(protocol, named(destination), port, named(source), sourcePort)),
  }
}

const same = (a: Sightings, b: Sightings): boolean => a.join('\n') === b.join('\n')

/** What the model promises and has not been seen yet: worth another attempt, for a packet can be lost on the way. */
export const isMissing = (expected: Expectation, seen: Observation): boolean =>
  [...expected.request.filter((one) => !seen.request.includes(one)), ...expected.reply.filter((one) => !seen.reply.includes(one))].length > 0

/** undefined when model and kernels agree. */
export function disagreement(situation: Situation, probe: Probe, expected: Expectation, seen: Observation): string | undefined {
  const counts = (sightings: Sightings): Sightings => (expected.foreign ? sightings.filter((one) => one.includes(' as dscp ')) : sightings)
  if (same(expected.request, counts(seen.request)) && same(expected.reply, counts(seen.reply))) return undefined
  return [
    `${formatPacket(probe)} from ${probe.box}, source port ${probe.sourcePort}, with ${situation.name}`,
    ...expected.says.map((line) => `  the model    ${line}`),
    `  model seen   request at ${expected.request.join(', ') || 'nowhere'}; reply at ${expected.reply.join(', ') || 'nowhere'}`,
    `  kernels saw  request at ${seen.request.join(', ') || 'nowhere'}; reply at ${seen.reply.join(', ') || 'nowhere'}`,
  ].join('\n')
}
