import { describe, expect, it } from 'vitest'
import { explain, explainAll } from '#src/intent/explain.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { demo } from './files.ts'

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
    ['berlin.uplinks.zzzzzz', 'there is no "zzzzzz" under sites.berlin.uplinks; there are fiber, lte'],
    ['', 'an empty path explains nothing; write one like berlin.uplinks'],
    ['__proto__.x', 'there is no "__proto__"; there are network, mtu, hubs, segments, transports, services, allow, classes, expect, sites'],
  ])('%s', (path, line) => {
    expect(ask(path)).toEqual([line])
  })
  it('tells everything below a branch', () => {
    expect(ask('berlin.segments')).toEqual([
      'sites.berlin.segments.cameras.interface = eth2  berlin.yaml:8',
      'sites.berlin.segments.cameras.prefixes.0 = 192.168.1.0/24  berlin.yaml:8',
      'sites.berlin.segments.cameras.address.0 = 192.168.1.1/24  default: the first host of the prefix',
      'sites.berlin.segments.inference.interface = eth1  berlin.yaml:7',
      'sites.berlin.segments.inference.prefixes.0 = 10.1.10.0/24  berlin.yaml:7',
      'sites.berlin.segments.inference.address.0 = 10.1.10.1/24  default: the first host of the prefix',
    ])
  })
  it('finds each of its own paths again', () => {
    for (const entry of explainAll(intent!, origins)) {
      const answer = explain(intent!, origins, entry.path)
      expect(answer.ok && answer.entries).toContainEqual(entry)
    }
  })
})
