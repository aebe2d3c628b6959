/** The list of passes, nothing else. Pure: the same intent and allocations give the same bytes on any machine. */
import type { Allocation, Fabric, Finding } from '#src/fabric/fabric.ts'
import type { Intent } from '#src/intent/intent.ts'
import { allocate } from './allocate.ts'
import { classes } from './classes.ts'
import { expects } from './expects.ts'
import { externalPaths } from './externals.ts'
import { mtu } from './mtu.ts'
import { paths } from './paths.ts'
import { resolve } from './resolve.ts'
import { routes } from './routes.ts'
import { rules } from './rules.ts'
import { seal } from './seal.ts'
import { tunnels } from './tunnels.ts'

export interface Compiled {
  /** null when a finding is an error. */
  readonly fabric: Fabric | null
  /** New allocations, to be committed by the caller, who compiles again when it lost the race. */
  readonly claims: readonly Allocation[]
  readonly findings: readonly Finding[]
}

export function compile(intent: Intent, held: readonly Allocation[]): Compiled {
  const resolved = resolve(intent)
  const reach = paths(intent)
  if (wrong(resolved, reach)) return stop(resolved, reach)

  const joins = externalPaths(intent)
  const allocated = allocate(intent, reach.paths, joins, held)
  if (wrong(allocated)) return stop(resolved, reach, allocated)

  const built = tunnels(intent, reach.paths, joins, allocated.numbers)
  if (wrong(built)) return stop(resolved, reach, allocated, built)

  const queues = classes(intent, allocated.numbers)
  const policyOf = rules(intent, resolved)
  const reachability = routes(intent, built.tunnels, built.uplinks, policyOf)
  const sizes = mtu(intent)
  const promised = expects(resolved)
  const fabric = seal({
    intent,
    numbers: allocated.numbers,
    tunnels: built,
    joins,
    sizes,
    classes: queues,
    policyOf,
    reachability: reachability.at,
    services: resolved.services,
    expects: promised,
  })
  return { fabric, claims: allocated.claims, findings: [resolved, reach, allocated, built, reachability].flatMap((pass) => pass.findings) }
}

interface Reporting {
  readonly findings: readonly Finding[]
}
const wrong = (...passes: readonly Reporting[]): boolean => passes.some((pass) => pass.findings.some((finding) => finding.severity === 'error'))
const stop = (...passes: readonly Reporting[]): Compiled => ({ fabric: null, claims: [], findings: passes.flatMap((pass) => pass.findings) })
