/** Changes that say the same otherwise, or take away what nobody sends: the files say what they are. */
import { describe, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import type { Allocation, Fabric } from '#src/fabric/fabric.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { plan } from '#src/plan/plan.ts'

const files = {
  'network.yaml': `network: acme
hubs: [north, south]
segments: office
allow: office -> core/office tcp/443
`,
  'north.yaml': `site: north
role: core
uplinks: { isp: { interface: eth0, address: 192.0.2.10/28, router: 192.0.2.1 } }
segments: { office: { interface: eth1, prefixes: 10.10.0.0/24 } }
`,
  'south.yaml': `site: south
role: core
uplinks: { isp: { interface: eth0, address: 192.0.2.26/28, router: 192.0.2.17 } }
segments: { office: { interface: eth1, prefixes: 10.11.0.0/24 } }
`,
  'branch.yaml': `site: branch
uplinks: { fiber: { interface: eth0 } }
segments: { office: { interface: eth1, prefixes: 10.1.0.0/24 } }
`,
}
const peer = 'peer: partner\naddress: 203.0.113.200\nsegments: { office: { prefixes: 172.20.0.0/16 } }\n'
const allowing = (lines: string, more = '') => `network: acme\nhubs: [north, south]\nsegments: office\n${more}allow: ${lines}\n`
const pair = files['branch.yaml'].replace(
  /uplinks: .*/,
  'gateways: { a: { uplinks: { fiber: { interface: eth0 } } }, b: { uplinks: { cable: { interface: eth0 } } } }',
)

/** Numbers stay with who had them first. */
const held: Allocation[] = []
const fabricOf = (more: Readonly<Record<string, string>>): Fabric => {
  const { intent, findings } = parseIntent(Object.entries({ ...files, ...more }).map(([path, text]) => ({ path, text })))
  if (!intent) throw new Error(JSON.stringify(findings))
  const { fabric, claims } = compile(intent, held)
  held.push(...claims)
  return fabric!
}
const lines = (before: Fabric, after: Fabric) => plan(before, after).changes.map(({ site, text }) => `${site}: ${text}`)

describe('a change that hubs do not feel', () => {
  const base = fabricOf({})
  test('hosts of a group, written as one prefix', () => {
    const grouped = (hosts: string) => fabricOf({ 'network.yaml': allowing('desks -> core/office', `groups: { desks: { hosts: ${hosts} } }\n`) })
    const [apart, together, fewer] = [grouped('[10.1.0.20, 10.1.0.21]'), grouped('10.1.0.20/31'), grouped('10.1.0.20')]
    expect(plan(apart, together)).toMatchObject({ class: 'neutral', risk: 'low' })
    expect(plan(together, apart)).toMatchObject({ class: 'neutral', risk: 'low' })
    expect(plan(together, fewer)).toMatchObject({ class: 'disruptive', risk: 'high' })
  })
  test('a second gateway comes, and goes', () => {
    const paired = fabricOf({ 'branch.yaml': pair })
    expect(lines(base, paired)).toEqual([
      'branch: 1 LAN changed, interrupts traffic',
      'branch.b: 2 tunnels, 1 segment',
      'north: +1 peer, no interruption',
      'south: +1 peer, no interruption',
    ])
    expect(lines(paired, base)).toEqual([
      'branch: 1 LAN changed, interrupts traffic',
      'branch.b: 2 tunnels, 1 segment',
      'north: −1 peer, no interruption',
      'south: −1 peer, no interruption',
    ])
  })
  test('a peer goes that everybody could call, and each other', () => {
    const open = { 'network.yaml': allowing('office -> office tcp/9') }
    expect(lines(fabricOf({ ...open, 'partner.yaml': peer }), fabricOf(open)).filter((line) => line.includes('interrupts'))).toEqual([])
  })
  test('but a way between two spokes that ends, they do', () => {
    const second = files['branch.yaml'].replace('branch', 'annex').replace('10.1.0.0', '10.2.0.0')
    const [open, shut] = ['edge/office -> office', 'edge/office -> core/office'].map((line) =>
      fabricOf({ 'network.yaml': allowing(line), 'annex.yaml': second }),
    )
    expect(
      lines(open!, shut!)
        .filter((line) => line.includes('interrupts'))
        .map((line) => line.split(':')[0]),
    ).toEqual(['annex', 'branch', 'north', 'south'])
  })
  test('the order of hubs, by name', () => {
    expect(lines(base, fabricOf({ 'branch.yaml': `${files['branch.yaml']}hubs: [south, north]\n` }))).toEqual([
      'branch: hubs north, south → south, north, no interruption',
    ])
  })
})
