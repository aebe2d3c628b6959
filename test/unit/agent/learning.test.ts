import { beforeEach, expect, it } from 'vitest'
import type { Learning } from '#providers/device.ts'
import { createLearningWatch } from '#src/agent/learning.ts'
import type { SegmentId, SiteConfig } from '#src/fabric/fabric.ts'
import { address, prefix } from '#src/net/address.ts'
import { configOf, lans } from '#test/unit/linux/network.ts'

const declared = prefix('10.5.0.0/16')
const [neighbor, other] = [address('10.1.10.254'), address('10.1.10.253')]
const config: SiteConfig = {
  ...configOf('berlin'),
  lans: [...lans.berlin, { ...lans.berlin[0]!, prefix: declared, via: neighbor, learned: true }],
  bgp: [
    { segment: 'inference' as SegmentId, interface: 'lan0', asn: 65_010, localAsn: 65_000, neighbors: [other, neighbor], hold: 9, maxPrefixes: 100 },
  ],
}
const seen = (states: Readonly<Record<string, string>>, missing = [declared]): Learning => ({
  sessions: Object.entries(states).map(([one, state]) => ({
    protocol: 'bgp',
    segment: 'inference' as SegmentId,
    interface: 'lan0',
    neighbor: address(one),
    state,
    up: state === 'Established',
  })),
  missing,
})

let now: Learning
let tick = 0
let logged: string[]
let changes: number
const watch = () =>
  createLearningWatch({
    learning: async () => now,
    clock: { tick: () => tick },
    log: (about, text) => void logged.push(`${about}: ${text}`),
    changed: () => void changes++,
  })
beforeEach(() => {
  logged = []
  changes = 0
})

it('tells of a session that stays down, and not of the prefixes that went with it', async () => {
  const of = watch()
  now = seen({ [neighbor]: 'Active' })
  await of.look(config)
  expect(of.findings()).toEqual([])
  await of.look(config)
  expect(of.findings()).toEqual([
    {
      code: 'A41',
      says: 'The BGP session with 10.1.10.254 on inference (lan0) is not up: Active',
      instead: 'Look at the cable, and at address and AS numbers of the router',
    },
  ])
  expect(logged).toHaveLength(1)
  expect(changes).toBe(1)
})

it('tells of a declared prefix that nobody announces while a session is up', async () => {
  const of = watch()
  now = seen({ [neighbor]: 'Established', [other]: 'Active' })
  for (let looks = 0; looks < 3; looks++) await of.look(config)
  expect(of.findings().map(({ code, says }) => `${code} ${says}`)).toEqual([
    expect.stringMatching(/^A41 .*10\.1\.10\.253/),
    'A42 No router on inference (lan0) announces 10.5.0.0/16 or a part of it',
  ])
  expect(logged).toHaveLength(2)
})

it('says when all is well again, and asks nobody where no LAN speaks BGP', async () => {
  const of = watch()
  now = seen({ [neighbor]: 'Active' })
  await of.look(config)
  await of.look(config)
  now = seen({ [neighbor]: 'Established' }, [])
  await of.look(config)
  expect(of.findings()).toEqual([])
  expect(logged.at(-1)).toBe('routing: all routers of the LANs announce what is declared')
  now = undefined as never
  await of.look(configOf('berlin'))
  expect(of.findings()).toEqual([])
})

const { bgp: _, ...withoutBgp } = config
const area: SiteConfig = {
  ...withoutBgp,
  ospf: { segment: 'inference' as SegmentId, interface: 'lan0', area: address('0.0.0.0'), neighbors: [neighbor], hello: 10, dead: 40 },
}
const adjacency = (state: string, missing = [declared]): Learning => ({
  sessions: [{ protocol: 'ospf', segment: 'inference' as SegmentId, interface: 'lan0', neighbor, state, up: state === 'Full' }],
  missing,
})
it('tells of an OSPF neighbor in words of its own', async () => {
  const of = watch()
  now = adjacency('ExStart')
  await of.look(area)
  await of.look(area)
  expect(of.findings()).toEqual([
    {
      code: 'A41',
      says: '10.1.10.254 on inference (lan0) is no OSPF neighbor: ExStart',
      instead: 'Look at the cable, and at area, hello and dead interval of the router',
    },
  ])
})

it('knows when all that is declared was last heard by OSPF: with no neighbor missing, and no prefix', async () => {
  const of = watch()
  expect(of.heardAt()).toBe(null)
  const heard: (number | null)[] = []
  for (now of [adjacency('ExStart'), adjacency('Full'), adjacency('Full', []), adjacency('Full', []), adjacency('Init', [])]) {
    tick++
    await of.look(area)
    heard.push(of.heardAt())
  }
  expect(heard).toEqual([null, null, 3, 4, null])
})
