/** The list of passes, nothing else. Pure: the same intent and allocations give the same bytes on any machine. */
import type { Allocation, Fabric, Finding } from '#src/fabric/fabric.ts'
import type { Intent } from '#src/intent/intent.ts'
import { allocate } from './allocate.ts'
import { classes } from './classes.ts'
import { behindRouters, denies } from './denies.ts'
import { exits } from './exits.ts'
import { expects } from './expects.ts'
import { externalPaths } from './externals.ts'
import { createMemo, type Memo } from './memo.ts'
import { mtu } from './mtu.ts'
import { networkRoutes } from './network-routes.ts'
import { paths } from './paths.ts'
import { relays } from './relays.ts'
import { resolve } from './resolve.ts'
import { routes } from './routes.ts'
import { rules } from './rules.ts'
import { seal } from './seal.ts'
import { strangers, translate } from './translate.ts'
import { tunnels } from './tunnels.ts'

export interface Compiled {
  /** null when a finding is an error. */
  readonly fabric: Fabric | null
  /** New allocations, to be committed by the caller, who compiles again when it lost the race. */
  readonly claims: readonly Allocation[]
  readonly findings: readonly Finding[]
}

export const compile = (intent: Intent, held: readonly Allocation[]): Compiled => createCompiler()(intent, held)

/**
 * A compiler that remembers: an intent that differs from the one before in a site costs what depends on that site, and
 * gives the same bytes. `held` should be the same array while nothing was committed.
 */
export function createCompiler(): (intent: Intent, held: readonly Allocation[]) => Compiled {
  const memo = createMemo()
  return (given, held) => {
    const overlay = translate(recognised(given, memo), held, memo)
    if (wrong(overlay)) return stop(overlay)

    const { intent } = overlay
    const resolved = resolve(intent, memo)
    const joins = externalPaths(intent, memo)
    const reach = paths(intent, joins, memo)
    const relayed = relays(intent, memo)
    if (wrong(resolved, reach, relayed)) return stop(overlay, resolved, reach, relayed)

    const allocated = allocate(intent, reach, joins, held, memo)
    if (wrong(allocated)) return stop(overlay, resolved, reach, allocated)

    const network = networkRoutes(intent, memo)
    const built = tunnels(intent, reach, joins, allocated, network, memo)
    if (wrong(built)) return stop(overlay, resolved, reach, allocated, built)

    const leaving = exits(intent, built, memo)
    if (wrong(leaving)) return stop(overlay, resolved, reach, allocated, built, leaving)

    const policies = rules(intent, resolved, memo)
    const routed = routes(intent, network, built, policies, memo)
    const parts = {
      intent,
      numbers: allocated.numbers,
      numbersAt: allocated.at,
      tunnels: built,
      exits: leaving,
      joins,
      sizes: mtu(intent),
      classes: classes(intent, allocated.numbers),
      policies,
      routed,
      services: resolved.services,
      hostGroups: resolved.hostGroups,
      expects: memo.once('expects', [resolved.expects, relayed.expects], () => expects(resolved, relayed.expects)),
    }
    const findings = [
      overlay,
      { findings: strangers(intent, policies, memo) },
      resolved,
      { findings: denies(resolved, network, behindRouters(intent, memo), memo) },
      reach,
      allocated,
      built,
      leaving,
      routed,
    ].flatMap((pass) => pass.findings)
    return { fabric: seal(parts, memo), claims: overlay.claims.concat(allocated.claims), findings }
  }
}

/** A site that was read again and says the same is the site known before. */
const recognised = (intent: Intent, memo: Memo): Intent => ({
  ...intent,
  sites: memo.recognised('sites as written', intent.sites).all,
  regions: memo.recognised('regions as written', intent.regions).all,
  peers: memo.recognised('peers as written', intent.peers).all,
})

interface Reporting {
  readonly findings: readonly Finding[]
}
const wrong = (...passes: readonly Reporting[]): boolean => passes.some((pass) => pass.findings.some((finding) => finding.severity === 'error'))
const stop = (...passes: readonly Reporting[]): Compiled => ({ fabric: null, claims: [], findings: passes.flatMap((pass) => pass.findings) })
