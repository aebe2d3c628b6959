import fc from 'fast-check'
import { expect, test } from 'vitest'
import { wavesOf } from '#workflows/waves.ts'

test('hubs alone, then a canary, then the rest', () => {
  expect(wavesOf(['dublin', 'frankfurt'], ['berlin', 'madrid', 'oslo']).map(({ kind, sites }) => `${kind}: ${sites.join(' ')}`)).toEqual([
    'hub: dublin',
    'hub: frankfurt',
    'canary: berlin',
    'edges: madrid',
    'edges: oslo',
  ])
})

test('edges that wait for a window come last, by window, and a hub keeps its place', () => {
  const windowOf = new Map([
    ['berlin', 'sun'],
    ['oslo', 'sun'],
    ['madrid', 'sat'],
    ['dublin', 'sun'],
  ])
  const told = (hubs: readonly string[], edges: readonly string[]) =>
    wavesOf(hubs, edges, windowOf).map(
      ({ kind, sites, held = [] }) => `${kind}: ${sites.join(' ')}${held.length > 0 ? `, held ${held.join(' ')}` : ''}`,
    )
  expect(told(['dublin', 'frankfurt'], ['berlin', 'madrid', 'oslo', 'rome'])).toEqual([
    'hub: dublin, held dublin',
    'hub: frankfurt',
    'canary: rome',
    'edges: berlin, held berlin',
    'edges: oslo, held oslo',
    'edges: madrid, held madrid',
  ])
  expect(told([], ['berlin', 'madrid', 'oslo'])).toEqual(['canary: berlin, held berlin', 'edges: oslo, held oslo', 'edges: madrid, held madrid'])
})

test('of a pair of gateways the second is confirmed before the first moves, and never both in one wave', () => {
  const told = (...edges: readonly string[]) => wavesOf([], edges).map(({ kind, sites }) => `${kind}: ${sites.join(' ')}`)
  expect(told('berlin', 'berlin.b', 'madrid', 'oslo')).toEqual(['canary: berlin.b', 'edges: madrid', 'edges: oslo', 'edges: berlin'])
  expect(told('berlin', 'berlin.b')).toEqual(['canary: berlin.b', 'edges: berlin'])
  // Alone in a change it moves as any other.
  expect(told('berlin', 'madrid')).toEqual(['canary: berlin', 'edges: madrid'])
  const many = Array.from({ length: 60 }, (_, n) => [`s${n}`, `s${n}.b`]).flat()
  for (const { sites } of wavesOf([], many)) for (const site of sites) expect(sites).not.toContain(`${site}.b`)
})

test('nobody moves when nothing moved', () => {
  expect(wavesOf([], [])).toEqual([])
})

test('everybody moves once, never two hubs at a time, never more than 50', () => {
  const ids = fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 400 })
  fc.assert(
    fc.property(ids, fc.nat({ max: 10 }), (all, hubCount) => {
      const [hubs, edges] = [all.slice(0, hubCount), all.slice(hubCount)]
      const waves = wavesOf(hubs, edges)
      expect(waves.flatMap(({ sites }) => sites)).toEqual(all)
      for (const { kind, sites } of waves) expect(sites.length).toBeLessThanOrEqual(kind === 'edges' ? 50 : 1)
      expect(waves.filter(({ kind }) => kind === 'canary')).toHaveLength(edges.length > 0 ? 1 : 0)
      expect(waves.every(({ sites }) => sites.length > 0)).toBe(true)
    }),
  )
})
