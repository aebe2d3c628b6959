import { compile } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import { compilerVersion } from '#src/compile/version.ts'
import { returnRoutes } from '#src/path/return-routes.ts'
import { drainLosses } from '#src/verify/drain.ts'
import { promisedWithin } from '#src/verify/promises.ts'
import { verify, verifyTransition } from '#src/verify/verify.ts'
import type { Model } from '#workflows/activities/index.ts'

export const model: Model = { compile, configure, verify, verifyTransition, drainLosses, promisedWithin, returnRoutes, compilerVersion }
