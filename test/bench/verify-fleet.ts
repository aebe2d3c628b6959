/** One fleet, compiled and proven: `node verify-fleet.ts EDGES` prints what it took as JSON. */
import { compile } from '#src/compile/compile.ts'
import { verify } from '#src/verify/verify.ts'
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
}

function prove(edges: number): FleetProof {
  const { fabric, findings } = compile(fleet(edges), [])
  if (!fabric) throw new Error(`the fleet does not compile: ${findings[0]!.says}`)
  const start = performance.now()
  const before = process.cpuUsage()
  const verified = verify(fabric)
  const { user, system } = process.cpuUsage(before)
  const seconds = (performance.now() - start) / 1_000
  const error = verified.findings.find((finding) => finding.severity === 'error')
  if (error) throw new Error(`the fleet does not hold: ${error.says}`)
  const { failures, checks } = verified.proof
  return { seconds, cpuSeconds: (user + system) / 1e6, peakMb: peakMemory(), failures, checks }
}

process.stdout.write(JSON.stringify(prove(Number(process.argv[2]))))
