import type { Deps } from './context.ts'
import { drainActivities } from './drain.ts'
import { drillActivities } from './drills.ts'
import { generationActivities } from './generations.ts'
import { provisioningActivities } from './provisioning.ts'
import { cloudActivities } from './cloud.ts'
import { regionActivities } from './regions.ts'
import { replacementActivities } from './replacements.ts'
import { siteActivities } from './sites.ts'

/** The use cases. Each may run more than once and changes things once. */
export const createActivities = (deps: Deps) => ({
  ...generationActivities(deps),
  ...siteActivities(deps),
  ...provisioningActivities(deps),
  ...regionActivities(deps),
  ...cloudActivities(deps),
  ...drillActivities(deps),
  ...drainActivities(deps),
  ...replacementActivities(deps),
})
export type Activities = ReturnType<typeof createActivities>
export type { Deps, Model, Verified } from './context.ts'
