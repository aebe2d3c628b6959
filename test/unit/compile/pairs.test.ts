/** A site with two gateways, from YAML to the Fabric. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { compile, createCompiler } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import type { Allocation, Fabric, Site, SiteId } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { createVerifier, verify } from '#src/verify/verify.ts'

const folder = resolve('test/cases/pair')
const files = readdirSync(folder)
  .filter((path) => path.endsWith('.yaml'))
  .map((path) => ({ path, text: readFileSync(join(folder, path), 'utf8') }))
type Edit = readonly [file: string, from: string, to: string]
const intentOf = (...edits: readonly Edit[]) => {
  const { intent, findings } = parseIntent(
    files.map(({ path, text }) => ({
      path,
      text: edits.filter(([file]) => file === path).reduce((all, [, from, to]) => all.replace(from, to), text),
    })),
  )
  if (!intent) throw new Error(JSON.stringify(findings))
  return intent
}
const compiled = (held: readonly Allocation[] = [], ...edits: readonly Edit[]) => {
  const { fabric, claims, findings } = compile(intentOf(...edits), held)
  if (!fabric) throw new Error(JSON.stringify(findings))
  return { fabric, claims }
}
const at = (fabric: Fabric, id: string): Site => fabric.sites.find((site) => site.id === id)!
const { fabric } = compiled()
const [first, second] = [at(fabric, 'berlin'), at(fabric, 'berlin.b')]

describe('a pair of gateways', () => {
  test('owns its LANs together, each with an address of its own beside the one that hosts know', () => {
    const lans = ({ lans: all }: Site) => all.map(({ prefix, interface: device, address, own, via }) => [prefix, device, address, own, via])
    expect(lans(first)).toEqual([
      ['10.1.10.0/24', 'eth1', '10.1.10.1/24', '10.1.10.3/24', undefined],
      ['10.1.20.0/24', 'eth2', '10.1.20.254/24', '10.1.20.1/24', undefined],
      ['10.5.0.0/16', 'eth1', '10.1.10.1/24', '10.1.10.3/24', '10.1.10.2'],
    ])
    expect(lans(second)).toEqual([
      ['10.1.10.0/24', 'ens4', '10.1.10.1/24', '10.1.10.9/24', undefined],
      ['10.1.20.0/24', 'eth2', '10.1.20.254/24', '10.1.20.2/24', undefined],
      ['10.5.0.0/16', 'ens4', '10.1.10.1/24', '10.1.10.9/24', '10.1.10.2'],
    ])
  })
  test('has the same rules and routes at both, and places once', () => {
    expect(second.rules).toEqual(first.rules)
    expect(second.routes).toEqual(first.routes)
    expect(second.rules.length).toBeGreaterThan(0)
    for (const { from, to } of fabric.expects) for (const { node } of [...from, ...to]) expect(node).not.toContain('.b')
  })
  test('trusts the marks of hosts at both, or neither', () => {
    const { fabric: trusting } = compiled([], ['berlin.yaml', 'prefixes: 10.1.20.0/24', 'prefixes: 10.1.20.0/24, trust: dscp'])
    const trusted = (id: string) => at(trusting, id).lans.flatMap(({ prefix, trust }) => (trust === 'dscp' ? [prefix] : []))
    expect(trusted('berlin')).toEqual(['10.1.20.0/24'])
    expect(trusted('berlin.b')).toEqual(trusted('berlin'))
  })
  test('has no two uplinks of one slot, so that no two peers of a hub interface have one prefix', () => {
    const slots = [...first.uplinks, ...second.uplinks].map(({ slot }) => slot)
    expect(new Set(slots).size).toBe(3)
    const atHubs = fabric.tunnels.flatMap((tunnel) =>
      tunnel.role === 'spoke' && tunnel.id.startsWith('berlin.') ? [`${tunnel.ends[1].site} ${tunnel.ends[1].interface}`] : [],
    )
    expect(new Set(atHubs).size).toBe(atHubs.length)
  })
  test('is one remote of a hub, whose hops are those of the first, then those of the second', () => {
    const group = (arrived: string) =>
      groupsOf(at(fabric, 'frankfurt')).find((one) => one.remote === 'berlin' && one.trafficClass === 'default' && one.arrived === arrived)!
    expect(group('anywhere').via.map(({ tunnel, next, stage }) => `${stage} ${next} ${tunnel}`)).toEqual([
      '0 berlin berlin.fiber--frankfurt.isp-a',
      '0 berlin berlin.lte--frankfurt.isp-a',
      '0 berlin.b berlin.b.cable--frankfurt.isp-a',
      '1 dublin dublin.isp-a--frankfurt.isp-a',
    ])
    const costs = group('anywhere').via.map(({ cost }) => cost)
    expect(costs[2]).toBeGreaterThan(Math.max(costs[0]!, costs[1]!))
    expect(group('mesh').via.map(({ next }) => next)).toEqual(['berlin', 'berlin', 'berlin.b'])
  })
  test('gives each peer of the hub the LANs', () => {
    const facts = fabric.sites.flatMap((site) =>
      site.interfaces.map((one) => ({ kind: 'key', site: site.id, interface: one.id, linkEpoch: 0, publicKey: 'x'.repeat(44) }) as const),
    )
    const { tunnels } = configure(fabric, facts, 'frankfurt' as SiteId)
    const allowed = (remote: string) => tunnels.find((one) => one.remote === remote)!.peer
    expect(allowed('berlin.b')).toMatchObject({ allowedIps: expect.arrayContaining(['10.1.10.0/24', '10.1.20.0/24', '10.5.0.0/16']) })
    expect(allowed('berlin')).toMatchObject({ allowedIps: expect.arrayContaining(['10.1.10.0/24']) })
  })

  const alone: readonly Edit[] = [
    [
      'berlin.yaml',
      /gateways:[^]*(?=segments:)/.exec(files.find(({ path }) => path === 'berlin.yaml')!.text)![0],
      'uplinks:\n  fiber: { interface: eth0 }\n  lte: { interface: wwan0 }\n',
    ],
    ['network.yaml', 'survives: [gateway, uplink, hub, tunnel]', 'survives: uplink'],
    ['network.yaml', 'survives: gateway', 'survives: []'],
    ['network.yaml', 'survives: gateway', 'survives: []'],
  ]
  test('leaves a site that gets a second gateway its box, with all numbers', () => {
    const before = compiled([], ...alone)
    const after = compiled(before.claims)
    const kept = ({ id, index, uplinks, interfaces }: Site) => ({ id, index, slots: uplinks.map(({ slot }) => slot), interfaces })
    expect(kept(at(after.fabric, 'berlin'))).toEqual(kept(at(before.fabric, 'berlin')))
  })
  test('is compiled and proven edit by edit as from the start', () => {
    const [compiler, verifier] = [createCompiler(), createVerifier(1)]
    const edits: readonly (readonly Edit[])[] = [
      [],
      [['berlin.yaml', 'cable:', 'dsl:']],
      [['berlin.yaml', 'lte: { interface: wwan0, rate: 50M/10M }', 'lte: { interface: wwan0, metered: false }']],
      [['berlin.yaml', 'prefixes: 10.1.10.0/24', 'prefixes: [10.1.10.0/24, 10.1.11.0/24]']],
      alone,
      [],
      [['oslo.yaml', '10.2.10.0/24', '10.2.11.0/24']],
    ]
    for (const each of edits) {
      const intent = intentOf(...each)
      const made = compiler(intent, [])
      expect(made).toEqual(compile(intent, []))
      expect(verifier(made.fabric!)).toEqual(verify(made.fabric!))
    }
  })
})
