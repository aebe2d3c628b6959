/** `import { openStore, sites, operations } from '#src/controller/store/index.ts'`; each noun is a module of named queries. */
export * as access from './access.ts'
export * as allocations from './allocations.ts'
export * as audit from './audit.ts'
export * as bundles from './bundles.ts'
export * as certificates from './certificates.ts'
export * as claims from './claims.ts'
export * as commands from './commands.ts'
export {
  type AccessRole,
  type Channel,
  type ClaimState,
  type Database,
  type Db,
  type DrillState,
  json,
  type OperationPhase,
  type OperationState,
  openStore,
  type Pending,
  type Proof,
  type Purpose,
  type RegionState,
  type SiteState,
  type Store,
  type Subscription,
  type Tx,
  type Verdict,
} from './database.ts'
export * as drillSchedules from './drill-schedules.ts'
export * as drills from './drills.ts'
export * as events from './events.ts'
export * as facts from './facts.ts'
export * as generations from './generations.ts'
export { migrate, SchemaMismatch } from './migrate.ts'
export * as network from './network.ts'
export { once } from './operations.ts'
export * as operations from './operations.ts'
export * as pathTests from './path-tests.ts'
export * as paths from './paths.ts'
export * as peers from './peers.ts'
export * as permits from './permits.ts'
export * as plans from './plans.ts'
export * as regions from './regions.ts'
export * as secrets from './secrets.ts'
export * as replacements from './replacements.ts'
export * as sites from './sites.ts'
export * as tokens from './tokens.ts'
