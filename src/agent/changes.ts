/** What runs on the box, and how it becomes what is assigned: fetched, checked, staged, committed. One change at a time. */
import type { DeviceDriver } from '#providers/device.ts'
import type { SiteConfig, Triple } from '#src/fabric/fabric.ts'
import { secretsOf } from '#src/fabric/secrets.ts'
import { tripleText } from '#src/wire/bundle.ts'
import type { Clock } from './clock.ts'
import { type Bundle, commit, type Outcome, restore } from './commit.ts'
import { type Disk, mostAttempts, sameTriple, settle, type State } from './disk.ts'
import type { Files } from './files.ts'
import type { Guard } from './guard.ts'
import { type BoxKeys, destroy, keyed } from './keys.ts'
import type { Log } from './log.ts'
import type { Prober } from './probe.ts'
import { type Session, storedBundle } from './session.ts'
import { line, type Trouble, troubleOf } from './trouble.ts'

export interface ChangesOptions {
  readonly files: Files
  readonly disk: Disk
  readonly keys: BoxKeys
  readonly driver: DeviceDriver
  readonly prober: Prober
  readonly session: Session
  readonly clock: Clock
  readonly log: Log
  readonly arm: (nonce: string, deadlineBoot: number) => Guard
  readonly deadlineSeconds: number
  /** Tells the controller; throws when it is away. */
  readonly report: () => Promise<void>
  /** Something on the box is another: worth a report. */
  readonly changed: () => void
  /** A change is over, for good or bad: the kernel's rules were loaded anew. */
  readonly settled: () => void
  readonly signal: AbortSignal
}
export interface Changes {
  running(): Bundle | null
  /** What the kernel has otherwise than what runs. */
  drift(): readonly Trouble[]
  /** Compares again where the kernel was otherwise: it may be right by now. */
  lookAgain(): Promise<void>
  /** Tick before which nothing is tried again. */
  retryAt(): number
  /** Brings back the last confirmed bundle, from disk alone. */
  boot(): Promise<void>
  /** Begins to make the box what is assigned, unless that is under way, done, given up or not due. Says how it went by `changed`. */
  follow(assigned: Triple | null): void
  /** The peers have let go of this box: its site is decommissioned, or another box has taken its place. `left` when nothing remains. */
  leave(why: string, left: () => void): void
}

const refusedAgainMs = 15_000
const failedAgainMs = 2_000

/** Whether it is to be brought about, by what the disk says of it: it does not run, and has not failed for good. */
export const isOpen = (assigned: Triple | null, { commit: last, confirmed, attempts }: State): assigned is Triple =>
  assigned !== null &&
  !sameTriple(assigned, confirmed) &&
  !(last.state === 'rolled-back' && sameTriple(last.triple, assigned) && attempts >= mostAttempts)

/** How long after such an end the same is not tried again, ms. `attempts`: how often it was. */
export function restAfter(outcome: Outcome, attempts: number): number {
  switch (outcome.kind) {
    case 'confirmed':
      return 0
    case 'refused':
      return refusedAgainMs
    case 'rolled-back':
      // Withdrawn: something else is assigned by now.
      return outcome.trouble.code === 'A36' ? 0 : 5_000 * 2 ** attempts
    default:
      throw new TypeError(`no such outcome: ${outcome satisfies never}`)
  }
}

