/** Row types of `migrations/*.sql`, the pool, transactions and LISTEN. One file a table or noun holds its named queries. */
import { type ColumnType, type Generated, Kysely, PostgresDialect, type Transaction } from 'kysely'
import pg from 'pg'
import type { Allocation, Fabric, Fact, Finding, Region, SiteConfig, Triple } from '#src/fabric/fabric.ts'
import type { Handover } from '#src/fabric/owners.ts'
import type { Fragment } from '#src/intent/fragments.ts'
import type { Intent } from '#src/intent/intent.ts'
import type { DrainReport, Inventory, MeasureReport, PathReport, Report, Signed } from '#src/wire/messages.ts'
import type { RouteRow } from './regions.ts'

/** Written as JSON text (`json()`), because node-postgres would turn a JavaScript array into an SQL array. */
type Json<T> = ColumnType<T, string, string>
type DefaultJson<T> = ColumnType<T, string | undefined, string>
type NullableJson<T> = ColumnType<T | null, string | null | undefined, string | null>
type Nullable<T> = ColumnType<T | null, T | null | undefined, T | null>
/** Set by the database's clock unless given. */
type Stamp = ColumnType<Date, Date | undefined, Date>

export type SiteState =
  | 'DECLARED'
  | 'INVITED'
  | 'EXPIRED'
  | 'CLAIMED'
  | 'ENROLLED'
  | 'QUARANTINED'
  | 'PROVISIONING'
  | 'ACTIVE'
  | 'CHANGING'
  | 'DRAINING'
  | 'MAINTENANCE'
  | 'REPLACING'
  | 'DECOMMISSIONING'
  | 'RETIRED'
export type RegionState = 'DECLARED' | 'CREATING' | 'ACTIVE' | 'CHANGING' | 'FAILED' | 'DELETING' | 'RETIRED'
export type PathUses = NonNullable<PathReport['uses']>
export type DrillState = 'GATED' | 'REFUSED' | 'ORDERED' | 'BROKEN' | 'HEALED' | 'FAILED'
export type OperationState = 'running' | 'succeeded' | 'failed' | 'rolled-back' | 'cancelled'
/** Of a rollout that does not simply go forward. */
export type OperationPhase = 'paused' | 'waiting' | 'released' | 'aborting' | 'rolling-back'
/** `replaced`: its box has given its place to another and is to wipe itself when it comes back. */
export type ClaimState = 'claimed' | 'enrolled' | 'quarantined' | 'superseded' | 'replaced'
export type Purpose = 'enrol' | 'replace'
export type AccessRole = 'viewer' | 'installer' | 'cloud' | 'operator' | 'admin'
export type Verdict = 'passed' | 'refused'
export interface Proof {
  readonly expects: number
  readonly held: number
  readonly failures: number
  readonly checks: number
}
export interface Pending {
  readonly triple: Triple
  readonly nonce: string
  readonly deadline: string
}

/** A service window: its end, RFC 3339, and the operation that opened it. */
export interface Drain {
  readonly until: string
  readonly operationId: string
}

