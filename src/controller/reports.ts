/**
 * Agents' reports on their way to the store: coalesced per site, written in batches, and turned into signals only where
 * an entity waits for what moved.
 */
import type { Fabric, Fact, InterfaceId, SiteId, TunnelId } from '#src/fabric/fabric.ts'
import { siteEnds } from '#src/fabric/ids.ts'
import { parseAddress } from '#src/net/address.ts'
import type { Report } from '#src/wire/messages.ts'
import { drills, facts, generations, network, paths, pathTests, replacements, type SiteState, sites, type Store, type Tx } from './store/index.ts'
import type { PathRow } from './store/paths.ts'
import type { SiteRow } from './store/sites.ts'

export interface ReportsDeps {
  readonly store: Store
  readonly signals: {
    facts(site: string): Promise<void>
    reported(site: string): Promise<void>
    /** A tunnel to this cloud region came or went. */
    region(region: string): Promise<void>
  }
  readonly now: () => Date
  readonly log: (error: unknown) => void
  /** How long reports are collected, milliseconds. */
  readonly collect?: number
}
export interface Reports {
  /** Resolves when the report is stored; a newer one of the same site takes its place before that. */
  accept(site: string, device: string, report: Report): Promise<void>
  /** Of the box that is to take the place of the site's. */
  acceptSuccessor(site: string, device: string, report: Report): Promise<void>
  /** Writes what is collected. */
  close(): Promise<void>
}

interface Arrived {
  readonly site: string
  readonly device: string
  readonly report: Report
  readonly at: Date
}
/** Whom to wake after the commit. */
export interface Wakes {
  readonly facts: ReadonlySet<string>
  readonly reported: ReadonlySet<string>
  readonly regions: ReadonlySet<string>
}

/** Nobody waits for the paths of a site in these states. */
const settled: readonly SiteState[] = ['ACTIVE', 'MAINTENANCE', 'RETIRED', 'QUARANTINED']

export function createReports({ store, signals, now, log, collect = 50 }: ReportsDeps): Reports {
  let waiting = new Map<string, { arrived: Arrived; readonly stored: (() => void)[]; readonly lost: ((error: unknown) => void)[] }>()
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> = Promise.resolve()
  const fabrics = fabricCache()

  const flush = (): Promise<void> => {
    timer = undefined
    const batch = waiting
    waiting = new Map()
    if (batch.size === 0) return writing
    // One batch at a time: two could write the same site in the wrong order.
    writing = writing.then(async () => {
      try {
        const wakes = await write(
          store,
          fabrics,
          [...batch.values()].map(({ arrived }) => arrived),
        )
        for (const { stored } of batch.values()) for (const done of stored) done()
        await Promise.all([
          ...[...wakes.facts].map((site) => signals.facts(site)),
          ...[...wakes.reported].map((site) => signals.reported(site)),
          ...[...wakes.regions].map((region) => signals.region(region)),
        ]).catch(log)
      } catch (error) {
        for (const { lost } of batch.values()) for (const failed of lost) failed(error)
      }
    })
    return writing
  }

  return {
    accept: (site, device, report) =>
      new Promise((resolve, reject) => {
        const arrived = { site, device, report, at: now() }
        const key = `${site} ${device}`
        const before = waiting.get(key)
        if (before) {
          // The inventory comes only when it changed: a later report without it must not lose it.
          before.arrived = { ...arrived, report: { ...report, inventory: report.inventory ?? before.arrived.report.inventory } }
          before.stored.push(resolve)
          before.lost.push(reject)
        } else waiting.set(key, { arrived, stored: [resolve], lost: [reject] })
        timer ??= setTimeout(() => void flush(), collect)
      }),
    acceptSuccessor: async (site, device, report) => {
      const moved = await store.transaction(async (tx) => {
        const before = await replacements.lock(tx, site)
        const fabric = await fabrics(tx)
        if (before?.device !== device || !fabric) return false
        const keys = factsOf(fabric, site, report).filter(({ kind }) => kind === 'key')
        await replacements.reported(tx, site, { report, keys, at: now() })
        return true
      })
      if (moved) await signals.reported(site).catch(log)
    },
    close: async () => {
      clearTimeout(timer)
      await flush()
    },
  }
}

/** The newest generation's fabric, read again only when the head moved. */
function fabricCache(): (tx: Tx) => Promise<Fabric | null> {
  let cached: { readonly number: number; readonly fabric: Fabric } | undefined
  return async (tx) => {
    const head = (await network.get(tx))?.head ?? 0
    if (head === 0) return null
    if (cached?.number !== head) {
      const row = await generations.get(tx, head)
      cached = row && { number: head, fabric: row.fabric }
    }
    return cached?.fabric ?? null
  }
}

