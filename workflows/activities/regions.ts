/** A region's rows: what is wanted of it, how far it is, its keys and its facts. Nothing here speaks to a cloud. */
import { ApplicationFailure } from '@temporalio/activity'
import { presharedKey } from '#src/controller/pki/psk.ts'
import { commands, events, facts, generations, network, operations, paths, regions, sites } from '#src/controller/store/index.ts'
import type { Db, Tx } from '#src/controller/store/index.ts'
import type { RegionRow, RouteRow } from '#src/controller/store/regions.ts'
import type { ConnectionId, Fabric, Finding, Region, RegionId, SecretRef } from '#src/fabric/fabric.ts'
import { contentHash } from '#src/fabric/hash.ts'
import { familyOf } from '#src/net/address.ts'
import type { Command } from '../contract.ts'
import { nextRegionState, type RegionEvent, type RegionState } from '../region-lifecycle.ts'
import type { ConnectionView } from '../return-routes.ts'
import { carryOut, type Deps, finding, further, Refused } from './context.ts'

export interface RegionView {
  readonly state: RegionState
  /** The newest generation wants something else than what the cloud holds, and that was not refused yet. */
  readonly due: boolean
  /** Its resources are all there; what is left is that the tunnels come up. */
  readonly made: boolean
  readonly connections: readonly ConnectionView[]
  /** Hubs that have reported before and do not any more. Absent in what was read before these mattered. */
  readonly silent?: readonly string[]
  readonly down: readonly string[]
  /** Its finding is that not every tunnel is UP. */
  readonly degraded: boolean
  readonly leaving: Command | null
  readonly repair: Command | null
}
export interface Begun {
  readonly operationId: string
  readonly hubs: readonly string[]
}

