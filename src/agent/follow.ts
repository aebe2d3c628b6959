/**
 * Keeps the box at what the controller assigns: reports, hears hints, fetches, verifies, stages, commits. None of it is
 * needed to carry traffic: with the controller away the last confirmed bundle runs, failover included.
 */
import type { DeviceDriver } from '#providers/device.ts'
import type { SiteConfig, Triple } from '#src/fabric/fabric.ts'
import { secretsOf } from '#src/fabric/secrets.ts'
import { tripleText } from '#src/wire/bundle.ts'
import { type Report, ReportAnswer } from '#src/wire/messages.ts'
import { checkInterfaces, waysOf } from './box.ts'
import { backoff, type Clock, instant, pause } from './clock.ts'
import { type Bundle, commit, restore } from './commit.ts'
import type { Controller } from './controller.ts'
import { type Disk, mostAttempts, sameTriple, settle } from './disk.ts'
import type { Identity } from './enrol.ts'
import type { Files } from './files.ts'
import type { Guard } from './guard.ts'
import { type BoxKeys, destroy, keyed } from './keys.ts'
import type { Log } from './log.ts'
import { createDrain, drainEnd } from './drain.ts'
import { type Ability, createPairMember, isPair, pairEveryMs } from './pair.ts'
import { createDriller, type DrillRun, systemRun } from './drill.ts'
import { createLearningWatch } from './learning.ts'
import { createMeasurer } from './measure.ts'
import { createPace } from './pace.ts'
import type { Prober } from './probe.ts'
import { createReporter } from './reporter.ts'
import { createSession, storedBundle } from './session.ts'
import { judge, type Status, uplinkCounts } from './status.ts'
import { AgentError, line, type Trouble, troubleOf } from './trouble.ts'
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
const tooFastMs = 1_000
/** Reports at once of paths that change; after so many one a second, as long as they go on changing. */
const promptReports = 10
const promptAgainMs = 1_000

