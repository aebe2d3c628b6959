/** What a hub does with a site of two gateways: which of them it sends to, by what they say of themselves. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createChooser } from '#src/agent/choices.ts'
import { createProbed, type ProbedPath } from '#src/agent/paths.ts'
import { compile } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import type { SiteId, TunnelId } from '#src/fabric/fabric.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { noTunnel } from '#src/wire/stamp.ts'

const folder = resolve('test/cases/pair')
const { intent } = parseIntent(
  readdirSync(folder)
    .filter((path) => path.endsWith('.yaml'))
    .map((path) => ({ path, text: readFileSync(join(folder, path), 'utf8') })),
)
const fabric = compile(intent!, []).fabric!
const facts = fabric.sites.flatMap((site) =>
  site.interfaces.map((one) => ({ kind: 'key', site: site.id, interface: one.id, linkEpoch: 0, publicKey: 'x'.repeat(44) }) as const),
)
const config = configure(fabric, facts, 'frankfurt' as SiteId)
const [fiber, lte, cable] = ['berlin.fiber', 'berlin.lte', 'berlin.b.cable'].map((uplink) => `${uplink}--frankfurt.isp-a` as TunnelId) as [
  TunnelId,
  TunnelId,
  TunnelId,
]

function hub() {
  const chooser = createChooser()
  const byTunnel = new Map<TunnelId, ProbedPath>(config.tunnels.map((tunnel) => [tunnel.id, createProbed(tunnel, config, 0, () => 0)]))
  const paths = (id: string) => [...byTunnel].filter(([tunnel]) => tunnel.startsWith(`${id}.`) && !(id === 'berlin' && tunnel === cable))
  for (const { path } of byTunnel.values()) Object.assign(path, { alive: 'UP', remoteState: 'UP', rttMs: 10, upSince: 0 })
  return {
    chooser,
    standsBy: (id: string, does: boolean) => paths(id).forEach(([, { path }]) => (path.remoteDraining = does)),
    set: (id: string, alive: 'UP' | 'DOWN') => paths(id).forEach(([, { path }]) => (path.alive = alive)),
    to(now: number): TunnelId | undefined {
      chooser.decide(config, byTunnel, now)
      return chooser.chosen(config).find(({ group }) => group.remote === 'berlin' && group.trafficClass === 'default' && group.arrived === 'anywhere')
        ?.tunnel
    },
    view: (id: string) => chooser.views(config, byTunnel).get(id as SiteId)!,
  }
}

describe('a hub', () => {
  test('sends to the gateway that does not stand by, whichever it is', () => {
    const { to, standsBy } = hub()
    standsBy('berlin.b', true)
    expect(to(0)).toBe(fiber)
    standsBy('berlin', true)
    standsBy('berlin.b', false)
    expect(to(100)).toBe(cable)
    standsBy('berlin', false)
    standsBy('berlin.b', true)
    expect(to(200)).toBe(fiber)
  })
  test('follows the one that carries, and tells it alone what it uses', () => {
    const { to, standsBy, chooser, view } = hub()
    const index = (id: TunnelId) => config.tunnels.find((one) => one.id === id)!.index
    const told = (id: TunnelId) => config.classes.map(() => index(id))
    standsBy('berlin.b', true)
    chooser.heard('berlin' as SiteId, told(lte), 1)
    chooser.heard('berlin.b' as SiteId, told(cable), 1)
    expect(to(0)).toBe(lte)
    expect(view('berlin')).toContain(index(lte))
    expect(new Set(view('berlin.b'))).toEqual(new Set([noTunnel]))
    standsBy('berlin', true)
    standsBy('berlin.b', false)
    expect(to(100)).toBe(cable)
    expect(view('berlin.b')).toContain(index(cable))
  })
  test('waits for the second to take over when the first falls silent, for until then it carries nothing', () => {
    const { to, standsBy, set } = hub()
    standsBy('berlin.b', true)
    expect(to(0)).toBe(fiber)
    set('berlin', 'DOWN')
    // The other hub may reach it.
    expect(to(100)).toBe('dublin.isp-a--frankfurt.isp-a')
    set('dublin', 'DOWN')
    expect(to(200)).toBe('dublin.isp-a--frankfurt.isp-a')
    standsBy('berlin.b', false)
    expect(to(700)).toBe(cable)
  })
  test('sends to the second after a while all the same: nobody is ever taken out', () => {
    const { to, standsBy, set } = hub()
    standsBy('berlin.b', true)
    expect(to(0)).toBe(fiber)
    set('berlin', 'DOWN')
    set('dublin', 'DOWN')
    expect(to(100)).toBe(fiber)
    expect(to(5_200)).toBe(cable)
  })
  test('whose peer drains without a second gateway stays with it', () => {
    const { chooser, standsBy, to } = hub()
    standsBy('oslo', true)
    to(0)
    expect(chooser.chosen(config).find(({ group }) => group.remote === 'oslo')?.tunnel).toBe('oslo.fiber--frankfurt.isp-a')
  })
})