export function regionActivities(deps: Deps) {
  const { store, model } = deps
  return {
    async readRegion({ region }: Of): Promise<RegionView> {
      const { db } = store
      const row = await regions.get(db, region)
      if (row === undefined)
        return { state: 'RETIRED', due: false, made: false, connections: [], down: [], degraded: false, leaving: null, repair: null }
      const wanted = (await wantedOf(db, region))?.region
      const hash = wanted && contentHash(wanted)
      return {
        state: row.state,
        due:
          hash !== undefined &&
          row.state !== 'RETIRED' &&
          row.state !== 'DELETING' &&
          hash !== row.reached &&
          !(row.state === 'FAILED' && row.tried === hash),
        made: row.reached !== null && row.reached === row.tried,
        connections: row.config === null ? [] : await connectionsOf(db, row.config),
        silent: row.config === null ? [] : await regions.silentHubs(db, row.config, new Date(), deps.offlineAfter),
        down: row.down,
        degraded: row.finding?.code === 'C106',
        leaving: row.state === 'DELETING' ? await commandOf(db, 'region-decommission', region) : null,
        repair: await commandOf(db, 'region-repair', region),
      }
    },

    /** Takes the newest generation's region as what is to be made; the operation is found again by a restart. */
    async beginRegion({ region, repair }: Of & { readonly repair: Command | null }): Promise<Begun> {
      return await store.transaction(async (tx) => {
        const row = await regions.lock(tx, region)
        const wanted = await wantedOf(tx, region)
        if (row === undefined || wanted === undefined) throw ApplicationFailure.nonRetryable(`no generation names the region ${region}`, 'C082')
        const hash = contentHash(wanted.region)
        const operationId = repair?.operationId ?? `region-${region}-${wanted.generation}`
        if (repair === null)
          await tx
            .insertInto('operations')
            .values({ id: operationId, kind: 'region', subject: `region/${region}`, state: 'running' })
            .onConflict((at) => at.doNothing())
            .execute()
        const routes: readonly RouteRow[] = [
          ...model.returnRoutes(wanted.fabric, region as RegionId, new Set(row.down as readonly ConnectionId[])),
        ].sort(byPrefix)
        await regions.begin(tx, region, { config: wanted.region, generation: wanted.generation, hash, routes })
        await moveRegion(tx, row, row.reached === null ? 'creating' : 'changing', null, operationId)
        return { operationId, hubs: regions.hubsOf(wanted.region) }
      })
    },

    /** Made in the vault, known to everybody else by reference; before the cloud is asked for anything. */
    async makeKeys({ region }: Of): Promise<number> {
      const { vault } = deps
      const row = await regions.get(store.db, region)
      if (vault === undefined || row?.config == null) throw ApplicationFailure.nonRetryable(`no vault for the keys of ${region}`, 'C104')
      const known = new Set((await facts.all(store.db)).flatMap((fact) => (fact.kind === 'psk' ? [fact.tunnel] : [])))
      let made = 0
      for (const { tunnel } of row.config.connections.flatMap(({ members }) => members)) {
        if (known.has(tunnel)) continue
        // A region that was decommissioned left its old key behind: never that one again.
        const ref: SecretRef = await vault.rotate(`psk/${tunnel}`, Buffer.from(presharedKey()))
        await store.transaction((tx) => facts.put(tx, [{ kind: 'psk', tunnel, linkEpoch: 0, ref }]))
        made += 1
      }
      return made
    },

    /** The cloud holds it all: what is left is that a hub reports the tunnels. */
    async reachRegion({
      region,
      operationId,
      findings,
    }: Of & { readonly operationId: string; readonly findings: readonly Finding[] }): Promise<void> {
      await store.transaction(async (tx) => {
        const row = await regions.lock(tx, region)
        if (row?.tried == null || row.state === 'DELETING' || (await operations.get(tx, operationId))?.state !== 'running') return
        await regions.reach(tx, region, row.tried)
        await regions.checked(tx, region, findings)
        await events.emit(tx, { operationId, subject: `region/${region}`, kind: 'region.made', text: `${region} is made; waiting for its tunnels` })
        if (row.state === 'CHANGING') await moveRegion(tx, row, 'carrying', null, operationId)
        await operations.end(tx, operationId, 'succeeded', { findings })
      })
    },

    /** Its tunnels are UP, or some of them after the time that all of them should have taken. */
    async noteRegion({ region, carried }: Of & { readonly carried: 'whole' | 'part' }): Promise<void> {
      await store.transaction(async (tx) => {
        const row = await regions.lock(tx, region)
        if (row === undefined || (row.state !== 'CREATING' && row.state !== 'ACTIVE')) return
        await moveRegion(
          tx,
          row,
          'carrying',
          carried === 'whole'
            ? null
            : finding('C106', 'warning', `not every tunnel to ${region} is UP`, 'traffic runs, but without that standby: causeway path list'),
        )
      })
    },

    async failRegion({ region, operationId, cause, cancelled }: Failure): Promise<void> {
      await store.transaction(async (tx) => {
        const row = await regions.lock(tx, region)
        if (row === undefined) return
        if (!cancelled) await moveRegion(tx, row, 'failed', cause, operationId)
        await operations.end(tx, operationId, cancelled ? 'cancelled' : 'failed', { findings: [cause] })
      })
    },

    async repairRegion({ region, command }: Of & { readonly command: Command }): Promise<void> {
      await carryOut(deps, { command, kind: 'region-repair', subject: `region/${region}` }, async (tx) => {
        const row = await lockKnown(tx, region)
        if (row.state === 'DELETING' || row.state === 'RETIRED' || row.state === 'DECLARED')
          throw new Refused(finding('C101', 'error', `${region} is ${row.state}: there is nothing to repair`, `causeway region status ${region}`))
        return null
      })
    },

    async beginRegionDecommission({ region, command }: Of & { readonly command: Command }): Promise<void> {
      await carryOut(deps, { command, kind: 'region-decommission', subject: `region/${region}` }, async (tx) => {
        const row = await lockKnown(tx, region)
        if (row.state === 'DELETING' && (await commandOf(tx, 'region-decommission', region, command.operationId)) !== null)
          throw new Refused(finding('C102', 'error', `${region} is being decommissioned already`, `causeway region wait ${region}`))
        if (row.state === 'RETIRED') throw new Refused(finding('C102', 'error', `${region} is RETIRED already`))
        for (const open of await operations.open(tx)) {
          if (open.subject === `region/${region}` && open.id !== command.operationId)
            await operations.end(tx, open.id, 'cancelled', { findings: [finding('C102', 'note', `${region} is decommissioned instead`)] })
        }
        await moveRegion(tx, row, 'deleting', null, command.operationId)
        return null
      })
    },

    /** The hubs let go first: without its facts no configuration has a tunnel to the region. Answers the hubs. */
    async releaseRegion({ region, command }: Of & { readonly command: Command }): Promise<readonly string[]> {
      return await further(deps, { command, kind: 'region-decommission', subject: `region/${region}` }, 'release', async (tx) => {
        const row = await lockKnown(tx, region)
        await facts.forget(tx, region)
        return row.config === null ? [] : regions.hubsOf(row.config)
      })
    },

    async retireRegion({ region, command }: Of & { readonly command: Command }): Promise<void> {
      await further(deps, { command, kind: 'region-decommission', subject: `region/${region}` }, 'retire', async (tx) => {
        const row = await lockKnown(tx, region)
        await regions.forgetResources(tx, region)
        // A create that ended late may have brought one back.
        await facts.forget(tx, region)
        await moveRegion(tx, row, 'retired', null, command.operationId)
        await operations.end(tx, command.operationId, 'succeeded')
        return null
      })
    },
  }
}

