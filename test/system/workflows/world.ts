/** A controller without its API: real PostgreSQL, real Temporal, the worker in this process or as a child that can be killed. */
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compile } from '#src/compile/compile.ts'
import { compilerVersion } from '#src/compile/version.ts'
import { createCommands, type Commands } from '#src/controller/commands.ts'
import { watchHubs } from '#src/controller/silence.ts'
import { openVault, type Vault } from '#src/controller/pki/vault.ts'
import {
  allocations,
  claims,
  commands as rows,
  drills,
  events,
  network,
  operations,
  plans,
  secrets as vaultRows,
  sites,
  type Store,
  tokens,
} from '#src/controller/store/index.ts'
import type { CommandKind } from '#src/controller/store/commands.ts'
import type { OperationRow } from '#src/controller/store/operations.ts'
import { contentHash } from '#src/fabric/hash.ts'
import type { Intent } from '#src/intent/intent.ts'
import { startTestDatabase } from '#test/contract/store/fixture.ts'
import { defaultTiming, type RolloutVerb, type Timing } from '#workflows/contract.ts'
import { startFleet, type Fleet, type Gateway } from './fleet.ts'
import { model } from './model.ts'
import { startTemporal, type TestTemporal } from './server.ts'

export const impatient: Timing = {
  ...defaultTiming,
  coalesce: 100,
  deliver: 10_000,
  margin: 500,
  paths: 20_000,
  soak: 50,
  again: 200,
  wipe: 5_000,
  cloud: { heartbeat: 1_500, settle: 1_000, hold: 400, paths: 3_000, drift: 600_000, ask: 300 },
}
/** A gateway reports twice a second; a region's worker is given the same. */
export const offlineAfter = 3_000

export interface World {
  readonly store: Store
  readonly temporal: TestTemporal
  readonly fleet: Fleet
  commands(): Commands
  /** Plans and applies; answers the operation's id. `now`: waits for no maintenance window. */
  apply(intent: Intent, how?: { readonly now: boolean }): Promise<string>
  /** A command's row, as the API writes it. */
  record(kind: CommandKind, subject: string, args: unknown): Promise<{ readonly commandId: string; readonly operationId: string }>
  /** Says it to the rollout of this operation; answers once its row says so. */
  steer(verb: RolloutVerb, rollout: string): Promise<void>
  /** It holds before a wave. */
  isHeld(rollout: string): Promise<void>
  /** Answers the token's id. */
  invite(site: string, livesMs: number): Promise<string>
  /** Invites, and a box pastes the token. */
  onboard(site: string): Promise<Gateway>
  approve(site: string): Promise<void>
  /** A token for another box of the site, and such a box with it. */
  replace(site: string, livesMs?: number): Promise<{ readonly operationId: string; readonly box: Gateway }>
  /** The box that waits beside the site's own one; again, if it did not take over. */
  approveNext(site: string): Promise<void>
  /** Answer the operation's id. */
  drain(site: string, forMs: number, force?: boolean): Promise<string>
  undrain(site: string): Promise<string>
  decommission(site: string): Promise<string>
  /** Answers the operation's id. */
  regionCommand(kind: 'region-repair' | 'region-decommission', region: string): Promise<string>
  /** Answers the drill's id and its operation's. */
  drill(site: string, uplink: string): Promise<{ readonly drill: string; readonly operationId: string }>
  /** The vault of this world's database, and its key for workers of their own. */
  readonly vault: Vault
  readonly kek: Buffer
  ended(operationId: string): Promise<OperationRow>
  until(what: string, holds: () => Promise<boolean>): Promise<void>
  isActive(...ids: readonly string[]): Promise<void>
  /** The bootstrap tokens' secrets that were made. */
  readonly secrets: readonly string[]
  /** After Temporal was lost: what `serve` does at boot. */
  reopen(): Promise<void>
  stop(): Promise<void>
}

