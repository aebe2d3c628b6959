/**
 * The same questions answered by brute force: every address, every application, every choice of hop, one packet after the
 * other. It shares no code with src/verify and reads addresses by its own arithmetic: those of IPv6 are all of fd01::/80, as
 * in the random networks, and numbers beyond all of IPv4.
 */
import type { Deny, Expect, Fabric, Group, Hop, Place } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { routesOf } from '#src/fabric/routes.ts'
import type { PathExpect } from '#src/verify/ways.ts'

interface Packet {
  readonly source: number
  readonly destination: number
  readonly application: string
}
/** A cloud's end has no uplink. */
type Ends = readonly { readonly site: string; readonly uplink: string }[]

/** Rules of random networks name TCP 1 and 2 and UDP 1; one port that no rule names stands for all others. */
export const applications = ['tcp/1', 'tcp/2', 'tcp/3', 'udp/1', 'udp/2', 'icmp', 'other']

const known = new Map<string, { low: number; size: number }>()
const read = (text: string): { low: number; size: number } => {
  const before = known.get(text)
  if (before) return before
  const [host = '', length = ''] = text.split('/')
  const made = host.includes(':')
    ? { low: sixStart + readSix(host), size: 2 ** (128 - Number(length)) }
    : { low: host.split('.').reduce((sum, part) => sum * 256 + Number(part), 0), size: 2 ** (32 - Number(length)) }
  known.set(text, made)
  return made
}
const sixStart = 2 ** 50
/** The last 48 bits of an address of fd01::/80. */
function readSix(text: string): number {
  const [head = '', tail = ''] = text.split('::')
  if (head !== 'fd01') throw new TypeError(`${text} is not of fd01::/80`)
  const groups = tail === '' ? [] : tail.split(':').map((group) => Number.parseInt(group, 16))
  return groups.reduce((sum, group) => sum * 65_536 + group, 0)
}
const holds = (prefix: string, address: number): boolean => {
  const { low, size } = read(prefix)
  return low <= address && address < low + size
}
const length = (prefix: string): number => Number(prefix.split('/')[1])
const addressesOf = (prefixes: readonly string[]): readonly number[] => [
  ...new Set(prefixes.flatMap((prefix) => Array.from({ length: read(prefix).size }, (_, i) => read(prefix).low + i))),
]
/** Who is to meet whom: nobody sends from one family to the other. */
const pairsOf = (from: Place, to: Place): readonly { source: number; destination: number }[] =>
  addressesOf(from.prefixes).flatMap((source) =>
    addressesOf(to.prefixes)
      .filter((destination) => source < sixStart === destination < sixStart)
      .map((destination) => ({ source, destination })),
  )
const speaks = (port: { protocol: string; from: number; to: number }, application: string): boolean => {
  if (port.protocol === 'any') return true
  const [protocol, number] = application.split('/')
  return protocol === port.protocol && (number === undefined || (port.from <= Number(number) && Number(number) <= port.to))
}

/** 0: all has settled. 1: some wait to return. 2: and clouds still send where they sent before. */
export type Patience = 0 | 1 | 2