export function createChanges(of: ChangesOptions): Changes {
  const { disk, keys, driver, prober, session, clock, log } = of
  let running: Bundle | null = null
  let drift: readonly Trouble[] = []
  let busy = false
  let retryAt = 0
  /** What `retryAt` is about. */
  let tried: Triple | null = null

  const rest = (ms: number) => {
    retryAt = clock.tick() + ms
  }

  async function exclusively(work: () => Promise<void>): Promise<void> {
    busy = true
    try {
      await work()
    } catch (error) {
      const trouble = troubleOf(error)
      if (!of.signal.aborted) log('error', line(trouble), { code: trouble.code })
      rest(failedAgainMs)
    } finally {
      busy = false
    }
  }

  async function advance(triple: Triple): Promise<void> {
    const fetched = await session.fetch(triple)
    if (fetched.kind === 'none') {
      log('bundle', `${tripleText(triple)} can't be fetched: ${fetched.says}`)
      return rest(failedAgainMs)
    }
    if (fetched.kind === 'refused') return refuse(triple, fetched.trouble)
    const next = fetched.bundle
    await disk.staged(next.triple, fetched.signed)
    log('bundle', `${tripleText(next.triple)} staged: ${next.config.tunnels.length} tunnels, ${next.config.waiting.length} waiting`)
    // The far ends wait for these keys: told at once, while this box goes on.
    if (await keys.ensure(keyed(next.config))) of.changed()
    await keys.secrets.ensure(secretsOf(next.config), session.secret)
    const outcome = await commit({ ...of, permit: session.permit, event: log }, next, running)
    of.settled()
    rest(restAfter(outcome, disk.state().attempts))
    if (outcome.kind === 'rolled-back') await blame(outcome.trouble)
    if (outcome.kind !== 'confirmed') return
    running = next
    await forgetOldKeys(next.config)
    await compareKernel(next.config)
  }

  async function refuse(triple: Triple, { code, says, instead }: Trouble): Promise<void> {
    log('bundle', `${tripleText(triple)} refused: ${line({ code, says, instead })}`, { code })
    const last = disk.state().commit
    if (last.state !== 'refused' || last.code !== code || !sameTriple(last.triple, triple)) await disk.refused(triple, code, says)
    rest(refusedAgainMs)
  }

  /** A change that cut the box off is not tried again; one that met a controller that was away is, when that is back. */
  async function blame({ code }: Trouble): Promise<void> {
    const isFault =
      code === 'A33' ||
      (code === 'A32' &&
        (await of.report().then(
          () => true,
          () => false,
        )))
    if (isFault) await disk.giveUp()
  }

  /** The bundle before this one may come back by a rollback, without the controller. */
  async function forgetOldKeys(config: SiteConfig): Promise<void> {
    const previous = (await storedBundle(disk, session.identity(), disk.state().previous))?.config
    const kept = previous ? [config, previous] : [config]
    await keys.keepOnly(kept.flatMap(keyed))
    await keys.secrets.keepOnly(kept.flatMap(secretsOf))
  }

  async function compareKernel(config: SiteConfig): Promise<void> {
    const found = await driver.drift(config)
    const before = new Set(drift.map(line))
    drift = found.map(({ code, says, instead }) => ({ code, says, instead }))
    for (const one of drift) if (!before.has(line(one))) log('drift', line(one), { code: one.code })
  }

  return {
    running: () => running,
    drift: () => drift,
    async lookAgain() {
      if (drift.length === 0 || busy || !running) return
      await compareKernel(running.config)
      if (drift.length === 0) of.changed()
    },
    retryAt: () => retryAt,
    async boot() {
      await settle(disk)
      running = await storedBundle(disk, session.identity(), disk.state().confirmed)
      if (!running) return
      log('boot', `runs ${tripleText(running.triple)}, the last confirmed bundle`)
      await restore(of, running)
    },
    follow(assigned) {
      if (!sameTriple(tried, assigned)) retryAt = 0
      tried = assigned
      if (!busy && clock.tick() >= retryAt && isOpen(assigned, disk.state())) void exclusively(() => advance(assigned)).then(of.changed)
    },
    leave(why, left) {
      if (busy) return
      void exclusively(async () => {
        log('wipe', `${why}: removing tunnels, rules and keys`)
        prober.unload()
        await driver.wipe()
        running = null
        await disk.forget()
        await of.report()
        await destroy(of.files)
        left()
      })
    },
  }
}
