import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { systemClock } from '#src/agent/clock.ts'
import { openDisk } from '#src/agent/disk.ts'
import { diskFiles } from '#src/agent/files.ts'
import { armGuard, fireGuard } from '#src/agent/guard.ts'
import { holderOf, takeLock } from '#src/agent/lock.ts'
import { fakeDevice } from './fake-device.ts'

let state: string
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'cw-guard-'))
})
afterEach(() => rmSync(state, { recursive: true, force: true }))

describe('an armed guard', () => {
  const arm = (seconds: number) => {
    const fired = join(state, 'fired')
    return {
      fired,
      guard: armGuard({
        state,
        decision: join(state, 'decision'),
        deadlineBoot: systemClock().boot() + seconds,
        command: ['/bin/sh', '-c', `echo restored > ${fired}`],
      }),
    }
  }
  test('fires when the deadline has passed', async () => {
    const { fired } = arm(0)
    await vi.waitFor(() => expect(readFileSync(fired, 'utf8')).toBe('restored\n'), { timeout: 10_000 })
  })
  test('does not fire when the change was confirmed', async () => {
    writeFileSync(join(state, 'decision'), 'confirmed')
    const { fired } = arm(1)
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    expect(existsSync(fired)).toBe(false)
  })
  test('fires although somebody decided to go back: that one may have died before it was done', async () => {
    writeFileSync(join(state, 'decision'), 'rolled-back')
    const { fired } = arm(1)
    await vi.waitFor(() => expect(existsSync(fired)).toBe(true), { timeout: 10_000 })
  })
  test('is gone once it is disarmed', async () => {
    const { fired, guard } = arm(1)
    guard.disarm()
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    expect(existsSync(fired)).toBe(false)
  })
})

describe('a guard that fires', () => {
  const triple = { term: 1, generation: 1, revision: 1 }
  /** The first so many times the kernel refuses. */
  const fire = async (nonce: string, refusals = 0) => {
    let left = refusals
    const device = fakeDevice()
    const said: string[] = []
    const result = await fireGuard({
      state,
      nonce,
      openDisk: () => openDisk(diskFiles(state)),
      driver: device,
      clock: { ...systemClock(), wait: async () => {} },
      restore: async () => {
        if (left-- > 0) throw new Error('Device or resource busy')
        await device.wipe()
      },
      say: (text) => said.push(text),
    })
    return { result, calls: device.calls, ...(said.length > 1 ? { said: said.slice(1) } : {}) }
  }
  const pending = async () => {
    const disk = await openDisk(diskFiles(state))
    await disk.staged(triple, { payload: '', signatures: [] })
    await disk.pending(triple, 'n1', '', 0)
    return disk
  }
  test('restores, and says so on disk', async () => {
    await pending()
    expect(await fire('n1')).toEqual({ result: 'restored', calls: ['wipe'] })
    expect((await openDisk(diskFiles(state))).state().commit).toMatchObject({ state: 'rolled-back', code: 'A35' })
  })
  test('tries again where the kernel refuses, and gives up with its words', async () => {
    await pending()
    const again = 'it could not be restored, trying again: Device or resource busy'
    expect(await fire('n1', 2)).toEqual({ result: 'restored', calls: ['wipe'], said: [again, again] })
    await pending()
    await expect(fire('n1', 5)).rejects.toThrow('Device or resource busy')
  })
  test('does nothing when the change was confirmed at the last moment', async () => {
    const disk = await pending()
    await disk.decide('n1', 'confirmed')
    expect(await fire('n1')).toEqual({ result: 'confirmed', calls: [] })
  })
  test('does nothing for a change that is long over', async () => {
    await pending()
    expect(await fire('n0')).toEqual({ result: 'nothing', calls: [] })
  })
})

describe('the lock', () => {
  test('is held by one, and given back', () => {
    const lock = takeLock(state)
    expect(holderOf(state)?.pid).toBe(process.pid)
    expect(takeLock(state)).toBeNull()
    lock!.release()
    expect(holderOf(state)).toBeNull()
  })
  test("of a process that is gone is nobody's", () => {
    writeFileSync(join(state, 'run.lock'), `${process.pid} 1`)
    expect(holderOf(state)).toBeNull()
    expect(takeLock(state)).not.toBeNull()
  })
})
