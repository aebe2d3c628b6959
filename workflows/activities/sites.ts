/** A site's state: commands of people, claims of boxes, and what the entity reads and moves. */
import { sql } from 'kysely'
import { certificates, claims, commands, events, facts, operations, paths, replacements, sites, tokens } from '#src/controller/store/index.ts'
import type { Tx } from '#src/controller/store/index.ts'
import type { ReplacementRow } from '#src/controller/store/replacements.ts'
import type { SiteRow } from '#src/controller/store/sites.ts'
import type { Finding, Triple } from '#src/fabric/fabric.ts'
import type { ApproveCommand, Command, InviteCommand } from '../contract.ts'
import { nextState, type SiteEvent, type SiteState, siteStates } from '../lifecycle.ts'
import { carryOut, type Deps, finding, further, Refused } from './context.ts'

/** What the entity needs to know of its row; times in milliseconds since the epoch. */
export interface SiteView {
  readonly state: SiteState
  readonly assigned: Triple | null
  readonly confirmed: Triple | null
  /** The last bundle that the box rolled back or refused. */
  readonly failed: { readonly triple: Triple; readonly outcome: 'rolled-back' | 'refused'; readonly why: string } | null
  /** The box has armed its guard; it falls then. */
  readonly pendingUntil: number | null
  readonly online: boolean
  readonly tokenEnds: number | null
  /** What the site's finding is about: a bundle that the box did not keep (held), or paths that did not come up (yellow). */
  readonly noted: 'held' | 'yellow' | null
  /** A claim that was stored, and whose signal may have been lost. */
  readonly claim: string | null
  /** A decommissioning that is under way. */
  readonly leaving: Command | null
  /** The service window; null also while a site comes back from one. Absent in histories from before there were any. */
  readonly drain?: { readonly until: number; readonly operationId: string } | null
  /** The box says that it passes nothing on any more. */
  readonly drained?: boolean
  /** A box that is to take over; `ready`: an operator approved it, and it has not failed since. */
  readonly replacement?: { readonly operationId: string; readonly approved: boolean; readonly ready: boolean; readonly taken: boolean } | null
}

