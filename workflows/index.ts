/** What the worker registers: one export a workflow type. */
export { decommission } from './decommission.ts'
export { drill } from './drill.ts'
export { network } from './network.ts'
export { onboard } from './onboard.ts'
export { region } from './region.ts'
export { rollout } from './rollout.ts'
export { scheduledDrill } from './scheduled-drill.ts'
export { site } from './site.ts'
