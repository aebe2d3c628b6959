import { expect, test } from 'vitest'
import { type Ability, createPairMember, hearingMs, pairEveryMs, returnAfterMs } from '#src/agent/pair.ts'
import type { SiteConfig, SiteId } from '#src/fabric/fabric.ts'
import { address, addressWithLength } from '#src/net/address.ts'
import { fakeDevice } from './fake-device.ts'
import { configOf } from './networks.ts'

const alone = configOf('berlin')
const paired: SiteConfig = { ...alone, lans: alone.lans.map((lan) => ({ ...lan, own: addressWithLength('10.1.10.2/24') })) }
const up: Ability = { ways: 'up', drains: false, heardAt: null }
const dead = 4
const speaking: SiteConfig = {
  ...paired,
  ospf: {
    segment: paired.lans[0]!.segment,
    interface: paired.lans[0]!.interface,
    area: address('0.0.0.0'),
    neighbors: [address('10.1.10.254')],
    hello: 1,
    dead,
  },
}

function member(config = paired) {
  const device = fakeDevice()
  const told: boolean[] = []
  let now = 0
  const pair = createPairMember({ device, clock: { tick: () => now }, changed: (carries) => told.push(carries) })
  return {
    device,
    told,
    now: () => now,
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
  expect(await pass({ ...up, ways: 'unproven', drains: true }, 1_200)).toContain('offer false')
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

test('the first that lost the LANs where it speaks OSPF takes them back when it has heard the routers since', async () => {
  const { pass, device, now } = member(speaking)
  await pass({ ...up, heardAt: now() }, 2_000)
  const before = now()
  device.onDuty = false
  expect(await pass({ ...up, heardAt: before - pairEveryMs })).toEqual(['offer false'])
  expect(await pass({ ...up, heardAt: null }, returnAfterMs)).not.toContain('offer true')
  expect(await pass({ ...up, heardAt: now() })).toEqual(['offer true'])
})
test('nor does one that starts beside another that has them, until it hears the routers, or has waited as long as they may take', async () => {
  const { pass, device } = member(speaking)
  device.onDuty = false
  expect(await pass(up, dead * 1_000 + hearingMs)).not.toContain('offer true')
  expect(await pass(up)).toEqual(['offer true'])
})
test('one that has the LANs keeps them, whatever it hears, and so does the second', async () => {
  expect(await member(speaking).pass(up)).toEqual(['offer true'])
  const second = member({ ...speaking, site: 'berlin.b' as SiteId })
  second.device.onDuty = false
  expect(await second.pass(up)).toEqual(['offer true'])
})
test('one whose tunnels were down waits no longer than one without OSPF: it went on hearing the routers', async () => {
  const { pass, device, now } = member(speaking)
  await pass(up)
  await pass({ ...up, ways: 'down' })
  device.onDuty = false
  await pass({ ...up, ways: 'down' }, 1_000)
  const heardAt = now()
  expect(await pass({ ...up, heardAt }, returnAfterMs)).not.toContain('offer true')
  expect(await pass({ ...up, heardAt })).toEqual(['offer true'])
})