export function siteActivities(deps: Deps) {
  const { store } = deps
  return {
    async readSite({ site }: Of): Promise<SiteView> {
      const { db } = store
      const row = await sites.get(db, site)
      if (row === undefined)
        return {
          state: 'RETIRED',
          assigned: null,
          confirmed: null,
          failed: null,
          pendingUntil: null,
          online: false,
          tokenEnds: null,
          noted: null,
          claim: null,
          leaving: null,
        }
      const { commit } = row
      const replacement = row.state === 'REPLACING' ? await replacements.get(db, site) : undefined
      const invited = row.state === 'INVITED' || (replacement !== undefined && replacement.device === null)
      return {
        state: row.state,
        assigned: row.assigned,
        confirmed: row.confirmed,
        failed:
          commit?.state === 'rolled-back' || commit?.state === 'refused'
            ? { triple: commit.triple, outcome: commit.state, why: `${commit.why} (${commit.code})` }
            : null,
        pendingUntil: row.pending === null ? null : Date.parse(row.pending.deadline),
        online: sites.isOnline(row, new Date(), deps.offlineAfter),
        tokenEnds: invited ? ((await tokens.newest(db, site))?.expires_at.getTime() ?? null) : null,
        noted: row.finding?.code === 'C089' ? 'held' : row.finding?.code === 'C091' ? 'yellow' : null,
        claim: await unheard(row),
        leaving: row.state === 'DECOMMISSIONING' ? await leaving(site) : null,
        drain: row.drain && { until: Date.parse(row.drain.until), operationId: row.drain.operationId },
        drained: sites.isDrained(row),
        replacement:
          replacement === undefined
            ? null
            : {
                operationId: replacement.operation_id,
                approved: replacement.device !== null,
                ready: replacement.device !== null && replacement.failed === null,
                taken: replacement.former !== null,
              },
      }
    },

    async moveSite({ site, event, why }: Of & { readonly event: SiteEvent; readonly why: string }): Promise<void> {
      await store.transaction(async (tx) => {
        const row = await sites.lock(tx, site)
        if (row !== undefined) await move(tx, row, event, why === '' ? null : finding('C089', 'warning', why))
      })
    },

    /** The token and its command were stored by whoever asked; here the site learns that it is invited. */
    async inviteSite({ site, command }: Of & { readonly command: InviteCommand }): Promise<void> {
      await carryOut(deps, { command, kind: 'invite', subject: `site/${site}` }, async (tx, { args }) => {
        const row = await lockKnown(tx, site)
        const token = await tokens.get(tx, command.tokenId)
        if (token?.site !== site || (args as { readonly tokenId?: string }).tokenId !== command.tokenId)
          throw new Refused(finding('C082', 'error', `token ${command.tokenId} was not made for ${site}`))
        // Told late: the box was quicker, and its claim has made the site INVITED already.
        const late = token.redeemed_at !== null && row.state !== 'DECLARED'
        if (!late) {
          if (nextState(row.state, 'invited') === null)
            throw new Refused(
              finding('C030', 'error', `${site} is ${row.state} and has a gateway already`, `to exchange its box: causeway site replace ${site}`),
            )
          await supersede(tx, site, token.id)
          await move(tx, row, 'invited', null, command.operationId)
        }
        await operations.end(tx, command.operationId, 'succeeded')
        return null
      })
    },

    /** Edges are enrolled at once; a core waits for an operator; a second key for one token quarantines. */
    async admitClaim({ site, claimId }: Of & { readonly claimId: string }): Promise<void> {
      await store.transaction(async (tx) => {
        const row = await sites.lock(tx, site)
        const claim = await claims.get(tx, claimId)
        if (row === undefined || claim === undefined || claim.site !== site || claims.isOver(claim)) return
        // It waits for an operator beside the box that the site has.
        if ((await tokens.get(tx, claim.token_id))?.purpose === 'replace') return
        const known = (await claims.ofSite(tx, site)).filter(({ token_id, state }) => token_id === claim.token_id && state === 'quarantined')
        if (known.length > 0) {
          // Only a site that nobody has enrolled yet: what a stranger does with a spent token harms nobody else.
          if (row.state !== 'CLAIMED') return
          await move(
            tx,
            row,
            'doubted',
            finding(
              'C086',
              'error',
              `a second box (serial ${known[0]?.serial}) used the token of ${site}`,
              `find out which one is yours, then make a new token: causeway site token ${site}`,
            ),
          )
          return
        }
        if (row.device === claim.thumbprint) return
        // The endpoint judged the token in time, even if its end, or its very making, is noticed here only now.
        const ready = row.state === 'INVITED' ? row : await invitedBy(tx, row, claim.token_id)
        const claimed = await move(tx, ready, 'claimed', null)
        if (claimed.state === 'CLAIMED' && row.role === 'edge') await enrol(tx, claimed, claim)
      })
    },

    async approveSite({ site, command }: Of & { readonly command: ApproveCommand }): Promise<void> {
      await carryOut(deps, { command, kind: 'approve', subject: `site/${site}` }, async (tx) => {
        const row = await lockKnown(tx, site)
        const claim = await claims.waiting(tx, site, command.fingerprint)
        if (row.state === 'REPLACING' && claim !== undefined && (await tokens.get(tx, claim.token_id))?.purpose === 'replace') {
          if ((await replacements.lock(tx, site))?.former != null)
            throw new Refused(finding('C135', 'error', `the new box of ${site} takes over this very moment`, `causeway site status ${site}`))
          await claims.setState(tx, claim.id, 'enrolled')
          await replacements.approve(tx, site, { device: claim.thumbprint, claimId: claim.id })
          await events.emit(tx, {
            operationId: command.operationId,
            subject: `site/${site}`,
            kind: 'site.replacement-approved',
            text: `the box with serial ${claim.serial} is to take over ${site}`,
          })
          await operations.end(tx, command.operationId, 'succeeded')
          return null
        }
        if (claim === undefined || (row.state !== 'CLAIMED' && row.device !== claim.thumbprint)) {
          const waiting = row.state === 'CLAIMED' ? (await claims.ofSite(tx, site)).find(({ state }) => state === 'claimed') : undefined
          const instead =
            waiting === undefined
              ? `ask the installer to paste the token; causeway site status ${site} shows when a box waits`
              : `the box that waits shows ${waiting.thumbprint.slice(0, 16)}; compare it with the installer's screen`
          throw new Refused(finding('C031', 'error', `no box with the fingerprint ${command.fingerprint} waits at ${site}`, instead))
        }
        await enrol(tx, row, claim, command.operationId)
        await operations.end(tx, command.operationId, 'succeeded')
        return null
      })
    },

    async beginDecommission({ site, command }: Of & { readonly command: Command }): Promise<void> {
      await carryOut(deps, { command, kind: 'decommission', subject: `site/${site}` }, async (tx) => {
        const row = await lockKnown(tx, site)
        if (row.state === 'DECOMMISSIONING' || row.state === 'RETIRED') throw new Refused(finding('C032', 'error', `${site} is ${row.state} already`))
        await tokens.revokeAll(tx, site)
        const replacement = await replacements.lock(tx, site)
        if (replacement !== undefined) await giveUp(tx, replacement, finding('C032', 'note', `${site} is decommissioned instead`))
        for (const open of await operations.openOf(tx, `site/${site}`))
          if (open.kind === 'drain' || open.kind === 'undrain')
            await operations.end(tx, open.id, 'cancelled', { findings: [finding('C032', 'note', `${site} is decommissioned instead`)] })
        await move(tx, row, 'decommissioning', null, command.operationId)
        return null
      })
    },

    /** Nothing is assigned any more: the agent takes that as the order to wipe its keys. */
    async releaseDevice({ site, command }: Of & { readonly command: Command }): Promise<void> {
      await further(deps, { command, kind: 'decommission', subject: `site/${site}` }, 'release', async (tx) => {
        await tx.updateTable('sites').set({ assigned: null }).where('id', '=', site).execute()
        await sql`select pg_notify('assigned', ${site})`.execute(tx)
        await events.emit(tx, {
          operationId: command.operationId,
          subject: `site/${site}`,
          kind: 'site.released',
          text: `the gateway of ${site} is told to wipe its keys`,
        })
        return null
      })
    },

    async isWiped({ site }: Of): Promise<boolean> {
      const row = await sites.get(store.db, site)
      return row === undefined || row.device === null || row.running === null
    },

    async retireSite({ site, command, wiped, kept }: Retirement): Promise<void> {
      await further(deps, { command, kind: 'decommission', subject: `site/${site}` }, 'retire', async (tx) => {
        const row = await lockKnown(tx, site)
        const findings: Finding[] = []
        if (!wiped)
          findings.push(
            finding(
              'C087',
              'warning',
              `the gateway of ${site} did not say that it wiped its keys`,
              'its certificate is revoked; wipe the box by hand if you can reach it',
            ),
          )
        if (kept.length > 0)
          findings.push(finding('C088', 'warning', `not every peer has let go of ${site} yet: ${kept.join(', ')}`, 'they do when they come back'))
        await certificates.revokeAll(tx, site)
        // Or its box would be enrolled again as soon as a generation names the site again.
        await supersede(tx, site, null)
        await facts.forget(tx, site)
        await paths.forget(tx, site)
        await sites.forget(tx, site)
        await move(tx, row, 'retired', findings[0] ?? null, command.operationId)
        await operations.end(tx, command.operationId, 'succeeded', { result: { wiped, kept }, findings })
        return null
      })
    },
  }

  /** What `admitClaim` has not seen: the newest token's claim at a site that is not past it. */
  async function unheard(row: SiteRow): Promise<string | null> {
    if (row.device !== null || !claimable.includes(row.state)) return null
    const token = await tokens.newest(store.db, row.id)
    const known = (await claims.ofSite(store.db, row.id)).filter((claim) => !claims.isOver(claim))
    const own = known.filter(({ token_id }) => token_id === token?.id)
    const second = own.find(({ state }) => state === 'quarantined')
    if (second !== undefined) return row.state === 'CLAIMED' ? second.id : null
    const admitted = row.state === 'CLAIMED' && own.length === known.length
    return admitted ? null : (own[0]?.id ?? null)
  }

  async function leaving(site: string): Promise<Command | null> {
    for (const operation of await operations.open(store.db)) {
      if (operation.kind !== 'decommission' || operation.subject !== `site/${site}`) continue
      const row = await commands.ofOperation(store.db, operation.id)
      if (row !== undefined) return { commandId: row.id, operationId: operation.id }
    }
    return null
  }
}

