import { describe, expect, test } from 'vitest'
import type { Fabric, Finding, Peer, RiskId, SharedGroup, Site, Survives, Tunnel, UplinkId } from '#src/fabric/fabric.ts'
import { ipsecProfiles, profileOf } from '#src/fabric/ipsec.ts'
import { address, addressWithLength, prefix } from '#src/net/address.ts'
import { verifyCodes } from '#src/verify/codes.ts'
import { eachItself } from '#src/verify/shapes.ts'
import { verify, verifyTransition } from '#src/verify/verify.ts'
import { decide } from '#src/verify/forward.ts'
import { modelOf } from '#src/verify/model.ts'
import { packetsOfOne } from '#src/verify/packets.ts'
import { promisedWithin } from '#src/verify/promises.ts'
import { build, change, type Sketch, site, trafficClass, tunnelId } from './build.ts'
import { cloudDemo, demo } from './demo.ts'

const said = (findings: readonly Finding[]): readonly string[] => findings.map((one) => `${one.severity} ${one.code} ${one.says}`)
const seenCodes = new Set<string>()
const check = (fabric: Fabric): readonly Finding[] => {
  const { findings } = verify(fabric)
  for (const one of findings) seenCodes.add(one.code)
  return findings
}

describe('the demo', () => {
  test('holds, with everything up and after each single failure', () => {
    const { findings, proof } = verify(demo().fabric)
    expect(findings).toEqual([])
    // 10 uplinks, 2 hubs, 3 edges × 2 × 4 spokes and 4 tunnels of the mesh.
    expect(proof).toMatchObject({ expects: 3, held: 3, failures: 10 + 2 + 24 + 4 })
    expect(proof.checks).toBeGreaterThan(200)
  })
  test('someone lets cameras reach training', () => {
    const { fabric, origins } = demo(['allow:\n', 'allow:\n  - cameras -> training\n'])
    const findings = check(fabric)
    expect(said(findings)).toEqual(["error V011 cameras can reach training, and this line expects that it can't"])
    expect(findings[0]!.at.map((key) => origins.get(key)?.file)).toEqual(['network.yaml', 'network.yaml'])
    expect(findings[0]!.witness).toEqual([
      'berlin/cameras → frankfurt/training, for example 192.168.1.10 → 10.20.0.10 tcp/1',
      '  berlin ─fiber/isp-a→ frankfurt: delivered',
    ])
  })
  test('someone removes hub dublin', () => {
    const { fabric, origins } = demo(['hubs: [frankfurt, dublin]', 'hubs: [frankfurt]'])
    const findings = check(fabric)
    expect(said(findings)).toEqual(['error V003 berlin loses model-api if frankfurt fails', 'error V003 berlin loses stream if frankfurt fails'])
    expect(findings[0]!.witness).toEqual([
      'if frankfurt fails: berlin/inference → dublin/inference, for example 10.1.10.10 → 10.11.0.10 tcp/8443, class business',
      '  stops at berlin: every path that class business may use at berlin is down',
      'if frankfurt fails: berlin/inference → frankfurt/inference is gone with frankfurt',
      'the same in 2 more cases, also from madrid, oslo',
    ])
    expect(origins.get(findings[0]!.at[0]!)?.file).toBe('network.yaml')
  })
  test('someone forgets the allow', () => {
    const { fabric } = demo(['  - edge/inference -> model-api\n', ''])
    expect(said(check(fabric))).toEqual(["error V001 berlin can't reach model-api: no `allow` covers it"])
  })
  test('a class that only some uplinks may carry does not survive their loss, and the witness says what is up', () => {
    const { fabric } = demo([
      'model-api: { at: core/inference, ports: tcp/8443, class: business }',
      'model-api: { at: core/inference, ports: tcp/8443, class: bulk }',
    ])
    const [finding] = check(fabric)
    expect(finding).toMatchObject({ code: 'V003', says: 'berlin loses model-api if berlin.fiber fails' })
    expect(finding!.witness[1]).toBe(
      '  stops at berlin: every path that class bulk may use at berlin is down; lte is up, but class bulk never uses it',
    )
  })
})

const two: Sketch = {
  sites: [
    { id: 'edge', uplinks: ['fiber'], lans: { red: '10.1.0.0/24', blue: '10.1.1.0/24' } },
    { id: 'hub', hub: true, uplinks: ['a', 'b'], lans: { red: '10.10.0.0/24', blue: '10.11.0.0/24' } },
    { id: 'next', hub: true, uplinks: ['a'], lans: { red: '10.12.0.0/24' } },
  ],
  allow: [{ from: 'edge/red', to: 'hub/red', ports: 'tcp/443', class: 'default' }],
  expect: [{ reach: 'edge/red', to: 'hub/red', ports: 'tcp/443', survives: ['tunnel'] }],
}
const withExpect = (...expects: Sketch['expect']): Fabric => build({ ...two, expect: expects })

