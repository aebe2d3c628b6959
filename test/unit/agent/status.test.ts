import { describe, expect, test } from 'vitest'
import { judge, proven, renderStatus, type Status } from '#src/agent/status.ts'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { configOf } from './networks.ts'

const berlin = configOf('berlin')
const hub = { ...configOf('frankfurt') } as SiteConfig
const path = (tunnel: string, state: 'INIT' | 'UP' | 'DEGRADED' | 'DOWN', classes: string[] = []) => ({
  tunnel,
  state,
  since: '2026-11-23T10:00:00.000Z',
  rttMs: 21.4,
  jitterMs: 1,
  loss: 0,
  classes,
})
const all = [path('berlin.fiber--frankfurt.isp-a', 'UP', ['business', 'default']), path('berlin.lte--frankfurt.isp-a', 'UP')]
const cut = [path('berlin.fiber--frankfurt.isp-a', 'DOWN'), path('berlin.lte--frankfurt.isp-a', 'UP')]

describe('the light', () => {
  test.each([
    ['no bundle', null, [], false, 'RED', 'nothing runs yet: waiting for the first bundle'],
    ['an edge whose hubs are not there', berlin, [], false, 'RED', 'waiting for the hubs'],
    ['a hub alone', hub, [], false, 'GREEN', 'ready, no other site is connected yet'],
    ['all up', berlin, all, false, 'GREEN', 'all 2 paths are up'],
    ['all up where there is one', berlin, all.slice(0, 1), false, 'GREEN', 'its path is up'],
    ['all up where there is one', berlin, all.slice(0, 1), false, 'GREEN', 'its path is up'],
    ['one down', berlin, cut, false, 'YELLOW', 'carries traffic over 1 of 2 paths'],
    ['all down', berlin, all.map((one) => ({ ...one, state: 'DOWN' as const })), false, 'RED', 'no path is up'],
    ['headless', berlin, all, true, 'YELLOW', 'carries traffic; the controller is away'],
  ] as const)('%s', (_, config, paths, headless, light, says) => {
    expect(judge(config, paths as never, { headless, drains: false, standsBy: false }, [])).toEqual({ light, says })
  })
})

test('a site that drains is not green, and says until when', () => {
  const drained = { ...berlin, drainUntil: '2026-11-23T12:00:00.000Z' }
  expect(judge(drained, all as never, { headless: false, drains: true, standsBy: false }, [])).toEqual({
    light: 'YELLOW',
    says: 'drains until 2026-11-23T12:00:00.000Z: peers send through it last',
  })
})

test('the screen says what is wrong and what still works', () => {
  const status: Status = {
    v: 1,
    at: '',
    pid: 1,
    network: 'acme',
    site: 'berlin',
    confirmationCode: 'K7-PINE-42',
    light: 'YELLOW',
    says: 'carries traffic over 1 of 2 paths',
    state: {
      v: 1,
      commit: { state: 'rolled-back', triple: { term: 1, generation: 43, revision: 0 }, code: 'A32', why: 'No permit before the deadline' },
      confirmed: { term: 1, generation: 42, revision: 3 },
      previous: null,
      attempts: 3,
    },
    headlessSince: '2026-11-23T10:00:00.000Z',
    uplinks: [{ uplink: 'fiber', interface: 'eth0', up: 0, of: 1 }],
    paths: cut,
    waiting: ['berlin.fiber--dublin.isp-a'],
    findings: [{ code: 'A09', says: 'lte gets no reply', instead: '' }],
  }
  expect(renderStatus(status, true)).toBe(`YELLOW  site berlin of acme: carries traffic over 1 of 2 paths
  bundle      1/42/3 confirmed
  last change 1/43/0 rolled-back: No permit before the deadline [A32]
  controller  away since 2026-11-23T10:00:00.000Z
  fiber       eth0, 0 of 1 tunnel up
    berlin.fiber--frankfurt.isp-a          DOWN      21.4 ms
    berlin.lte--frankfurt.isp-a            UP        21.4 ms
    berlin.fiber--dublin.isp-a             waits for the other end
  ! [A09] lte gets no reply.
  confirmation code K7-PINE-42
`)
  expect(renderStatus(status, false)).toMatch(/^RED {2}site berlin of acme: the agent is not running; what was set up keeps working/)
})

test('what was proven names the fastest path over each uplink', () => {
  const of = (tunnel: string, rttMs: number | null) => ({ ...path(tunnel, 'UP'), rttMs })
  const paths = [
    of('berlin.fiber--frankfurt.isp-a', 34.2),
    of('berlin.fiber--frankfurt.isp-b', 30),
    of('berlin.lte--frankfurt.isp-a', 71),
    of('berlin.fiber--dublin.isp-a', 41),
  ]
  expect(proven(paths)).toBe('frankfurt answers in 30 ms over fiber, 71 ms over lte; dublin answers in 41 ms over fiber')
  expect(proven([of('berlin.fiber--frankfurt.isp-a', null)])).toBe('')
})
