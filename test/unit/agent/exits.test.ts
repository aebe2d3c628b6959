import { describe, expect, test } from 'vitest'
import type { SiteConfig, UplinkId } from '#src/fabric/fabric.ts'
import type { ByTunnel } from '#src/agent/choices.ts'
import { leavingNow, sameLeaving } from '#src/agent/exits.ts'

const [fiber, lte, mpls] = ['fiber', 'lte', 'mpls'] as [UplinkId, UplinkId, UplinkId]
const config = { exits: [fiber, lte] } as unknown as SiteConfig
/** One path over each of the uplinks. */
const paths = (states: Readonly<Record<string, 'UP' | 'INIT' | 'DOWN'>>): ByTunnel =>
  new Map(Object.entries(states).map(([uplink, alive]) => [uplink, { tunnel: { uplink }, path: { alive } }])) as unknown as ByTunnel

describe('hosts leave to the internet', () => {
  test('over the first exit behind which a hub answers; what is open stays on each such exit', () => {
    expect(leavingNow(config, paths({ fiber: 'UP', lte: 'UP' }), null)).toEqual({ by: fiber, open: [fiber, lte] })
    expect(leavingNow(config, paths({ fiber: 'DOWN', lte: 'UP' }), null)).toEqual({ by: lte, open: [lte] })
    expect(leavingNow(config, paths({ fiber: 'INIT', lte: 'UP' }), null)).toEqual({ by: lte, open: [lte] })
  })
  test('not over an uplink that is no exit, however well it answers', () => {
    expect(leavingNow(config, paths({ mpls: 'UP', lte: 'UP', fiber: 'DOWN' }), null)).toEqual({ by: lte, open: [lte] })
  })
  test('as before when nobody answers: hubs that are gone say nothing about the internet', () => {
    const silent = paths({ fiber: 'DOWN', lte: 'DOWN' })
    expect(leavingNow(config, silent, { by: lte, open: [lte] })).toEqual({ by: lte, open: [lte] })
    expect(leavingNow(config, silent, null)).toEqual({ by: fiber, open: [fiber, lte] })
  })
  test('of what was said before, only what is still an exit counts', () => {
    const other = { exits: [lte] } as unknown as SiteConfig
    expect(leavingNow(other, paths({}), { by: fiber, open: [fiber] })).toEqual({ by: lte, open: [lte] })
    expect(leavingNow(config, paths({}), { by: mpls, open: [mpls, lte] })).toEqual({ by: fiber, open: [lte] })
  })
  test('nowhere when no LAN may', () => {
    expect(leavingNow({} as SiteConfig, paths({ fiber: 'UP' }), null)).toBeNull()
  })
  test('and the kernel is told again only of something new', () => {
    expect(sameLeaving({ by: fiber, open: [fiber] }, { by: fiber, open: [fiber] })).toBe(true)
    expect(sameLeaving({ by: fiber, open: [fiber] }, { by: fiber, open: [fiber, lte] })).toBe(false)
    expect(sameLeaving(null, { by: fiber, open: [fiber] })).toBe(false)
    expect(sameLeaving(null, null)).toBe(true)
  })
})