describe('reach', () => {
  test('a tunnel may fail', () => expect(check(build(two))).toEqual([]))
  test('the only uplink may not', () => {
    expect(said(check(withExpect({ reach: 'edge/red', to: 'hub/red', ports: 'tcp/443', survives: ['uplink'] })))).toEqual([
      'error V003 edge loses hub/red if edge.fiber fails',
    ])
  })
  const three: Sketch = {
    ...two,
    sites: [
      { ...two.sites[0]!, uplinks: ['fiber', 'cable', 'lte'] },
      { ...two.sites[1]!, uplinks: ['a', 'b', 'c'] },
    ],
  }
  const surviving = (survives: Survives, ...together: readonly string[]): Fabric => {
    const uplinks = together.map((text) => ({ site: site(text.split('.')[0]!), uplink: text.split('.')[1] as UplinkId }))
    const sketch = { ...three, expect: [{ reach: 'edge/red', to: 'hub/red', ports: 'tcp/443', survives: [survives] }] }
    return { ...build(sketch), risks: [{ id: 'duct-7' as RiskId, uplinks }] }
  }
  test('any two uplinks may fail where there are three, at either end', () => {
    expect(check(surviving('any two uplinks'))).toEqual([])
    const few = change(surviving('any two uplinks'), 'edge', (of) => ({
      groups: of.groups.map((group): SharedGroup => ({ ...group, via: group.via.filter((hop) => !hop.tunnel.startsWith('edge.lte')) })),
    }))
    const [finding] = check(few)
    expect(finding).toMatchObject({
      code: 'V003',
      says: 'edge loses hub/red if edge.fiber and edge.cable fail',
      instead: 'give it a second way, or take any two uplinks out of `survives`',
    })
    expect(finding!.witness[0]).toContain('if edge.fiber and edge.cable fail: edge/red → hub/red')
  })
  test('who survives any two uplinks survives each', () => {
    expect(said(check(withExpect({ reach: 'edge/red', to: 'hub/red', ports: 'tcp/443', survives: ['any two uplinks'] })))).toEqual([
      'error V003 edge loses hub/red if edge.fiber fails',
    ])
  })
  test('what shares a risk fails at once', () => {
    expect(check(surviving('shared_risk', 'edge.fiber', 'edge.cable'))).toEqual([])
    expect(said(check(surviving('shared_risk', 'edge.fiber', 'edge.cable', 'edge.lte')))).toEqual(['error V003 edge loses hub/red if duct-7 fails'])
    expect(said(check(surviving('uplink', 'edge.fiber', 'edge.cable', 'edge.lte')))).toEqual([])
  })
  test('one port that is not allowed is enough', () => {
    const [finding] = check(withExpect({ reach: 'edge/red', to: 'hub/red', ports: 'tcp/443-444', survives: [] }))
    expect(finding).toMatchObject({ code: 'V001' })
    expect(finding!.witness).toEqual([
      'with everything up: edge/red → hub/red, for example 10.1.0.10 → 10.10.0.10 tcp/444, stops at edge: no `allow` there covers it',
    ])
  })
  test('a segment has no ports of its own: what is open to it must hold', () => {
    expect(check(withExpect({ reach: 'edge/red', to: 'hub/red', ports: 'any', survives: ['tunnel'] }))).toEqual([])
    expect(said(check(withExpect({ reach: 'edge/red', to: 'hub/blue', ports: 'any', survives: [] })))).toEqual([
      "error V001 edge can't reach hub/blue: no `allow` covers it",
    ])
  })
  describe('what is denied', () => {
    const denied = (of: Partial<Sketch>) => check(build({ ...two, ...of }))
    const open = { from: 'edge/red', to: 'hub/red', ports: 'any', class: 'default' }
    test('is refused, and the witness names the line', () => {
      const [finding] = denied({
        allow: [open],
        deny: [{ from: 'edge/red@10.1.0.64/26', to: 'hub/red', ports: 'tcp/443' }],
        expect: [{ reach: 'edge/red', to: 'hub/red', ports: 'tcp/443', survives: [] }],
      })
      expect(finding).toMatchObject({ code: 'V006', says: "edge can't reach hub/red: it is denied" })
      expect(finding!.at).toEqual(['reach edge/red -> hub/red', 'deny edge/red@10.1.0.64/26 -> hub/red tcp/443'])
      expect(finding!.witness).toEqual([
        'with everything up: edge/red → hub/red, for example 10.1.0.74 → 10.10.0.10 tcp/443, stops at edge: "deny edge/red@10.1.0.64/26 -> hub/red tcp/443" forbids it',
      ])
    })
    test('at the other end only, likewise', () => {
      const fabric = build({ ...two, allow: [open], deny: [{ from: 'edge/red', to: 'hub/red', ports: 'tcp' }] })
      const [finding] = check(change(fabric, 'edge', () => ({ denies: [] })))
      expect(finding).toMatchObject({ code: 'V006' })
      expect(finding!.witness.join()).toContain('stops at hub: a `deny` at hub covers it')
    })
    test('leaves what is open beside it', () => {
      const beside = { allow: [open], deny: [{ from: 'edge/red', to: 'hub/red', ports: 'tcp/22' }] }
      expect(denied({ ...beside, expect: [{ reach: 'edge/red', to: 'hub/red', ports: 'tcp/443', survives: [] }] })).toEqual([])
      expect(denied({ ...beside, expect: [{ reach: 'edge/red', to: 'hub/red', ports: 'any', survives: [] }] })).toEqual([])
    })
    test('is isolated, as far as the deny goes', () => {
      const asked = { allow: [open], expect: [{ isolate: 'edge/red', to: 'hub/red' }] }
      expect(denied({ ...asked, deny: [{ from: 'edge/red', to: 'hub/red', ports: 'any' }] })).toEqual([])
      const [leak] = denied({ ...asked, deny: [{ from: 'edge/red', to: 'hub/red@10.10.0.0/25', ports: 'any' }] })
      expect(leak).toMatchObject({ code: 'V011' })
      expect(leak!.witness[0]).toBe('edge/red → hub/red, for example 10.1.0.10 → 10.10.0.138 tcp/1')
    })
  })
  test('the reply must come back, too', () => {
    const [finding] = check(change(build(two), 'hub', () => ({ routes: [] })))
    expect(finding).toMatchObject({ code: 'V002', says: "edge can't reach hub/red" })
    expect(finding!.witness[0]).toContain('10.10.0.10 → 10.1.0.10 tcp/443 (the reply)')
  })
  test('any: one place is enough; all: each must answer', () => {
    expect(check(withExpect({ reach: 'edge/red', to: 'hub/blue,hub/red', ports: 'tcp/443', mode: 'any', survives: [] }))).toEqual([])
    expect(said(check(withExpect({ reach: 'edge/red', to: 'hub/blue,hub/red', ports: 'tcp/443', mode: 'all', survives: [] })))).toHaveLength(1)
  })
  test('a fallback that is waited out, and breaks meanwhile, is a warning', () => {
    const fabric = build({
      ...two,
      allow: [{ from: 'hub/red', to: 'edge/red', ports: 'tcp/22', class: 'default' }],
      expect: [{ reach: 'hub/red', to: 'edge/red', ports: 'tcp/22', survives: ['tunnel'] }],
    })
    const patient = change(fabric, 'hub', (of) => ({
      groups: of.groups.map((group): SharedGroup => ({ ...group, via: group.via.map((hop) => ({ ...hop, returnAfter: hop.stage > 0 ? 300 : 0 })) })),
    }))
    expect(check(fabric)).toEqual([])
    expect(said(check(patient))).toEqual([
      'warning V004 hub can lose edge/red if edge.fiber--next.a fails while traffic waits to return from a fallback path',
    ])
  })
})

