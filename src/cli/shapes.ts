/** The parts of the API's answers that the CLI shows; the whole is in /v1/openapi.json. */
import type { Finding, Triple } from '#src/fabric/fabric.ts'
import type { Ownership } from '#src/plan/owners.ts'
import type { Plan } from '#src/plan/plan.ts'

export interface SiteView {
  readonly id: string
  readonly role: string
  readonly state: string
  readonly stateSince: string
  readonly online: boolean
  readonly lastSeen: string | null
  readonly headlessSince: string | null
  readonly device: string | null
  readonly assigned: Triple | null
  readonly running: Triple | null
  readonly tunnels: { readonly total: number; readonly up: number }
  readonly drain: { readonly until: string; readonly drained: boolean; readonly packets: number; readonly bytes: number } | null
  readonly carries: boolean | null
  readonly finding: { readonly code: string; readonly says: string; readonly instead: string } | null
}
export interface SiteDetailView extends SiteView {
  readonly claims: readonly {
    readonly fingerprint: string
    readonly serial: string
    readonly state: string
    readonly confirmationCode: string
    readonly since: string
    readonly hostname: string
    readonly os: string
  }[]
  readonly token: { readonly id: string; readonly expiresAt: string; readonly usedAt: string | null; readonly replaced: boolean } | null
  readonly reported: readonly { readonly code: string; readonly severity: string; readonly says: string; readonly instead: string }[]
  readonly commit: { readonly state: string; readonly why: string } | null
  readonly replacement: { readonly device: string | null; readonly takingOver: boolean; readonly failed: string } | null
}
export interface PathView {
  readonly tunnel: string
  readonly role: string
  readonly ends: readonly {
    readonly site: string
    readonly uplink: string
    readonly state: string
    readonly since: string | null
    readonly rttMs: number | null
    readonly jitterMs: number | null
    readonly loss: number | null
    readonly classes: readonly string[]
    readonly breaches: readonly string[]
    /** bit/s. */
    readonly load: { readonly up: number; readonly down: number } | null
  }[]
}
export interface RegionView {
  readonly id: string
  readonly provider: string
  readonly location: string
  readonly state: string
  readonly stateSince: string
  readonly tunnels: { readonly total: number; readonly up: number }
  readonly resources: { readonly total: number; readonly ready: number }
  readonly finding: { readonly code: string; readonly says: string; readonly instead: string } | null
  readonly checkedAt: string | null
}
export interface RegionDetailView extends RegionView {
  readonly connections: readonly {
    readonly id: string
    readonly hub: string
    readonly carriesReturn: boolean
    readonly tunnels: readonly { readonly id: string; readonly outside: string | null; readonly state: string }[]
  }[]
  readonly routes: readonly { readonly to: string; readonly via: string }[]
  readonly findings: readonly { readonly code: string; readonly says: string; readonly instead: string }[]
}
export interface PeerView {
  readonly id: string
  readonly addresses: readonly string[]
  readonly prefixes: readonly string[]
  readonly tunnels: readonly {
    readonly id: string
    readonly hub: string
    readonly uplink: string
    readonly address: string
    /** One of a family. */
    readonly inside: readonly string[]
    readonly state: string
  }[]
  readonly secret: {
    readonly version: number
    readonly origin: 'made' | 'given'
    readonly createdAt: string
    readonly createdBy: string
    readonly shownAt: string | null
    readonly shownBy: string | null
  } | null
}
export interface StatusView {
  readonly network: string | null
  readonly generation: number
  readonly term: number
  readonly frozen: boolean
  readonly version: string
  readonly verdict: 'empty' | 'green' | 'degraded' | 'changing'
  readonly sites: { readonly total: number; readonly active: number; readonly online: number }
  readonly tunnels: { readonly total: number; readonly up: number }
  readonly proof: { readonly expects: number; readonly held: number; readonly failures: number } | null
  readonly problems: readonly { readonly subject: string; readonly says: string; readonly since: string; readonly next: string }[]
  readonly operations: readonly (Pick<OperationView, 'id' | 'kind' | 'subject' | 'phase'> & { readonly since: string })[]
  readonly drills: {
    readonly oldest: { readonly site: string; readonly at: string } | null
    readonly next: { readonly site: string; readonly uplink: string; readonly at: string } | null
  }
}
export interface ProposedView extends Ownership {
  readonly id: string
  readonly base: number
  readonly network: string | null
  readonly verdict: 'passed' | 'refused'
  readonly findings: readonly (Finding & { readonly where: { readonly file: string; readonly line: number; readonly column: number } | null })[]
  readonly plan: Plan | null
  readonly proof: { readonly expects: number; readonly held: number; readonly failures: number; readonly checks: number } | null
}
/** Of a rollout that does not simply go forward. */
export interface PhaseView {
  readonly is: 'paused' | 'waiting' | 'released' | 'aborting' | 'rolling-back'
  readonly by: string | null
  readonly since: string
  /** When the maintenance window opens for which it waits. */
  readonly until: string | null
}
export interface OperationView {
  readonly id: string
  readonly kind: string
  readonly subject: string
  readonly phase: PhaseView | null
  readonly state: 'running' | 'succeeded' | 'failed' | 'rolled-back' | 'cancelled'
  readonly startedAt: string
  readonly endedAt: string | null
  readonly findings: readonly Finding[]
}
export interface EventView {
  readonly seq: number
  readonly at: string
  readonly operation: string | null
  readonly subject: string
  readonly kind: string
  readonly text: string
}