export function oracle(fabric: Fabric) {
  const nodes = [...fabric.sites, ...fabric.regions, ...fabric.peers]
  const siteOf = (id: string) => nodes.find((node) => node.id === id)!
  const isCloud = (id: string): boolean => siteOf(id).kind !== 'site'
  /** Clouds mark nothing. */
  const classFrom = (id: string, trafficClass: string): string => (isCloud(id) ? 'default' : trafficClass)
  const plain = (of: Fabric['tunnels'][number]): Ends =>
    of.ends.map((end) => ('site' in end ? end : { site: 'region' in end ? end.region : end.peer, uplink: '' }))
  const endsById = new Map<string, Ends>(fabric.tunnels.map((one) => [one.id, plain(one)]))
  const endsOf = (tunnel: string): Ends | undefined => endsById.get(tunnel)
  const roleOf = (tunnel: string) => fabric.tunnels.find((one) => one.id === tunnel)!.role
  const lanAt = (id: string, address: number) => siteOf(id).lans.find((lan) => holds(lan.prefix, address))
  /** One prefix, or two of which one is behind a router in the other, or both behind routers in a third. */
  const isOneLan = (id: string, a: number, b: number): boolean => {
    const [near, far] = [lanAt(id, a), lanAt(id, b)]
    if (!near || !far) return false
    const link = ({ low, size } = read(near.address)): number => low - (low % size)
    return near === far || ((near.via ?? far.via) !== undefined && link() === link(read(far.address)))
  }
  /**
   * The kernel knows only what hosts call themselves. Of what comes through a tunnel it translates the destination, and
   * drops who claims to be on a translated LAN or asks for it by a name that is none. A host on a LAN that asks for somebody
   * else's address, which is one of its own neighbours', gets the neighbour.
   */
  const misled = (id: string, over: Hop | null, packet: Packet): boolean => {
    const local = (lan: Fabric['sites'][number]['lans'][number]): string => lan.local ?? lan.prefix
    const { lans } = siteOf(id)
    const meant = lanAt(id, packet.destination)
    const asked = meant ? packet.destination - read(meant.prefix).low + read(local(meant)).low : packet.destination
    if (over !== null) {
      const claimed = lans.some((lan) => lan.local !== undefined && holds(lan.local, packet.source))
      return claimed || (!meant && lans.some((lan) => lan.local !== undefined && holds(lan.local, asked)))
    }
    const got = lans.find((lan) => holds(local(lan), asked))
    return got !== undefined && asked - read(local(got)).low + read(got.prefix).low !== packet.destination
  }
  const covers = (rule: Deny, packet: Packet): boolean =>
    rule.from.prefixes.some((one) => holds(one, packet.source)) &&
    rule.to.prefixes.some((one) => holds(one, packet.destination)) &&
    rule.ports.some((port) => speaks(port, packet.application))
  const allowed = (id: string, packet: Packet) =>
    siteOf(id).denies?.some((deny) => covers(deny, packet)) ? [] : siteOf(id).rules.filter((rule) => covers(rule, packet))
  /** What a host may make of the class that a rule gives. */
  const chosen = (id: string, host: number, given: string): readonly string[] => {
    let lan: { prefix: string; trust?: string } | undefined
    for (const one of siteOf(id).lans) if (holds(one.prefix, host) && (!lan || length(one.prefix) > length(lan.prefix))) lan = one
    return lan?.trust === 'dscp' && given === 'default' ? fabric.classes.map((one) => one.id as string) : [given]
  }
  const joined = (at: string, hop: Hop): boolean => {
    const sites = endsOf(hop.tunnel)?.map((end) => end.site) ?? []
    return sites.includes(at) && sites.includes(hop.next) && hop.next !== at
  }
  const groupAt = (id: string, packet: Packet, trafficClass: string, mesh: boolean): Group | undefined => {
    let best: { to: string; remote: string } | undefined
    for (const route of routesOf(fabric, siteOf(id)))
      if (holds(route.to, packet.destination) && (!best || length(route.to) > length(best.to))) best = route
    const six = packet.destination >= sixStart
    return (
      best &&
      groupsOf(siteOf(id)).find(
        (group) =>
          group.remote === best.remote &&
          group.trafficClass === trafficClass &&
          group.arrived === (mesh ? 'mesh' : 'anywhere') &&
          (group.family === undefined || (group.family === 6) === six),
      )
    )
  }
  const within = (prefixes: readonly string[], address: number): boolean => prefixes.some((one) => holds(one, address))
  const carries = (id: string, packet: Packet): boolean =>
    siteOf(id).transits.some(
      ({ a, b }) => (within(a, packet.source) && within(b, packet.destination)) || (within(b, packet.source) && within(a, packet.destination)),
    )

  /** The hops onto which `packet` may go at `id`, and where each leads ('' = lost); 'here' when delivered; [] when dropped. */
  const nexts = (
    id: string,
    over: Hop | null,
    from: string,
    packet: Packet,
    trafficClass: string,
    reply: boolean,
  ): 'here' | 'lost' | readonly { hop: Hop; lost: boolean }[] => {
    if (over === null ? !lanAt(id, packet.source) : (isHubEnd(id, over) || isCloud(from)) && !lanAt(from, packet.source)) return 'lost'
    if (misled(id, over, packet)) return 'lost'
    if (lanAt(id, packet.destination)) return over !== null && !reply && allowed(id, packet).length === 0 ? 'lost' : 'here'
    const group = groupAt(id, packet, trafficClass, over !== null && roleOf(over.tunnel) === 'mesh')
    if (!group || (over !== null && !carries(id, packet))) return 'lost'
    return group.via
      .filter((hop) => joined(id, hop))
      .map((hop) => ({ hop, lost: isForeign(hop, packet) || (isHubEnd(id, hop) && !lanAt(hop.next, packet.destination)) }))
  }
  /** A cloud's tunnel takes the family that its own addresses are of. */
  const isForeign = (hop: Hop, packet: Packet): boolean => {
    const tunnel = fabric.tunnels.find((one) => one.id === hop.tunnel)!
    return tunnel.role === 'cloud' && tunnel.inside.includes(':') !== packet.destination >= sixStart
  }
  const isHubEnd = (id: string, hop: Hop): boolean => roleOf(hop.tunnel) === 'spoke' && endsOf(hop.tunnel)![1]!.site === id

  const always = (
    id: string,
    over: Hop | null,
    from: string,
    packet: Packet,
    trafficClass: string,
    reply: boolean,
    down: ReadonlySet<string>,
    patience: Patience,
    passed: readonly string[],
  ): boolean => {
    const mark = `${id} ${over?.tunnel ?? ''}`
    if (passed.includes(mark)) return false
    const next = nexts(id, over, from, packet, trafficClass, reply)
    if (typeof next === 'string') return next === 'here'
    const up = next.filter(({ hop }) => !down.has(hop.tunnel))
    const first = Math.min(...up.map(({ hop }) => hop.stage))
    const possible = up.filter(({ hop }) => hop.stage === first || (patience > 0 && hop.returnAfter > 0))
    const before = Math.min(...next.map(({ hop }) => hop.stage))
    if (patience === 2 && isCloud(id) && next.some(({ hop }) => hop.stage === before && down.has(hop.tunnel))) return false
    return (
      possible.length > 0 &&
      possible.every(({ hop, lost }) => !lost && always(hop.next, hop, id, packet, trafficClass, reply, down, patience, [...passed, mark]))
    )
  }
  const ever = (id: string, over: Hop | null, from: string, packet: Packet, trafficClass: string, passed: readonly string[]): boolean => {
    const mark = `${id} ${over?.tunnel ?? ''}`
    if (passed.includes(mark)) return false
    const next = nexts(id, over, from, packet, trafficClass, false)
    if (typeof next === 'string') return next === 'here'
    return next.some(({ hop, lost }) => !lost && ever(hop.next, hop, id, packet, trafficClass, [...passed, mark]))
  }

  /** The gateways at a site, and which of them has its LANs: the first that has a tunnel left; until all has settled, any that has. */
  const gatewaysAt = (site: string): readonly string[] => nodes.map(({ id }) => id as string).filter((id) => id === site || id === `${site}.b`)
  const tunnelsAt = (id: string) => [...endsById].filter(([, ends]) => ends.some((end) => end.site === id)).map(([tunnel]) => tunnel)
  const onDuty = (site: string, down: ReadonlySet<string>, patience: Patience): readonly string[] => {
    const all = gatewaysAt(site)
    if (all.length === 1) return all
    const able = all.filter((id) => tunnelsAt(id).some((tunnel) => !down.has(tunnel)))
    return able.length === 0 ? [site] : patience === 0 ? able.slice(0, 1) : able
  }
  /** Each choice of who is on duty at either end: nothing passes the other of a pair. */
  const shifts = (from: string, to: string, down: ReadonlySet<string>, patience: Patience) =>
    onDuty(from, down, patience).flatMap((near) =>
      onDuty(to, down, patience)
        .filter((far) => from !== to || near === far)
        .map((far) => {
          const resting = [...gatewaysAt(from), ...gatewaysAt(to)].filter((id) => id !== near && id !== far)
          return { near, far, down: new Set([...down, ...resting.flatMap(tunnelsAt)]) }
        }),
    )

  const breaks = (survives: readonly string[]): readonly { down: ReadonlySet<string>; dead: string | null; gateway?: boolean }[] => {
    const touching = (test: (ends: Ends) => boolean) => new Set<string>(fabric.tunnels.filter((one) => test(plain(one))).map((one) => one.id))
    const lines = fabric.sites.flatMap((site) => site.uplinks.map((uplink) => `${site.id}.${uplink.id}`))
    return [
      { down: new Set<string>(), dead: null },
      ...(survives.includes('uplink')
        ? fabric.sites.flatMap((site) =>
            site.uplinks.map((uplink) => ({
              down: touching((ends) => ends.some((end) => end.site === site.id && end.uplink === uplink.id)),
              dead: null,
            })),
          )
        : []),
      ...(survives.includes('tunnel') ? fabric.tunnels.map((one) => ({ down: new Set<string>([one.id]), dead: null })) : []),
      ...(survives.includes('connection')
        ? [...fabric.regions, ...fabric.peers].flatMap((region) =>
            region.connections.map(({ members }) => ({ down: new Set<string>(members.map((member) => member.tunnel)), dead: null })),
          )
        : []),
      ...(survives.includes('shared_risk')
        ? fabric.risks.map(({ uplinks }) => ({
            down: touching((ends) => ends.some((end) => uplinks.some(({ site, uplink }) => site === end.site && uplink === end.uplink))),
            dead: null,
          }))
        : []),
      ...(survives.includes('any two uplinks')
        ? lines.flatMap((one, i) =>
            lines.slice(i).map((other) => ({
              down: touching((ends) => ends.some(({ site, uplink }) => [one, other].includes(`${site}.${uplink}`))),
              dead: null,
            })),
          )
        : []),
      ...(survives.includes('hub')
        ? fabric.sites
            .filter((site) => site.hub)
            .map((site) => ({ down: touching((ends) => ends.some((end) => end.site === site.id)), dead: site.id as string }))
        : []),
      ...(survives.includes('gateway')
        ? fabric.sites
            .filter((site) => !site.hub)
            .map(({ id }) => ({
              down: touching((ends) => ends.some((end) => end.site === id)),
              dead: gatewaysAt(id.replace('.b', '')).length === 1 ? (id as string) : null,
              gateway: true,
            }))
        : []),
    ]
  }
  const answers = (
    from: Place,
    to: Place,
    expect: Extract<Expect, { kind: 'reach' }>,
    broken: { down: ReadonlySet<string>; dead: string | null },
    patience: Patience,
  ): boolean => {
    if (broken.dead !== null && [from.node, to.node].includes(broken.dead as never)) return false
    const any = expect.ports.some((port) => port.protocol === 'any')
    const pairs = pairsOf(from, to)
    for (const { source, destination } of pairs) {
      if (isOneLan(from.node, source, destination)) continue
      let opened = false
      for (const application of applications.filter((one) => expect.ports.some((port) => speaks(port, one)))) {
        const packet = { source, destination, application }
        const rules = allowed(from.node, packet)
        if (rules.length === 0 && !any) return false
        opened ||= rules.length > 0
        const reply = { ...packet, source: destination, destination: source }
        for (const trafficClass of new Set(rules.map((rule) => rule.trafficClass as string))) {
          for (const { near, far, down } of shifts(from.node, to.node, broken.down, patience)) {
            for (const one of chosen(from.node, source, trafficClass))
              if (!always(near, null, '', packet, classFrom(near, one), false, down, patience, [])) return false
            for (const one of chosen(to.node, destination, trafficClass))
              if (!always(far, null, '', reply, classFrom(far, one), true, down, patience, [])) return false
          }
        }
      }
      if (!opened) return false
    }
    return pairs.length > 0
  }
  const reaches = (expect: Extract<Expect, { kind: 'reach' }>, patience: Patience): boolean =>
    expect.from.every((from) =>
      (expect.mode === 'any' ? [expect.to] : expect.to.map((to) => [to])).every((targets) =>
        breaks(expect.survives).every(
          (broken) =>
            (!broken.gateway && (broken.dead === from.node || (expect.mode === 'all' && broken.dead === targets[0]!.node))) ||
            targets.some((to) => answers(from, to, expect, broken, patience)),
        ),
      ),
    )
  const isolates = (expect: Extract<Expect, { kind: 'isolate' }>): boolean =>
    expect.from.every((from) =>
      expect.to.every(
        (to) =>
          (from.node === to.node && from.segment === to.segment && from.prefixes.join() === to.prefixes.join()) ||
          pairsOf(from, to).every(({ source, destination }) =>
            applications.every((application) => {
              // Within one LAN nobody is in between.
              if (isOneLan(from.node, source, destination)) return source === destination
              const packet = { source, destination, application }
              // Each gateway goes by its own rules.
              return gatewaysAt(from.node).every((near) =>
                [...new Set(allowed(near, packet).flatMap((rule) => chosen(near, source, rule.trafficClass)))].every(
                  (trafficClass) => !ever(near, null, '', packet, classFrom(near, trafficClass), []),
                ),
              )
            }),
          ),
      ),
    )

  // ── Ways ──

  type Step = { readonly at: string; readonly hop: Hop }
  const possibleAt = (id: string, hops: readonly Hop[], down: ReadonlySet<string>, firstOnly: boolean): readonly Hop[] => {
    const up = hops.filter((hop) => !down.has(hop.tunnel))
    const stage = Math.min(...up.map((hop) => hop.stage))
    const open = up.filter((hop) => hop.stage === stage)
    const cost = Math.min(...open.map((hop) => hop.cost))
    return !firstOnly || isCloud(id) ? open : open.filter((hop) => hop.cost === cost).slice(0, 1)
  }
  /** Every way of one packet: by first choices, by whatever may be chosen when `down` is down, or by anything ever. */
  const waysOf = (
    packet: Packet,
    start: string,
    trafficClass: string,
    reply: boolean,
    choose: (id: string, hops: readonly Hop[]) => readonly Hop[],
  ) => {
    const found: { steps: readonly Step[]; arrived: boolean }[] = []
    const walk = (id: string, steps: readonly Step[], passed: readonly string[]): void => {
      const over = steps.at(-1)
      const mark = `${id} ${over?.hop.tunnel ?? ''}`
      const next = passed.includes(mark) ? 'lost' : nexts(id, over?.hop ?? null, over?.at ?? '', packet, trafficClass, reply)
      if (typeof next === 'string') {
        found.push({ steps, arrived: next === 'here' })
        return
      }
      const chosen = choose(
        id,
        next.map(({ hop }) => hop),
      )
      if (chosen.length === 0) found.push({ steps, arrived: false })
      for (const hop of chosen)
        if (next.some((one) => one.hop === hop && !one.lost)) walk(hop.next, [...steps, { at: id, hop }], [...passed, mark])
        else found.push({ steps, arrived: false })
    }
    walk(start, [], [])
    return found
  }
  const uplinkAt = (id: string, uplink: string) => fabric.sites.find((one) => one.id === id)!.uplinks.find((one) => one.id === uplink)!
  const lineEnds = (hop: Hop) => endsOf(hop.tunnel)!.filter((end) => end.uplink !== '')
  const touches = ({ at, hop }: Step, { kind, value }: PathExpect['via'][number]): boolean =>
    kind === 'hub'
      ? [at, hop.next].some((one) => one === value)
      : lineEnds(hop).some(({ site, uplink }) => {
          const line = uplinkAt(site, uplink)
          const words: Record<string, readonly string[]> = {
            uplink: [uplink, `${site}.${uplink}`],
            medium: [line.medium],
            transport: [line.transport],
            tag: line.tags,
            metered: line.metered ? ['metered'] : [],
          }
          return words[kind]!.includes(value)
        })
  const lineName = ({ hop }: Step): string => {
    const tunnel = fabric.tunnels.find((one) => one.id === hop.tunnel)!
    return tunnel.kind === 'ipsec' ? tunnel.id.replace(/\.\d$/, '') : tunnel.id
  }

  type Choose = (id: string, hops: readonly Hop[]) => readonly Hop[]
  type Marks = readonly [there: string, back: string]
  const bothOf = (from: string, to: string, packet: Packet, [there, back]: Marks, choose: Choose) => [
    waysOf(packet, from, classFrom(from, there), false, choose),
    waysOf({ ...packet, source: packet.destination, destination: packet.source }, to, classFrom(to, back), true, choose),
  ]
  /** Of the packets between two places that have the same ways whatever is down, one each, by class. */
  const kindsOf = (expect: PathExpect, from: Place, to: Place) => {
    const kinds = new Map<string, { packet: Packet; marks: Marks; ever: ReturnType<typeof bothOf> }>()
    for (const { source, destination } of pairsOf(from, to)) {
      for (const application of applications.filter((one) => expect.ports.some((port) => speaks(port, one)))) {
        const packet = { source, destination, application }
        for (const trafficClass of new Set(allowed(from.node, packet).map((rule) => rule.trafficClass as string))) {
          for (const there of chosen(from.node, source, trafficClass)) {
            for (const back of chosen(to.node, destination, trafficClass)) {
              const ever = gatewaysAt(from.node).flatMap((near) =>
                gatewaysAt(to.node).flatMap((far) => bothOf(near, far, packet, [there, back], (_, hops) => hops)),
              )
              const key = `${there} ${back} ${JSON.stringify(ever)}`
              if (!kinds.has(key)) kinds.set(key, { packet, marks: [there, back], ever })
            }
          }
        }
      }
    }
    return [...kinds.values()]
  }

  /** What an expectation of ways has against it: the codes of `verify`. */
  const faultsOf = (expect: PathExpect): ReadonlySet<string> => {
    const faults = new Set<string>()
    const asReach = { ...expect, kind: 'reach' as const }
    for (const from of expect.from) {
      for (const to of expect.to) {
        const everything = { down: new Set<string>(), dead: null }
        if (!answers(from, to, asReach, everything, 0)) {
          faults.add('lost')
          continue
        }
        if (from.node === to.node) continue
        const sound = breaks(expect.survives).filter((broken) => broken.dead !== from.node && answers(from, to, asReach, broken, 0))
        for (const { packet, marks, ever } of kindsOf(expect, from, to)) {
          if (ever.flat().some(({ steps }) => steps.some((step) => expect.not.some((word) => touches(step, word))))) faults.add('V031')
          for (const broken of sound) {
            const [{ near, far, down }] = shifts(from.node, to.node, broken.down, 0) as [ReturnType<typeof shifts>[number]]
            const both = (choose: Choose) => bothOf(near, far, packet, marks, choose)
            const [there, back] = both((id, hops) => possibleAt(id, hops, down, true)).map((ways) => ways.map(({ steps }) => steps))
            if (expect.via.length > 0 && [...there!, ...back!].some((steps) => !steps.some((step) => expect.via.some((word) => touches(step, word)))))
              faults.add('V030')
            const names = (steps: readonly Step[]) => steps.map(lineName)
            if (expect.symmetric && there!.some((one) => back!.some((other) => names(one).join() !== names(other).reverse().join())))
              faults.add('V032')
            for (const [n, ways] of both((id, hops) => possibleAt(id, hops, down, false)).entries()) {
              const needed = n === 0 ? expect.bandwidth.up : expect.bandwidth.down
              const marked = classFrom(n === 0 ? from.node : to.node, marks[n]!)
              const share = fabric.classes.find((one) => one.id === marked)?.share ?? 0
              for (const step of ways.flatMap(({ steps }) => steps)) {
                for (const { site, uplink } of needed > 0 ? lineEnds(step.hop) : []) {
                  const rate = uplinkAt(site, uplink)[site === step.at ? 'up' : 'down']
                  if (rate === 0) faults.add('V035')
                  else if ((rate / 100) * share < needed) faults.add('V034')
                }
              }
            }
          }
        }
      }
    }
    return faults
  }

  /** Whether some line is asked for more than its class keeps of it, by several callers together. */
  const isOverloaded = (): boolean => {
    const asking = fabric.expects.filter((one): one is PathExpect => one.kind === 'path' && one.bandwidth.up + one.bandwidth.down > 0)
    const pairs = asking.flatMap((expect) =>
      expect.from.flatMap((from) =>
        expect.to.filter((to) => to.node !== from.node).map((to) => ({ expect, from, to, kinds: kindsOf(expect, from, to) })),
      ),
    )
    return breaks(asking.flatMap((one) => one.survives)).some(({ down, dead }) => {
      const askedBy = new Map<string, Map<string, number>>()
      for (const { expect, from, to, kinds } of pairs) {
        if (dead === from.node || !answers(from, to, { ...expect, kind: 'reach' }, { down, dead }, 0)) continue
        const [shift] = shifts(from.node, to.node, down, 0) as [ReturnType<typeof shifts>[number]]
        for (const { packet, marks } of kinds) {
          for (const [n, ways] of bothOf(shift.near, shift.far, packet, marks, (id, hops) => possibleAt(id, hops, shift.down, true)).entries()) {
            const asked = n === 0 ? expect.bandwidth.up : expect.bandwidth.down
            for (const step of asked > 0 ? ways.flatMap(({ steps }) => steps) : []) {
              for (const { site, uplink } of lineEnds(step.hop)) {
                const line = `${site} ${uplink} ${site === step.at ? 'up' : 'down'} ${classFrom(n === 0 ? from.node : to.node, marks[n]!)}`
                const callers = askedBy.get(line) ?? new Map<string, number>()
                const caller = `${asking.indexOf(expect)} ${expect.from.indexOf(from)}`
                askedBy.set(line, callers.set(caller, Math.max(asked, callers.get(caller) ?? 0)))
              }
            }
          }
        }
      }
      return [...askedBy].some(([line, callers]) => {
        const [site = '', uplink = '', direction, trafficClass] = line.split(' ')
        const rate = uplinkAt(site, uplink)[direction as 'up' | 'down']
        const kept = (rate / 100) * (fabric.classes.find(({ id }) => id === trafficClass)?.share ?? 0)
        const each = [...callers.values()]
        return rate > 0 && each.every((one) => one <= kept) && each.reduce((sum, one) => sum + one, 0) > kept
      })
    })
  }
  return { reaches, isolates, faultsOf, isOverloaded }
}