describe('isolate', () => {
  const isolated = (allow: Sketch['allow'], from: string, to: string): readonly Finding[] =>
    check(build({ ...two, allow, expect: [{ isolate: from, to }] }))
  test('without any allow', () => expect(isolated([], 'edge/blue', 'hub/red')).toEqual([]))
  test('one port is a leak', () => {
    const [finding] = isolated([{ from: 'edge/red', to: 'hub/red', ports: 'udp/7', class: 'default' }], 'edge/red,edge/blue', 'hub/red')
    expect(finding).toMatchObject({ code: 'V011', severity: 'error' })
    expect(finding!.witness[0]).toBe('edge/red → hub/red, for example 10.1.0.10 → 10.10.0.10 udp/7')
  })
  test('an allow whose packets arrive nowhere is no leak', () => {
    const fabric = build({ ...two, expect: [{ isolate: 'edge/red', to: 'hub/red' }] })
    expect(check(change(fabric, 'hub', () => ({ rules: [] })))).toEqual([])
  })
  test('between two LANs of one site', () => {
    expect(said(isolated([{ from: 'edge/red', to: 'edge/blue', ports: 'icmp', class: 'default' }], 'edge/red', 'edge/blue'))).toEqual([
      "error V011 edge/red can reach edge/blue, and this line expects that it can't",
    ])
  })
  test('the other way round it answers: a warning', () => {
    expect(said(isolated([{ from: 'hub/red', to: 'edge/red', ports: 'tcp/22', class: 'default' }], 'edge/red', 'hub/red'))).toEqual([
      "warning V013 edge/red can't open a connection to hub/red, but answers those that hub/red opens",
    ])
  })
  test('two groups in one LAN can not be kept apart', () => {
    const fabric = build({ ...two, expect: [{ isolate: 'edge/red', to: 'edge/blue' }] })
    const [one] = fabric.expects
    const shared = { ...fabric, expects: [{ ...one!, to: one!.to.map((place) => ({ ...place, prefixes: [prefix('10.1.0.128/25')] })) }] } as Fabric
    expect(said(check(shared))).toEqual(['error V012 edge/red and edge/blue share a LAN, where no gateway can keep them apart'])
  })
})