export function createFollower(of: FollowOptions): Follower {
  const { disk, keys, driver, prober, controller, clock, log } = of
  const left = new AbortController()
  const signal = AbortSignal.any([of.signal, left.signal])
  const session = createSession({ ...of, signal })
  const driller = createDriller({ prober, clock, log, config: () => running?.config ?? null, run: of.drillRun ?? systemRun, changed: () => wake() })
  const reporter = createReporter(of)
  const uplinks = createUplinkWatch({
    ...of,
    host: of.identity.host,
    port: of.identity.port,
    changed() {
      setWays()
      wake()
    },
  })
  const drain = createDrain({
    transit: () => driver.transit(),
    clock,
    changed() {
      // Not only by the next report: without a controller that is up to half a minute away.
      status()
      wake()
    },
  })
  const routers = createLearningWatch({ learning: () => driver.learning(), clock, log, changed: () => wake() })
  const pair = createPairMember({
    device: driver,
    clock,
    changed(carries) {
      log('pair', carries ? 'carries the traffic of its LANs' : 'stands by: the other gateway carries the traffic of the LANs')
      status()
      wake()
    },
  })
  const measurer = createMeasurer({ prober, clock, log, changed: () => wake() })
  let running: Bundle | null = null
  let headlessSince: string | null = null
  let assigned: Triple | null = null
  let retryAt = 0
  let busy = false
  let reportEveryMs = 5_000
  /** Why this box is to remove itself; '' as long as it is not. */
  let leaving = ''
  let drift: readonly Trouble[] = []
  let headlessSaid = ''
  let wakeUp = () => {}
  /**
   * After a change: a firewall that is loaded under an open connection knows it only by what this end sends, and on the
   * stream of hints only the far end speaks.
   */
  let listenAnew = () => {}
  let woken = false

  const setWays = () => controller.setWays(waysOf(uplinks.interfaces(), running?.config ?? null, prober))
  let statusTimer: NodeJS.Timeout | null = null
  const wake = () => {
    woken = true
    wakeUp()
    statusTimer ??= setTimeout(() => {
      statusTimer = null
      if (signal.aborted) return
      setWays()
      status()
    }, coalesceMs)
  }
  /** On a box short of CPU each report makes the paths of all others worse. */
  const wakeAtPace = createPace({
    tick: () => clock.tick(),
    burst: promptReports,
    againMs: promptAgainMs,
    go() {
      if (!signal.aborted) wake()
    },
  })
  /** A report that is on its way tells of it. */
  const pathsChanged = () => {
    if (statusTimer === null) wakeAtPace()
  }
  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      if (woken || signal.aborted) return resolve()
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        wakeUp = () => {}
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', done, { once: true })
      wakeUp = done
    })

  function findings(): readonly Trouble[] {
    const { commit: last } = disk.state()
    const own: Trouble[] = last.state === 'refused' || last.state === 'rolled-back' ? [{ code: last.code, says: last.why, instead: '' }] : []
    const wrong = running ? checkInterfaces(running.config, uplinks.interfaces()).map(({ code, says, instead }) => ({ code, says, instead })) : []
    return [...own, ...wrong, ...uplinks.findings(), ...prober.findings(), ...routers.findings(), ...drift]
  }

  function status(): void {
    const paths = prober.paths()
    const all = findings()
    of.onStatus({
      v: 1,
      at: instant(clock.now()),
      pid: process.pid,
      network: of.identity.network,
      site: of.identity.site,
      confirmationCode: of.identity.confirmationCode,
      ...judge(
        running?.config ?? null,
        paths,
        { headless: headlessSince !== null, drains: clock.now() < drainEnd(running?.config ?? null), standsBy: !driver.carries() },
        all,
      ),
      state: disk.state(),
      headlessSince,
      uplinks: running ? uplinkCounts(running.config, paths) : [],
      paths,
      waiting: running?.config.waiting ?? [],
      findings: all,
    })
  }

  async function report(): Promise<void> {
    const composed = await reporter.compose({
      config: running?.config ?? null,
      interfaces: uplinks.interfaces(),
      findings: findings(),
      headlessSince,
    })
    const drilled = driller.report()
    const drains = drain.report()
    const measured = measurer.report()
    const body: Report = {
      ...composed.report,
      ...(drilled ? { drill: drilled } : {}),
      ...(drains ? { drain: drains } : {}),
      ...(measured ? { measured } : {}),
    }
    const { status: code, body: said, problem } = await controller.call({ method: 'POST', path: '/v1/report', body, signal })
    // It answers, so this is not the controller being away.
    if (code === 429) return pause(tooFastMs, signal)
    if (problem) throw new AgentError(problem.code || (code === 401 || code === 403 ? 'A17' : 'A16'), problem.detail, problem.instead, true)
    const answer = ReportAnswer.safeParse(said)
    if (!answer.success)
      throw new AgentError('A16', "The controller's answer to a report is not understood", 'Upgrade the agent, or the controller', true)
    composed.delivered()
    clock.atLeast(Date.parse(answer.data.serverTime))
    reportEveryMs = Math.max(500, answer.data.reportEverySeconds * 1000)
    if (!sameTriple(assigned, answer.data.assigned?.triple)) retryAt = 0
    assigned = answer.data.assigned?.triple ?? null
    if (headlessSince !== null) log('controller', `back after ${Math.round((clock.now() - Date.parse(headlessSince)) / 1000)} s`)
    headlessSince = null
    headlessSaid = ''
    await session.renewTrust(answer.data.trustVersion)
    leaving =
      answer.data.wipe !== true
        ? ''
        : answer.data.replaced
          ? `another box is the one of ${of.identity.site} now`
          : `site ${of.identity.site} is decommissioned`
    if (answer.data.drill) void driller.order(answer.data.drill, session.identity())
    else driller.told(drilled)
    if (answer.data.measure) void measurer.order(answer.data.measure, session.identity())
    else measurer.told(measured)
  }

  /** The peers have let go of this box: its site is decommissioned, or another box has taken its place. */
  async function leave(): Promise<void> {
    log('wipe', `${leaving}: removing tunnels, rules and keys`)
    prober.unload()
    await driver.wipe()
    running = null
    await disk.forget()
    await report()
    await destroy(of.files)
    left.abort()
  }

  function lost(error: unknown): void {
    const trouble = troubleOf(error)
    headlessSince ??= instant(clock.now())
    if (trouble.says !== headlessSaid) log('controller', `${line(trouble)}${running ? '; traffic goes on' : ''}`, { code: trouble.code })
    headlessSaid = trouble.says
  }

  /** Whether what is assigned should be tried now. */
  function isWanted(triple: Triple | null): triple is Triple {
    if (triple === null || busy || clock.tick() < retryAt) return false
    const { commit: last, confirmed, attempts } = disk.state()
    if (sameTriple(triple, confirmed)) return false
    return !(last.state === 'rolled-back' && sameTriple(last.triple, triple) && attempts >= mostAttempts)
  }

  async function advance(triple: Triple): Promise<void> {
    const fetched = await session.fetch(triple)
    if (fetched.kind === 'none') {
      log('bundle', `${tripleText(triple)} can't be fetched: ${fetched.says}`)
      retryAt = clock.tick() + 2_000
      return
    }
    if (fetched.kind === 'refused') return refuse(triple, fetched.trouble)
    const next = fetched.bundle
    await disk.staged(next.triple, fetched.signed)
    log('bundle', `${tripleText(next.triple)} staged: ${next.config.tunnels.length} tunnels, ${next.config.waiting.length} waiting`)
    // The far ends wait for these keys: told at once, while this box goes on.
    if (await keys.ensure(keyed(next.config))) wake()
    await keys.secrets.ensure(secretsOf(next.config), session.secret)
    const outcome = await commit(
      { disk, driver, keys, prober, clock, arm: of.arm, permit: session.permit, event: log, changed: wake, deadlineSeconds: of.deadlineSeconds },
      next,
      running,
    )
    listenAnew()
    switch (outcome.kind) {
      case 'confirmed':
        running = next
        setWays()
        await forgetOldKeys(next.config)
        await verifyKernel()
        break
      case 'refused':
        retryAt = clock.tick() + 15_000
        break
      case 'rolled-back':
        retryAt = clock.tick() + 5_000 * 2 ** disk.state().attempts
        await blame(outcome.trouble)
        break
      default:
        throw new TypeError(`no such outcome: ${outcome satisfies never}`)
    }
  }

  /** The bundle before this one may come back by a rollback, without the controller. */
  async function forgetOldKeys(config: SiteConfig): Promise<void> {
    const previous = (await storedBundle(disk, session.identity(), disk.state().previous))?.config
    const kept = previous ? [config, previous] : [config]
    await keys.keepOnly(kept.flatMap(keyed))
    await keys.secrets.keepOnly(kept.flatMap(secretsOf))
  }

  /** A change that cut the box off is not tried again; one that met a controller that was away is, when that is back. */
  async function blame(trouble: Trouble): Promise<void> {
    if (trouble.code === 'A32') {
      try {
        await report()
      } catch {
        return
      }
    }
    if (trouble.code === 'A32' || trouble.code === 'A33') await disk.giveUp()
    // Something else is assigned by now: at once.
    if (trouble.code === 'A36') retryAt = 0
  }

  async function refuse(triple: Triple, trouble: Trouble): Promise<void> {
    log('bundle', `${tripleText(triple)} refused: ${line(trouble)}`, { code: trouble.code })
    const last = disk.state().commit
    if (last.state !== 'refused' || last.code !== trouble.code || !sameTriple(last.triple, triple))
      await disk.refused(triple, trouble.code, trouble.says)
    retryAt = clock.tick() + 15_000
    wake()
  }

  async function verifyKernel(): Promise<void> {
    if (!running) return
    const found = await driver.drift(running.config)
    drift = found.map(({ code, says, instead }) => ({ code, says, instead }))
    for (const one of drift) log('drift', line(one), { code: one.code })
  }

  /** One change at a time. */
  async function exclusively(work: () => Promise<void>): Promise<void> {
    if (busy) return
    busy = true
    try {
      await work()
    } catch (error) {
      const trouble = troubleOf(error)
      if (!signal.aborted) log('error', line(trouble), { code: trouble.code })
      retryAt = clock.tick() + 2_000
    } finally {
      busy = false
    }
  }

  async function reporting(): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      woken = false
      const unknown = headlessSince !== null
      try {
        await session.renewCertificate()
        await report()
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        lost(error)
        failures++
      }
      if (unknown !== (headlessSince !== null)) status()
      if (leaving !== '' && headlessSince === null) void exclusively(leave)
      else if (isWanted(assigned) && headlessSince === null) {
        const triple = assigned
        void exclusively(() => advance(triple)).then(wake)
      }
      status()
      if (failures > 0) {
        // A waiting change is no reason to hammer a controller that is coming back.
        woken = false
        await pause(backoff(failures, Math.random, 250, 30_000), signal)
        continue
      }
      await sleep(Math.min(reportEveryMs, retryAt > clock.tick() ? Math.max(50, retryAt - clock.tick()) : reportEveryMs))
      if (woken) await pause(coalesceMs, signal)
    }
  }

  async function hints(): Promise<void> {
    let attempt = 0
    while (!signal.aborted) {
      const anew = new AbortController()
      listenAnew = () => anew.abort()
      try {
        await controller.stream(
          '/v1/hints',
          () => {
            attempt = 0
            wake()
          },
          AbortSignal.any([signal, anew.signal]),
        )
      } catch {
        // The report loop says that the controller is away; two voices would say it twice.
      }
      if (anew.signal.aborted) attempt = 0
      await pause(backoff(attempt++), signal)
    }
  }

  async function looking(): Promise<void> {
    while (!signal.aborted) {
      await pause(lookEveryMs, signal)
      if (!signal.aborted)
        await Promise.all([
          uplinks.look(running?.config ?? null),
          uplinks.judge(running?.config ?? null),
          routers.look(running?.config ?? null),
        ]).catch((error: unknown) => log('uplinks', line(troubleOf(error))))
    }
  }

  async function draining(): Promise<void> {
    while (!signal.aborted) {
      await pause(drainEveryMs, signal)
      if (!signal.aborted) await drain.look(running?.config ?? null).catch((error: unknown) => log('drain', line(troubleOf(error))))
    }
  }

  /** Whether any path leads out; a config without tunnels has none to prove. */
  function ability(): Ability {
    const config = running?.config ?? null
    const tunnels = config?.tunnels.map(({ id }) => id) ?? []
    const ways = tunnels.some((id) => prober.isUp(id)) ? 'up' : tunnels.every((id) => prober.isDown(id)) ? 'down' : 'unproven'
    return { ways, drains: clock.now() < drainEnd(config), heardAt: routers.heardAt() }
  }
  async function pairing(): Promise<void> {
    while (!signal.aborted) {
      await pause(isPair(running?.config ?? null) ? pairEveryMs : drainEveryMs, signal)
      if (!signal.aborted) await pair.look(running?.config ?? null, ability()).catch((error: unknown) => log('pair', line(troubleOf(error))))
    }
  }

  return {
    pathsChanged,
    async boot() {
      await settle(disk)
      await uplinks.read()
      running = await storedBundle(disk, session.identity(), disk.state().confirmed)
      setWays()
      if (running) {
        log('boot', `runs ${tripleText(running.triple)}, the last confirmed bundle`)
        await restore({ driver, prober, keys }, running)
      }
      status()
    },
    async run() {
      await Promise.all([reporting(), hints(), looking(), draining(), pairing()])
      return left.signal.aborted ? 'wiped' : 'stopped'
    },
  }
}