export interface Database {
  network: { id: string; created_at: Stamp; head: Generated<number>; term: Generated<number>; frozen: Generated<boolean> }
  allocations: { kind: Allocation['kind']; owner: string; value: Json<Allocation['value']>; scope: string; released_at: Nullable<Date> }
  plans: {
    id: string
    base: number
    intent: NullableJson<Intent>
    intent_hash: string
    plan: NullableJson<unknown>
    verdict: Verdict
    findings: Json<readonly Finding[]>
    fabric: NullableJson<Fabric>
    fabric_hash: Nullable<string>
    claims: DefaultJson<readonly Allocation[]>
    proof: NullableJson<Proof>
    compiler: string
    created_by: string
    created_at: Stamp
    applied_by_operation: Nullable<string>
    owner: Nullable<string>
    fragments: DefaultJson<readonly Fragment[]>
    handed: DefaultJson<readonly Handover[]>
  }
  generations: {
    number: number
    base: number
    plan_id: Nullable<string>
    intent: Json<Intent>
    fabric: Json<Fabric>
    fabric_hash: string
    compiler: string
    site_hashes: Json<Readonly<Record<string, string>>>
    verdict: Verdict
    proof: Json<Proof>
    operation_id: string
    created_by: string
    created_at: Stamp
    owner: Nullable<string>
    fragments: DefaultJson<readonly Fragment[]>
  }
  commands: {
    id: string
    kind: string
    subject: string
    args: Json<unknown>
    operation_id: string
    actor: string
    created_at: Stamp
    consumed_at: Nullable<Date>
    idempotency_key: Nullable<string>
  }
  audit: { seq: Generated<number>; at: Stamp; actor: string; action: string; subject: string; detail: Json<unknown>; previous: string; hash: string }
  operations: {
    id: string
    kind: string
    subject: string
    state: OperationState
    started_at: Stamp
    ended_at: Nullable<Date>
    result: NullableJson<unknown>
    findings: DefaultJson<readonly Finding[]>
    phase: Nullable<OperationPhase>
    phase_by: Nullable<string>
    phase_since: Nullable<Date>
    phase_until: Nullable<Date>
  }
  operation_steps: { operation_id: string; step: string; result: Json<unknown>; at: Stamp }
  events: {
    seq: Generated<number>
    at: Stamp
    operation_id: Nullable<string>
    subject: string
    kind: string
    text: string
    data: DefaultJson<unknown>
  }
  sites: {
    id: string
    state: SiteState
    role: 'edge' | 'core'
    device: Nullable<string>
    assigned: NullableJson<Triple>
    running: NullableJson<Triple>
    pending: NullableJson<Pending>
    confirmed: NullableJson<Triple>
    commit: NullableJson<Report['commit']>
    findings: DefaultJson<Report['findings']>
    inventory: NullableJson<Inventory>
    finding: NullableJson<Finding>
    last_seen: Nullable<Date>
    report_every: Generated<number>
    headless_since: Nullable<Date>
    state_since: Stamp
    drain: NullableJson<Drain>
    drain_report: NullableJson<DrainReport>
    carries: Nullable<boolean>
  }
  replacements: {
    site: string
    operation_id: string
    device: Nullable<string>
    claim_id: Nullable<string>
    assigned: NullableJson<Triple>
    running: NullableJson<Triple>
    commit: NullableJson<Report['commit']>
    pending: NullableJson<Pending>
    findings: DefaultJson<Report['findings']>
    inventory: NullableJson<Inventory>
    last_seen: Nullable<Date>
    up: DefaultJson<readonly string[]>
    keys: DefaultJson<readonly Fact[]>
    former: NullableJson<readonly Fact[]>
    failed: Nullable<string>
  }
  tokens: {
    id: string
    site: string
    purpose: Purpose
    hash: string
    expires_at: Date
    created_by: string
    created_at: Stamp
    redeemed_at: Nullable<Date>
    claim_id: Nullable<string>
    revoked_at: Nullable<Date>
  }
  claims: {
    id: string
    token_id: string
    site: string
    thumbprint: string
    sealing_key: string
    serial: string
    inventory: Json<Inventory>
    certificate: Nullable<string>
    state: ClaimState
    created_at: Stamp
  }
  certificates: {
    serial: string
    site: string
    thumbprint: string
    previous: Nullable<string>
    pem: string
    not_after: Date
    issued_at: Stamp
    revoked_at: Nullable<Date>
    seen_at: Nullable<Date>
  }
  facts: { kind: Fact['kind']; owner: string; site: string; fact: Json<Fact>; at: Stamp }
  bundles: {
    site: string
    term: number
    generation: number
    revision: number
    hash: string
    config: Json<SiteConfig>
    signed: NullableJson<Signed>
    operation_id: Nullable<string>
    created_at: Stamp
  }
  permits: { site: string; nonce: string; triple: Json<Triple>; granted_at: Stamp }
  paths: {
    tunnel: string
    site: string
    state: string
    since: Date
    rtt_ms: Nullable<number>
    loss: Nullable<number>
    jitter_ms: Nullable<number>
    active_classes: DefaultJson<readonly string[]>
    uses: NullableJson<PathUses>
    breaches: NullableJson<readonly string[]>
    load_up: Nullable<number>
    load_down: Nullable<number>
    handshake_at: Nullable<Date>
    at: Stamp
  }
  path_tests: {
    id: string
    site: string
    tunnels: Json<readonly string[]>
    count: number
    until: Date
    result: NullableJson<MeasureReport>
    created_at: Stamp
  }
  secrets: { id: string; version: number; wrapped_key: Buffer; ciphertext: Buffer; fingerprint: string; created_at: Stamp }
  regions: {
    id: string
    provider: string
    location: string
    state: RegionState
    config: NullableJson<Region>
    generation: Nullable<number>
    reached: Nullable<string>
    tried: Nullable<string>
    routes: DefaultJson<readonly RouteRow[]>
    down: DefaultJson<readonly string[]>
    finding: NullableJson<Finding>
    findings: DefaultJson<readonly Finding[]>
    checked_at: Nullable<Date>
    state_since: Stamp
  }
  cloud_resources: {
    region: string
    id: string
    type: string
    cloud_id: Nullable<string>
    state: 'making' | 'ready' | 'gone'
    fence: number
    holder: string
    lease_until: Date
    begun_at: Date
    resume: Nullable<string>
    operation_id: string
  }
  drills: {
    id: string
    site: string
    uplink: string
    seconds: number
    operation_id: string
    state: DrillState
    gate: NullableJson<unknown>
    attempt: Generated<number>
    ordered: NullableJson<Signed>
    measured: NullableJson<unknown>
    evidence: Nullable<string>
    created_by: string
    created_at: Stamp
    broken_at: Nullable<Date>
    healed_at: Nullable<Date>
    scheduled: Generated<boolean>
  }
  drill_schedules: {
    site: string
    uplink: string
    seconds: number
    every_seconds: number
    first_at: Date
    created_by: string
    created_at: Stamp
  }
  peer_secrets: {
    peer: string
    version: number
    fingerprint: string
    origin: 'made' | 'given'
    created_by: string
    created_at: Stamp
    shown_by: Nullable<string>
    shown_at: Nullable<Date>
  }
  evidence: { id: string; subject: string; signed: Json<Signed>; at: Stamp }
  access_tokens: { id: string; hash: string; name: string; role: AccessRole; created_at: Stamp; revoked_at: Nullable<Date> }
  migrations: { number: number; name: string; hash: string; applied_at: Stamp }
}

