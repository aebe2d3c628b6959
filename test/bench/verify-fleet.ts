/** One fleet, compiled, proven, edited, proven again, and the change planned: `node verify-fleet.ts EDGES` prints what it took as JSON. */
import { createCompiler } from '#src/compile/compile.ts'
import type { Fabric } from '#src/fabric/fabric.ts'
import type { Intent } from '#src/intent/intent.ts'
import { addressWithLength, prefix } from '#src/net/address.ts'
import { plan } from '#src/plan/plan.ts'
import { createVerifier, type Verification } from '#src/verify/verify.ts'
import { fleet } from './fleet.ts'
import { peakMemory } from './measure.ts'

export interface FleetProof {
  readonly seconds: number
  /** Of this process alone, whoever else the machine serves; its collector's threads included. */
  readonly cpuSeconds: number
  /** Compiler included. */
  readonly peakMb: number
  readonly failures: number
  readonly checks: number
  /** Median of renumbering a LAN of one edge after the other. */
  readonly editMs: number
  readonly editCpuMs: number
  /** What such an edit changes, opens and closes. */
  readonly planCpuSeconds: number
}

function prove(edges: number): FleetProof {
  const intent = fleet(edges)
  const compile = createCompiler()
  const compiled = (edited: Intent): Fabric => {
    const { fabric, findings } = compile(edited, [])
    if (!fabric) throw new Error(`the fleet does not compile: ${findings[0]!.says}`)
    return fabric
  }
  const check = createVerifier()
  const fabric = compiled(intent)
  const whole = measured(() => holding(check(fabric)))
  const peakMb = peakMemory()
  const edits = [1, 2, 3, 4, 5].map((n) => {
    const edited = compiled(renumbered(intent, n))
    const took = measured(() => holding(check(edited)))
    check(fabric)
    return took
  })
  const middle = (of: readonly number[]): number => [...of].sort((a, b) => a - b)[of.length >> 1]!
  const { failures, checks } = whole.value.proof
  const next = compiled(renumbered(intent, 1))
  const planned = measured(() => plan(fabric, next))
  return {
    seconds: whole.ms / 1_000,
    cpuSeconds: whole.cpuMs / 1_000,
    peakMb,
    failures,
    checks,
    editMs: middle(edits.map(({ ms }) => ms)),
    editCpuMs: middle(edits.map(({ cpuMs }) => cpuMs)),
    planCpuSeconds: planned.cpuMs / 1_000,
  }
}

function measured<T>(work: () => T): { readonly value: T; readonly ms: number; readonly cpuMs: number } {
  const start = performance.now()
  const before = process.cpuUsage()
  const value = work()
  const { user, system } = process.cpuUsage(before)
  return { value, ms: performance.now() - start, cpuMs: (user + system) / 1_000 }
}
function holding(verification: Verification): Verification {
  const error = verification.findings.find((finding) => finding.severity === 'error')
  if (error) throw new Error(`the fleet does not hold: ${error.says}`)
  return verification
}

/** The first LAN of one edge gets another prefix. */
function renumbered(intent: Intent, n: number): Intent {
  const at = Math.floor((n * intent.sites.length) / 7)
  const lan = { prefix: prefix(`10.199.${n}.0/24`), address: addressWithLength(`10.199.${n}.1/24`) }
  return {
    ...intent,
    sites: intent.sites.map((site, i) => (i === at ? { ...site, lans: site.lans.map((own, k) => (k === 0 ? { ...own, ...lan } : own)) } : site)),
  }
}
process.stdout.write(JSON.stringify(prove(Number(process.argv[2]))))
