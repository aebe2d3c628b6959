/** Service windows: a site is taken out of others' ways, and put back. The box itself says when nothing passes any more. */
import { ApplicationFailure, heartbeat } from '@temporalio/activity'
import { bundles, events, generations, operations, sites } from '#src/controller/store/index.ts'
import type { Db, Tx } from '#src/controller/store/index.ts'
import type { SiteRow } from '#src/controller/store/sites.ts'
import type { SiteId } from '#src/fabric/fabric.ts'
import { counted } from '#src/fabric/plural.ts'
import type { Command, DrainCommand } from '../contract.ts'
import { isInService, isInWindow } from '../lifecycle.ts'
import { carryOut, type Deps, finding, Refused } from './context.ts'
import { regionsOf } from './regions.ts'
import { lockKnown, move } from './sites.ts'

export function drainActivities(deps: Deps) {
  const { store, model } = deps
  return {
    /** Answers the regions that are to send to another hub. */
    async drainSite({ site, command }: Of & { readonly command: DrainCommand }): Promise<readonly string[]> {
      const lost = await losses(site)
      heartbeat()
      return await carryOut(deps, { command, kind: 'drain', subject: `site/${site}` }, async (tx, { args }) => {
        const { until, force } = args as { readonly until?: string; readonly force?: boolean }
        const row = await lockKnown(tx, site)
        const why = notNow(row, deps.offlineAfter)
        if (why !== null) throw new Refused(finding('C131', 'error', `${site} can't be drained now: ${why}`, `causeway site status ${site}`))
        if (until !== command.until)
          throw ApplicationFailure.nonRetryable(`command ${command.commandId} is for a window until ${until}, not ${command.until}`, 'C082')
        // It was stored while workflows were away.
        if (Date.parse(until) <= Date.now())
          throw new Refused(finding('C134', 'error', `the window of ${site} was to end at ${until}, and that is past`, `causeway site drain ${site}`))
        if (lost.length > 0 && force !== true)
          throw new Refused(
            finding(
              'C130',
              'error',
              `with ${site} out of service this would be lost: ${lost.join('; ')}`,
              `bring another hub back first, or say that it may be: causeway site drain ${site} --force`,
            ),
          )
        await sites.setDrain(tx, site, { until, operationId: command.operationId })
        await move(tx, row, 'draining', null, command.operationId)
        return await regionsAt(tx, site)
      })
    },

    async finishDraining({ site }: Of): Promise<void> {
      await store.transaction(async (tx) => {
        const row = await sites.lock(tx, site)
        if (row?.drain == null || !sites.isDrained(row)) return
        const { until, operationId } = row.drain
        const { packets = 0, bytes = 0 } = row.drain_report ?? {}
        await move(tx, row, 'drained', null, operationId)
        await operations.end(tx, operationId, 'succeeded', { result: { until, packets, bytes } })
      })
    },

    /** By the operator, before its time. Answers the regions that may use the hub again. */
    async undrainSite({ site, command }: Of & { readonly command: Command }): Promise<readonly string[]> {
      return await carryOut(deps, { command, kind: 'undrain', subject: `site/${site}` }, async (tx) => {
        const row = await lockKnown(tx, site)
        if (row.drain === null)
          throw new Refused(
            finding(
              'C132',
              'error',
              isInWindow(row.state) ? `${site} is on its way back already` : `${site} is ${row.state}: it is not drained`,
              `causeway site status ${site}`,
            ),
          )
        await operations.end(tx, row.drain.operationId, 'cancelled', {
          findings: [finding('C132', 'note', `${site} was put back before it was drained`)],
        })
        return await close(tx, row, `the window of ${site} is closed`, command.operationId)
      })
    },

    /** Its time is over, or its box did not keep the revision that says so. */
    async endWindow({ site, why }: Of & { readonly why: string }): Promise<readonly string[]> {
      return await store.transaction(async (tx) => {
        const row = await sites.lock(tx, site)
        if (row?.drain == null) return []
        const { until, operationId } = row.drain
        // Repeated after its worker died, when somebody has opened the next window meanwhile.
        if (why === '' && Date.parse(until) > Date.now()) return []
        const { packets = 0, bytes = 0 } = row.drain_report ?? {}
        const says = why === '' ? `the window of ${site} ended at ${until}` : `${site} is not drained: ${why}`
        const instead =
          packets === 0
            ? ''
            : `what has no other way goes on through it (${counted(packets, 'packet')}, ${counted(bytes, 'byte')}): causeway path list`
        await operations.end(tx, operationId, 'failed', { findings: [finding('C133', 'warning', says, instead)] })
        return await close(tx, row, says, operationId)
      })
    },

    /** Once the box runs a revision without a window. `stage`: there is none yet, or it did not keep the last one. */
    async endService({ site }: Of): Promise<'back' | 'stage' | 'again' | 'waits'> {
      return await store.transaction(async (tx) => {
        const row = await sites.lock(tx, site)
        if (row === undefined || row.drain !== null || !isInWindow(row.state)) return 'waits'
        const bundle = row.assigned === null ? undefined : await bundles.get(tx, site, row.assigned)
        if (bundle?.config.drainUntil !== undefined) return 'stage'
        const { commit } = row
        const gone = commit?.state === 'rolled-back' || commit?.state === 'refused' ? commit.triple : null
        if (!sites.sameTriple(row.assigned, row.confirmed)) return sites.sameTriple(row.assigned, gone) ? 'again' : 'waits'
        const open = (await operations.openOf(tx, `site/${site}`)).find(({ kind }) => kind === 'undrain')
        await move(tx, row, 'undrained', null, open?.id)
        if (open !== undefined) await operations.end(tx, open.id, 'succeeded')
        return 'back'
      })
    },
  }

  async function losses(site: string): Promise<readonly string[]> {
    const { db } = store
    const fabric = (await generations.head(db))?.fabric
    if (fabric === undefined || !fabric.sites.some(({ id }) => id === site)) return []
    const now = new Date()
    const serving = new Set(
      (await sites.list(db))
        .filter((row) => row.drain === null && isInService(row.state) && sites.isOnline(row, now, deps.offlineAfter))
        .map(({ id }) => id),
    )
    const away = fabric.sites.filter(({ id, hub }) => hub && id !== site && !serving.has(id)).map(({ id }) => id)
    return model.drainLosses(fabric, site as SiteId, away)
  }
}

interface Of {
  readonly site: string
}

/** A window begins at rest: what the box then rolls back is the window's own revision, and nothing else. */
function notNow(row: SiteRow, offlineAfter: number): string | null {
  if (row.state !== 'ACTIVE') return `it is ${row.state}`
  if (!sites.isOnline(row, new Date(), offlineAfter)) return 'it does not report, so it would not hear of it'
  if (row.assigned === null || !sites.sameTriple(row.assigned, row.confirmed)) return 'it is taking over another change'
  return null
}

async function close(tx: Tx, row: SiteRow, says: string, operationId: string): Promise<readonly string[]> {
  await sites.setDrain(tx, row.id, null)
  await events.emit(tx, { operationId, subject: `site/${row.id}`, kind: 'site.window-closed', text: says })
  return await regionsAt(tx, row.id)
}

async function regionsAt(db: Db, site: string): Promise<readonly string[]> {
  const fabric = (await generations.head(db))?.fabric
  return fabric === undefined
    ? []
    : regionsOf(fabric).flatMap(({ id, connections }) => (connections.some((of) => of.site === site) ? [id as string] : []))
}
