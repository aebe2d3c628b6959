/** What is proven of a site with two gateways: each state with whoever has its LANs then. */
import { describe, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import type { Fabric, Site, SiteId } from '#src/fabric/fabric.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { drainLosses } from '#src/verify/drain.ts'
import { readQuestion } from '#src/verify/question.ts'
import { renderTrace } from '#src/verify/render-trace.ts'
import { trace } from '#src/verify/trace.ts'
import { verify } from '#src/verify/verify.ts'
import { change } from './build.ts'

const hub = (site: string, n: number) => `site: ${site}
role: core
uplinks:
  isp-a: { interface: eth0, address: 192.0.2.${n}/28, router: 192.0.2.1, rate: 1G }
segments:
  inference: { interface: eth2, prefixes: 10.${n}.0.0/24 }
`
const pair = (a = 'fiber: { interface: eth0, rate: 100M }', b = 'cable: { interface: eth0, rate: 100M }') => `site: berlin
gateways:
  a: { uplinks: { ${a} } }
  b: { uplinks: { ${b} } }
segments:
  inference: { interface: eth1, prefixes: 10.1.10.0/24 }
`
const one = `site: oslo
uplinks: { fiber: { interface: eth0, rate: 100M } }
segments:
  inference: { interface: eth1, prefixes: 10.2.10.0/24 }
`
function network(expects: string, berlin = pair(), classes = ''): Fabric {
  const { intent, findings } = parseIntent([
    {
      path: 'network.yaml',
      text: `network: acme
hubs: [frankfurt, dublin]
segments: [inference]
services:
  model-api: { at: core/inference, ports: tcp/8443, class: business }
allow:
  - edge/inference -> model-api
  - core/inference -> edge/inference tcp/22
${classes}expect:
${expects}`,
    },
    { path: 'frankfurt.yaml', text: hub('frankfurt', 10) },
    { path: 'dublin.yaml', text: hub('dublin', 11) },
    { path: 'berlin.yaml', text: berlin },
    { path: 'oslo.yaml', text: one },
  ])
  if (!intent) throw new Error(JSON.stringify(findings))
  return compile(intent, []).fabric!
}
const said = (fabric: Fabric) => verify(fabric).findings.map(({ code, says }) => `${code} ${says}`)
const told = (fabric: Fabric, from: string, to: string, ...without: readonly string[]) => {
  const read = readQuestion(fabric, { from, to, port: null, without })
  if (!read.ok) throw new Error(read.says)
  return renderTrace(trace(fabric, read.question), new Map())
}

describe('a pair', () => {
  const both = network(
    '  - reach: berlin/inference -> model-api\n    survives: [gateway, uplink, hub]\n  - reach: core/inference -> berlin/inference\n    survives: gateway\n',
  )
  test('survives either gateway, called and calling, and every uplink of either', () => {
    expect(verify(both)).toMatchObject({ findings: [], proof: { held: 2 } })
  })
  test('counts among the single failures once a gateway', () => {
    const without = network('  - reach: berlin/inference -> model-api\n')
    // 5 uplinks, 2 hubs, 2 gateways; 3 uplinks × 2 hubs and the mesh are tunnels.
    expect(verify(without).proof.failures).toBe(5 + 2 + 2 + 7)
    // Who asks for gateways asks for those that are alone as well.
    expect(verify(both).proof.failures).toBe(5 + 2 + 3 + 7)
  })
  test('fails where the second has no line that the class may use, and as soon as it has the LAN', () => {
    const lte = pair(undefined, 'lte: { interface: wwan0, rate: 50M }')
    const told = said(network('  - reach: berlin/inference -> model-api\n    survives: gateway\n', lte, 'classes:\n  business: { never: lte }\n'))
    expect(told).toContain('V003 berlin loses model-api if berlin fails')
    // Until the first is sure enough to take the LAN back.
    expect(told.some((line) => line.startsWith('V004 berlin can lose model-api while traffic waits to return'))).toBe(true)
  })
  test('a site with one gateway loses all with it, and the finding says so', () => {
    const { findings } = verify(network('  - reach: oslo/inference -> model-api\n    survives: gateway\n'))
    expect(findings).toMatchObject([{ code: 'V003', says: 'oslo loses model-api if oslo fails' }])
    expect(findings[0]!.witness[0]).toContain('oslo has no other gateway')
  })
  test('capacity counts the lines of the one that carries', () => {
    const path = '  - path: berlin/inference -> model-api\n    bandwidth: 20M\n    survives: gateway\n'
    expect(said(network(path))).toEqual([])
    expect(said(network(path, pair(undefined, 'cable: { interface: eth0, rate: 10M }')))).toEqual([
      'V034 berlin to model-api may keep only 4M of 20M if berlin fails',
    ])
  })
  test('within reckons with the time that a takeover takes', () => {
    const path = (ms: number) => `  - reach: berlin/inference -> model-api\n    within: ${ms}ms\n    survives: gateway\n`
    expect(said(network(path(1_100)))).toEqual([])
    expect(said(network(path(1_000)))).toEqual(['V033 berlin to model-api may take longer than 1000 ms to be reached again if berlin fails'])
  })
  test('is traced by the gateway that has the LAN then', () => {
    expect(told(both, 'berlin/inference', 'frankfurt/inference')).toContain('there  berlin ─fiber/isp-a→ frankfurt')
    expect(told(both, 'berlin/inference', 'frankfurt/inference', 'berlin')).toContain('there  berlin.b ─cable/isp-a→ frankfurt')
    expect(told(both, 'frankfurt/inference', 'berlin/inference', 'berlin.fiber')).toContain('there  frankfurt ─isp-a/cable→ berlin.b')
    expect(told(both, 'berlin/inference', 'frankfurt/inference', 'berlin.b')).toContain('there  berlin ─fiber/isp-a→ frankfurt')
  })
  test('leaves to the internet by whoever has the LAN', () => {
    const leaving = (survives: string, way: string, a?: string) =>
      network(
        `  - { reach: berlin/inference -> internet, survives: ${survives} }\n`,
        pair(a),
        `internet: { inference: ${way} }\nclasses: { default: { never: lte } }\n`,
      )
    for (const way of ['local', 'hub']) expect(said(leaving('[uplink, hub, gateway]', way))).toEqual([])
    // It keeps the LAN, for it has a tunnel left.
    const half = 'fiber: { interface: eth0, rate: 100M }, cell: { interface: wwan0, medium: lte, rate: 100M }'
    expect(said(leaving('gateway', 'local', half))).toEqual([])
    expect(said(leaving('uplink', 'local', half))).toEqual(['V009 berlin/inference loses the internet if berlin.fiber fails'])
    const sound = leaving('gateway', 'local')
    expect(told(sound, 'berlin/inference', 'internet')).toContain('berlin ─fiber→ internet')
    expect(told(sound, 'berlin/inference', 'internet', 'berlin')).toContain('berlin.b ─cable→ internet')
    expect(told(leaving('gateway', 'hub'), 'berlin/inference', 'internet', 'berlin.fiber')).toContain(
      'berlin.b ─cable/isp-a→ frankfurt ─isp-a→ internet',
    )
  })
  test('loses nothing when one is drained, and the LAN when both are', () => {
    const [first, second] = ['berlin', 'berlin.b'] as [SiteId, SiteId]
    expect(drainLosses(both, first, [])).toEqual([])
    expect(drainLosses(both, second, [])).toEqual([])
    expect(drainLosses(both, second, [first])).toEqual(['berlin/inference from dublin, frankfurt'])
  })
  test.each<[string, (site: Site) => Partial<Site>]>([
    ['a rule less', ({ rules }) => ({ rules: rules.slice(1) })],
    ['a LAN less', () => ({ lans: [] })],
    ['another way', ({ routes }) => ({ routes: routes!.slice(1) })],
  ])('is a fault of the compiler with %s at one of them', (_, edit) => {
    expect(said(change(both, 'berlin.b', edit))).toContain('V018 berlin.b is no second gateway of berlin: what both have differs')
  })
})
