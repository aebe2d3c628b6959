/** What must be proved before an uplink is cut, case by case: who moves where, over what, and whether it fits. */
import { expect, test } from 'vitest'
import type { PathRow } from '#src/controller/store/paths.ts'
import { smallFabric } from '#test/unit/agent/networks.ts'
import { dualFabric } from '#test/unit/compile/networks.ts'
import { Refused } from '#workflows/activities/context.ts'
import { judge, type Judged } from '#workflows/activities/gate.ts'

const fabric = smallFabric()
const berlin = fabric.sites.find(({ id }) => id === 'berlin')!
const frankfurt = fabric.sites.find(({ id }) => id === 'frankfurt')!
const name = (line: string, far = 'isp-a') => `berlin.${line}--frankfurt.${far}`
const M = 1_000_000

/** Fiber to isp-a carries business; everything is UP at both ends and nearly idle. */
function path(tunnel: string, more: Partial<PathRow> = {}): PathRow {
  const carries = tunnel === name('fiber') ? ['business'] : []
  return {
    tunnel,
    site: 'berlin',
    state: 'UP',
    since: new Date(0),
    rtt_ms: 20,
    loss: 0,
    jitter_ms: 1,
    active_classes: carries,
    handshake_at: null,
    breaches: [],
    uses: carries.length > 0 ? [{ remote: 'frankfurt', classes: carries }] : [],
    load_up: carries.length > 0 ? 6 * M : 0,
    load_down: carries.length > 0 ? 20 * M : 0,
    at: new Date(0),
    ...more,
  }
}
const tunnels = ['fiber', 'lte'].flatMap((line) => ['isp-a', 'isp-b'].map((far) => name(line, far)))
const asked = (more: { readonly [tunnel: string]: Partial<PathRow> } = {}, rest: Partial<Judged> = {}): Judged => ({
  fabric,
  site: berlin,
  uplink: 'fiber',
  paths: tunnels.flatMap((tunnel) => [path(tunnel, more[tunnel]), path(tunnel, { site: 'frankfurt', ...more[`${tunnel} far`] })]),
  sites: [
    { id: 'berlin', state: 'ACTIVE' },
    { id: 'frankfurt', state: 'ACTIVE' },
  ],
  ...rest,
})
const refusal = (of: Judged) => {
  try {
    judge(of)
  } catch (error) {
    if (error instanceof Refused) return error.findings[0]
    throw error
  }
  throw new Error('it was not refused')
}

test('what uses the uplink moves to the first sound way over another, whose line has room', () => {
  expect(judge(asked())).toEqual({
    moves: [{ trafficClass: 'business', remote: 'frankfurt', from: name('fiber'), to: name('lte') }],
    capacity: [
      { uplink: 'lte', direction: 'up', line: 10 * M, present: 0, reserved: 0, needs: 6 * M },
      { uplink: 'lte', direction: 'down', line: 50 * M, present: 0, reserved: 0, needs: 20 * M },
    ],
  })
})

test('an uplink that nothing uses moves nothing', () => {
  expect(judge(asked({}, { uplink: 'lte' }))).toEqual({ moves: [], capacity: [] })
})

test('an agent that does not tell remotes is taken by its classes', () => {
  expect(judge(asked({ [name('fiber')]: { uses: null } })).moves).toMatchObject([{ trafficClass: 'business', from: name('fiber') }])
  // One that does is taken by its word alone.
  expect(judge(asked({ [name('fiber')]: { uses: [] } })).moves).toEqual([])
})

test('groups that only transit uses are nobody’s own traffic', () => {
  const site = { ...berlin, groups: berlin.groups.map((group) => ({ ...group, arrived: 'mesh' as const })) }
  expect(judge(asked({}, { site })).moves).toEqual([])
})

const both = (more: Partial<PathRow>, far = '') => Object.fromEntries(['isp-a', 'isp-b'].map((hub) => [`${name('lte', hub)}${far}`, more]))
const outage = 'class business has no other way to frankfurt that is UP: the drill would be an outage'
test.each([
  ['a standby that is DOWN', asked(both({ state: 'DOWN' })), `${name('lte')} is DOWN, ${name('lte', 'isp-b')} is DOWN`],
  [
    'a standby that is DEGRADED for the class',
    asked(both({ state: 'DEGRADED', breaches: ['business'] })),
    `${name('lte')} is DEGRADED, ${name('lte', 'isp-b')} is DEGRADED`,
  ],
  [
    'a standby that the far end does not see',
    asked(both({ state: 'DOWN' }, ' far')),
    `${name('lte')} is DOWN at frankfurt, ${name('lte', 'isp-b')} is DOWN at frankfurt`,
  ],
  [
    'a standby that nobody reports',
    asked({}, { paths: asked().paths.filter(({ tunnel }) => tunnel.includes('fiber')) }),
    `${name('lte')} is not reported, ${name('lte', 'isp-b')} is not reported`,
  ],
  [
    'a standby whose far end is about to leave',
    asked({}, { sites: [{ id: 'frankfurt', state: 'DRAINING' }] }),
    `${name('lte')} is UP, but frankfurt is DRAINING, ${name('lte', 'isp-b')} is UP, but frankfurt is DRAINING`,
  ],
  [
    'a class that may take no other uplink',
    asked({}, { site: { ...berlin, groups: berlin.groups.map((of) => ({ ...of, via: of.via.filter(({ tunnel }) => tunnel.includes('fiber')) })) } }),
    'it may take no other uplink',
  ],
])('%s is refused', (_, of, why) => {
  expect(refusal(of)).toMatchObject({ code: 'C112', says: outage, instead: `${why}; see causeway path list berlin` })
})

