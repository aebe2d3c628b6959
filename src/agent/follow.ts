/**
 * Keeps the box at what the controller assigns. None of it is needed to carry traffic: with the controller away the last
 * confirmed bundle runs, failover included.
 *
 *     watches: uplinks, routers, drain, pair, prober ──▶ news ──▶ report, status
 *     contact: a report, at news or in turn ──▶ the answer: what is assigned, drills, tests, farewell
 *     changes: what is assigned ──▶ fetched, checked, staged, committed ──▶ what runs, which all others read
 */
import type { DeviceDriver } from '#providers/device.ts'
import { createBell } from './bell.ts'
import { checkInterfaces, waysOf } from './box.ts'
import { createChanges } from './changes.ts'
import { backoff, type Clock, instant, pause } from './clock.ts'
import { createContact } from './contact.ts'
import type { Controller } from './controller.ts'
import type { Disk } from './disk.ts'
import { createDrain, drainEnd } from './drain.ts'
import { createDriller, type DrillRun, systemRun } from './drill.ts'
import type { Identity } from './enrol.ts'
import type { Files } from './files.ts'
import type { Guard } from './guard.ts'
import { createHints } from './hints.ts'
import type { BoxKeys } from './keys.ts'
import { createLearningWatch } from './learning.ts'
import type { Log } from './log.ts'
import { createMeasurer } from './measure.ts'
import { createPace } from './pace.ts'
import { type Ability, createPairMember, isPair, pairEveryMs } from './pair.ts'
import type { Prober } from './probe.ts'
import { createReporter } from './reporter.ts'
import { createSession } from './session.ts'
import { judge, type Status, uplinkCounts } from './status.ts'
import { line, type Trouble, troubleOf } from './trouble.ts'
import { createUplinkWatch } from './uplinks.ts'

export interface FollowOptions {
  readonly files: Files
  readonly disk: Disk
  readonly keys: BoxKeys
  readonly identity: Identity
  readonly driver: DeviceDriver
  readonly prober: Prober
  readonly controller: Controller
  readonly clock: Clock
  readonly log: Log
  readonly serial: string
  readonly arm: (nonce: string, deadlineBoot: number) => Guard
  readonly deadlineSeconds: number
  readonly onStatus: (status: Status) => void
  /** Takes nft's rules; the system's nft unless a test says otherwise. */
  readonly drillRun?: DrillRun
  readonly signal: AbortSignal
}
export interface Follower {
  /** A path's state, or what takes it: worth a report at once. */
  pathsChanged(): void
  /** Runs until the signal; the data plane stays as it is. */
  run(): Promise<'stopped' | 'wiped'>
  /** Brings back the last confirmed bundle, from disk alone. */
  boot(): Promise<void>
}

const lookEveryMs = 5_000
const drainEveryMs = 1_000
const coalesceMs = 100
/** Reports at once of paths that change; after so many one a second, as long as they go on changing. */
const promptReports = 10
const promptAgainMs = 1_000