describe('ways', () => {
  const rates = { a: [100e6, 100e6], b: [50e6, 50e6], fiber: [50e6, 100e6], lte: [10e6, 20e6] } as const
  const wide: Sketch = {
    classes: ['default', 'bulk'],
    sites: [
      { id: 'edge', uplinks: ['fiber', 'lte'], lans: { red: '10.1.0.0/24' }, rates },
      { id: 'other', uplinks: ['fiber'], lans: { red: '10.2.0.0/24' }, rates },
      { id: 'hub', hub: true, uplinks: ['a', 'b'], lans: { red: '10.10.0.0/24' }, rates },
      { id: 'next', hub: true, uplinks: ['a'], lans: { red: '10.12.0.0/24' }, rates },
    ],
    allow: [
      { from: 'edge/red', to: 'hub/red,next/red,other/red', ports: 'tcp/443', class: 'default' },
      { from: 'edge/red', to: 'hub/red', ports: 'tcp/22', class: 'bulk' },
    ],
    never: { bulk: ['lte'] },
    expect: [],
  }
  type Asked = Partial<Extract<Sketch['expect'][number], { readonly path: string }>>
  const ask = (asked: Asked, edit: (fabric: Fabric) => Fabric = (fabric) => fabric): readonly Finding[] =>
    check(edit(build({ ...wide, expect: [{ path: 'edge/red', to: 'hub/red', ports: 'tcp/443', mode: 'all', ...asked }] })))
  const medium = (value: string) => ({ kind: 'medium', value }) as const
  const uplink = (value: string) => ({ kind: 'uplink', value }) as const
  const hub = (value: string) => ({ kind: 'hub', value }) as const

  test('via: the first choice, there and back', () => {
    expect(ask({ via: [medium('fiber')] })).toEqual([])
    expect(ask({ via: [uplink('edge.fiber')], survives: ['tunnel', 'hub'] })).toEqual([])
    const [finding] = ask({ via: [medium('lte'), hub('next')] })
    expect(finding).toMatchObject({ code: 'V030', says: 'edge to hub/red does not go via lte or next' })
    expect(finding!.witness).toEqual([
      'with everything up: edge/red → hub/red, for example 10.1.0.10 → 10.10.0.10 tcp/443, class default',
      '  edge ─fiber/a→ hub',
    ])
  })
  test('via: after each failure that it names, and no other', () => {
    expect(said(ask({ via: [medium('fiber')], survives: ['uplink'] }))).toEqual([
      'error V030 edge to hub/red does not go via fiber if edge.fiber fails',
    ])
    expect(ask({ via: [medium('fiber'), medium('lte')], survives: ['uplink', 'any two uplinks'] })).toEqual([])
  })
  test('not: whatever has failed, in either direction', () => {
    expect(said(ask({ not: [medium('lte')] }))).toEqual(['error V031 edge to hub/red may go over lte'])
    expect(ask({ ports: 'tcp/22', not: [medium('lte')] })).toEqual([])
    const [finding] = ask({ ports: 'tcp/22', not: [hub('next')] })
    expect(finding!.witness[1]).toBe('  edge ─fiber/a→ next')
    // Only the way back has it.
    const back = (fabric: Fabric): Fabric =>
      change(fabric, 'edge', (of) => ({
        groups: of.groups.map((group): SharedGroup => ({ ...group, via: group.via.filter((hop) => hop.next === 'hub') })),
      }))
    expect(ask({ ports: 'tcp/22', not: [hub('next')] }, back)[0]!.witness[0]).toContain('(the reply)')
  })
  test('symmetric', () => {
    expect(ask({ symmetric: true, survives: ['uplink', 'tunnel', 'any two uplinks'] })).toEqual([])
    const turned = (fabric: Fabric): Fabric =>
      change(fabric, 'other', (of) => ({
        groups: of.groups.map((group): SharedGroup => ({ ...group, via: group.via.map((hop) => ({ ...hop, stage: hop.next === 'next' ? 0 : 1 })) })),
      }))
    expect(ask({ to: 'other/red', symmetric: true })).toEqual([])
    const [finding] = ask({ to: 'other/red', symmetric: true }, turned)
    expect(finding).toMatchObject({ code: 'V032', says: 'edge to other/red goes one way and comes back another' })
    expect(finding!.witness.slice(1)).toEqual(['  there  edge ─fiber/a→ hub ─a/fiber→ other', '  back   other ─fiber/a→ next ─a/fiber→ edge'])
  })
  test('bandwidth: the share of each line of each way that may be taken', () => {
    expect(ask({ ports: 'tcp/22', bandwidth: { up: 25e6, down: 25e6 } })).toEqual([])
    const [finding] = ask({ bandwidth: { up: 6e6, down: 0 } })
    expect(finding).toMatchObject({ code: 'V034', says: 'edge to hub/red may keep only 5M of 6M' })
    expect(finding!.witness[2]).toBe('  class default has 50 % of the 10M up of edge.lte: 5M, and 6M are needed')
    // Of the hub it is the direction away from it that counts on the way back.
    expect(said(ask({ ports: 'tcp/22', bandwidth: { up: 0, down: 40e6 } }))).toEqual(['error V034 edge to hub/red may keep only 25M of 40M'])
    const unknown = (fabric: Fabric): Fabric =>
      change(fabric, 'hub', (of) => ({ uplinks: of.uplinks.map((one) => (one.id === 'b' ? { ...one, up: 0, down: 0 } : one)) }))
    expect(said(ask({ bandwidth: { up: 1e6, down: 0 } }, unknown))).toEqual(['error V035 edge to hub/red may use hub.b, whose rate is not stated'])
  })
  test('within: the loss of an uplink costs one silence, that of a hub one for each pair of lines', () => {
    const within = (withinMs: number, survives: readonly Survives[], to = 'hub/red', mode: 'any' | 'all' = 'all') =>
      ask({ to, mode, withinMs, survives })
    expect(within(250, ['uplink', 'tunnel'])).toEqual([])
    expect(said(within(249, ['uplink']))).toEqual(['error V033 edge to hub/red may take longer than 249 ms to be reached again if edge.fiber fails'])
    // To another edge, past the dead hub: its tunnels by fiber and by lte to a share lines, lte to b shares none.
    const [finding] = within(499, ['hub'], 'other/red')
    expect(finding).toMatchObject({ code: 'V033', instead: 'write within: 500ms, or more' })
    expect(finding!.witness[1]).toBe('  edge leaves 2 paths that share no line, one after the other, after up to 250 ms each: 500 ms')
    expect(within(500, ['hub'], 'other/red')).toEqual([])
    // A second place answers meanwhile.
    expect(within(250, ['hub'], 'next/red,hub/red', 'any')).toEqual([])
  })
  test('within: more where the class allows much jitter, and never where a return route has to be moved', () => {
    const shaky = (fabric: Fabric): Fabric => ({
      ...fabric,
      classes: fabric.classes.map((one) => ({ ...one, sla: { ...one.sla, jitterMs: 200 } })),
    })
    expect(ask({ withinMs: 600, survives: ['uplink'] }, shaky)[0]).toMatchObject({ code: 'V033', instead: 'write within: 663ms, or more' })
    const { fabric } = cloudDemo([
      'reach: edge/inference -> aws-eu-west-1/inference # in the cloud itself, not just one of the three\n',
      'reach: edge/inference -> aws-eu-west-1/inference\n    within: 10s\n',
    ])
    const [finding] = check(fabric).filter((one) => one.severity === 'error')
    expect(finding).toMatchObject({ code: 'V033', instead: 'let a second place answer too, or leave within out' })
    expect(finding!.witness[1]).toBe('  aws-eu-west-1 moves its return route only when it is told or has noticed, after some seconds')
  })
  test('a line says once that nothing is reached', () => {
    expect(said(ask({ ports: 'tcp/80', symmetric: true, via: [medium('fiber')] }))).toEqual([
      "error V001 edge can't reach hub/red: no `allow` covers it",
    ])
    const both = build({
      ...wide,
      expect: [
        { path: 'edge/red', to: 'hub/red', ports: 'tcp/80', symmetric: true },
        { reach: 'edge/red', to: 'hub/red', ports: 'tcp/80' },
      ],
    })
    expect(said(check(both))).toHaveLength(1)
  })
  test('drills are measured against what is promised of a class that uses the uplink', () => {
    const fabric = build({
      ...wide,
      expect: [
        { path: 'edge/red', to: 'hub/red,next/red', ports: 'tcp/443', withinMs: 400, survives: ['hub', 'uplink'] },
        { path: 'edge/red', to: 'hub/red', ports: 'tcp/22', withinMs: 300, survives: ['hub'] },
      ],
    })
    const uses = [
      { trafficClass: 'default', remote: 'hub' },
      { trafficClass: 'bulk', remote: 'hub' },
      { trafficClass: 'default', remote: 'other' },
    ]
    expect(promisedWithin(fabric, 'edge', uses)).toEqual([400, null, null])
    expect(promisedWithin(fabric, 'next', [{ trafficClass: 'default', remote: 'edge' }])).toEqual([400])
  })
})

