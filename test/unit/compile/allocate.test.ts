import { describe, expect, test } from 'vitest'
import { allocate, ulaOf } from '#src/compile/allocate.ts'
import { externalPaths } from '#src/compile/externals.ts'
import { compile } from '#src/compile/compile.ts'
import { paths } from '#src/compile/paths.ts'
import type { Allocation } from '#src/fabric/fabric.ts'
import type { Intent } from '#src/intent/intent.ts'
import { berlin, dublin, edge, frankfurt, madrid, network, oslo, segmentId, site, fixed, siteId, trafficClass, uplink, uplinkId } from './networks.ts'

const allocated = (intent: Intent, held: readonly Allocation[] = []) => allocate(intent, paths(intent, []), externalPaths(intent), held)
const values = (claims: readonly Allocation[], kind: Allocation['kind'], scope = '') =>
  Object.fromEntries(claims.filter((one) => one.kind === kind && one.owner.startsWith(scope)).map((one) => [one.owner, one.value]))

describe('a new network', () => {
  const { claims, numbers } = allocated(network())
  test('numbers sites, uplinks, segments and classes by name, and class default is 0', () => {
    expect(values(claims, 'node')).toEqual({ berlin: 0, dublin: 1, frankfurt: 2, madrid: 3, oslo: 4 })
    expect(values(claims, 'slot', 'berlin/')).toEqual({ 'berlin/fiber': 0, 'berlin/lte': 1 })
    expect(values(claims, 'segment')).toEqual({ cameras: 0, inference: 1, training: 2 })
    expect(values(claims, 'class')).toEqual({ default: 0, bulk: 1, business: 2, realtime: 3 })
  })
  test('gives mesh interfaces even ports from 52000 and edge interfaces from 53000, at each site anew', () => {
    expect(values(claims, 'port', 'dublin/')).toEqual({
      'dublin/mesh:isp-a/frankfurt.isp-a': 52000,
      'dublin/mesh:isp-a/frankfurt.isp-b': 52002,
      'dublin/mesh:isp-b/frankfurt.isp-a': 52004,
      'dublin/mesh:isp-b/frankfurt.isp-b': 52006,
    })
    expect(Object.values(values(claims, 'port', 'oslo/'))).toEqual([53000, 53002, 53004, 53006, 53008, 53010, 53012, 53014])
  })
  test('derives its /48 from its name, in fd00::/8', () => {
    expect(numbers.ula).toBe(ulaOf('demo'))
    expect(numbers.ula).toMatch(/^fd[0-9a-f:]+::\/48$/)
    expect(ulaOf('demo')).not.toBe(ulaOf('acme'))
  })
})

describe('with what is held', () => {
  const held = allocated(network()).claims
  test('nothing is claimed twice', () => expect(allocated(network(), held).claims).toEqual([]))

  test('a site that comes renumbers nobody', () => {
    const athens = edge('athens', { inference: ['10.1.13.0/24'] })
    const { claims, numbers } = allocated(network({ sites: [...network().sites, athens] }), held)
    expect(values(claims, 'node')).toEqual({ athens: 5 })
    expect(claims.every((one) => one.owner.startsWith('athens'))).toBe(true)
    expect(numbers.node(siteId('berlin'))).toBe(0)
  })

  test('the number of a site that left is kept for it, and given away only once it is released', () => {
    const athens = edge('athens', { inference: ['10.1.13.0/24'] })
    const changed = network({ sites: [athens, dublin, frankfurt, madrid, oslo] })
    expect(values(allocated(changed, held).claims, 'node')).toEqual({ athens: 5 })
    const released = held.filter((one) => !one.owner.startsWith('berlin'))
    expect(values(allocated(changed, released).claims, 'node')).toEqual({ athens: 0 })
    expect(values(allocated(network(), held).claims, 'node')).toEqual({})
  })

  test('a stored /48 stays although the name would give another', () => {
    const stored: Allocation = { kind: 'ula', owner: network().network, value: ulaOf('older-name') }
    expect(allocated(network(), [stored]).numbers.ula).toBe(ulaOf('older-name'))
  })

  test('numbers of a removed uplink are not given to its successor', () => {
    const renamed = edge('berlin', { inference: ['10.1.10.0/24'] }, { uplinks: [uplink('fiber-2'), uplink('lte')] })
    expect(allocated(network({ sites: [renamed, dublin, frankfurt] }), held).numbers.slot(siteId('berlin'), uplinkId('fiber-2'))).toBe(2)
  })
})

describe('what does not fit is refused', () => {
  const codes = (intent: Intent, held: readonly Allocation[] = []) => {
    const { fabric, claims, findings } = compile(intent, held)
    expect(fabric).toBeNull()
    expect(claims).toEqual([])
    return findings.map(({ code, at, says }) => [code, at[0], says])
  }
  test('I120: a ninth uplink, counting those that were removed', () => {
    const held: Allocation[] = Array.from({ length: 7 }, (_, value) => ({ kind: 'slot', owner: `berlin/old-${value}`, value }))
    expect(codes(network({ sites: [berlin, dublin, frankfurt] }), held)).toEqual([
      ['I120', 'site/berlin/uplink/lte', 'berlin/lte is the ninth uplink of its site'],
    ])
  })
  test('I121: more mesh tunnels than ports', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']
    const eight = (at: number) => Array.from({ length: 8 }, (_, i) => fixed(`w${i}`, `192.0.${at}.${10 + i}/24`, `192.0.${at}.1`))
    const sites = names.map((name, i) => site(name, 'core', eight(i), { inference: [`10.${i}.0.0/16`] }))
    const found = codes(network({ hubs: names.map(siteId), sites, expect: [] }))
    expect(found).toHaveLength(9)
    expect(found[0]).toEqual(['I121', 'site/a', 'a has 12 tunnels more than ports'])
  })
  test('I122: more than 64 classes', () => {
    const classes = ['default', ...Array.from({ length: 64 }, (_, i) => `c${String(i).padStart(2, '0')}`)].map((id) => trafficClass(id))
    expect(codes(network({ classes, services: [], allow: [], expect: [] }))).toEqual([['I122', 'class/c63', 'class "c63" is one too many']])
  })
  test('I123: more than 4096 segments', () => {
    const held: Allocation[] = Array.from({ length: 4094 }, (_, value) => ({ kind: 'segment', owner: segmentId(`old-${value}`), value }))
    expect(codes(network(), held)).toEqual([['I123', 'segment/training', 'segment "training" is one too many']])
  })
})
