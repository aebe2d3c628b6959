/**
 * The confirmed commit (lifecycle.md, "A change", step 6): check → fsync PENDING → arm the guard → apply make-before-break
 * → a path up → a permit over a fresh TLS connection → fsync CONFIRMED → disarm → prune. Anything else goes back.
 */
import { randomBytes } from 'node:crypto'
import type { DeviceDriver, KeyStore } from '#providers/device.ts'
import type { ReadyTunnel, SiteConfig, Triple } from '#src/fabric/fabric.ts'
import { canonicalJson } from '#src/fabric/hash.ts'
import { tripleText } from '#src/wire/bundle.ts'
import { checkInterfaces } from './box.ts'
import { type Clock, instant } from './clock.ts'
import type { Disk } from './disk.ts'
import type { Guard } from './guard.ts'
import type { Prober } from './probe.ts'
import { troubleOf, type Trouble } from './trouble.ts'

export interface Bundle {
  readonly triple: Triple
  readonly config: SiteConfig
}
export type PermitAnswer =
  | { readonly kind: 'granted' }
  /** Something else is assigned now. */
  | { readonly kind: 'withdrawn'; readonly says: string }
  | { readonly kind: 'unreachable'; readonly trouble: Trouble }
  /** An answer that is not a permit for this change. */
  | { readonly kind: 'wrong'; readonly trouble: Trouble }

export interface CommitDeps {
  readonly disk: Disk
  readonly driver: DeviceDriver
  readonly keys: KeyStore
  readonly prober: Prober
  readonly clock: Clock
  readonly arm: (nonce: string, deadlineBoot: number) => Guard
  /** Over a fresh connection, with its signature and nonce checked. */
  readonly permit: (triple: Triple, nonce: string, signal: AbortSignal) => Promise<PermitAnswer>
  readonly event: (event: string, text: string, data?: Readonly<Record<string, unknown>>) => void
  /** The state on disk moved: worth a report. */
  readonly changed: () => void
  /** From PENDING to the guard, seconds. */
  readonly deadlineSeconds: number
}
export type Outcome =
  | { readonly kind: 'confirmed' }
  | { readonly kind: 'refused'; readonly trouble: Trouble }
  | { readonly kind: 'rolled-back'; readonly trouble: Trouble }

/** How long before the guard the agent gives up by itself, seconds. */
export const marginOf = (deadlineSeconds: number): number => Math.min(8, deadlineSeconds / 3)

/** Brings kernel and probes to this bundle, or to nothing. What makes a boot, a rollback and a repair the same. */
export async function restore(of: { driver: DeviceDriver; prober: Prober; keys: KeyStore }, bundle: Bundle | null): Promise<void> {
  if (bundle === null) {
    of.prober.unload()
    await of.driver.wipe()
    return
  }
  const choices = of.prober.choicesFor(bundle.config)
  of.prober.hold(bundle.config)
  await of.driver.set(bundle.config, { prune: true, choices, keys: of.keys })
  of.prober.load(bundle.config, bundle.triple.generation, choices)
}

