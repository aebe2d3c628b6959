/** Another box for a site: it gets ready beside the one that runs, takes over its tunnels in one step, or gives them back. */
import { ApplicationFailure } from '@temporalio/activity'
import { sql } from 'kysely'
import {
  bundles,
  certificates,
  claims,
  events,
  facts,
  generations,
  network,
  once,
  operations,
  replacements,
  sites,
  tokens,
} from '#src/controller/store/index.ts'
import type { Tx } from '#src/controller/store/index.ts'
import type { ReplacementRow } from '#src/controller/store/replacements.ts'
import type { SiteRow } from '#src/controller/store/sites.ts'
import type { SiteConfig, SiteId, Triple } from '#src/fabric/fabric.ts'
import { contentHash } from '#src/fabric/hash.ts'
import { counted } from '#src/fabric/plural.ts'
import type { InviteCommand } from '../contract.ts'
import { carryOut, type Deps, finding, Refused } from './context.ts'
import { believed } from './provisioning.ts'
import { giveUp, lockKnown, move } from './sites.ts'

/** How far the box that is to take over has come. */
export interface Exchange {
  /** Whether the site's tunnels are its already. */
  readonly taken: boolean
  /** It runs what is assigned to it. */
  readonly confirmed: boolean
  /** It rolled that back or refused it; '' otherwise. */
  readonly refused: string
  /** Public keys that it has not told yet. */
  readonly missingKeys: readonly string[]
  /** Interfaces of the site's configuration that the box does not have. */
  readonly lacks: readonly string[]
  readonly up: number
  readonly tunnels: number
}

