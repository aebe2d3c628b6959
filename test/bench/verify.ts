/** Proof of the demo network, and of fleets of edges with every single failure, each size in a process of its own. */
import { verify } from '#src/verify/verify.ts'
import { demo } from '#test/unit/verify/demo.ts'
import { alone, type Figures, median } from './measure.ts'
import type { FleetProof } from './verify-fleet.ts'

const sizes = [100, 1_000, 10_000] as const

export function run(): Figures {
  const small = demo().fabric
  const figures: Record<string, number> = { demo_ms: median(20, () => verify(small)), demo_failures: verify(small).proof.failures }
  let before: FleetProof | undefined
  for (const edges of sizes) {
    const proof = alone(new URL('verify-fleet.ts', import.meta.url), String(edges)) as FleetProof
    const name = edges === 10_000 ? '10k' : String(edges)
    figures[`verify_${name}_s`] = proof.seconds
    figures[`verify_${name}_cpu_s`] = proof.cpuSeconds
    figures[`verify_edit_${name}_ms`] = proof.editMs
    figures[`verify_edit_${name}_cpu_ms`] = proof.editCpuMs
    figures[`plan_${name}_cpu_s`] = proof.planCpuSeconds
    figures[`rss_${name}_mb`] = proof.peakMb
    figures[`checks_${name}`] = proof.checks
    if (before) figures[`growth_x10_to_${name}`] = proof.cpuSeconds / before.cpuSeconds
    figures.failures_checked = proof.failures
    before = proof
  }
  return figures
}