test('one way that is unsound leaves the next', () => {
  expect(judge(asked({ [name('lte')]: { state: 'DEGRADED', breaches: ['business'] } })).moves).toMatchObject([{ to: name('lte', 'isp-b') }])
  // DEGRADED for others is good for this one, unless its agent does not tell for whom.
  expect(judge(asked({ [name('lte')]: { state: 'DEGRADED', breaches: ['realtime'] } })).moves).toMatchObject([{ to: name('lte') }])
  expect(judge(asked({ [name('lte')]: { state: 'DEGRADED', breaches: null } })).moves).toMatchObject([{ to: name('lte', 'isp-b') }])
})

test.each([
  [
    'load that the standby’s line can’t take',
    asked({ [name('fiber')]: { load_up: 12.5 * M } }),
    'lte has 10 Mbit/s up, of which 0 Mbit/s are in use, and 12.5 Mbit/s would move to it: 2.5 Mbit/s are short',
  ],
  [
    'a standby that is in use itself',
    asked({ [name('lte', 'isp-b')]: { load_up: 5 * M } }),
    'lte has 10 Mbit/s up, of which 5 Mbit/s are in use, and 6 Mbit/s would move to it: 1 Mbit/s are short',
  ],
  [
    'the other direction',
    asked({ [name('fiber')]: { load_down: 60 * M } }),
    'lte has 50 Mbit/s down, of which 0 Mbit/s are in use, and 60 Mbit/s would move to it: 10 Mbit/s are short',
  ],
  [
    'what is guaranteed to a class on the standby, idle as it is',
    asked({ [name('lte', 'isp-b')]: { active_classes: ['realtime', 'default'] } }),
    'lte has 10 Mbit/s up, of which 5 Mbit/s are guaranteed to realtime, default, and 6 Mbit/s would move to it: 1 Mbit/s are short',
  ],
  [
    'a load that is not told',
    asked({ [name('fiber')]: { load_up: null } }),
    `berlin does not tell the load of ${name('fiber')}, so nobody knows whether another line can take it`,
  ],
])('%s is refused, with the number that is short', (_, of, says) => {
  expect(refusal(of)).toMatchObject({ code: 'C112', says })
})

test('a site guarantees its own shares', () => {
  const realtime = fabric.classes.find(({ id }) => id === 'realtime')!
  const used = { [name('lte', 'isp-b')]: { active_classes: ['realtime', 'default'] } }
  const site = { ...berlin, classes: [{ id: realtime.id, sla: realtime.sla, share: 0 }] }
  expect(judge(asked(used, { site })).capacity).toMatchObject([{ direction: 'up' }, { direction: 'down' }])
})

test('a line whose rate is not stated is not counted', () => {
  const site = { ...frankfurt, uplinks: frankfurt.uplinks.map((uplink) => ({ ...uplink, up: 0, down: 0 })) }
  const paths = asked().paths.map((each) =>
    each.site === 'frankfurt' && each.tunnel === name('fiber')
      ? { ...each, uses: [{ remote: 'berlin', classes: ['business'] }], load_up: null, load_down: null }
      : { ...each, uses: [] },
  )
  expect(judge(asked({}, { site, uplink: 'isp-a', paths }))).toMatchObject({ moves: [{ remote: 'berlin' }], capacity: [] })
})

test('an uplink that is not there is refused by name', () => {
  expect(refusal(asked({}, { uplink: 'fibre' }))).toMatchObject({ code: 'C110', says: 'berlin has no uplink "fibre"', instead: 'it has fiber, lte' })
})

test('what goes to a region with both families moves in each by itself', () => {
  const both = dualFabric()
  const site = both.sites.find(({ id }) => id === 'frankfurt')!
  const connection = (line: string, family: string) => `frankfurt.${line}${family}--aws-eu-west-1.0`
  const used = (line: string, families: readonly (4 | 6)[]): Partial<PathRow> => ({
    site: 'frankfurt',
    uses: families.map((family) => ({ remote: 'aws-eu-west-1', family, classes: ['default'] })),
  })
  const paths = ['isp-a', 'isp-b'].flatMap((line) => [
    path(connection(line, ''), used(line, line === 'isp-a' ? [4] : [])),
    path(connection(line, ':v6'), used(line, line === 'isp-a' ? [6] : [])),
  ])
  const of = { fabric: both, site, uplink: 'isp-a', paths, sites: [{ id: 'frankfurt', state: 'ACTIVE' }] } as const
  expect(judge(of).moves).toEqual([
    { trafficClass: 'default', remote: 'aws-eu-west-1', family: 4, from: connection('isp-a', ''), to: connection('isp-b', '') },
    { trafficClass: 'default', remote: 'aws-eu-west-1', family: 6, from: connection('isp-a', ':v6'), to: connection('isp-b', ':v6') },
  ])
  const down = paths.map((one) => (one.tunnel === connection('isp-b', ':v6') ? { ...one, state: 'DOWN' as const } : one))
  expect(refusal({ ...of, paths: down })?.says).toBe(
    'class default has no other way to aws-eu-west-1 over IPv6 that is UP: the drill would be an outage',
  )
})
