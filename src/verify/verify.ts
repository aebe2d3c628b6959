/** Proves a Fabric before anything is touched: structure, then every expectation, with everything up and after each single failure. */
import type { Fabric, Finding } from '#src/fabric/fabric.ts'
import { proveIsolate, proveReach } from './expect.ts'
import { breaksOf } from './failures.ts'
import { modelOf } from './model.ts'
import { structure } from './structure.ts'
import { duringChange } from './transition.ts'

export interface Proof {
  readonly expects: number
  readonly held: number
  /** Single failures of the network: uplinks, tunnels, hubs. */
  readonly failures: number
  /** Questions answered. */
  readonly checks: number
}
export interface Verification {
  readonly findings: readonly Finding[]
  readonly proof: Proof
}

/** Held = no error among the findings of that expectation. Any error means: not to be pushed. */
export function verify(fabric: Fabric): Verification {
  const structural = structure(fabric)
  const model = modelOf(fabric)
  const breaks = breaksOf(fabric)
  const verdicts = fabric.expects.map((expect) => (expect.kind === 'reach' ? proveReach(model, breaks, expect) : proveIsolate([model], expect)))
  return {
    findings: [...structural.findings, ...verdicts.flatMap((verdict) => verdict.findings)],
    proof: {
      expects: fabric.expects.length,
      held: verdicts.filter((verdict) => !verdict.findings.some((finding) => finding.severity === 'error')).length,
      failures: breaks.all.length,
      checks: structural.checks + verdicts.reduce((sum, verdict) => sum + verdict.checks, 0),
    },
  }
}

/**
 * Proves the way from one generation to the next: isolation with each site on either of both, in any mix, and reach at
 * the wave boundary (hubs new, edges old) for what both generations expect. The end itself is `verify(after)`.
 */
export function verifyTransition(before: Fabric, after: Fabric): Verification {
  const verdicts = duringChange(before, after)
  return {
    findings: verdicts.flatMap((verdict) => verdict.findings),
    proof: {
      expects: verdicts.length,
      held: verdicts.filter((verdict) => !verdict.findings.some((finding) => finding.severity === 'error')).length,
      failures: 0,
      checks: verdicts.reduce((sum, verdict) => sum + verdict.checks, 0),
    },
  }
}
