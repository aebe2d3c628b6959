/** Before and after → what changes, in which order, how risky and how long. The plan's id and base are the controller's. */
import type { Fabric, SiteId } from '#src/fabric/fabric.ts'

export type ChangeClass = 'additive' | 'neutral' | 'disruptive'
export interface SiteChange {
  readonly kind: 'add' | 'change' | 'remove'
  readonly site: SiteId
  /** `8 tunnels, 2 segments`. */
  readonly text: string
  readonly class: ChangeClass
}
export interface PlanStep {
  /** From 1; steps of the same number may run side by side. */
  readonly order: number
  readonly action: 'configure' | 'remove'
  readonly site: SiteId
}
export interface Plan {
  readonly changes: readonly SiteChange[]
  readonly class: ChangeClass
  readonly steps: readonly PlanStep[]
  readonly blastRadius: { readonly sites: readonly SiteId[]; readonly of: number }
  /** US dollars an hour; 0 while only own gateways are planned. */
  readonly costPerHour: number
  readonly expectedSeconds: number
  readonly risk: 'none' | 'low' | 'high'
}
export type { Fabric }
