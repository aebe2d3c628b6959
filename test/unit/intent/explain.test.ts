import { describe, expect, it } from 'vitest'
import { explain, explainAll } from '#src/intent/explain.ts'
import { identityOf } from '#src/intent/fragments.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { lan, networkFile, service, siteBody, trafficClass, uplink } from '#src/intent/schema.ts'
import { prefix } from '#src/net/address.ts'
import { demo, small } from './files.ts'

const { intent, origins } = parseIntent(demo)
/** One line an entry: `path = value  file:line  (why)`. */
const ask = (path: string): readonly string[] => {
  const answer = explain(intent!, origins, path)
  return answer.ok
    ? answer.entries.map(({ path: at, value, at: origin, why }) =>
        [`${at} = ${value}`, origin ? `${origin.file}:${origin.line}` : '', why].filter((part) => part !== '').join('  '),
      )
    : [answer.says]
}

describe('explain', () => {
  it.each([
    ['berlin.uplinks.lte.rate', 'sites.berlin.uplinks.lte.rate = 50M/10M  berlin.yaml:5'],
    ['sites/berlin/uplinks/lte/metered', 'sites.berlin.uplinks.lte.metered = true  default of medium lte'],
    ['berlin.uplinks.lte.medium', 'sites.berlin.uplinks.lte.medium = lte  from the name of the uplink'],
    ['frankfurt.uplinks.isp-a.medium', 'sites.frankfurt.uplinks.isp-a.medium = ethernet  default'],
    ['frankfurt.uplinks.isp-a.public', 'sites.frankfurt.uplinks.isp-a.public = its own address  default'],
    ['oslo.hubs', 'sites.oslo.hubs = [frankfurt, dublin]  network.yaml:11  hubs of the network'],
    ['dublin.hubs', 'sites.dublin.hubs = none  network.yaml:11  it is a hub of the network'],
    ['madrid.segments.inference.address', 'sites.madrid.segments.inference.address.0 = 10.1.11.1/24  default: the first host of the prefix'],
    ['business.sla.latency', 'classes.business.sla.latency = 120ms  network.yaml:33'],
    ['classes.business.sla.loss', 'classes.business.sla.loss = 2%  default'],
    ['default.share', 'classes.default.share = 20%  what the other classes leave'],
    ['model-api.class', 'services.model-api.class = business  network.yaml:18'],
    ['mtu', 'mtu = 1360  default'],
    ['expect.1', 'expect.1 = reach edge/inference -> model-api, survives [uplink, tunnel, hub]  network.yaml:38'],
    ['berln', 'there is no "berln"; did you mean "berlin"?'],
    ['berlin.uplinks.lte.metred', 'there is no "metred" under sites.berlin.uplinks.lte; did you mean "metered"?'],
    ['berlin.uplinks.lte.metered.more', 'there is no "more" under sites.berlin.uplinks.lte.metered'],
    ['berlin.classes.bulk.never', 'sites.berlin.classes.bulk.never = metered  network.yaml:34  classes of the network'],
    ['berlin.classes.bulk.share', 'sites.berlin.classes.bulk.share = 10%  default'],
    ['berlin.clases', 'there is no "clases" under sites.berlin; did you mean "classes"?'],
    ['berlin.uplinks.zzzzzz', 'there is no "zzzzzz" under sites.berlin.uplinks; there are fiber, lte'],
    ['', 'an empty path explains nothing; write one like berlin.uplinks'],
    [
      '__proto__.x',
      'there is no "__proto__"; there are network, mtu, translate, hubs, segments, internet, transports, services, allow, classes, expect, maintenance, sites',
    ],
  ])('%s', (path, line) => {
    expect(ask(path)).toEqual([line])
  })
  it('names the line of an empty list, and none for what only follows from the shares of others', () => {
    const files = demo.map(({ path, text }) =>
      path === 'network.yaml'
        ? { path, text: text.replace('bulk: { never: metered }', 'bulk: { never: metered, share: 10 }\n  default: { share: 20 }') }
        : path === 'oslo.yaml'
          ? { path, text: `${text}classes: { bulk: { never: [], share: 1 } }\n` }
          : { path, text },
    )
    const parsed = parseIntent(files)
    const told = ['bulk.share', 'default.share', 'bulk.avoid', 'bulk.never'].flatMap((path) => {
      const answer = explain(parsed.intent!, parsed.origins, `oslo.classes.${path}`)
      return answer.ok ? answer.entries : []
    })
    expect(told.map(({ path, value, at, why }) => [path, value, at && `${at.file}:${at.line}`, why])).toEqual([
      ['sites.oslo.classes.bulk.share', '1%', 'oslo.yaml:8', ''],
      ['sites.oslo.classes.default.share', '29%', null, 'what the other classes leave'],
      ['sites.oslo.classes.bulk.avoid', '[]', null, 'classes of the network'],
      ['sites.oslo.classes.bulk.never', '[]', 'oslo.yaml:8', ''],
    ])
  })
  it('tells everything below a branch', () => {
    expect(ask('berlin.segments')).toEqual([
      'sites.berlin.segments.cameras.interface = eth2  berlin.yaml:8',
      'sites.berlin.segments.cameras.internet = none  default',
      'sites.berlin.segments.cameras.prefixes.0 = 192.168.1.0/24  berlin.yaml:8',
      'sites.berlin.segments.cameras.address.0 = 192.168.1.1/24  default: the first host of the prefix',
      'sites.berlin.segments.inference.interface = eth1  berlin.yaml:7',
      'sites.berlin.segments.inference.internet = none  default',
      'sites.berlin.segments.inference.prefixes.0 = 10.1.10.0/24  berlin.yaml:7',
      'sites.berlin.segments.inference.address.0 = 10.1.10.1/24  default: the first host of the prefix',
    ])
  })
  it.each([
    ['translate', 'translate = never  default'],
    ['maintenance', 'maintenance = any time  default'],
    ['internet.cameras', 'internet.cameras = none  default'],
    ['berlin.maintenance', 'sites.berlin.maintenance = any time  default'],
    ['berlin.uplinks.fiber.family', 'sites.berlin.uplinks.fiber.family = ipv4  default'],
    ['dublin.uplinks.isp-a.family', 'sites.dublin.uplinks.isp-a.family = ipv4  that of its address'],
    ['berlin.segments.cameras.trust', 'sites.berlin.segments.cameras.trust = none  default'],
    ['berlin.segments.cameras.dhcp', 'sites.berlin.segments.cameras.dhcp = false  default'],
  ])('%s is a default that is told when asked for', (path, line) => {
    expect(ask(path)).toEqual([line])
    expect(explainAll(intent!, origins).map((entry) => entry.path)).not.toContain(line.split(' ')[0])
  })
  it('knows each key of the language, written or not', () => {
    const keys = (under: string, fields: object, but: readonly string[] = []) =>
      Object.keys(fields).flatMap((key) => (but.includes(key) ? [] : [`${under}${key}`]))
    const paths = [
      ...keys('', networkFile.fields, ['groups', 'deny', 'regions', 'peers']),
      // One of the two, and classes where the site says something of them: else they are the network's.
      ...keys('berlin.', siteBody.fields, ['gateways']),
      ...keys('berlin.uplinks.lte.', uplink.fields),
      ...keys('berlin.segments.inference.', lan.fields),
      ...keys('bulk.', trafficClass.fields),
      ...keys('model-api.', service.fields),
    ]
    expect(paths.length).toBeGreaterThan(50)
    expect(paths.filter((path) => !explain(intent!, origins, path).ok)).toEqual([])
  })
  it('finds each of its own paths again', () => {
    for (const entry of explainAll(intent!, origins)) {
      const answer = explain(intent!, origins, entry.path)
      expect(answer.ok && answer.entries).toContainEqual(entry)
    }
  })
})

