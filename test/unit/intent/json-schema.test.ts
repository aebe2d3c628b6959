import { parseDocument } from 'yaml'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { jsonSchema } from '#src/intent/json-schema.ts'
import { demo } from './files.ts'

/** The editor's view: JSON Schema alone, read back by another program. */
const editor = z.fromJSONSchema(jsonSchema())
const accepts = (yaml: string): boolean => editor.safeParse(parseDocument(yaml).toJS()).success

const lan = (more: string): string =>
  `site: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments: { inference: { interface: eth1, prefixes: 10.1.10.0/24, ${more} } }`

describe('the editors’ JSON Schema', () => {
  it('names its dialect and describes what it can', () => {
    const schema = jsonSchema()
    expect(schema['$schema']).toBe('https://json-schema.org/draft/2020-12/schema')
    expect(JSON.stringify(schema)).toContain('Line rate in bit/s, down/up or one for both.')
  })
  it.each(demo.map(({ path, text }) => [path, text]))('accepts %s of the demo', (_, text) => {
    expect(accepts(text)).toBe(true)
  })
  it.each([
    ['an unknown key', 'site: berlin\nuplinks: { fiber: { interfce: eth0 } }'],
    ['a missing key', 'site: berlin\nplace: Berlin'],
    ['an unknown role', 'site: berlin\nrole: cor\nuplinks: {}'],
    ['an MTU out of range', 'network: acme\nsegments: inference\nmtu: 9'],
    ['a file of no kind', 'place: Berlin'],
  ])('refuses %s', (_, text) => {
    expect(accepts(text)).toBe(false)
  })
  it.each([
    ['a LAN', 'site: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments: { inference: { interface: eth1, prefixes: 10.1.10.0/24 } }', true],
    [
      'two LANs of a segment',
      'site: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments: { inference: [{ interface: eth1, prefixes: 10.1.10.0/24 }, { interface: eth2, prefixes: [10.1.20.0/24] }] }',
      true,
    ],
    ['one VPC', 'region: aws-eu-west-1\nprovider: aws\nsegments: { inference: { vpcs: vpc-0a1b2c3d4e5f60718, prefixes: 10.96.0.0/16 } }', true],
    ['VPCs by map', 'region: aws-eu-west-1\nprovider: aws\nsegments: { inference: { vpcs: { vpc-0a1b2c3d4e5f60718: 10.96.0.0/16 } } }', true],
    ['an unknown provider', 'region: aws-eu-west-1\nprovider: amazon\nsegments: {}', false],
  ])('knows regions: %s', (_, text, right) => {
    expect(accepts(text)).toBe(right)
  })
  it.each([
    ['a rate in bit/s', 'site: berlin\nuplinks: { fiber: { interface: eth0, rate: 100000000 } }'],
    ['an area of OSPF', lan('ospf: { neighbor: 10.1.10.254, prefixes: 10.5.0.0/16, area: 1 }')],
    ['a share and a DSCP', 'network: acme\nsegments: inference\nclasses: { bulk: { share: 5, dscp: 12 } }'],
    ['a place', 'site: berlin\nplace: 10115\nuplinks: { fiber: { interface: eth0 } }'],
  ])('accepts %s that YAML takes for a number, as the reader does', (_, text) => {
    expect(accepts(text)).toBe(true)
  })
  it('refuses a number as a name, and a list without an item', () => {
    expect(accepts('site: 12\nuplinks: { fiber: { interface: eth0 } }')).toBe(false)
    expect(accepts(lan('next_hop: { 10.1.10.254: [] }'))).toBe(false)
    expect(accepts('network: acme\nsegments: inference\nhubs: []\nallow: []')).toBe(true)
  })
  it('accepts one item where a list of one is meant, as the reader does', () => {
    expect(
      accepts(
        'network: acme\nsegments: inference\nhubs: frankfurt\nservices: { api: { at: core/inference, ports: tcp/443 } }\nallow: inference -> api',
      ),
    ).toBe(true)
    expect(
      accepts(
        'network: acme\nsegments: [inference]\nhubs: [frankfurt]\nservices: { api: { at: [core/inference], ports: [tcp/443] } }\nallow: [inference -> api]',
      ),
    ).toBe(true)
  })
})
