/** Which hop each group uses now, what the far ends said about theirs, and what to tell them. */
import type { Group, NodeId, SiteConfig, TunnelId } from '#src/fabric/fabric.ts'
import { groupKey, type GroupName, groupsOf, nameOf } from '#src/fabric/groups.ts'
import { isSecondGateway, siteOfGateway } from '#src/fabric/ids.ts'
import { health, unproven } from '#src/path/machine.ts'
import type { HopHealth } from '#src/path/path.ts'
import { follow, type Selection, select } from '#src/path/selection.ts'
import { noTunnel } from '#src/wire/stamp.ts'
import type { Choice } from '#providers/device.ts'
import type { ProbedPath } from './paths.ts'
import { isMute } from './suspicion.ts'
import { onceOf } from '#src/net/once.ts'

export type ByTunnel = ReadonlyMap<TunnelId, ProbedPath>
/** For people: the classes of one remote that went the same way. */
export interface Move {
  readonly remote: NodeId
  readonly classes: string[]
  readonly from: string
  readonly to: string
  readonly reason: string
}
export interface Chooser {
  /** The far end's view, with its time of sending; true when it says something new. */
  heard(remote: NodeId, view: readonly number[], sentAt: number): boolean
  /** The far end sends some class over this tunnel. */
  isUsedThere(record: ProbedPath): boolean
  /** Chooses for every group and returns what changed. */
  decide(config: SiteConfig, byTunnel: ByTunnel, now: number): { readonly moved: readonly Choice[]; readonly moves: readonly Move[] }
  /** Tunnel of each group that has one now. */
  chosen(config: SiteConfig): readonly { readonly group: Group; readonly tunnel: TunnelId }[]
  /** What to tell each remote: class index → tunnel index. */
  views(config: SiteConfig, byTunnel: ByTunnel): Map<NodeId, number[]>
  /** Where the groups of the next config start: on the same tunnels, as far as they are ready there. */
  startOf(config: SiteConfig | null, next: SiteConfig, now: number): readonly Choice[]
  load(choices: readonly Choice[]): void
}

const clockStepMs = 10_000
/**
 * With no way left the last one is kept for a while: an agent that is restarted at the far end answers no probe, and
 * its data plane goes on.
 */
const lastChoiceMs = 5_000
const unlimited = { loss: 0, latencyMs: 0, jitterMs: 0 }

/** Its name, and what it was called before its remote got a second family, or lost one. */
function formerly(group: Group): readonly GroupName[] {
  const { family, ...either } = nameOf(group)
  return family === undefined ? [either, { ...either, family: 4 }, { ...either, family: 6 }] : [{ ...either, family }, either]
}

/** A group with all that choosing for it looks up: a hub has thousands of them, and chooses anew for each path that changes. */
interface Choosable {
  readonly group: Group
  readonly key: string
  /** Of its class; −1: the config has none of that name. */
  readonly position: number
  readonly trafficClass: SiteConfig['classes'][number] | undefined
  /** Its remote has a second gateway, and one of the two stands by. */
  readonly isPaired: boolean
  /** Those of its tunnels that end at a gateway of the remote: what that says of this class is followed where it decides. */
  readonly ends: readonly TunnelId[]
}
interface Choosables {
  readonly groups: readonly Choosable[]
  readonly tunnelBy: ReadonlyMap<number, TunnelId>
}
const choosablesOf = onceOf((config: SiteConfig): Choosables => {
  const tunnels = new Map(config.tunnels.map((tunnel) => [tunnel.id, tunnel]))
  return {
    groups: groupsOf(config).map((group) => {
      const position = config.classes.findIndex((one) => one.id === group.trafficClass)
      const ends = group.via.flatMap((hop) => tunnels.get(hop.tunnel) ?? []).filter(({ remote }) => siteOfGateway(remote) === group.remote)
      return {
        group,
        key: groupKey(group),
        position,
        trafficClass: config.classes[position],
        isPaired: group.via.some(({ next }) => isSecondGateway(next) && siteOfGateway(next) === group.remote),
        ends: ends.map(({ id }) => id),
      }
    }),
    tunnelBy: new Map(config.tunnels.map((tunnel) => [tunnel.index, tunnel.id])),
  }
})

