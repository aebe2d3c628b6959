/** What activities are given, and the guard that every mutating one passes. */
import { ApplicationFailure } from '@temporalio/activity'
import { commands, once, operations } from '#src/controller/store/index.ts'
import type { Store, Tx } from '#src/controller/store/index.ts'
import type { CommandKind, CommandRow } from '#src/controller/store/commands.ts'
import type { Clouds, ReturnRoutes } from '#providers/cloud.ts'
import type { Vault } from '#src/controller/pki/vault.ts'
import type { Allocation, ConnectionId, Fabric, Fact, Finding, RegionId, SiteConfig, SiteId } from '#src/fabric/fabric.ts'
import type { Intent } from '#src/intent/intent.ts'
import type { Command } from '../contract.ts'

/** The compiler and the verifier: pure functions. */
export interface Model {
  compile(
    intent: Intent,
    held: readonly Allocation[],
  ): { readonly fabric: Fabric | null; readonly claims: readonly Allocation[]; readonly findings: readonly Finding[] }
  configure(fabric: Fabric, facts: readonly Fact[], site: SiteId): SiteConfig
  verify(fabric: Fabric): Verified
  verifyTransition(before: Fabric, after: Fabric): Verified
  /** What would be lost, a sentence each, if `site` were taken out of service while those of `away` are. */
  drainLosses(fabric: Fabric, site: SiteId, away: readonly SiteId[]): readonly string[]
  /** How soon after the loss of an uplink each of these uses of a site is promised to go on, ms; null: nothing is promised. */
  promisedWithin(
    fabric: Fabric,
    site: string,
    uses: readonly { readonly trafficClass: string; readonly remote: string }[],
  ): readonly (number | null)[]
  /** By which connection each overlay prefix is reached from the cloud, without those that are down. */
  returnRoutes(fabric: Fabric, region: RegionId, down: ReadonlySet<ConnectionId>): ReturnRoutes
  readonly compilerVersion: string
}
export interface Verified {
  readonly findings: readonly Finding[]
  readonly proof: { readonly expects: number; readonly held: number; readonly failures: number; readonly checks: number }
}

export interface Deps {
  readonly store: Store
  readonly model: Model
  /** A site that has not reported for this long is offline, milliseconds. */
  readonly offlineAfter: number
  /** By the provider's name in the fabric; without it, regions can't be made here. */
  readonly clouds?: Clouds
  /** Where pre-shared keys are made and read. */
  readonly vault?: Vault
}

export const finding = (code: string, severity: Finding['severity'], says: string, instead = ''): Finding => ({
  code,
  severity,
  at: [],
  says,
  instead,
  witness: [],
})

/** A command that can't be carried out, for people: nothing was changed. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly findings: readonly Finding[]
  constructor(...findings: readonly Finding[]) {
    super(findings.map(({ says }) => says).join('; '))
    this.findings = findings
  }
}

export interface Commanded {
  readonly command: Command
  readonly kind: CommandKind
  readonly subject: string
}

/**
 * The step that carries a command out: consumes its row, runs once. A refusal ends the operation and goes back to the
 * caller; a command that nobody recorded changes nothing at all.
 */
export async function carryOut<T>({ store }: Deps, { command, kind, subject }: Commanded, fn: (tx: Tx, row: CommandRow) => Promise<T>): Promise<T> {
  try {
    return await once(store, command.operationId, kind, async (tx) => fn(tx, await commands.consume(tx, { ...command, kind, subject })))
  } catch (error) {
    if (error instanceof commands.CommandRefused) throw ApplicationFailure.nonRetryable(error.message, 'C082')
    if (!(error instanceof Refused)) throw error
    await store.transaction((tx) => operations.end(tx, command.operationId, 'failed', { findings: error.findings }))
    throw ApplicationFailure.nonRetryable(error.message, error.findings[0]?.code ?? 'C082', error.findings[0]?.instead ?? '')
  }
}

/** A later step of an operation: its command must be there, the same, and the operation still running. */
export async function further<T>(
  { store }: Deps,
  { command, kind, subject }: Commanded,
  step: string,
  fn: (tx: Tx, row: CommandRow) => Promise<T>,
): Promise<T> {
  return await once(store, command.operationId, step, async (tx) => {
    const row = await commands.get(tx, command.commandId)
    const operation = await operations.get(tx, command.operationId)
    if (
      row === undefined ||
      row.kind !== kind ||
      row.subject !== subject ||
      row.operation_id !== command.operationId ||
      operation?.state !== 'running'
    )
      throw ApplicationFailure.nonRetryable(`nobody commanded ${step} of ${subject} in operation ${command.operationId}`, 'C082')
    return await fn(tx, row)
  })
}
