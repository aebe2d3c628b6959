import { describe, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import type { Fabric, SiteId } from '#src/fabric/fabric.ts'
import { siteHash, siteOf, siteSlice, tunnelsOf } from '#src/fabric/slice.ts'
import type { Intent } from '#src/intent/intent.ts'
import {
  allow,
  berlin,
  dublin,
  fixed,
  frankfurt,
  isolate,
  madrid,
  network,
  oslo,
  reach,
  segmentId,
  site,
  siteId,
  uplink,
} from '../compile/networks.ts'

const held = compile(network(), []).claims
const fabricOf = (more: Partial<Intent> = {}): Fabric => compile(network({ expect: [], ...more }), held).fabric!
const base = fabricOf()
const moved = (more: Partial<Intent>): SiteId[] => {
  const after = fabricOf(more)
  return base.sites.map((one) => one.id).filter((id) => siteHash(after, id) !== siteHash(base, id))
}

test('a site’s tunnels and their far ends', () => {
  expect(tunnelsOf(base, siteId('berlin')).map(({ end }) => end)).toEqual(Array.from({ length: 8 }, () => 0))
  expect(siteOf(base, siteId('nowhere'))).toBeUndefined()
  const [peer] = siteSlice(base, siteId('dublin')).peers
  expect(peer).toMatchObject({
    end: 1,
    farPort: 53000,
    farEndpoint: { kind: 'dynamic' },
    farMetered: false,
    farPrefixes: ['10.1.10.0/24', '192.168.1.0/24'],
  })
})

describe('the hash of a site moves exactly when its config can', () => {
  const at = (changed: typeof berlin) => ({ sites: [berlin, dublin, frankfurt, madrid, oslo].map((one) => (one.id === changed.id ? changed : one)) })
  test.each<[string, Partial<Intent>, string[]]>([
    ['expectations are the verifier’s', { expect: [reach('edge/inference -> model-api'), isolate('cameras -> training')] }, []],
    ['a place and labels are for people', at({ ...berlin, place: 'Köln', labels: ['west'] }), []],
    [
      'an edge’s line: its own, and the hubs’ for `metered`',
      at({ ...madrid, uplinks: [uplink('fiber'), uplink('lte', { metered: false })] }),
      ['dublin', 'frankfurt', 'madrid'],
    ],
    ['an edge’s rate is its own', at({ ...madrid, uplinks: [uplink('fiber', { down: 5 }), uplink('lte')] }), ['madrid']],
    [
      'a hub’s address: everybody who dials it',
      at(site('dublin', 'core', [fixed('isp-a', '192.0.2.27/28', '192.0.2.17'), dublin.uplinks[1]!], { inference: ['10.11.0.0/16'] })),
      ['berlin', 'dublin', 'frankfurt', 'madrid', 'oslo'],
    ],
    [
      'an allow between two: them and what is between',
      { allow: [...network().allow, allow('berlin/cameras -> frankfurt/training')] },
      ['berlin', 'dublin', 'frankfurt'],
    ],
  ])('%s', (_, more, sites) => expect(moved(more)).toEqual(sites))

  test('what nobody may talk to moves the hubs by their routes alone', () => {
    const quiet = { allow: [], services: [] }
    const renamed = { ...oslo, lans: oslo.lans.map((lan) => ({ ...lan, segment: segmentId('training') })) }
    const [before, after] = [fabricOf(quiet), fabricOf({ ...quiet, ...at(renamed) })]
    const differ = before.sites.filter(({ id }) => siteHash(after, id) !== siteHash(before, id))
    expect(differ.map(({ id }) => id)).toEqual(['dublin', 'frankfurt', 'oslo'])
    expect(differ.filter(({ hub }) => hub)).toEqual(after.sites.filter(({ hub }) => hub))
  })
  test('equal hashes mean equal configs, whatever else changed', () => {
    const after = fabricOf({ sites: [berlin, dublin, frankfurt, oslo] })
    for (const id of ['berlin', 'oslo'].map(siteId)) {
      expect(siteHash(after, id)).toBe(siteHash(base, id))
      expect(configure(after, [], id)).toEqual(configure(base, [], id))
    }
  })
})