interface Of {
  readonly region: string
}
interface Failure extends Of {
  readonly operationId: string
  readonly cause: Finding
  /** Ended because something else was commanded meanwhile. */
  readonly cancelled: boolean
}

export const byPrefix = ([a]: RouteRow, [b]: RouteRow): number => (a < b ? -1 : a > b ? 1 : 0)

async function lockKnown(tx: Tx, region: string): Promise<RegionRow> {
  const row = await regions.lock(tx, region)
  if (row === undefined)
    throw new Refused(finding('C100', 'error', `there is no region "${region}"`, 'a region is declared by an applied plan that names it'))
  return row
}

/** Generations from before there were regions name none. */
export const regionsOf = (fabric: Fabric): readonly Region[] => (fabric as Partial<Fabric>).regions ?? []

/** By the table of region-lifecycle.ts; an event that means nothing now changes nothing. */
export async function moveRegion(tx: Tx, row: RegionRow, event: RegionEvent, why: Finding | null, operationId?: string): Promise<void> {
  const to = nextRegionState(row.state, event)
  if (to === null || (to === row.state && JSON.stringify(row.finding) === JSON.stringify(why))) return
  await regions.setState(tx, row.id, to, why)
  const text = why === null ? `${row.id} is ${to}` : `${row.id} is ${to}: ${why.says}`
  await events.emit(tx, {
    ...(operationId === undefined ? {} : { operationId }),
    subject: `region/${row.id}`,
    kind: `region.${to.toLowerCase()}`,
    text,
    data: { from: row.state },
  })
}

async function wantedOf(
  db: Db,
  region: string,
): Promise<{ readonly generation: number; readonly fabric: Fabric; readonly region: Region } | undefined> {
  const head = (await network.get(db))?.head ?? 0
  const row = await generations.get(db, head)
  const found = row && regionsOf(row.fabric).find(({ id }) => id === region)
  return row && found && { generation: row.number, fabric: row.fabric, region: found }
}

export async function connectionsOf(db: Db, region: Region): Promise<readonly ConnectionView[]> {
  const states = new Map<string, Map<string, string>>()
  const draining = new Set<string>()
  for (const hub of regions.hubsOf(region)) {
    states.set(hub, new Map((await paths.ofSite(db, hub)).map(({ tunnel, state }) => [tunnel, state])))
    if ((await sites.get(db, hub))?.drain) draining.add(hub)
  }
  return region.connections.map(({ id, site, members }) => {
    const of = members.map(({ tunnel }) => states.get(site)?.get(tunnel) ?? 'INIT')
    return {
      id,
      hub: site,
      up: of.filter((state) => state === 'UP' || state === 'DEGRADED').length,
      down: of.filter((state) => state === 'DOWN').length,
      members: of.length,
      family: familyOf(members[0].inside),
      draining: draining.has(site),
    }
  })
}

/** The open command of this kind, if somebody gave one that was accepted. */
async function commandOf(db: Db, kind: string, region: string, except?: string): Promise<Command | null> {
  for (const operation of await operations.open(db)) {
    if (operation.kind !== kind || operation.subject !== `region/${region}` || operation.id === except) continue
    const row = await commands.ofOperation(db, operation.id)
    if (row !== undefined && row.consumed_at !== null) return { commandId: row.id, operationId: operation.id }
  }
  return null
}