export function createChooser(): Chooser {
  let current = new Map<string, Selection['hop']>()
  const announced = new Map<NodeId, readonly number[]>()
  /** By the far end's clock: words over a slow path arrive after newer ones over a fast one. */
  const announcedAt = new Map<NodeId, number>()
  /** Groups whose ways are all DOWN: since when. */
  const lostAt = new Map<string, number>()

  /** The gateway of a remote whose word counts: of two the one that is on duty. */
  function announcer(ends: readonly TunnelId[], isPaired: boolean, byTunnel: ByTunnel): ProbedPath['tunnel'] | undefined {
    const isOnDuty = (of: ProbedPath | undefined) => of !== undefined && !of.path.remoteDraining && of.path.alive === 'UP'
    const end = (isPaired ? ends.find((id) => isOnDuty(byTunnel.get(id))) : undefined) ?? ends[0]
    return end === undefined ? undefined : byTunnel.get(end)?.tunnel
  }

  function choose(
    { group, key, position, trafficClass, isPaired, ends }: Choosable,
    tunnelBy: Choosables['tunnelBy'],
    byTunnel: ByTunnel,
    now: number,
  ): Selection {
    if (!trafficClass) return { hop: 'unreachable', reason: 'all-down' }
    const before = current.get(key) ?? 'unreachable'
    const healthFor =
      (trusting: boolean) =>
      (tunnel: TunnelId): HopHealth | undefined => {
        const record = byTunnel.get(tunnel)
        if (!record) return undefined
        const known = health(record.path, position)
        // What a site that drains is the end of stays with it: only what it would pass on is to go another way.
        const of = known.remoteDraining && !isPaired && record.tunnel.remote === group.remote ? { ...known, remoteDraining: false } : known
        return !trusting && isMute(record, now) ? { ...of, state: 'DOWN' } : of
      }
    const announcing = announcer(ends, isPaired, byTunnel)
    const index = announcing && !announcing.decides ? announced.get(announcing.remote)?.[trafficClass.index] : undefined
    const followed = index === undefined || index === noTunnel ? undefined : tunnelBy.get(index)
    const choice = follow(group, healthFor(false), trafficClass.sla, before, now, followed)
    // Better a doubtful way than none.
    return choice.hop === 'unreachable' ? select(group, healthFor(true), trafficClass.sla, before, now) : choice
  }

  /** Whether a group that lost its last way still keeps it. */
  function lingers(key: string, before: Selection['hop'] | undefined, isLost: boolean, now: number): boolean {
    if (!isLost || before === undefined || before === 'unreachable') {
      lostAt.delete(key)
      return false
    }
    const since = lostAt.get(key) ?? now
    lostAt.set(key, since)
    return now - since < lastChoiceMs
  }

  const chosen: Chooser['chosen'] = (config) =>
    choosablesOf(config).groups.flatMap(({ group, key }) => {
      const hop = current.get(key)
      const tunnel = hop === undefined || hop === 'unreachable' ? undefined : group.via[hop]?.tunnel
      return tunnel === undefined ? [] : [{ group, tunnel }]
    })

  return {
    heard(remote, view, sentAt) {
      const behind = (announcedAt.get(remote) ?? Number.NEGATIVE_INFINITY) - sentAt
      // Much older is no late word: its clock was set back.
      if (behind > 0 && behind < clockStepMs) return false
      announcedAt.set(remote, sentAt)
      const before = announced.get(remote)
      if (before?.length === view.length && before.every((one, i) => one === view[i])) return false
      announced.set(remote, view)
      return true
    },
    isUsedThere: ({ tunnel }) => announced.get(tunnel.remote)?.includes(tunnel.index) ?? false,
    decide(config, byTunnel, now) {
      const moved: Choice[] = []
      const moves = new Map<string, Move>()
      const { groups, tunnelBy } = choosablesOf(config)
      for (const one of groups) {
        const { group, key } = one
        const { remote, trafficClass, arrived } = group
        const { hop, reason } = choose(one, tunnelBy, byTunnel, now)
        const before = current.get(key)
        // Who stands by carries nothing, and says so no longer as soon as it does.
        const isLost = hop === 'unreachable' || (reason === 'draining' && hop !== before && one.isPaired)
        if (lingers(key, before, isLost, now) || before === hop) continue
        current.set(key, hop)
        moved.push({ ...nameOf(group), hop })
        if (arrived !== 'anywhere') continue
        const name = (of: Selection['hop'] = 'unreachable') => (of === 'unreachable' ? of : (group.via[of]?.tunnel ?? 'unreachable'))
        const [from, to] = [name(before), name(hop)]
        const told = moves.get(`${remote} ${from} ${to} ${reason}`)
        if (told) told.classes.push(trafficClass)
        else moves.set(`${remote} ${from} ${to} ${reason}`, { remote: remote, classes: [trafficClass], from, to, reason })
      }
      return { moved, moves: [...moves.values()] }
    },
    chosen,
    views(config, byTunnel) {
      const width = config.classes.reduce((most, one) => Math.max(most, one.index + 1), 0)
      const views = new Map(config.tunnels.map((one) => [one.remote, Array<number>(width).fill(noTunnel)]))
      for (const { group, tunnel } of chosen(config)) {
        const ready = byTunnel.get(tunnel)?.tunnel
        const index = config.classes.find((one) => one.id === group.trafficClass)?.index
        if (group.arrived === 'anywhere' && ready && siteOfGateway(ready.remote) === group.remote && index !== undefined)
          views.get(ready.remote)![index] = ready.index
      }
      return views
    },
    startOf(config, next, now) {
      // By tunnel, since an index of the old config may mean another tunnel in the new one.
      const keep = new Map((config ? chosen(config) : []).map(({ group, tunnel }) => [groupKey(group), tunnel]))
      const ready = new Set(next.tunnels.map((one) => one.id))
      return groupsOf(next).map((group) => {
        const kept = formerly(group)
          .map((name) => group.via.findIndex((hop) => hop.tunnel === keep.get(groupKey(name)) && ready.has(hop.tunnel)))
          .find((index) => index >= 0)
        const fresh = select(group, (tunnel) => (ready.has(tunnel) ? unproven : undefined), unlimited, 'unreachable', now).hop
        return { ...nameOf(group), hop: kept ?? fresh }
      })
    },
    load(choices) {
      current = new Map(choices.map((choice) => [groupKey(choice), choice.hop]))
    },
  }
}