const claimable: readonly SiteState[] = ['DECLARED', 'INVITED', 'EXPIRED', 'CLAIMED', 'QUARANTINED']

interface Of {
  readonly site: string
}
interface Retirement extends Of {
  readonly command: Command
  readonly wiped: boolean
  readonly kept: readonly string[]
}

export async function lockKnown(tx: Tx, site: string): Promise<SiteRow> {
  const row = await sites.lock(tx, site)
  if (row === undefined)
    throw new Refused(finding('C007', 'error', `there is no site "${site}"`, 'a site is declared by an applied plan that names it'))
  return row
}

/** By the table of lifecycle.ts; an event that means nothing now (a repeated or late one) changes nothing. */
export async function move(tx: Tx, row: SiteRow, event: SiteEvent, why: Finding | null, operationId?: string): Promise<SiteRow> {
  const to = nextState(row.state, event)
  if (to === null) return row
  const from = siteStates.filter((state) => nextState(state, event) === to)
  if (!(await sites.transition(tx, row.id, from, to, why))) return row
  const text = why === null ? `${row.id} is ${to}` : `${row.id} is ${to}: ${why.says}`
  await events.emit(tx, {
    ...(operationId === undefined ? {} : { operationId }),
    subject: `site/${row.id}`,
    kind: `site.${to.toLowerCase()}`,
    text,
    data: { from: row.state },
  })
  return { ...row, state: to }
}