/** The pool or a transaction: every named query takes one, so that callers decide what commits together. */
export type Db = Kysely<Database>
export type Tx = Transaction<Database>

export const json = (value: unknown): string => JSON.stringify(value)

export type Channel = 'assigned' | 'events' | 'operations'
export interface Subscription {
  close(): Promise<void>
}
export interface Store {
  readonly db: Db
  readonly url: string
  transaction<T>(fn: (tx: Tx) => Promise<T>): Promise<T>
  /**
   * Calls `heard` for every NOTIFY on the channels. The connection is made again when it breaks; `resumed` then says that
   * notifications may have been missed, so the caller reads its rows once.
   */
  listen(channels: readonly Channel[], heard: (channel: Channel, payload: string) => void, resumed?: () => void): Promise<Subscription>
  close(): Promise<void>
}

// int8 (event and audit numbers) as numbers: 2^53 events are out of reach.
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format)) as pg.CustomTypesConfig['getTypeParser'],
}

export interface StoreOptions {
  /** Connections at most. */
  readonly max?: number
}

/** A server that is there but stands still must not hold whoever asks for ever; waiting for a lock may take seconds. */
const queryTimeoutMs = 30_000

/** Opens a pool; connects lazily, so an unreachable server shows at the first query (`reachable`). */
export function openStore(url: string, { max = 10 }: StoreOptions = {}): Store {
  const pool = new pg.Pool({
    connectionString: url,
    max,
    types,
    connectionTimeoutMillis: 5_000,
    query_timeout: queryTimeoutMs,
    keepAlive: true,
    application_name: 'causeway',
  })
  // An idle connection that breaks is replaced by the pool; without a listener Node would end the process.
  pool.on('error', () => {})
  // The pool looks away while a connection is in use: one that breaks between two queries of a transaction is nobody's else.
  pool.on('connect', (client) => client.on('error', () => {}))
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  return {
    db,
    url,
    transaction: (fn) => db.transaction().execute(fn),
    listen: (channels, heard, resumed) => listen(url, channels, heard, resumed),
    close: () => db.destroy(),
  }
}

const firstRetryMs = 100
const lastRetryMs = 5_000

async function listen(
  url: string,
  channels: readonly Channel[],
  heard: (channel: Channel, payload: string) => void,
  resumed?: () => void,
): Promise<Subscription> {
  let closed = false
  let client: pg.Client | undefined
  let timer: NodeJS.Timeout | undefined

  const connect = async () => {
    const next = new pg.Client({ connectionString: url, application_name: 'causeway-listen', connectionTimeoutMillis: 5_000 })
    next.on('notification', ({ channel, payload }) => heard(channel as Channel, payload ?? ''))
    next.on('error', () => {})
    try {
      await next.connect()
      for (const channel of channels) await next.query(`listen ${channel}`)
    } catch (error) {
      await next.end().catch(() => {})
      throw error
    }
    next.on('end', () => {
      if (client === next) again(firstRetryMs)
    })
    client = next
    if (closed) await next.end()
  }
  const again = (delay: number) => {
    if (closed) return
    timer = setTimeout(() => {
      connect().then(
        () => resumed?.(),
        () => again(Math.min(delay * 2, lastRetryMs)),
      )
    }, delay)
  }
  await connect()
  return {
    close: async () => {
      closed = true
      clearTimeout(timer)
      await client?.end()
    },
  }
}
