import { expect, test } from 'vitest'
import { type Ability, createPairMember, pairEveryMs, returnAfterMs } from '#src/agent/pair.ts'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { addressWithLength } from '#src/net/address.ts'
import { fakeDevice } from './fake-device.ts'
import { configOf } from './networks.ts'

const alone = configOf('berlin')
const paired: SiteConfig = { ...alone, lans: alone.lans.map((lan) => ({ ...lan, own: addressWithLength('10.1.10.2/24') })) }
const up: Ability = { ways: 'up', drains: false }

function member(config = paired) {
  const device = fakeDevice()
  const told: boolean[] = []
  let now = 0
  const pair = createPairMember({ device, clock: { tick: () => now }, changed: (carries) => told.push(carries) })
  return {
    device,
    told,
    /** What was offered while it looked for so long. */
    async pass(ability: Ability, ms = pairEveryMs): Promise<readonly string[]> {
      const before = device.calls.length
      for (const end = now + ms; now < end; now += pairEveryMs) await pair.look(config, ability)
      return device.calls.slice(before)
    },
  }
}

test('who is no pair has nothing to offer', async () => {
  expect(await member(alone).pass(up, 2_000)).toEqual([])
})
test('a tunnel that is up is an offer at once, said again every second as a sign of life', async () => {
  expect(await member().pass(up, 2_000)).toEqual(['offer true', 'offer true'])
})
test('after a start nothing is said until the paths are known: traffic goes on as it did', async () => {
  const { pass } = member()
  expect(await pass({ ...up, ways: 'unproven' }, 3_000)).toEqual([])
  expect(await pass(up)).toEqual(['offer true'])
})
test('without a tunnel it gives the LANs up at once, and takes them back when one has been up for a while', async () => {
  const { pass, device } = member()
  await pass(up)
  expect(await pass({ ...up, ways: 'down' })).toEqual(['offer false'])
  device.onDuty = false
  expect(await pass(up, returnAfterMs)).not.toContain('offer true')
  expect(await pass(up)).toEqual(['offer true'])
})
test('one that still has the LANs does not wait: nobody took them', async () => {
  const { pass } = member()
  await pass(up)
  await pass({ ...up, ways: 'down' })
  expect(await pass(up)).toEqual(['offer true'])
})
test('a drained box gives them up, whatever its tunnels are', async () => {
  const { pass } = member()
  await pass(up)
  expect(await pass({ ...up, drains: true })).toEqual(['offer false'])
  expect(await pass({ ways: 'unproven', drains: true }, 1_200)).toContain('offer false')
})
test('it tells when it carries and when it stands by', async () => {
  const { pass, device, told } = member()
  await pass(up)
  device.onDuty = false
  await pass(up, 600)
  device.onDuty = true
  await pass(up)
  expect(told).toEqual([false, true])
})