export function replacementActivities(deps: Deps) {
  const { store, model } = deps
  return {
    /** The token and its command were stored by whoever asked. A newer one starts over with whatever box brings it. */
    async replaceSite({ site, command }: Of & { readonly command: InviteCommand }): Promise<void> {
      await carryOut(deps, { command, kind: 'replace', subject: `site/${site}` }, async (tx) => {
        const row = await lockKnown(tx, site)
        const token = await tokens.get(tx, command.tokenId)
        const before = await replacements.lock(tx, site)
        if (token?.site !== site || token.purpose !== 'replace')
          throw new Refused(finding('C082', 'error', `token ${command.tokenId} was not made to replace the box of ${site}`))
        if ((row.state !== 'ACTIVE' && row.state !== 'REPLACING') || row.device === null)
          throw new Refused(finding('C135', 'error', `the box of ${site} can't be replaced now: it is ${row.state}`, `causeway site status ${site}`))
        if (before?.former != null)
          throw new Refused(finding('C135', 'error', `the new box of ${site} takes over this very moment`, `causeway site status ${site}`))
        if (before !== undefined) await giveUp(tx, before, finding('C136', 'note', `another token was made for the box of ${site}`))
        await replacements.begin(tx, site, command.operationId)
        await move(tx, row, 'replacing', null, command.operationId)
        return null
      })
    },

    /** Nobody was approved in time: the site keeps its box. */
    async lapseReplacement({ site }: Of): Promise<void> {
      await store.transaction(async (tx) => {
        const row = await sites.lock(tx, site)
        const of = await replacements.lock(tx, site)
        if (row === undefined || of === undefined || of.device !== null) return
        await giveUp(
          tx,
          of,
          finding('C136', 'error', `no box was approved for ${site} before its token ended`, `make another: causeway site replace ${site}`),
        )
        await move(tx, row, 'kept', null, of.operation_id)
      })
    },

    /** The site's configuration without what would carry traffic: the box makes its keys, and nobody on the LAN hears of it. */
    async prepareReplacement({ site }: Of): Promise<void> {
      await store.transaction(async (tx) => {
        const row = await sites.lock(tx, site)
        const of = await replacements.lock(tx, site)
        if (row === undefined || of?.device == null || of.former !== null) return
        await stage(tx, row, of, (config) => ({
          ...config,
          lans: [],
          tunnels: [],
          waiting: [...config.waiting, ...config.tunnels.map(({ id }) => id)].sort(),
        }))
      })
    },

    async readReplacement({ site }: Of): Promise<Exchange | null> {
      const { db } = store
      const [row, of] = [await sites.get(db, site), await replacements.get(db, site)]
      if (row?.state !== 'REPLACING' || of?.device == null) return null
      const bundle = of.assigned === null ? undefined : await bundles.get(db, site, of.assigned)
      const whole = row.assigned === null ? undefined : await bundles.get(db, site, row.assigned)
      const known = new Set(of.keys.flatMap((fact) => (fact.kind === 'key' ? [`${fact.interface}/${fact.linkEpoch}`] : [])))
      const has = new Set(of.inventory?.interfaces.map(({ name }) => name))
      const wanted = [...(whole?.config.lans ?? []), ...(whole?.config.uplinks ?? [])].map((one) => one.interface)
      const { commit } = of
      const refused =
        (commit?.state === 'rolled-back' || commit?.state === 'refused') && sites.sameTriple(commit.triple, of.assigned)
          ? `${commit.why} (${commit.code})`
          : ''
      return {
        taken: of.former !== null,
        confirmed: of.assigned !== null && sites.sameTriple(of.running, of.assigned),
        refused,
        missingKeys: (bundle?.config.interfaces ?? []).flatMap(({ id, kind, linkEpoch }) =>
          kind === 'cloud' || known.has(`${id}/${linkEpoch}`) ? [] : [id as string],
        ),
        lacks: [...new Set(wanted)].filter((name) => !has.has(name)),
        up: of.up.length,
        tunnels: bundle?.config.tunnels.length ?? 0,
      }
    },

    /** From here on the site's public keys are the new box's: its peers turn to it as soon as they hear of them. */
    async takeOver({ site }: Of): Promise<void> {
      await store.transaction(async (tx) => {
        const row = await sites.lock(tx, site)
        const of = await replacements.lock(tx, site)
        if (row?.state !== 'REPLACING' || of?.device == null || of.former !== null) return
        await replacements.takeOver(tx, site, await facts.keysOf(tx, site))
        await facts.replaceKeys(tx, site, of.keys)
        await stage(tx, row, of, (config) => config)
        await events.emit(tx, {
          operationId: of.operation_id,
          subject: `site/${site}`,
          kind: 'site.takeover',
          text: `the new box of ${site} takes over its tunnels`,
        })
      })
    },

    /**
     * It carries the site's traffic: the box before is out, and told so when it asks. With a reason why it does not: the
     * tunnels are the old box's again, and an operator may approve the new one once more. `run`: who says so, once; the
     * same word repeated, when its worker died before Temporal heard of it, must not undo an approval since.
     */
    async finishReplacement({ site, operationId, run, why }: Finish): Promise<void> {
      await once(store, operationId, `finish ${run}`, async (tx) => {
        const row = await sites.lock(tx, site)
        const of = await replacements.lock(tx, site)
        if (row?.state !== 'REPLACING' || of?.device == null || of.operation_id !== operationId) return null
        if (why !== '') return await takeBack(tx, of, why)
        if (of.former === null) return null
        const serial = (await claims.get(tx, of.claim_id ?? ''))?.serial ?? ''
        for (const claim of await claims.ofSite(tx, site))
          if (claim.thumbprint === row.device && claim.state === 'enrolled') await claims.setState(tx, claim.id, 'replaced')
        if (row.device !== null) await certificates.revokeOf(tx, site, row.device)
        await replacements.succeed(tx, of)
        await move(tx, row, 'replaced', null, of.operation_id)
        await operations.end(tx, of.operation_id, 'succeeded', { result: { device: of.device, serial, former: row.device } })
        await sql`select pg_notify('assigned', ${site})`.execute(tx)
        return null
      })
    },
  }

  async function stage(tx: Tx, row: SiteRow, of: ReplacementRow, shape: (config: SiteConfig) => SiteConfig): Promise<void> {
    const at = await network.get(tx)
    const generation = row.assigned?.generation
    const fabric = generation === undefined ? undefined : (await generations.get(tx, generation))?.fabric
    if (at === undefined || generation === undefined || fabric === undefined)
      throw ApplicationFailure.nonRetryable(`${row.id} runs nothing that another box could take over`, 'C135')
    const config = shape(model.configure(fabric, await believed(tx), row.id as SiteId))
    const hash = contentHash(config)
    // A step that is repeated assigns nothing anew, unless the box did not keep it.
    const current = of.assigned === null ? undefined : await bundles.get(tx, row.id, of.assigned)
    const failed = of.commit !== null && 'code' in of.commit && sites.sameTriple(of.commit.triple, of.assigned)
    if (current?.hash === hash && current.term === at.term && current.generation === generation && !failed) return
    const triple: Triple = { term: at.term, generation, revision: await bundles.nextRevision(tx, row.id, at.term, generation) }
    await bundles.insert(tx, { site: row.id, triple, hash, config, operationId: of.operation_id })
    await replacements.assign(tx, row.id, triple)
    await sql`select pg_notify('assigned', ${row.id})`.execute(tx)
    await events.emit(tx, {
      operationId: of.operation_id,
      subject: `site/${row.id}`,
      kind: 'site.assigned',
      text: `the new box of ${row.id} is to run ${triple.term}/${triple.generation}/${triple.revision}: ${counted(config.tunnels.length, 'tunnel')}`,
      data: { triple, hash },
    })
  }
}

interface Of {
  readonly site: string
}
interface Finish extends Of {
  readonly operationId: string
  /** The workflow's run. */
  readonly run: string
  readonly why: string
}

async function takeBack(tx: Tx, of: ReplacementRow, why: string): Promise<null> {
  if (of.former !== null) await facts.replaceKeys(tx, of.site, of.former)
  await replacements.takeBack(tx, of.site, why)
  await events.emit(tx, {
    operationId: of.operation_id,
    subject: `site/${of.site}`,
    kind: 'site.replacement-failed',
    text: `the new box of ${of.site} did not take over, and the old one goes on: ${why}. Mend that, then: causeway site approve ${of.site} ${(of.device ?? '').slice(0, 16)}`,
  })
  return null
}