export function createFollower(of: FollowOptions): Follower {
  const { disk, driver, prober, controller, clock, log } = of
  const left = new AbortController()
  const signal = AbortSignal.any([of.signal, left.signal])
  const bell = createBell()

  // ── what runs, and how it becomes another ──
  const session = createSession({ ...of, signal })
  const changes = createChanges({
    ...of,
    session,
    report: () => contact.report(),
    changed: news,
    settled: () => hints.anew(),
    signal,
  })
  const config = () => changes.running()?.config ?? null

  // ── what happens to the box ──
  const uplinks = createUplinkWatch({
    ...of,
    host: of.identity.host,
    port: of.identity.port,
    changed() {
      setWays()
      news()
    },
  })
  const routers = createLearningWatch({ learning: () => driver.learning(), clock, log, changed: news })
  // Not only by the next report: without a controller that is up to half a minute away.
  const shown = () => {
    status()
    news()
  }
  const drain = createDrain({ transit: () => driver.transit(), clock, changed: shown })
  const pair = createPairMember({
    device: driver,
    clock,
    changed(carries) {
      log('pair', carries ? 'carries the traffic of its LANs' : 'stands by: the other gateway carries the traffic of the LANs')
      shown()
    },
  })

  // ── what the controller asks and is told ──
  const contact = createContact({
    controller,
    session,
    reporter: createReporter(of),
    driller: createDriller({ prober, clock, log, config, run: of.drillRun ?? systemRun, changed: news }),
    drain,
    measurer: createMeasurer({ prober, clock, log, changed: news }),
    clock,
    log,
    now: () => ({ config: config(), interfaces: uplinks.interfaces(), findings: findings() }),
    signal,
  })
  const hints = createHints({ controller, heard: news, signal })

  let newsTimer: NodeJS.Timeout | null = null
  /** Worth a report, and a look at status and ways out; what comes in one moment is told at once. */
  function news(): void {
    bell.ring()
    newsTimer ??= setTimeout(() => {
      newsTimer = null
      if (signal.aborted) return
      setWays()
      status()
    }, coalesceMs)
  }
  /** On a box short of CPU each report makes the paths of all others worse. */
  const newsAtPace = createPace({
    tick: () => clock.tick(),
    burst: promptReports,
    againMs: promptAgainMs,
    go() {
      if (!signal.aborted) news()
    },
  })

  const setWays = () => controller.setWays(waysOf(uplinks.interfaces(), config(), prober))
  const isDraining = () => clock.now() < drainEnd(config())

  function findings(): readonly Trouble[] {
    const { commit: last } = disk.state()
    const own: Trouble[] = last.state === 'refused' || last.state === 'rolled-back' ? [{ code: last.code, says: last.why, instead: '' }] : []
    const running = config()
    const wrong = running ? checkInterfaces(running, uplinks.interfaces()).map(({ code, says, instead }) => ({ code, says, instead })) : []
    return [...own, ...wrong, ...uplinks.findings(), ...prober.findings(), ...routers.findings(), ...changes.drift()]
  }

  function status(): void {
    const { network, site, confirmationCode } = of.identity
    const [running, paths, all, headlessSince] = [config(), prober.paths(), findings(), contact.headlessSince()]
    of.onStatus({
      v: 1,
      at: instant(clock.now()),
      pid: process.pid,
      network,
      site,
      confirmationCode,
      ...judge(running, paths, { headless: headlessSince !== null, drains: isDraining(), standsBy: !driver.carries() }, all),
      state: disk.state(),
      headlessSince,
      uplinks: running ? uplinkCounts(running, paths) : [],
      paths,
      waiting: running?.waiting ?? [],
      findings: all,
    })
  }

  /** Reports, at news or in turn, and begins what is asked. */
  async function reporting(): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      bell.hush()
      try {
        await session.renewCertificate()
        await contact.report()
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        contact.lost(error)
        failures++
      }
      if (contact.headlessSince() === null) {
        if (contact.leaving() === '') changes.follow(contact.assigned())
        else changes.leave(contact.leaving(), () => left.abort())
      }
      status()
      if (failures > 0) {
        // A waiting change is no reason to hammer a controller that is coming back.
        await pause(backoff(failures, Math.random, 250, 30_000), signal)
        continue
      }
      const untilRetry = changes.retryAt() - clock.tick()
      await bell.rest(untilRetry > 0 ? Math.min(contact.reportEveryMs(), Math.max(50, untilRetry)) : contact.reportEveryMs(), signal)
      if (bell.rang()) await pause(coalesceMs, signal)
    }
  }

  /** Whether any path leads out; a config without tunnels has none to prove. */
  function ability(): Ability {
    const tunnels = config()?.tunnels.map(({ id }) => id) ?? []
    const ways = tunnels.some((id) => prober.isUp(id)) ? 'up' : tunnels.every((id) => prober.isDown(id)) ? 'down' : 'unproven'
    return { ways, drains: isDraining(), heardAt: routers.heardAt() }
  }

  async function watching(name: string, everyMs: () => number, look: () => Promise<unknown>): Promise<void> {
    while (!signal.aborted) {
      await pause(everyMs(), signal)
      if (!signal.aborted) await look().catch((error: unknown) => log(name, line(troubleOf(error))))
    }
  }

  return {
    pathsChanged() {
      // A report that is on its way tells of it.
      if (newsTimer === null) newsAtPace()
    },
    async boot() {
      await uplinks.read()
      await changes.boot()
      setWays()
      status()
    },
    async run() {
      await Promise.all([
        reporting(),
        hints.run(),
        watching(
          'uplinks',
          () => lookEveryMs,
          () => Promise.all([uplinks.look(config()), uplinks.judge(config()), routers.look(config()), changes.lookAgain()]),
        ),
        watching(
          'drain',
          () => drainEveryMs,
          () => drain.look(config()),
        ),
        watching(
          'pair',
          () => (isPair(config()) ? pairEveryMs : drainEveryMs),
          () => pair.look(config(), ability()),
        ),
      ])
      return left.signal.aborted ? 'wiped' : 'stopped'
    },
  }
}