/** One transaction for the whole batch. */
async function write(store: Store, fabricOf: (tx: Tx) => Promise<Fabric | null>, batch: readonly Arrived[]): Promise<Wakes> {
  return store.transaction(async (tx) => {
    const fabric = await fabricOf(tx)
    const every = sites.reportEvery(fabric?.sites.length ?? 0)
    const wake = { facts: new Set<string>(), reported: new Set<string>(), regions: new Set<string>() }
    // In one order everywhere, so that two controllers' batches can't wait for each other.
    const sorted = [...batch].sort((a, b) => (a.site < b.site ? -1 : 1))
    const written: typeof sorted = []
    for (const arrived of sorted) {
      const { site, device, report, at } = arrived
      const before = await sites.lock(tx, site)
      // Its box was exchanged in the moment that this was waiting.
      if (!before || (before.device !== null && before.device !== device)) continue
      written.push(arrived)
      // A site with a finding about its paths waits for them as well.
      const waits = !settled.includes(before.state) || before.finding?.code === 'C091'
      const clouds = fabric ? cloudTunnels(fabric, site) : noClouds
      const pathsBefore = waits || clouds.size > 0 ? await paths.ofSite(tx, site) : []
      await sites.reported(tx, {
        site,
        running: report.running,
        commit: report.commit,
        findings: report.findings,
        inventory: report.inventory ?? null,
        headlessSince: report.headlessSince === null ? null : new Date(report.headlessSince),
        drain: report.drain ?? null,
        carries: report.carries ?? null,
        every,
        at,
      })
      const told = fabric ? factsOf(fabric, site, report) : []
      // From the takeover on the site's keys are those of its next box.
      const taken = before.state === 'REPLACING' && (await replacements.get(tx, site))?.former != null
      const changed = await facts.put(tx, taken ? told.filter(({ kind }) => kind !== 'key') : told)
      if (fabric) for (const fact of changed) for (const touched of touches(fabric, fact)) wake.facts.add(touched)
      if (report.measured) await pathTests.reported(tx, site, report.measured)
      if (report.drill) await drills.reported(tx, site, report.drill)
      for (const region of turned(clouds, pathsBefore, report)) wake.regions.add(region)
      if (moved(before, report) || (waits && (changed.length > 0 || pathsMoved(pathsBefore, report)))) wake.reported.add(site)
    }
    await paths.replace(
      tx,
      written.map(({ site, report, at }) => ({ site, at, paths: report.paths })),
    )
    return wake
  })
}

/** What a report may say about the world: its own interfaces' keys, and where its own tunnels' far ends are seen. */
export function factsOf(fabric: Fabric, site: string, report: Report): readonly Fact[] {
  const own = fabric.sites.find(({ id }) => id === site)
  if (!own) return []
  const interfaces = new Set<string>(own.interfaces.map(({ id }) => id))
  const tunnels = new Map<string, (typeof fabric.tunnels)[number]>(
    fabric.tunnels.filter((tunnel) => siteEnds(tunnel).some((end) => end.site === site)).map((tunnel) => [tunnel.id, tunnel]),
  )
  const keys = report.keys
    .filter((key) => interfaces.has(key.interface) && key.linkEpoch >= 0 && isPublicKey(key.publicKey))
    .map(
      (key): Fact => ({
        kind: 'key',
        site: site as SiteId,
        interface: key.interface as InterfaceId,
        linkEpoch: key.linkEpoch,
        publicKey: key.publicKey,
      }),
    )
  const endpoints = report.endpoints.flatMap(({ tunnel, address, port }): readonly Fact[] => {
    const known = tunnels.get(tunnel)
    const far = known && siteEnds(known).find((end) => end.site !== site)
    const parsed = parseAddress(address)
    return far && parsed.ok && port >= 1 && port <= 65_535
      ? [{ kind: 'endpoint', tunnel: tunnel as TunnelId, site: far.site, address: parsed.value, port }]
      : []
  })
  return [...keys, ...endpoints]
}
/** 32 bytes, base64 as WireGuard writes it. */
const isPublicKey = (text: string): boolean => /^[A-Za-z0-9+/]{43}=$/.test(text)

/** The sites whose configuration `configure` would make differently: both ends of every tunnel on a key's interface. */
export function touches(fabric: Fabric, fact: Fact): ReadonlySet<string> {
  switch (fact.kind) {
    case 'key':
      return new Set(
        fabric.tunnels
          .map(siteEnds)
          .filter((ends) => ends.some((end) => end.site === fact.site && end.interface === fact.interface))
          .flatMap((ends) => ends.map(({ site }) => site)),
      )
    case 'endpoint':
      // Far ends roam: WireGuard follows them by itself, and no configuration names them.
      return new Set()
    case 'psk':
    case 'cloud-endpoint':
      return new Set(fabric.tunnels.filter(({ id }) => id === fact.tunnel).map(({ ends }) => ends[0].site))
    default:
      return fact satisfies never
  }
}

const noClouds: ReadonlyMap<string, string> = new Map()
/** The site's tunnels to clouds, each with its region. Generations from before there were regions have none. */
const cloudTunnels = (fabric: Fabric, site: string): ReadonlyMap<string, string> =>
  new Map(
    ((fabric as Partial<Fabric>).regions ?? []).flatMap(({ id, connections }) =>
      connections.filter((of) => of.site === site).flatMap(({ members }) => members.map(({ tunnel }) => [tunnel, id] as const)),
    ),
  )
/** Regions of which a tunnel is reported in another state than before. */
function turned(clouds: ReadonlyMap<string, string>, before: readonly PathRow[], report: Report): readonly string[] {
  const was = new Map(before.map(({ tunnel, state }) => [tunnel, state]))
  const is = new Map(report.paths.map(({ tunnel, state }) => [tunnel, state]))
  return [...clouds].flatMap(([tunnel, region]) => (was.get(tunnel) === is.get(tunnel) ? [] : [region]))
}

function moved(before: SiteRow, report: Report): boolean {
  const commitBefore = before.commit
  const sameCommit =
    commitBefore !== null &&
    commitBefore.state === report.commit.state &&
    ('triple' in commitBefore && 'triple' in report.commit ? sites.sameTriple(commitBefore.triple, report.commit.triple) : true)
  const drained = before.drain_report?.drained !== report.drain?.drained
  return !sites.sameTriple(before.running, report.running) || !sameCommit || drained
}
function pathsMoved(before: readonly PathRow[], report: Report): boolean {
  const states = new Map(before.map(({ tunnel, state }) => [tunnel, state]))
  return report.paths.length !== states.size || report.paths.some(({ tunnel, state }) => states.get(tunnel) !== state)
}
