/** The libraries as the API and the worker use them. */
import { compile } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import { compilerVersion } from '#src/compile/version.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { returnRoutes } from '#src/path/return-routes.ts'
import { plan } from '#src/plan/plan.ts'
import { drainLosses } from '#src/verify/drain.ts'
import { promisedWithin } from '#src/verify/promises.ts'
import { verify, verifyTransition } from '#src/verify/verify.ts'

export const planner = {
  parseIntent,
  compile,
  configure,
  verify,
  verifyTransition,
  drainLosses,
  promisedWithin,
  plan,
  returnRoutes,
  compilerVersion,
} as const