describe('capacity', () => {
  const edges = (count: number): Sketch['sites'] =>
    Array.from({ length: count }, (_, i) => ({
      id: `e${String(i).padStart(3, '0')}`,
      uplinks: ['fiber', 'lte'],
      lans: { red: `10.1.${i}.0/24` },
      rates: { fiber: [100e6, 100e6], lte: [100e6, 100e6] },
    }))
  const made = (
    count: number,
    hubRates: Readonly<Record<string, readonly [number, number]>>,
    survives: readonly Survives[],
    of: 'up' | 'down' = 'up',
  ) => {
    const sites = edges(count)
    const callers = sites.map(({ id }) => `${id}/red`).join()
    return build({
      sites: [...sites, { id: 'hub', hub: true, uplinks: ['a', 'b'], lans: { red: '10.200.0.0/24' }, rates: hubRates }],
      allow: [{ from: callers, to: 'hub/red', ports: 'tcp/1', class: 'default' }],
      expect: [{ path: callers, to: 'hub/red', ports: 'tcp/1', mode: 'all', survives, bandwidth: { up: 0, down: 0, [of]: 10e6 } }],
    })
  }
  test('what fits on one line with everything up need not fit on the other that is left', () => {
    const rates = { a: [100e6, 100e6], b: [25e6, 25e6] } as const
    expect(check(made(3, rates, []))).toEqual([])
    const [finding, ...more] = check(made(3, rates, ['uplink']))
    expect(more).toEqual([])
    expect(finding).toMatchObject({
      code: 'V036',
      severity: 'error',
      says: 'hub.b is to carry 30M down of class default if hub.a fails, and keeps 25M for it',
    })
    expect(finding!.witness).toEqual([
      'if hub.a fails: class default has 100 % of the 25M down of hub.b: 25M',
      '  10M for each of 3 callers, e000/red, e001/red, e002/red: e000/red,e001/red,e002/red -> hub/red',
    ])
  })
  test('replies leave a hub by the up of its line', () => {
    const rates = { a: [25e6, 100e6], b: [100e6, 100e6] } as const
    expect(said(check(made(3, rates, [], 'down')))).toEqual(['error V036 hub.a is to carry 30M up of class default, and keeps 25M for it'])
    expect(check(made(3, rates, []))).toEqual([])
  })
  test('sites that are alike are followed once and counted all', () => {
    const rates = { a: [1e9, 1e9], b: [1e9, 1e9] } as const
    expect(check(made(100, rates, ['uplink']))).toEqual([])
    const few = check(made(101, rates, ['uplink']))
    expect(said(few)).toEqual([
      'error V036 hub.a is to carry 1.01G down of class default, and keeps 1G for it',
      'error V036 hub.b is to carry 1.01G down of class default if hub.a fails, and keeps 1G for it',
    ])
    expect(few[0]!.witness[1]).toMatch(/^ {2}10M for each of 101 callers, e000\/red, e001\/red, e002\/red, …: /)
    expect(said(verify(made(101, rates, ['uplink']), eachItself).findings)).toEqual(said(few))
    // With hub.a gone, and one edge's fiber: the others are where they were.
    expect(said(check(made(101, { a: [2e9, 2e9], b: [1e9, 1e9] }, ['uplink'])))[0]).toBe(
      'error V036 hub.b is to carry 1.01G down of class default if hub.a fails, and keeps 1G for it',
    )
  })
  test('a proof that does not fit is no proof', () => {
    const { proof } = verify(made(3, { a: [25e6, 25e6], b: [25e6, 25e6] }, []))
    expect(proof).toMatchObject({ expects: 1, held: 0 })
  })
})