export async function startWorld(timing: Timing = impatient): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'cw-workflows-'))
  const [database, temporal] = await Promise.all([startTestDatabase(), startTemporal(folder)])
  const store = await database.store()
  const kek = randomBytes(32)
  const vault = await openVault(kek, vaultRows.rows(store.db))
  const connect = () => createCommands({ address: temporal.address, namespace: 'default', timing })
  let commands = await connect()
  // The gateways may be in the middle of telling one of these something.
  const former: Commands[] = []
  const fleet = startFleet(store, () => commands)
  const hubs = watchHubs({ store, signals: { region: (of) => commands.region(of) }, now: () => new Date(), log: () => {}, after: offlineAfter })
  const secrets: string[] = []
  const record = async (kind: CommandKind, subject: string, args: unknown) => {
    const command = { commandId: `c-${randomUUID()}`, operationId: `o-${randomUUID()}` }
    await store.transaction((tx) => rows.record(tx, { id: command.commandId, operationId: command.operationId, kind, subject, args, actor: 'test' }))
    return command
  }

  const world: World = {
    store,
    temporal,
    fleet,
    secrets,
    commands: () => commands,
    apply: async (intent, how = { now: false }) => {
      const compiled = compile(intent, await allocations.held(store.db))
      if (compiled.fabric === null) throw new Error(compiled.findings.map(({ says }) => says).join('; '))
      const planId = `p-${randomUUID()}`
      await plans.insert(store.db, {
        id: planId,
        base: (await network.get(store.db))?.head ?? 0,
        intent,
        intentHash: contentHash(intent),
        plan: {},
        verdict: 'passed',
        findings: [],
        fabric: compiled.fabric,
        fabricHash: contentHash(compiled.fabric),
        claims: compiled.claims,
        proof: model.verify(compiled.fabric).proof,
        compiler: compilerVersion,
        createdBy: 'test',
        owner: null,
        fragments: [],
        handed: [],
      })
      const command = await record('apply', `network/${intent.network}`, { planId, ...how })
      await commands.apply(intent.network, { ...command, planId })
      return command.operationId
    },
    record,
    steer: async (verb, rollout) => {
      await commands.rollout('demo', { ...(await record(`rollout-${verb}`, 'network/demo', { rollout })), rollout, verb })
    },
    isHeld: async (rollout) =>
      await world.until(`${rollout} holds`, async () =>
        (await events.after(store.db, 0, { operationId: rollout })).some(({ kind }) => kind === 'rollout.held'),
      ),
    invite: async (site, livesMs) => {
      const secret = randomBytes(16).toString('base64url')
      secrets.push(secret)
      const tokenId = `t-${randomUUID()}`
      await store.transaction((tx) =>
        tokens.issue(tx, {
          id: tokenId,
          site,
          purpose: 'enrol',
          hash: contentHash(secret),
          expiresAt: new Date(Date.now() + livesMs),
          createdBy: 'test',
        }),
      )
      await commands.invite(site, { ...(await record('invite', `site/${site}`, { tokenId })), tokenId })
      return tokenId
    },
    onboard: async (site) => await fleet.gateway(site, await world.invite(site, 3_600_000)),
    approve: async (site) => {
      await world.until(`${site} waits for approval`, async () => (await sites.get(store.db, site))?.state === 'CLAIMED')
      const claim = await store.db
        .selectFrom('claims')
        .select('thumbprint')
        .where('site', '=', site)
        .where('state', '=', 'claimed')
        .executeTakeFirstOrThrow()
      const fingerprint = claim.thumbprint.slice(0, 16)
      await commands.approve(site, { ...(await record('approve', `site/${site}`, { fingerprint })), fingerprint })
    },
    replace: async (site, livesMs = 3_600_000) => {
      const secret = randomBytes(16).toString('base64url')
      secrets.push(secret)
      const tokenId = `t-${randomUUID()}`
      await store.transaction((tx) =>
        tokens.issue(tx, {
          id: tokenId,
          site,
          purpose: 'replace',
          hash: contentHash(secret),
          expiresAt: new Date(Date.now() + livesMs),
          createdBy: 'test',
        }),
      )
      const command = await record('replace', `site/${site}`, { tokenId })
      await commands.replace(site, { ...command, tokenId })
      return { operationId: command.operationId, box: await fleet.gateway(site, tokenId, `${site} ${tokenId}`) }
    },
    approveNext: async (site) => {
      const own = (await sites.get(store.db, site))?.device
      const claim = (await claims.ofSite(store.db, site)).find((of) => !claims.isOver(of) && of.state !== 'quarantined' && of.thumbprint !== own)
      const fingerprint = claim?.thumbprint.slice(0, 16) ?? ''
      await commands.approve(site, { ...(await record('approve', `site/${site}`, { fingerprint })), fingerprint })
    },
    drain: async (site, forMs, force = false) => {
      const until = new Date(Date.now() + forMs).toISOString()
      const command = await record('drain', `site/${site}`, { until, force })
      await commands.drain(site, { ...command, until })
      return command.operationId
    },
    undrain: async (site) => {
      const command = await record('undrain', `site/${site}`, {})
      await commands.undrain(site, command)
      return command.operationId
    },
    decommission: async (site) => {
      const command = await record('decommission', `site/${site}`, {})
      await commands.decommission(site, command)
      return command.operationId
    },
    regionCommand: async (kind, region) => {
      const command = await record(kind, `region/${region}`, {})
      if (kind === 'region-repair') await commands.repairRegion(region, command)
      else await commands.decommissionRegion(region, command)
      return command.operationId
    },
    drill: async (site, uplink) => {
      const drill = `d-${randomUUID()}`
      const command = await record('drill', `drill/${drill}`, { drill, site, uplink, seconds: 1 })
      await drills.insert(store.db, { id: drill, site, uplink, seconds: 1, operationId: command.operationId, createdBy: 'test' })
      await commands.drill(drill, command)
      return { drill, operationId: command.operationId }
    },
    vault,
    kek,
    ended: async (operationId) => {
      await world.until(`operation ${operationId} ends`, async () => (await operations.get(store.db, operationId))?.state !== 'running')
      return (await operations.get(store.db, operationId)) as OperationRow
    },
    until: async (what, holds) => {
      const give = Date.now() + 300_000
      while (!(await holds())) {
        if (Date.now() > give) {
          const said = (await events.after(store.db, 0, { limit: 1_000 })).map(({ text }) => text).join('\n')
          const states = (await sites.list(store.db))
            .map((row) =>
              JSON.stringify({ id: row.id, state: row.state, assigned: row.assigned, confirmed: row.confirmed, finding: row.finding?.says }),
            )
            .join('\n')
          throw new Error(`waited in vain until ${what}\n${said}\n${states}`)
        }
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
    isActive: async (...ids) =>
      await world.until(`${ids.join(', ')} ACTIVE`, async () => {
        const states = new Map((await sites.list(store.db)).map((row) => [row.id, row.state]))
        return ids.every((id) => states.get(id) === 'ACTIVE')
      }),
    reopen: async () => {
      former.push(commands)
      commands = await connect()
      await commands.reopen(store)
    },
    stop: async () => {
      await hubs.close()
      await fleet.stop()
      for (const each of [...former, commands]) await each.close()
      await temporal.stop()
      await database.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
  return world
}
