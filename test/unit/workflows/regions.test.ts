import { describe, expect, test } from 'vitest'
import { needsOf, type OrderedStep } from '#workflows/cloud-order.ts'
import { nextRegionState, regionStates } from '#workflows/region-lifecycle.ts'
import { askAgainIn, carries, downConnections, type ConnectionView, witnessed } from '#workflows/return-routes.ts'

test('a region that is taken down can only be retired or fail, and only a generation brings it back', () => {
  expect(regionStates.map((state) => `${state} ${nextRegionState(state, 'deleting') ?? '-'}`)).toEqual([
    'DECLARED DELETING',
    'CREATING DELETING',
    'ACTIVE DELETING',
    'CHANGING DELETING',
    'FAILED DELETING',
    'DELETING DELETING',
    'RETIRED -',
  ])
  expect(nextRegionState('DELETING', 'carrying')).toBeNull()
  expect(nextRegionState('DELETING', 'creating')).toBeNull()
  expect(nextRegionState('RETIRED', 'creating')).toBeNull()
  expect(nextRegionState('RETIRED', 'declared')).toBe('DECLARED')
  expect(nextRegionState('ACTIVE', 'failed')).toBeNull()
})

describe('what waits for what', () => {
  const make = (id: string, ...after: string[]): OrderedStep => ({ kind: 'create', id, type: id, after })
  const remove = (id: string, type: string): OrderedStep => ({ kind: 'delete', id, type, after: [] })

  test('creations wait for what they name, as far as it is made in the same plan', () => {
    expect(needsOf([make('gateway'), make('a', 'gateway'), make('b', 'gateway', 'elsewhere'), make('route', 'a', 'b')])).toEqual([
      [],
      [0],
      [0],
      [1, 2],
    ])
  })
  test('deletions go type by type', () => {
    expect(needsOf([remove('r1', 'route'), remove('r2', 'route'), remove('c', 'connection'), remove('g', 'gateway')])).toEqual([[], [], [0, 1], [2]])
  })
  test('what is replaced is gone first, and what is wanted no more goes last', () => {
    expect(needsOf([remove('old', 'connection'), make('new'), make('route', 'new'), remove('left', 'gateway')])).toEqual([[], [0], [0, 1], [1, 2]])
  })
})

describe('return traffic', () => {
  const of = (id: string, up: number, down: number): ConnectionView => ({ id, hub: 'frankfurt', up, down, members: 2 })

  test('leaves a connection at once when both tunnels are DOWN, not for one of them or for a report that is missing', () => {
    expect(downConnections([of('a', 0, 2), of('b', 1, 1), of('c', 0, 1)], [], new Map(), 0, 100)).toEqual({ down: ['a'], next: null })
  })
  test('comes back only after an unbroken hold', () => {
    const healed = new Map<string, number>()
    expect(downConnections([of('a', 1, 1)], ['a'], healed, 1_000, 100)).toEqual({ down: ['a'], next: 1_100 })
    expect(downConnections([of('a', 0, 2)], ['a'], healed, 1_050, 100)).toEqual({ down: ['a'], next: null })
    expect(downConnections([of('a', 2, 0)], ['a'], healed, 1_090, 100)).toEqual({ down: ['a'], next: 1_190 })
    expect(downConnections([of('a', 2, 0)], ['a'], healed, 1_190, 100)).toEqual({ down: [], next: null })
  })
  test('stays with a hub that is drained while none of the others carries its family', () => {
    const drained: ConnectionView = { ...of('six', 2, 0), family: 6, draining: true }
    const fours = [
      { ...of('a', 2, 0), family: 4 as const, draining: true },
      { ...of('b', 2, 0), family: 4 as const },
    ]
    expect(downConnections([drained, ...fours], [], new Map(), 0, 100).down).toEqual(['a'])
    expect(downConnections([drained, { ...of('other', 0, 2), family: 6 }, ...fours], [], new Map(), 0, 100).down).toEqual(['a', 'other'])
    expect(downConnections([drained, { ...of('other', 2, 0), family: 6 }, ...fours], [], new Map(), 0, 100).down).toEqual(['a', 'six'])
  })
  test('leaves a hub that is drained as long as there is another, and comes back to it after a hold', () => {
    const drained = (id: string, up: number, down: number): ConnectionView => ({ ...of(id, up, down), draining: true })
    const healed = new Map<string, number>()
    expect(downConnections([drained('a', 2, 0), of('b', 2, 0)], [], healed, 0, 100)).toEqual({ down: ['a'], next: null })
    expect(downConnections([drained('a', 2, 0), of('b', 2, 0)], ['a'], healed, 1_000, 100)).toEqual({ down: ['a'], next: null })
    expect(downConnections([drained('a', 2, 0), of('b', 0, 2)], ['a'], healed, 1_010, 100)).toEqual({ down: ['b'], next: null })
    expect(downConnections([drained('a', 2, 0), drained('b', 2, 0)], [], healed, 1_020, 100)).toEqual({ down: [], next: null })
    expect(downConnections([of('a', 2, 0), of('b', 2, 0)], ['a'], healed, 2_000, 100)).toEqual({ down: ['a'], next: 2_100 })
    expect(downConnections([of('a', 2, 0), of('b', 2, 0)], ['a'], healed, 2_100, 100)).toEqual({ down: [], next: null })
  })
  test('a hub that tells nothing changes nothing', () => {
    expect(downConnections([of('a', 0, 0), of('b', 0, 0)], ['b'], new Map(), 0, 100).down).toEqual(['b'])
  })
  test('what a silent hub last said gives way to the word of the cloud, and until that is given to nothing', () => {
    const said = [of('a', 2, 0), of('b', 2, 0), { ...of('c', 2, 0), hub: 'dublin' }]
    expect(witnessed(said, [], [{ id: 'a', up: 0, down: 2 }])).toEqual(said)
    expect(witnessed(said, ['frankfurt'], [{ id: 'a', up: 0, down: 2 }])).toEqual([of('a', 0, 2), of('b', 0, 0), said[2]])
  })
  test('the cloud is asked often while its dead peer detection may still run, then seldom', () => {
    expect([1, 11, 12, 500].map((asked) => askAgainIn(asked, 10_000))).toEqual([10_000, 10_000, 60_000, 60_000])
  })
  test('a region is whole with every tunnel, dark without any', () => {
    expect([carries([of('a', 2, 0), of('b', 2, 0)]), carries([of('a', 2, 0), of('b', 0, 2)]), carries([of('a', 0, 0)]), carries([])]).toEqual([
      'whole',
      'part',
      'dark',
      'dark',
    ])
  })
})