describe('structure', () => {
  const sound = build({ ...two, expect: [] })
  const first = (fabric: Fabric): Finding | undefined => check(fabric)[0]
  const groups =
    (edit: (group: SharedGroup) => SharedGroup) =>
    (of: Site): Partial<Site> => ({ groups: of.groups.map(edit) })
  test('a sound Fabric has no finding', () => expect(check(sound)).toEqual([]))
  test('packets that can go round', () => {
    const mesh = sound.tunnels.find((one) => one.role === 'mesh')!
    const over = (next: string) =>
      groups((group) =>
        group.remotes.some((one) => one === 'edge')
          ? { ...group, via: [{ tunnel: mesh.id, next: site(next), stage: 0, cost: 0, returnAfter: 0 }] }
          : group,
      )
    expect(first(change(change(sound, 'hub', over('next')), 'next', over('hub')))).toMatchObject({
      code: 'V020',
      says: 'packets of class default for edge can go round: hub → next → hub',
    })
  })
  test('a route to someone who does not own it', () => {
    expect(first(change(sound, 'edge', (of) => ({ routes: [{ ...of.routes![0]!, remote: site('next') }] })))).toMatchObject({
      code: 'V021',
      says: 'edge routes 10.10.0.0/24 to next, which does not own it',
    })
  })
  test('a route without a group', () => {
    expect(first(change(sound, 'edge', () => ({ groups: [] })))).toMatchObject({
      code: 'V022',
      says: 'edge routes to hub, but class default has no group for it',
    })
  })
  test('a class without a path to one remote', () => {
    const none = change(
      sound,
      'edge',
      groups((group) => (group.remotes.some((one) => one === 'next') ? { ...group, via: [] } : group)),
    )
    expect(said([first(none)!])).toEqual([
      'warning V023 class default is unreachable from edge to next: what joins them is fiber, which the class never uses',
    ])
  })
  test('a LAN elsewhere on the link of an uplink', () => {
    const fixed = (own: string) =>
      change(sound, 'edge', ({ uplinks: [uplink, ...others] }) => ({
        uplinks: [
          {
            ...uplink!,
            endpoint: { kind: 'fixed', address: addressWithLength(own), router: address('10.10.0.1'), public: address('10.10.0.2'), base: 51_820 },
          },
          ...others,
        ],
      }))
    const says = (own: string) =>
      check(fixed(own))
        .filter(({ code }) => code === 'V015')
        .map(({ says: text }) => text)
    const told = (link: string) => [
      `10.10.0.0/24 of hub/red is on the link of uplink edge.fiber, ${link}: what hosts of edge send there never enters a tunnel`,
    ]
    expect(says('10.10.0.2/24')).toEqual(told('10.10.0.0/24'))
    expect(says('10.10.0.2/30')).toEqual(told('10.10.0.0/30'))
    expect(says('10.10.0.2/16')).toEqual(told('10.10.0.0/16'))
    expect(says('10.99.0.2/16')).toEqual([])
    // A LAN that nobody there may call is told by nothing.
    expect(check(change(fixed('10.10.0.2/24'), 'edge', () => ({ routes: [], rules: [], groups: [] }))).map(({ code }) => code)).not.toContain('V015')
  })
  test('two owners of an address', () => {
    const twice = change(sound, 'next', (of) => ({ lans: of.lans.map((lan) => ({ ...lan, prefix: prefix('10.10.0.128/25') })) }))
    expect(first(twice)).toMatchObject({ code: 'V024', says: '10.10.0.128/25 of next/red overlaps 10.10.0.0/24 of hub/red' })
  })
  test('a next hop that is no neighbour', () => {
    const behind = (via: string, device = 'lan0') =>
      first(
        change(sound, 'hub', ({ lans: [lan] }) => ({
          lans: [lan!, { ...lan!, interface: device, prefix: prefix('10.77.0.0/24'), via: address(via) }],
        })),
      )
    const says = (via: string) => ({ code: 'V029', says: `10.77.0.0/24 of hub is behind ${via}, which is no router on that LAN` })
    expect(behind('10.10.0.254')).not.toMatchObject({ code: 'V029' })
    expect(behind('10.11.0.254')).toMatchObject(says('10.11.0.254'))
    expect(behind('10.10.0.1')).toMatchObject(says('10.10.0.1'))
    expect(behind('10.10.0.254', 'lan1')).toMatchObject(says('10.10.0.254'))
  })
  test.each([
    ['of another size', { local: '192.168.1.0/25' }, 'which is not of its size'],
    ['of another LAN of the site', { local: '10.1.0.0/24' }, 'which its LAN 10.1.0.0/24 overlaps'],
  ])('a LAN that would be called by a prefix %s', (_, { local }, says) => {
    const named = change(sound, 'edge', (of) => ({
      lans: [...of.lans, { ...of.lans[0]!, interface: 'lan9', prefix: prefix('198.18.0.0/24'), local: prefix(local) }],
    }))
    expect(first(named)).toMatchObject({ code: 'V019', says: expect.stringContaining(says) })
  })
  test('a prefix behind two peers of one interface', () => {
    const one = sound.sites.find(({ id }) => id === 'hub')!.interfaces[0]!.id
    const tunnels = sound.tunnels.map((tunnel): Tunnel => {
      if (tunnel.kind !== 'wireguard') return tunnel
      const [near, far] = tunnel.ends
      return { ...tunnel, ends: [near, { ...far, interface: one }] }
    })
    expect(first({ ...sound, tunnels })).toMatchObject({ code: 'V025', says: expect.stringContaining('has 10.1.0.0/24 behind two peers') })
  })
  test('a prefix of one site within that of another, behind one interface', () => {
    const { fabric } = demo()
    const [one, other] = fabric.sites.filter(({ hub }) => !hub)
    const inside = prefix(one!.lans[0]!.prefix.replace(/\/\d+$/, '/28'))
    const both = change(fabric, other!.id, ({ lans: [lan, ...lans] }) => ({ lans: [{ ...lan!, prefix: inside }, ...lans] }))
    const told = check(both).filter(({ code }) => code === 'V025')
    expect(told.length).toBeGreaterThan(0)
    expect(told[0]!.says).toContain(`has ${inside} behind two peers, ${one!.id}.`)
  })
  test.each([
    [1500, 'packets of 1500 bytes do not fit into a tunnel over lines of 1500: at most 1440'],
    [1200, 'an MTU of 1200 is too small for IPv6, which needs 1280'],
  ])('an MTU of %i', (mtu, says) => {
    expect(first({ ...sound, network: { ...sound.network, mtu, mss: { v4: mtu - 40, v6: mtu - 60 } } })).toMatchObject({ code: 'V026', says })
  })
  test.each([
    ['192.0.2.10', 'aes256gcm16-ecp384', 1400],
    ['192.0.2.10', 'aes256-sha384-ecp384', 1400],
    ['2001:db8::10', 'aes256gcm16-ecp384', 1400],
    ['2001:db8::10', 'aes256-sha256-ecp256', 1400],
    ['2001:db8::10', 'aes256-sha384-ecp384', 1390],
  ])('an MTU that a tunnel to a peer from %s with %s does not carry', (from, proposal, most) => {
    const profile = profileOf(ipsecProfiles.strong.ike, ['aes128gcm16-ecp256', proposal], ipsecProfiles.strong.lifetime)
    const connection = { id: 'hub.a', site: 'hub', uplink: 'a', address: from, members: [] }
    const peer = {
      kind: 'peer',
      id: 'partner',
      gateways: [],
      profile,
      lans: [],
      connections: [connection],
      routes: [],
      groups: [],
      rules: [],
      transits: [],
    }
    const of = (mtu: number) => ({
      ...sound,
      peers: [peer as unknown as Peer],
      network: { ...sound.network, mtu, mss: { v4: mtu - 40, v6: mtu - 60 } },
    })
    expect(first(of(most))?.code).not.toBe('V026')
    expect(first(of(most + 1))).toMatchObject({ code: 'V026', says: expect.stringContaining(`lines of 1500: at most ${most}`) as string })
  })
  test('a clamp that does not fit the MTU', () => {
    expect(first({ ...sound, network: { ...sound.network, mss: { v4: 1400, v6: 1300 } } })).toMatchObject({
      code: 'V026',
      says: 'TCP would be clamped to 1400 and 1300, an MTU of 1360 needs 1320 and 1300',
    })
  })
  test('a hop over a tunnel that leads elsewhere, a tunnel without an interface', () => {
    const astray = groups((group) => ({ ...group, via: group.via.map((hop) => ({ ...hop, tunnel: tunnelId('nowhere') })) }))
    expect(first(change(sound, 'edge', astray))).toMatchObject({
      code: 'V027',
      says: 'edge would reach hub over tunnel nowhere, which does not join them',
    })
    expect(first(change(sound, 'edge', () => ({ interfaces: [] })))).toMatchObject({
      code: 'V027',
      says: 'edge has no interface for tunnel edge.fiber--hub.a',
    })
  })
  test.each([
    ['one name', { stem: 'cw1' }, 'are both called cw1'],
    ['one port', { port: 52_002 }, 'both listen on udp/52002'],
    ['an odd port', { port: 52_001 }, 'ports are even'],
    ['a long name', { stem: 'cw-much-too-long' }, "longer than the kernel's 15 characters"],
  ])('%s twice or wrong', (_, wrong, says) => {
    const clash = change(sound, 'hub', (of) => ({ interfaces: of.interfaces.map((one, i) => (i === 0 ? { ...one, ...wrong } : one)) }))
    expect(first(clash)).toMatchObject({ code: 'V028', says: expect.stringContaining(says) })
  })
})