export async function commit(of: CommitDeps, next: Bundle, running: Bundle | null): Promise<Outcome> {
  const { disk, driver, prober, clock } = of
  const trouble = await refusal(of, next)
  if (trouble) {
    await disk.refused(next.triple, trouble.code, trouble.says)
    of.event('commit', `${tripleText(next.triple)} refused: ${trouble.says}`, { code: trouble.code })
    return { kind: 'refused', trouble }
  }
  // A word of the guard's command line: in hex it never looks like an option, which one of 64 did, or like a token.
  const nonce = randomBytes(16).toString('hex')
  const deadlineBoot = clock.boot() + of.deadlineSeconds
  const giveUp = deadlineBoot - marginOf(of.deadlineSeconds)
  await disk.pending(next.triple, nonce, instant(clock.now() + of.deadlineSeconds * 1000), deadlineBoot)
  of.changed()
  const guard = of.arm(nonce, deadlineBoot)
  of.event(
    'commit',
    `${tripleText(next.triple)} pending: a guard restores ${running ? tripleText(running.triple) : 'an empty box'} in ${of.deadlineSeconds} s`,
  )
  let failure: Trouble | null
  try {
    const wereUp = running !== null && running.config.tunnels.some((one) => prober.isUp(one.id) && !isRekeyed(one, next.config))
    const choices = prober.choicesFor(next.config)
    prober.hold(next.config)
    await driver.set(next.config, { prune: false, choices, keys: of.keys })
    prober.load(next.config, next.triple.generation, choices)
    failure = await prove(of, next, nonce, giveUp, wereUp)
  } catch (error) {
    failure = troubleOf(error, 'A34')
  }
  if (failure === null && (await disk.decide(nonce, 'confirmed')) === 'confirmed') {
    await disk.confirmed(next.triple)
    guard.disarm()
    of.event('commit', `${tripleText(next.triple)} confirmed`)
    of.changed()
    try {
      await driver.set(next.config, { prune: true, choices: prober.choicesFor(next.config), keys: of.keys })
    } catch (error) {
      // What is left over does no harm until the next change, which prunes again.
      of.event('commit', `old objects could not be removed: ${troubleOf(error).says}`)
    }
    return { kind: 'confirmed' }
  }
  failure ??= { code: 'A35', says: 'The guard was faster', instead: '' }
  of.event('commit', `${tripleText(next.triple)} goes back: ${failure.says}`, { code: failure.code })
  // The guard stays armed until the kernel is back: should this process die now, the guard finishes the work.
  await disk.decide(nonce, 'rolled-back')
  await restore(of, running)
  await disk.rolledBack(next.triple, failure.code, failure.says)
  guard.disarm()
  of.event('commit', `${running ? tripleText(running.triple) : 'an empty box'} restored`)
  of.changed()
  return { kind: 'rolled-back', trouble: failure }
}

/** With another pre-shared key a tunnel comes up when its far end has that, too: when that is lies with somebody else. */
function isRekeyed({ id, peer }: ReadyTunnel, { tunnels }: SiteConfig): boolean {
  const now = tunnels.find((one) => one.id === id)?.peer
  return peer.kind === 'ipsec' && now?.kind === 'ipsec' && canonicalJson(peer.psk) !== canonicalJson(now.psk)
}

/** Before anything is touched. */
async function refusal(of: CommitDeps, next: Bundle): Promise<Trouble | null> {
  try {
    const findings = [...checkInterfaces(next.config, await of.driver.inventory()), ...(await of.driver.check(next.config))]
    const first = findings.find((one) => one.severity === 'error')
    return first ? { code: first.code, says: first.says, instead: first.instead } : null
  } catch (error) {
    return troubleOf(error, 'A31')
  }
}

/**
 * null when the change may stay. A path must be up again if one was before it; a box whose peers have not confirmed yet
 * has none, and is judged by the permit alone, or two new sites would wait for one another until both went back.
 */
async function prove(of: CommitDeps, next: Bundle, nonce: string, giveUp: number, wereUp: boolean): Promise<Trouble | null> {
  const left = () => (giveUp - of.clock.boot()) * 1000
  const { tunnels } = next.config
  const isCutOff = () => wereUp && tunnels.length > 0 && !tunnels.some((one) => of.prober.isUp(one.id))
  while (isCutOff()) {
    if (left() <= 0) return { code: 'A33', says: 'A path was up before the change, and none after it', instead: '' }
    await of.clock.wait(50)
  }
  for (let wait = 100; ; wait = Math.min(1_000, wait * 2)) {
    const answer = await of.permit(next.triple, nonce, AbortSignal.timeout(Math.max(1_000, Math.round(left()))))
    switch (answer.kind) {
      case 'granted':
        return null
      case 'withdrawn':
        return { code: 'A36', says: answer.says, instead: '' }
      case 'wrong':
        return answer.trouble
      case 'unreachable':
        if (left() <= 0) return { code: 'A32', says: `No permit before the deadline: ${answer.trouble.says}`, instead: '' }
        await of.clock.wait(Math.min(wait, Math.max(0, left())))
        break
      default:
        throw new TypeError(`no such answer: ${answer satisfies never}`)
    }
  }
}
