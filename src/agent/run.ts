/** The parts of a running agent, put together: everything here that touches the system comes in as an argument. */
import { resolve } from 'node:path'
import type { DeviceDriver } from '#providers/device.ts'
import type { Clock } from './clock.ts'
import { createController } from './controller.ts'
import { openDisk } from './disk.ts'
import { type Identity, trustOf } from './enrol.ts'
import { diskFiles } from './files.ts'
import { createFollower } from './follow.ts'
import { armGuard } from './guard.ts'
import type { OpenEcho } from './echo.ts'
import { deviceKey, openBoxKeys } from './keys.ts'
import type { Log } from './log.ts'
import { createProber } from './probe.ts'
import { targetOf } from './session.ts'
import type { OpenSocket } from './sockets.ts'
import { type Status, writeStatus } from './status.ts'
import { why } from './trouble.ts'

export interface RunOptions {
  readonly state: string
  readonly identity: Identity
  readonly driver: DeviceDriver
  readonly clock: Clock
  readonly log: Log
  readonly serial: string
  readonly deadlineSeconds: number
  /** Starts this program again as a guard; the nonce is added. */
  readonly guardCommand: readonly string[]
  readonly open: OpenSocket
  readonly echo: OpenEcho
  readonly onStatus: (status: Status) => void
  readonly signal: AbortSignal
}

/** Runs until the signal. The data plane is left as it is: an agent that is restarted or upgraded costs no packet. */
export async function run(of: RunOptions): Promise<'stopped' | 'wiped'> {
  const { state, identity, driver, clock, log, signal } = of
  const files = diskFiles(state)
  const stored = Number(await files.read('clock'))
  clock.atLeast(stored)
  const disk = await openDisk(files)
  const keys = await openBoxKeys(files, identity)
  const pem = (await deviceKey(files)).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  const controller = createController(targetOf(identity, trustOf(identity), pem))
  let statusFailed = false
  const prober = createProber({
    tick: () => clock.tick(),
    wall: () => clock.now(),
    random: Math.random,
    open: of.open,
    echo: of.echo,
    steer: (choices) => driver.steer(choices),
    leave: (now) => driver.leave(now),
    rehandshake: (tunnel) => driver.rehandshake(tunnel),
    standsBy: () => !driver.carries(),
    event: log,
    changed: () => follower.pathsChanged(),
  })
  const follower = createFollower({
    files,
    disk,
    keys,
    identity,
    driver,
    prober,
    controller,
    clock,
    log,
    serial: of.serial,
    arm: (nonce, deadlineBoot) =>
      armGuard({ state, decision: resolve(state, disk.decisionName(nonce)), deadlineBoot, command: [...of.guardCommand, '--nonce', nonce] }),
    deadlineSeconds: of.deadlineSeconds,
    onStatus(status) {
      try {
        writeStatus(state, status)
        statusFailed = false
      } catch (error) {
        // Traffic must not suffer from a full disk.
        if (!statusFailed) log('status', `status.json can't be written: ${why(error)}`)
        statusFailed = true
      }
      of.onStatus(status)
    },
    signal,
  })
  const timeKeeper = setInterval(() => void files.write('clock', String(clock.now())).catch(() => {}), 3_600_000)
  try {
    await follower.boot()
    return await follower.run()
  } finally {
    clearInterval(timeKeeper)
    prober.close()
    controller.close()
    await driver.close()
  }
}
