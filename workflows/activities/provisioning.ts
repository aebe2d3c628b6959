/** Bundles and onboarding: what a site should run, and how far it has come. */
import { ApplicationFailure } from '@temporalio/activity'
import { bundles, events, facts, generations, network, operations, paths, sites } from '#src/controller/store/index.ts'
import type { Db } from '#src/controller/store/index.ts'
import type { SiteRow } from '#src/controller/store/sites.ts'
import type { Fabric, Fact, SiteId, Triple } from '#src/fabric/fabric.ts'
import { isIpsecInterface } from '#src/fabric/ipsec.ts'
import { contentHash } from '#src/fabric/hash.ts'
import { counted } from '#src/fabric/plural.ts'
import { isEnrolled, isInWindow } from '../lifecycle.ts'
import type { OnboardResult } from '../onboard.ts'
import { type Deps, finding } from './context.ts'
import { move } from './sites.ts'

export type Staged =
  | { readonly kind: 'staged'; readonly triple: Triple; readonly moved: boolean }
  | { readonly kind: 'refused'; readonly why: string }

export interface Provisioning {
  /** Interfaces of the assigned bundle whose public key was not reported yet. */
  readonly missingKeys: readonly string[]
  /** Enrolled peers that this site dials, and those that dial it. */
  readonly answers: readonly string[]
  readonly dials: readonly string[]
  /** Tunnels in the confirmed bundles of both ends, and those of them that this end calls UP. */
  readonly expected: readonly string[]
  readonly up: readonly string[]
}

export function provisioningActivities({ store, model }: Deps) {
  return {
    /** Joins a generation with the facts of now. The same bytes as assigned: nothing moves; else the next revision does. */
    async stageBundle({
      site,
      generation,
      operationId,
    }: {
      readonly site: string
      readonly generation: number | null
      readonly operationId: string | null
    }): Promise<Staged> {
      return await store.transaction(async (tx) => {
        const row = await sites.lock(tx, site)
        const at = await network.get(tx)
        if (row === undefined || at === undefined || !isEnrolled(row.state)) return { kind: 'refused', why: `${site} has no enrolled gateway` }
        if (at.frozen) return { kind: 'refused', why: 'the network is frozen after a restore' }
        const { assigned } = row
        const floor = assigned !== null && assigned.term === at.term ? assigned.generation : 0
        const wanted = Math.max(generation ?? assigned?.generation ?? at.head, floor)
        const of = await generations.get(tx, wanted)
        if (of === undefined) return { kind: 'refused', why: `there is no generation ${wanted}` }
        if (!of.fabric.sites.some(({ id }) => id === site)) return { kind: 'refused', why: `generation ${wanted} does not name ${site}` }
        const joined = model.configure(of.fabric, await believed(tx), site as SiteId)
        const config = row.drain === null || !isInWindow(row.state) ? joined : { ...joined, drainUntil: row.drain.until }
        const hash = contentHash(config)
        if (assigned !== null && assigned.term === at.term && assigned.generation === wanted && !failed(row, assigned)) {
          const current = await bundles.get(tx, site, assigned)
          if (current?.hash === hash) return { kind: 'staged', triple: assigned, moved: false }
        }
        const triple: Triple = { term: at.term, generation: wanted, revision: await bundles.nextRevision(tx, site, at.term, wanted) }
        await bundles.insert(tx, { site, triple, hash, config, operationId })
        if (!(await sites.assign(tx, site, triple))) throw ApplicationFailure.retryable(`${site} was assigned something newer meanwhile`)
        if (assigned !== null && wanted > assigned.generation) await move(tx, row, 'changing', null, operationId ?? undefined)
        await events.emit(tx, {
          ...(operationId === null ? {} : { operationId }),
          subject: `site/${site}`,
          kind: 'site.assigned',
          text: `${site} is to run ${triple.term}/${triple.generation}/${triple.revision}: ${counted(config.tunnels.length, 'tunnel')}${config.waiting.length > 0 ? `, ${config.waiting.length === 1 ? '1 waits for its far end' : `${config.waiting.length} wait for their far ends`}` : ''}`,
          data: { triple, hash },
        })
        return { kind: 'staged', triple, moved: true }
      })
    },

    async readProvisioning({ site }: { readonly site: string }): Promise<Provisioning> {
      const { db } = store
      const rows = new Map((await sites.list(db)).map((row) => [row.id, row]))
      const row = rows.get(site)
      const fabric = await fabricOf(db, row)
      if (row === undefined || fabric === null) return { missingKeys: [], answers: [], dials: [], expected: [], up: [] }
      const assigned = row.assigned === null ? undefined : await bundles.get(db, site, row.assigned)
      const keys = new Set(
        (await facts.all(db)).flatMap((fact) => (fact.kind === 'key' && fact.site === site ? [`${fact.interface}/${fact.linkEpoch}`] : [])),
      )
      const peers = (end: 0 | 1) =>
        [
          ...new Set(
            fabric.tunnels.flatMap((tunnel) =>
              tunnel.kind === 'wireguard' && tunnel.ends[end].site === site ? [tunnel.ends[end === 0 ? 1 : 0].site as string] : [],
            ),
          ),
        ]
          .filter((peer) => {
            const other = rows.get(peer)
            return other !== undefined && other.assigned !== null && isEnrolled(other.state)
          })
          .sort()
      const expected = await shared(db, row, rows)
      const states = new Map((await paths.ofSite(db, site)).map((path) => [path.tunnel, path.state]))
      return {
        // IPsec tunnels have pre-shared keys, which the box does not make.
        missingKeys: (assigned?.config.interfaces ?? []).flatMap(({ id, kind, linkEpoch }) =>
          isIpsecInterface({ kind }) || keys.has(`${id}/${linkEpoch}`) ? [] : [id],
        ),
        answers: peers(0),
        dials: peers(1),
        expected,
        up: expected.filter((tunnel) => states.get(tunnel) === 'UP' || states.get(tunnel) === 'DEGRADED'),
      }
    },

    /** The operation that people follow; its id is the device's, so that a restart finds it again. */
    async beginOnboarding({ site }: { readonly site: string }): Promise<string> {
      return await store.transaction(async (tx) => {
        const row = await sites.lock(tx, site)
        if (row === undefined || row.device === null) throw ApplicationFailure.nonRetryable(`${site} has no enrolled gateway`, 'C082')
        const operationId = operationOf(row)
        await tx
          .insertInto('operations')
          .values({ id: operationId, kind: 'onboard', subject: `site/${site}`, state: 'running' })
          .onConflict((at) => at.doNothing())
          .execute()
        await move(tx, row, 'provisioning', null, operationId)
        return operationId
      })
    },

    /** Some paths UP is ACTIVE with a finding (it carries traffic, without standby); none is ENROLLED, and it is tried again. */
    async finishOnboarding({ site, result }: { readonly site: string; readonly result: OnboardResult }): Promise<void> {
      await store.transaction(async (tx) => {
        const row = await sites.lock(tx, site)
        if (row === undefined) return
        const operationId = operationOf(row)
        if (result.outcome === 'failed') {
          await move(
            tx,
            row,
            'unprovisioned',
            finding('C090', 'error', result.why, 'it is tried again by itself; causeway site log shows each try'),
            operationId,
          )
          return
        }
        await move(
          tx,
          row,
          'provisioned',
          result.outcome === 'green' ? null : finding('C091', 'warning', result.why, 'traffic runs, but without that standby'),
          operationId,
        )
        await operations.end(tx, operationId, 'succeeded', { result: { outcome: result.outcome } })
      })
    },
  }
}

