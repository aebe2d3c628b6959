import { expect, test } from 'vitest'
import { createDrain, drainEnd, quietMs } from '#src/agent/drain.ts'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { configOf } from './networks.ts'

const start = Date.parse('2026-11-23T10:00:00Z')
const hub = configOf('frankfurt')
const until = (ms: number): SiteConfig => ({ ...hub, drainUntil: new Date(start + ms).toISOString() })

function watched() {
  let ms = 0
  let count = { packets: 7, bytes: 700 }
  let told = 0
  const drain = createDrain({ transit: async () => count, clock: { now: () => start + ms, tick: () => ms }, changed: () => told++ })
  return {
    drain,
    told: () => told,
    load: (packets: number) => (count = { packets, bytes: packets * 100 }),
    /** Looks once a second while `packets` a second pass. */
    async pass(config: SiteConfig | null, seconds: number, packets = 0) {
      for (let second = 0; second < seconds; second++) {
        count = { packets: count.packets + packets, bytes: count.bytes + packets * 100 }
        await drain.look(config)
        ms += 1_000
      }
    },
  }
}

test('a site without a window has nothing to say', async () => {
  const { drain, pass } = watched()
  await pass(hub, 3, 5)
  await pass(null, 1)
  expect(drain.report()).toBeNull()
  expect(drainEnd(hub)).toBe(Number.NEGATIVE_INFINITY)
})

test('it is drained when nothing was passed on for ten seconds, counted from the beginning of the window, and says so at once', async () => {
  const { drain, pass, told } = watched()
  const config = until(3_600_000)
  await pass(config, 5, 20)
  expect(drain.report()).toEqual({ until: config.drainUntil, packets: 80, bytes: 8_000, drained: false })
  await pass(config, quietMs / 1_000 - 1)
  expect(drain.report()).toMatchObject({ drained: false })
  expect(told()).toBe(0)
  await pass(config, 1)
  expect(drain.report()).toEqual({ until: config.drainUntil, packets: 80, bytes: 8_000, drained: true })
  expect(told()).toBe(1)
  await pass(config, 1, 1)
  expect(drain.report()).toMatchObject({ packets: 81, drained: false })
  expect(told()).toBe(2)
})

test('a policy that is loaded anew counts from 0, and that is no traffic', async () => {
  const { drain, pass, load } = watched()
  const config = until(3_600_000)
  await pass(config, 2, 10)
  load(0)
  await pass(config, quietMs / 1_000 + 1)
  expect(drain.report()).toEqual({ until: config.drainUntil, packets: 10, bytes: 1_000, drained: true })
  load(4)
  await pass(config, 1)
  expect(drain.report()).toMatchObject({ packets: 14, drained: false })
})

test('another window starts over; when it has ended none is left, and that is told at once and once', async () => {
  const { drain, pass, told } = watched()
  await pass(until(60_000), quietMs / 1_000 + 1)
  expect(drain.report()).toMatchObject({ drained: true })
  await pass(until(30_000), 1)
  expect(drain.report()).toMatchObject({ until: until(30_000).drainUntil, packets: 0, drained: false })
  await pass(until(30_000), 18, 1)
  expect({ told: told(), report: drain.report() }).toMatchObject({ told: 1, report: { packets: 18 } })
  await pass(until(30_000), 1)
  expect({ told: told(), report: drain.report() }).toEqual({ told: 2, report: null })
  await pass(until(30_000), 5)
  expect(told()).toBe(2)
})