describe('on the way from one generation to the next', () => {
  const transition = (before: Fabric, after: Fabric): readonly Finding[] => {
    const { findings } = verifyTransition(before, after)
    for (const one of findings) seenCodes.add(one.code)
    return findings
  }
  test('nothing changes, nothing breaks', () => {
    const { fabric } = demo()
    expect(verifyTransition(fabric, fabric)).toMatchObject({ findings: [], proof: { expects: 3, held: 3 } })
  })
  test('half of an allow before and half after: each side alone is tight, the mix is not', () => {
    const open = build({ ...two, expect: [{ isolate: 'edge/red', to: 'hub/red' }] })
    const before = change(open, 'hub', () => ({ rules: [] }))
    const after = change(open, 'edge', () => ({ rules: [] }))
    expect([said(check(before)), said(check(after))]).toEqual([[], []])
    expect(said(transition(before, after))).toEqual([
      "error V041 edge/red can reach hub/red, and this line expects that it can't, while the change is under way",
    ])
  })
  test('an isolation that is new may be made together with the removal of its allow', () => {
    const before = build({ ...two, expect: [] })
    const after = build({ ...two, allow: [], expect: [{ isolate: 'edge/red', to: 'hub/red' }] })
    expect(transition(before, after)).toEqual([])
  })
  test('hubs that lose their old tunnels before edges have the new ones', () => {
    const before = build(two)
    const renamed: Fabric = JSON.parse(JSON.stringify(before).replaceAll('edge.fiber--', 'edge.lte--'))
    expect(check(renamed)).toEqual([])
    expect(said(transition(before, renamed))).toEqual([
      "error V042 edge can't reach hub/red between the waves, when hubs are changed and edges are not yet",
    ])
  })
  test('a service may open a port: it is promised at the end, not on the way', () => {
    const wider = {
      ...two,
      allow: [{ ...two.allow[0]!, ports: 'tcp/443-444' }],
      expect: [{ reach: 'edge/red', to: 'hub/red', ports: 'tcp/443-444', survives: ['tunnel' as const] }],
    }
    expect(transition(build(two), build(wider))).toEqual([])
    expect(transition(build(wider), build(two))).toEqual([])
  })
  test('a site that is new has nothing to lose', () => {
    const before = build({ ...two, sites: two.sites.slice(1), allow: [], expect: [] })
    expect(transition(before, build(two))).toEqual([])
  })
})

describe('a cloud region', () => {
  const reach = 'reach edge/inference -> aws-eu-west-1/inference'
  test('is reached after every single failure once its return route has moved, and until then only where nothing else answers', () => {
    const { findings, proof } = verify(cloudDemo().fabric)
    for (const one of findings) seenCodes.add(one.code)
    expect(findings.map((one) => `${one.severity} ${one.code} ${one.at[0]}`)).toEqual([`warning V005 ${reach}`])
    expect(findings[0]!.says).toBe(
      "berlin loses aws-eu-west-1/inference if frankfurt.isp-a fails until the cloud's return route has moved, some seconds",
    )
    // As sites/demo, and 4 connections of 2 tunnels.
    expect(proof).toMatchObject({ expects: 6, held: 6, failures: 10 + 2 + 24 + 4 + 8 + 4 })
  })
  test('with one connection is lost with it, and with its uplink', () => {
    const { fabric } = cloudDemo()
    const one = fabric.regions[0]!
    const first = new Set(one.connections[0]!.members.map((member) => member.tunnel))
    const only = <T extends { readonly groups: readonly SharedGroup[] }>(of: T): T => ({
      ...of,
      groups: of.groups.map((group) => ({ ...group, via: group.via.filter((hop) => !hop.tunnel.includes('--aws') || first.has(hop.tunnel)) })),
    })
    const survives = (kind: 'connection' | 'uplink' | 'tunnel') => ({
      ...fabric,
      sites: fabric.sites.map(only),
      regions: [only(one)],
      expects: fabric.expects.flatMap((expect) => (expect.kind === 'reach' && expect.id === reach ? [{ ...expect, survives: [kind] as const }] : [])),
    })
    expect(said(check(survives('connection')))).toEqual(['error V003 berlin loses aws-eu-west-1/inference if frankfurt.isp-a--aws-eu-west-1 fails'])
    expect(said(check(survives('uplink')))).toEqual(['error V003 berlin loses aws-eu-west-1/inference if frankfurt.isp-a fails'])
    expect(
      said(check(survives('tunnel'))).map((line) => line.slice(0, 12)),
      'the other tunnel of the connection',
    ).toEqual(['warning V005'])
  })
  test('is kept apart like a site, in both directions', () => {
    const { fabric } = cloudDemo(['allow:\n', 'allow:\n  - region/inference -> training\n'])
    expect(said(check(fabric)).filter((line) => line.startsWith('error'))).toEqual([
      "error V011 aws-eu-west-1/inference can reach training, and this line expects that it can't",
    ])
  })
  test('needs its own allow: the security groups, without which even an allow at the owner opens nothing', () => {
    const { fabric } = cloudDemo()
    const closed = { ...fabric, regions: fabric.regions.map((region) => ({ ...region, rules: [] })) }
    const [finding] = check(closed).filter((one) => one.severity === 'error')
    expect(finding).toMatchObject({ code: 'V002', says: "berlin can't reach aws-eu-west-1/inference" })
    expect(finding!.witness[1]).toBe(
      '  berlin ─fiber/isp-a→ frankfurt ─isp-a/ipsec→ aws-eu-west-1, stops at aws-eu-west-1: no `allow` at aws-eu-west-1 covers it',
    )
  })
  test('forwards nothing for others, and what it sends with another’s address is dropped at the hub', () => {
    const { fabric } = cloudDemo()
    const model = modelOf(fabric)
    const tunnel = fabric.tunnels.find((one) => one.kind === 'ipsec')!
    const arrives = (source: string) => {
      const packets = packetsOfOne({ source: address(source), destination: address('10.1.11.10'), protocol: 'tcp', port: 8443 })
      const hub = model.node(tunnel.ends[0].site)!
      return decide(model, hub, { kind: 'tunnel', tunnel, from: site('aws-eu-west-1') }, packets, trafficClass('default'), 'reply', false)
    }
    expect(arrives('10.96.0.10')).toMatchObject({ value: { kind: 'forward' } })
    expect(arrives('10.1.10.10')).toEqual({ kind: 'one', value: { kind: 'drop', why: 'spoofed' } })
    expect(fabric.regions[0]!.transits).toEqual([])
  })
})