const operationOf = (row: SiteRow): string => `onboard-${row.id}-${(row.device ?? '').slice(0, 16)}`

const failed = (row: SiteRow, triple: Triple): boolean =>
  (row.commit?.state === 'rolled-back' || row.commit?.state === 'refused') && sites.sameTriple(row.commit.triple, triple)

/** Facts of sites whose device we (still) trust: one that is leaving or in quarantine is no peer. */
export async function believed(db: Db): Promise<readonly Fact[]> {
  const enrolled = new Set((await sites.list(db)).filter((row) => isEnrolled(row.state)).map((row) => row.id))
  return (await facts.all(db)).filter((fact) => !('site' in fact) || enrolled.has(fact.site))
}

async function fabricOf(db: Db, row: SiteRow | undefined): Promise<Fabric | null> {
  const generation = row?.assigned?.generation ?? (await network.get(db))?.head ?? 0
  return (await generations.get(db, generation))?.fabric ?? null
}

/** Tunnels that both ends have confirmed with each other. */
async function shared(db: Db, row: SiteRow, rows: ReadonlyMap<string, SiteRow>): Promise<readonly string[]> {
  const own = row.confirmed === null ? undefined : await bundles.get(db, row.id, row.confirmed)
  const far = new Map<string, ReadonlySet<string>>()
  const found: string[] = []
  for (const { id, remote } of own?.config.tunnels ?? []) {
    let tunnels = far.get(remote)
    if (tunnels === undefined) {
      const confirmed = rows.get(remote)?.confirmed ?? null
      const bundle = confirmed === null ? undefined : await bundles.get(db, remote, confirmed)
      tunnels = new Set(bundle?.config.tunnels.map(({ id }): string => id))
      far.set(remote, tunnels)
    }
    if (tunnels.has(id)) found.push(id)
  }
  return found
}