/** A newer token than the one that the site's claims came with starts over. */
async function invitedBy(tx: Tx, row: SiteRow, tokenId: string): Promise<SiteRow> {
  const newest = await tokens.newest(tx, row.id)
  const first = (await claims.ofSite(tx, row.id)).every((claim) => claim.token_id === tokenId || claims.isOver(claim))
  if (newest?.id !== tokenId || (row.state === 'CLAIMED' && first)) return row
  await supersede(tx, row.id, tokenId)
  return await move(tx, row, 'invited', null)
}

/** Claims of other tokens than this one (null: of all) count no more. */
export async function supersede(tx: Tx, site: string, tokenId: string | null): Promise<void> {
  for (const old of await claims.ofSite(tx, site))
    if (old.token_id !== tokenId && !claims.isOver(old)) await claims.setState(tx, old.id, 'superseded')
}

async function enrol(tx: Tx, row: SiteRow, claim: { readonly id: string; readonly thumbprint: string }, operationId?: string): Promise<void> {
  await claims.setState(tx, claim.id, 'enrolled')
  await sites.setDevice(tx, row.id, claim.thumbprint)
  await move(tx, row, 'enrolled', null, operationId)
}

/** The box that was to take over is none of the site's: what it was told it is to remove. */
export async function giveUp(tx: Tx, of: ReplacementRow, why: Finding): Promise<void> {
  if (of.former !== null) await facts.replaceKeys(tx, of.site, of.former)
  if (of.claim_id !== null) await claims.setState(tx, of.claim_id, 'replaced')
  await replacements.forget(tx, of.site)
  for (const claim of await claims.ofSite(tx, of.site)) if (claim.state === 'claimed') await claims.setState(tx, claim.id, 'superseded')
  await operations.end(tx, of.operation_id, why.severity === 'error' ? 'failed' : 'cancelled', { findings: [why] })
}