describe('two families', () => {
  const network = (caller: string, target: string, more: Partial<Sketch> = {}) =>
    build({
      sites: [
        { id: 'edge', uplinks: ['a'], lans: { red: caller } },
        { id: 'hub', hub: true, uplinks: ['a'], lans: { red: target } },
      ],
      allow: [{ from: 'edge/red', to: 'hub/red', ports: 'any', class: 'default' }],
      expect: [{ reach: 'edge/red', to: 'hub/red', ports: 'icmp' }],
      ...more,
    })
  const both = '10.0.0.0/30 fd01::/126'
  test('reach over each that both ends have', () => {
    expect(check(network('10.1.0.0/30', both))).toEqual([])
    expect(check(network('10.1.0.0/30 fd01::1:0/126', both))).toEqual([])
    const half = [{ from: 'edge/red@10.1.0.0/30', to: 'hub/red', ports: 'any', class: 'default' }]
    const [finding] = check(network('10.1.0.0/30 fd01::1:0/126', both, { allow: half }))
    expect(finding).toMatchObject({ code: 'V001' })
    expect(finding!.witness[0]).toContain('for example fd01::1:1 → fd01::1 icmp')
  })
  test('reach nobody over none, and the expectation is not held to be empty', () => {
    const [finding] = check(network('10.1.0.0/30', 'fd01::/126'))
    expect(said([finding!])).toEqual(["error V007 edge can't reach hub/red: they have no address family in common"])
    expect(finding!.witness).toEqual(['with everything up: edge/red → hub/red: IPv4 there, IPv6 here'])
    expect(finding!.instead).toBe('give one of them IPv6 prefixes too: nothing translates between the two')
  })
})

test('the internet, more of which is in internet.test.ts', () => {
  const of = (internet: string, line: string) => said(check(demo(['services:', `${internet}services:`], ['expect:', `expect:\n  - ${line}`]).fabric))
  const local = 'internet: { cameras: local }\n'
  expect(of('', 'reach: cameras -> internet')).toEqual(["error V008 berlin/cameras can't leave to the internet"])
  expect(of(local, '{ reach: cameras -> internet, survives: any two uplinks }')).toEqual([
    'error V009 berlin/cameras loses the internet if berlin.fiber and berlin.lte fail',
  ])
  expect(of(local, 'isolate: cameras -> internet')).toEqual(["error V014 cameras can leave to the internet, and this line expects that it can't"])
})

test('two gateways of a site own and allow the same', () => {
  const fabric = build(two)
  const second = { ...fabric.sites.find(({ id }) => id === 'edge')!, id: site('edge.b'), interfaces: [], groups: [] }
  expect(said(check({ ...fabric, sites: [...fabric.sites, second] })).filter((line) => line.includes('V018'))).toEqual([])
  expect(said(check({ ...fabric, sites: [...fabric.sites, { ...second, rules: [] }] }))).toContain(
    'error V018 edge.b is no second gateway of edge: what both have differs',
  )
})

test('every code was caused above, and has its page', () => {
  expect([...seenCodes].sort()).toEqual(verifyCodes.map((page) => page.code))
})

test('of two lines with the same ends each is told at its own', () => {
  const { fabric, origins } = demo([
    'expect:',
    'expect:\n  - { path: berlin/inference -> registry, via: lte }\n  - { path: berlin/inference -> registry, bandwidth: 900M }\n  - { path: berlin/inference -> registry, via: fiber }',
  ])
  const lines = verify(fabric).findings.map(({ code, at }) => `${code} ${origins.get(at[0]!)!.line}`)
  const top = Math.min(...['expect/0', 'expect/1', 'expect/2', 'expect/3', 'expect/4', 'expect/5'].map((key) => origins.get(key)!.line))
  expect(lines.sort()).toEqual([`V030 ${top}`, `V034 ${top + 1}`])
  // Each counts.
  expect(fabric.expects).toHaveLength(6)
})

test.each([
  ['via: dublin', 'list dublin before other hubs of the site, or change the expectation'],
  ['via: lte', 'let class business prefer lte, or change the expectation'],
  ['via: berlin.lte', 'tag berlin.lte, and let class business prefer the tag, or change the expectation'],
  ['via: fiber, survives: uplink', 'add to via what it takes then, give it a second fiber that fails apart, or change the expectation'],
  ['via: frankfurt, survives: hub', 'add to via what it takes then, or change the expectation'],
])('what would make traffic go another way: %s', (asked, instead) => {
  // Between two edges a hub is on the way.
  const line = asked.includes('lte') || asked.includes('fiber') ? 'berlin/inference -> frankfurt/model-api' : 'berlin/inference -> oslo/inference'
  const { fabric } = demo(['allow:', 'allow:\n  - edge/inference -> edge/inference\n'], ['expect:', `expect:\n  - { path: ${line}, ${asked} }`])
  expect(verify(fabric).findings.map((finding) => finding.instead)).toEqual([instead])
})
