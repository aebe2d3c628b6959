import { describe, expect, test } from 'vitest'
import type { SiteId } from '#src/fabric/fabric.ts'
import { drainLosses } from '#src/verify/drain.ts'
import { cloudDemo, demo } from './demo.ts'

const [frankfurt, dublin, berlin] = ['frankfurt', 'dublin', 'berlin'] as SiteId[] as [SiteId, SiteId, SiteId]

describe('taking a site out of service', () => {
  test('costs nothing where another hub carries it all', () => {
    const { fabric } = demo()
    expect(drainLosses(fabric, frankfurt, [])).toEqual([])
    expect(drainLosses(fabric, dublin, [])).toEqual([])
  })
  test('of an edge costs only what ends there', () => {
    expect(drainLosses(demo().fabric, berlin, [])).toEqual([])
  })
  test('of the last hub that is there names who has no other, and what they lose', () => {
    expect(drainLosses(demo().fabric, frankfurt, [dublin])).toEqual([
      'every way of berlin, madrid, oslo',
      'model-api from berlin, madrid, oslo',
      'stream from berlin, madrid, oslo',
    ])
  })
  test('does not count what was lost before', () => {
    const { fabric } = demo()
    expect(drainLosses(fabric, berlin, [frankfurt, dublin])).toEqual([])
  })
  test('counts regions among those who need a hub', () => {
    const { fabric } = cloudDemo()
    expect(drainLosses(fabric, frankfurt, [])).toEqual([])
    expect(drainLosses(fabric, frankfurt, [dublin])[0]).toMatch(/^every way of aws-eu-west-1, berlin/)
  })
  test('has a name for each place whose only answer is there', () => {
    const { fabric } = demo(['expect:\n', 'expect:\n  - { reach: edge/inference -> frankfurt/inference, survives: uplink }\n'])
    expect(drainLosses(fabric, frankfurt, [])).toEqual(['frankfurt/inference from berlin, madrid, oslo'])
    expect(drainLosses(fabric, dublin, [])).toEqual([])
  })
})