describe('explain a cloud region', () => {
  const files = small({
    path: 'aws-eu-west-1.yaml',
    text: 'region: aws-eu-west-1\nprovider: aws\nsegments:\n  inference:\n    vpcs: { vpc-0a1b2c3d4e5f60718: [10.97.0.0/16, 10.96.0.0/16] }\n',
  })
  const parsed = parseIntent(files)
  const lines = (path: string): readonly string[] => {
    const answer = explain(parsed.intent!, parsed.origins, path)
    return answer.ok
      ? answer.entries.map(({ path: at, value, at: origin, why }) => `${at} = ${value}  ${origin ? `${origin.file}:${origin.line}` : ''}  ${why}`)
      : [answer.says]
  }
  it('by its name, with what follows from it', () => {
    expect(lines('aws-eu-west-1')).toEqual([
      'regions.aws-eu-west-1.provider = aws  aws-eu-west-1.yaml:2  ',
      'regions.aws-eu-west-1.attach = transit-gateway    default',
      'regions.aws-eu-west-1.routing = static    default',
      'regions.aws-eu-west-1.in = eu-west-1    from the name of the region',
      'regions.aws-eu-west-1.asn = 64512    default',
      'regions.aws-eu-west-1.hubs = frankfurt  network.yaml:2  hubs of the network',
      'regions.aws-eu-west-1.segments.inference.vpcs.vpc-0a1b2c3d4e5f60718 = [10.96.0.0/16, 10.97.0.0/16]  aws-eu-west-1.yaml:5  ',
    ])
  })
  it('also when it stands in network.yaml', () => {
    const { intent: other } = parseIntent(
      small({
        path: 'network.yaml',
        text: 'network: acme\nhubs: frankfurt\nsegments: inference\nregions:\n  west:\n    provider: aws\n    in: eu-west-1\n    segments: { inference: { vpcs: vpc-0a1b2c3d4e5f60718, prefixes: 10.96.0.0/16 } }\n',
      }),
    )
    expect(other!.regions).toMatchObject([{ id: 'west', location: 'eu-west-1', hubs: ['frankfurt'] }])
  })
})

it('says what a translated LAN is called in the overlay, which is allocated', () => {
  const files = small({ path: 'network.yaml', text: 'network: acme\nhubs: frankfurt\nsegments: inference\ntranslate: always\n' })
  const parsed = parseIntent(files)
  const overlays = new Map([['berlin/10.1.10.0/24', prefix('198.18.0.0/24')]])
  const answer = explain(parsed.intent!, parsed.origins, 'berlin.segments.inference.overlay', overlays)
  expect(answer).toMatchObject({
    ok: true,
    entries: [{ value: '198.18.0.0/24 for 10.1.10.0/24', at: { file: 'network.yaml', line: 4 }, why: 'allocated from the pool' }],
  })
  expect(explain(parsed.intent!, parsed.origins, 'berlin.segments.inference.overlay').ok).toBe(false)
})

it('says whose files these are, and of which network', () => {
  const explained = (files: readonly { readonly path: string; readonly text: string }[], path: string) => {
    const { intent, origins } = parseIntent(files)
    const answer = explain(intent!, origins, path, undefined, identityOf(files))
    return answer.ok ? answer.entries.map(({ value, at, why }) => [value, at?.file ?? why]) : answer.says
  }
  expect(explained(small(), 'folder')).toEqual([['acme', 'default: the name of the network']])
  const named = [...small(), { path: 'folder.yaml', text: 'folder: core\nof: acme\n' }]
  expect([explained(named, 'folder'), explained(named, 'of')]).toEqual([[['core', 'folder.yaml']], [['acme', 'folder.yaml']]])
})
