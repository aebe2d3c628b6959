/** The libraries as the API and the worker use them. */
import { createCompiler } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import { compilerVersion } from '#src/compile/version.ts'
import { createParser } from '#src/intent/parse.ts'
import { returnRoutes } from '#src/path/return-routes.ts'
import { plan } from '#src/plan/plan.ts'
import { drainLosses } from '#src/verify/drain.ts'
import { promisedWithin } from '#src/verify/promises.ts'
import { verify, verifyTransition } from '#src/verify/verify.ts'

/** What is remembered of a network of thousands is hundreds of megabytes; nobody has planned for this long. */
const forgetAfterMs = 10 * 60_000
/** And of lines and sites that are gone a compiler remembers the names. */
const forgetAfter = 64
/**
 * Plans of one network follow each other, each mostly the one before: what an edit does not concern is not read and not
 * compiled again. The proof is made from the start all the same, for it stands between a mistake, here too, and the boxes.
 */
export function remembering<A extends readonly unknown[], R>(create: () => (...given: A) => R): (...given: A) => R {
  let made: ((...given: A) => R) | undefined
  let asked = 0
  let idle: NodeJS.Timeout | undefined
  const forget = () => {
    made = undefined
    asked = 0
  }
  return (...given) => {
    clearTimeout(idle)
    idle = setTimeout(forget, forgetAfterMs).unref()
    if (++asked > forgetAfter) forget()
    made ??= create()
    try {
      return made(...given)
    } catch (error) {
      // Half of what it remembers may be of this network, half of the one before.
      forget()
      throw error
    }
  }
}

export const planner = {
  parseIntent: remembering(createParser),
  compile: remembering(createCompiler),
  configure,
  verify,
  verifyTransition,
  drainLosses,
  promisedWithin,
  plan,
  returnRoutes,
  compilerVersion,
} as const
