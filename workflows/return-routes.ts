/** Which connections of a region carry no return traffic now: pure. */
export interface ConnectionView {
  readonly id: string
  readonly hub: string
  /** Tunnels that the hub reports UP (or DEGRADED) and DOWN; the rest it has not judged. */
  readonly up: number
  readonly down: number
  readonly members: number
  /** What it carries alone. Absent in histories from before a region could have both: all of them carry the same. */
  readonly family?: 4 | 6
  /** Its hub is in a service window. Absent in histories from before there were any. */
  readonly draining?: boolean
}

/** The cloud's own word on a connection's tunnels. */
export type Told = Pick<ConnectionView, 'id' | 'up' | 'down'>

/** What a hub said before it fell silent is worth nothing now: the cloud's word takes its place, and nothing does until it is given. */
export function witnessed(connections: readonly ConnectionView[], silent: readonly string[], told: readonly Told[]): readonly ConnectionView[] {
  return connections.map((of) => {
    if (!silent.includes(of.hub)) return of
    const { up, down } = told.find(({ id }) => id === of.id) ?? { up: 0, down: 0 }
    return { ...of, up, down }
  })
}

/** A tunnel's end is seen by the cloud once its dead peer detection is over, within the first dozen; afterwards seldom is enough. */
export const askAgainIn = (asked: number, every: number): number => (asked < 12 ? every : 6 * every)

/**
 * Down at once when both tunnels are; up again only after `hold` milliseconds of being UP without a break. A connection
 * that nobody has judged stays as it was. One whose hub is in a service window is left too, as long as another one of its
 * family is there to go to. `healedAt` remembers since when each is UP again.
 */
export function downConnections(
  connections: readonly ConnectionView[],
  before: readonly string[],
  healedAt: Map<string, number>,
  now: number,
  hold: number,
): { readonly down: readonly string[]; readonly next: number | null } {
  const down: string[] = []
  const left: ConnectionView[] = []
  let next: number | null = null
  for (const of of connections) {
    const { id, up, down: dead, members, draining } = of
    const was = before.includes(id)
    if (up === 0) {
      healedAt.delete(id)
      if (was || dead === members) down.push(id)
      continue
    }
    if (draining === true) {
      healedAt.delete(id)
      left.push(of)
      continue
    }
    if (!was) continue
    const since = healedAt.get(id) ?? now
    healedAt.set(id, since)
    if (now - since >= hold) {
      healedAt.delete(id)
      continue
    }
    down.push(id)
    next = Math.min(next ?? Number.POSITIVE_INFINITY, since + hold)
  }
  const remains = ({ family }: ConnectionView): boolean =>
    connections.some((of) => of.family === family && !left.includes(of) && !down.includes(of.id))
  return { down: [...down, ...left.filter(remains).map(({ id }) => id)].sort(), next }
}

/** `whole`: every tunnel is UP; `part`: some are; `dark`: none is. */
export function carries(connections: readonly ConnectionView[]): 'whole' | 'part' | 'dark' {
  const up = connections.reduce((sum, of) => sum + of.up, 0)
  const all = connections.reduce((sum, of) => sum + of.members, 0)
  return up === 0 ? 'dark' : up === all ? 'whole' : 'part'
}
