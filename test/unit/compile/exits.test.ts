import { describe, expect, test } from 'vitest'
import type { Fabric, Finding } from '#src/fabric/fabric.ts'
import { compile, createCompiler } from '#src/compile/compile.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { demoFiles } from '#test/contract/demo.ts'

/** The demo network with a breakout for cameras, and changes to its files. */
type Edits = readonly (readonly [file: string, from: string, to: string])[]
function intentOf(...edits: Edits) {
  const files = demoFiles((path, text) =>
    [['network.yaml', 'services:', 'internet: { cameras: local }\nservices:'] as const, ...edits]
      .filter(([file]) => file === path)
      .reduce((all, [, from, to]) => {
        if (!all.includes(from)) throw new Error(`${path} has no "${from}"`)
        return all.replace(from, to)
      }, text),
  )
  const { intent, findings } = parseIntent(files)
  if (!intent) throw new Error(findings.map((one) => one.says).join('\n'))
  return intent
}
const compiled = (...edits: Edits): { readonly fabric: Fabric | null; readonly findings: readonly Finding[] } => compile(intentOf(...edits), [])
const site = (fabric: Fabric | null, id: string) => fabric!.sites.find((one) => one.id === id)!

describe('exits', () => {
  test('are the uplinks on the internet, in the order that class default prefers; sites without such a LAN have none', () => {
    const { fabric } = compiled()
    expect(site(fabric, 'berlin').exits).toEqual(['fiber', 'lte'])
    expect(site(fabric, 'madrid')).not.toHaveProperty('exits')
    expect(site(fabric, 'berlin').lans.map(({ segment, internet }) => [segment, internet])).toEqual([
      ['inference', undefined],
      ['cameras', 'local'],
    ])
  })
  test('are what `prefer` and `never` of class default make of them', () => {
    const prefers = compiled(['network.yaml', 'classes:', 'classes:\n  default: { prefer: lte }'])
    expect(site(prefers.fabric, 'berlin').exits).toEqual(['lte', 'fiber'])
    const refuses = compiled(['network.yaml', 'classes:', 'classes:\n  default: { never: metered }'])
    expect(site(refuses.fabric, 'berlin').exits).toEqual(['fiber'])
  })
  test('are not the uplinks that have IPv6 alone', () => {
    const { fabric } = compiled(['berlin.yaml', 'fiber: { ', 'fiber: { family: ipv6, '], ['berlin.yaml', 'lte: { ', 'lte: { family: both, '])
    expect(fabric === null ? null : site(fabric, 'berlin').exits).toEqual(['lte'])
  })
  test('I141: none is left, or none is on the internet', () => {
    const { fabric, findings } = compiled(['network.yaml', 'classes:', 'classes:\n  default: { never: [fiber, lte] }'])
    expect(fabric).toBeNull()
    expect(findings.filter((one) => one.code === 'I141')).toEqual([
      {
        code: 'I141',
        severity: 'error',
        at: ['site/berlin/lan/cameras/0/internet', 'internet/cameras'],
        says: 'hosts of cameras at berlin are to leave to the internet, and class default never uses an uplink of berlin that is on it',
        instead: 'use `avoid:` in class default, or write internet: none at the segment of berlin',
        witness: [],
      },
    ])
  })
  test('of those who leave at the hub are the hubs’, home first, and the hubs are told whom they let out', () => {
    const { fabric } = compiled(['network.yaml', 'cameras: local', 'cameras: hub'])
    expect(site(fabric, 'berlin')).toMatchObject({ exitHub: 'frankfurt' })
    expect(site(fabric, 'berlin')).not.toHaveProperty('exits')
    for (const hub of ['frankfurt', 'dublin']) expect(site(fabric, hub)).toMatchObject({ exits: ['isp-a', 'isp-b'], exitsFor: ['192.168.1.0/24'] })
    // It has nobody to talk to there, and the way to the home hub all the same.
    expect(groupsOf(site(fabric, 'berlin')).some(({ remote, trafficClass }) => remote === 'frankfurt' && trafficClass === 'default')).toBe(true)
  })
  test('of a LAN of the hub itself are its own', () => {
    const { fabric } = compiled(['network.yaml', 'cameras: local', 'inference: hub'])
    const frankfurt = site(fabric, 'frankfurt')
    expect(frankfurt.lans.find(({ segment }) => segment === 'inference')).toMatchObject({ internet: 'local' })
    expect(frankfurt).toMatchObject({ exits: ['isp-a', 'isp-b'] })
    expect(frankfurt).not.toHaveProperty('exitHub')
  })
  test('I141: a hub that is to let out others has none', () => {
    const { findings } = compiled(
      ['network.yaml', 'cameras: local', 'cameras: hub'],
      ['network.yaml', 'classes:', 'classes:\n  default: { never: ethernet }'],
    )
    expect(findings.filter((one) => one.code === 'I141').map(({ at, says }) => ({ at, says }))).toEqual(
      ['dublin', 'frankfurt'].map((hub) => ({
        at: ['site/berlin/lan/cameras/0/internet', 'internet/cameras'],
        says: `hosts of cameras at berlin are to leave to the internet at hub ${hub}, and class default never uses an uplink of ${hub} that is on it`,
      })),
    )
  })
  const dual = ['berlin.yaml', 'prefixes: 192.168.1.0/24', 'prefixes: [192.168.1.0/24, "2001:db8:7::/64"]'] as const
  const leaving = (fabric: Fabric | null) =>
    site(fabric, 'berlin').lans.flatMap(({ prefix, internet }) => (internet ? [`${prefix} ${internet}`] : []))
  test('are for each family those that have it', () => {
    const { fabric, findings } = compiled(dual, ['berlin.yaml', 'lte: { ', 'lte: { family: ipv6, '])
    expect(site(fabric, 'berlin').exits).toEqual(['fiber', 'lte'])
    expect(leaving(fabric)).toEqual(['192.168.1.0/24 local', '2001:db8:7::/64 local'])
    expect(findings.filter((one) => one.code.startsWith('I14'))).toEqual([])
  })
  test('I142: have IPv4 alone; a prefix of IPv6 stays inside, and says so', () => {
    const { fabric, findings } = compiled(dual)
    expect(leaving(fabric)).toEqual(['192.168.1.0/24 local'])
    expect(findings.filter((one) => one.code === 'I142')).toEqual([
      {
        code: 'I142',
        severity: 'note',
        at: ['site/berlin/lan/cameras/1'],
        says: 'hosts of cameras at berlin leave to the internet over IPv4 only: 2001:db8:7::/64 stays inside, for no uplink of berlin on the internet that class default uses has IPv6',
        instead: 'give berlin an uplink with IPv6: family: both where its provider gives the address, else one more with an IPv6 address',
        witness: [],
      },
    ])
  })
  test('I141: have IPv4 alone, and the LAN IPv6', () => {
    const { fabric, findings } = compiled(['berlin.yaml', 'prefixes: 192.168.1.0/24', 'prefixes: "2001:db8:7::/64"'])
    expect(fabric).toBeNull()
    expect(findings.filter((one) => one.code === 'I141').map(({ says, instead }) => ({ says, instead }))).toEqual([
      {
        says: 'hosts of cameras at berlin are to leave to the internet from 2001:db8:7::/64, and no uplink of berlin on the internet that class default uses has IPv6',
        instead:
          'give berlin an uplink with IPv6: family: both where its provider gives the address, else one more with an IPv6 address, or write internet: none at the segment of berlin',
      },
    ])
  })
  test('at the hub: IPv6 leaves there if the home hub can let it out, and every hub is told of it', () => {
    const atHub = ['network.yaml', 'cameras: local', 'cameras: hub'] as const
    expect(compiled(dual, atHub).findings.find((one) => one.code === 'I142')?.says).toContain('for no uplink of frankfurt on the internet')
    const six = ['frankfurt.yaml', 'uplinks:', 'uplinks:\n  six: { interface: eth9, address: "2001:db8:9::2/64", router: "2001:db8:9::1" }'] as const
    const { fabric, findings } = compiled(dual, atHub, six)
    expect(findings.filter((one) => one.code.startsWith('I14'))).toEqual([])
    expect(leaving(fabric)).toEqual(['192.168.1.0/24 hub', '2001:db8:7::/64 hub'])
    expect(site(fabric, 'frankfurt').exits).toContain('six')
    for (const hub of ['frankfurt', 'dublin']) expect(site(fabric, hub).exitsFor).toEqual(['192.168.1.0/24', '2001:db8:7::/64'])
  })
  test('come and go with a site, with the same bytes as if all were compiled anew', () => {
    const remembering = createCompiler()
    const closed = intentOf(['berlin.yaml', 'interface: eth2', 'internet: none, interface: eth2'])
    const atHub = intentOf(['network.yaml', 'cameras: local', 'cameras: hub'])
    const six = ['frankfurt.yaml', 'uplinks:', 'uplinks:\n  six: { interface: eth9, address: "2001:db8:9::2/64", router: "2001:db8:9::1" }'] as const
    const dualAtHub = intentOf(dual, ['network.yaml', 'cameras: local', 'cameras: hub'])
    const letOut = intentOf(dual, six, ['network.yaml', 'cameras: local', 'cameras: hub'])
    for (const intent of [closed, intentOf(), closed, atHub, dualAtHub, letOut, dualAtHub, intentOf(dual), closed])
      expect(remembering(intent, []).fabric).toEqual(compile(intent, []).fabric)
    expect(remembering(closed, []).fabric!.sites.some((one) => one.exits)).toBe(false)
  })
})
