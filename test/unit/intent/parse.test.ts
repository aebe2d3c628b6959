import type { Origins } from '#src/fabric/fabric.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson } from '#src/fabric/hash.ts'
import { createParser, parseIntent } from '#src/intent/parse.ts'
import type { SourceFile } from '#src/intent/yaml.ts'
import { spoiled } from '#test/fuzz/mutate.ts'
import { check, demo, network, small } from './files.ts'

/** What a parser that remembers says, one without memory says: the same findings in the same order, the same places. */
function expectAsAnew(parse: typeof parseIntent, files: readonly SourceFile[]): void {
  const [again, anew] = [parse(files), parseIntent(files)]
  expect(again.intent).toEqual(anew.intent)
  expect(again.findings).toEqual(anew.findings)
  expect([...again.origins]).toEqual([...anew.origins])
}

describe('an intent', () => {
  it('of the demo has hubs, spokes and defaults', () => {
    const { intent, findings } = parseIntent(demo)
    expect(findings).toEqual([])
    expect(intent!.hubs).toEqual(['frankfurt', 'dublin'])
    expect(intent!.sites.map(({ id, role, hubs }) => [id, role, hubs])).toEqual([
      ['berlin', 'edge', ['frankfurt', 'dublin']],
      ['dublin', 'core', []],
      ['frankfurt', 'core', []],
      ['madrid', 'edge', ['frankfurt', 'dublin']],
      ['oslo', 'edge', ['frankfurt', 'dublin']],
    ])
    const berlin = intent!.sites[0]!
    expect(berlin.uplinks.map(({ id, medium, metered, down, up }) => [id, medium, metered, down, up])).toEqual([
      ['fiber', 'fiber', false, 500e6, 100e6],
      ['lte', 'lte', true, 50e6, 10e6],
    ])
    expect(berlin.lans.map(({ segment, prefix, address }) => [segment, prefix, address])).toEqual([
      ['cameras', '192.168.1.0/24', '192.168.1.1/24'],
      ['inference', '10.1.10.0/24', '10.1.10.1/24'],
    ])
    expect(intent!.classes.reduce((sum, each) => sum + each.share, 0)).toBe(100)
  })

  it('is the same from a parser that remembers, whatever was written, spoiled, mended, renamed or removed in between', () => {
    const edit = fc.record({ file: fc.nat(demo.length - 1), at: fc.nat(400), how: fc.constantFrom('spoil', 'mend', 'remove', 'rename', 'same') })
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 5 }), (edits) => {
        const parse = createParser()
        let files: readonly SourceFile[] = demo
        for (const { file, at, how } of [{ file: 0, at: 0, how: 'same' }, ...edits]) {
          files = files.flatMap((one) => {
            const { path, text } = demo[file]!
            if (one.path !== path) return [one]
            if (how === 'spoil') return [{ path, text: `${one.text.slice(0, at)}{${one.text.slice(at)}` }]
            if (how === 'mend') return [{ path, text }]
            if (how === 'rename') return [{ path, text: text.replace(/^site: /m, 'site: new-') }]
            return how === 'remove' ? [] : [{ ...one }]
          })
          if (how === 'mend' && !files.some(({ path }) => path === demo[file]!.path)) files = [...files, demo[file]!]
          expectAsAnew(parse, files)
        }
      }),
      { numRuns: 12 },
    )
  })

  it('is so too with pairs, peers, clouds, relays, groups and ways, after slips that leave them readable, and after those are mended', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e9 }), (seed) => {
        const parse = createParser()
        const { from, files } = spoiled(seed)
        for (const said of [from, files, from, from.slice(1), files]) expectAsAnew(parse, said)
      }),
      { numRuns: 60 },
    )
  })

  const lan = (prefix: string, more = '') => `segments:\n  office: { interface: eth9, prefixes: ${prefix}${more} }\n`
  const joined: Readonly<Record<string, string>> = {
    'network.yaml':
      'network: acme\nhubs: oslo\nsegments: office\ntransports: { mpls: { } }\ngroups: { printers: { hosts: 10.2.0.9 } }\n' +
      'allow: office -> office\nexpect: { path: paris/office -> oslo/office, via: gold }\n',
    'oslo.yaml': `site: oslo\nrole: core\nuplinks:\n  isp: { interface: eth0, address: 192.0.2.2/24, router: 192.0.2.1, shared_risk: duct }\n${lan('10.1.0.0/24')}`,
    'paris.yaml': `site: paris\nuplinks:\n  isp: { interface: eth0, tags: gold, shared_risk: duct }\n${lan('10.2.0.0/24')}`,
    'rome.yaml': `site: rome\nuplinks:\n  isp: { interface: eth0 }\n${lan('10.3.0.0/24', ', dhcp: { relay: 10.2.0.9 }')}`,
    'peer.yaml': `peer: partner\naddress: 203.0.113.9\nsegments: { office: { prefixes: 10.4.0.0/24 } }\n`,
  }
  it.each([
    ['a hub leaves the transport of all', 'oslo.yaml', 'eth0,', 'eth0, transport: mpls,', ['I063', 'I084']],
    ['a spoke leaves it', 'rome.yaml', 'eth0 ', 'eth0, transport: mpls ', ['I063']],
    ['a hub loses its address', 'oslo.yaml', 'address: 192.0.2.2/24, router: 192.0.2.1, ', '', ['I037']],
    ['a hub has one that is refused', 'oslo.yaml', '192.0.2.2/24', '192.0.2.0/24', ['I035']],
    ['a LAN takes the prefix of another', 'paris.yaml', '10.2.0.0/24', '[10.2.0.0/24, 10.1.0.0/24]', ['I034']],
    ['a LAN takes that of a peer', 'rome.yaml', '10.3.0.0', '10.4.0.0', ['I034']],
    ['it may be another in the overlay', 'rome.yaml', '10.3.0.0/24', '10.4.0.0/24, translate: auto', []],
    ['the LAN of a group and a DHCP server moves', 'paris.yaml', '10.2.0.0', '10.5.0.0', ['I020', 'I076']],
    ['nothing has the tag of a way', 'paris.yaml', 'tags: gold, ', '', ['I073']],
    ['nothing shares a risk', 'paris.yaml', ', shared_risk: duct', '', ['I057']],
    ['a place loses its segment', 'paris.yaml', 'office', 'lobby', ['I013']],
  ])('is so when %s', (_, file, text, by, codes) => {
    const parse = createParser()
    const files = Object.entries(joined).map(([path, own]) => ({ path, text: own }))
    const edited = files.map((one) => (one.path === file ? { path: file, text: one.text.replaceAll(text, by) } : one))
    expect(parse(files).findings).toEqual([])
    expect(edited).not.toEqual(files)
    for (let round = 0; round < 2; round++) {
      expectAsAnew(parse, edited)
      expect(new Set(parse(edited).findings.map(({ code }) => code))).toEqual(new Set(codes))
      expectAsAnew(parse, files)
    }
  })

  it('does not depend on the order of files, keys or list items that mean a set', () => {
    const whole = canonicalJson(parseIntent(demo).intent)
    fc.assert(
      fc.property(fc.shuffledSubarray([...demo], { minLength: demo.length }), (files) => {
        expect(canonicalJson(parseIntent(files).intent)).toBe(whole)
      }),
    )
    const one = parseIntent(
      small(
        network(
          'services:\n  a: { at: [core/inference, berlin/inference], ports: [tcp/1, udp/2] }\n  b: { at: inference, ports: icmp }\nallow:\n  - inference -> a\n  - inference -> b\n',
        ),
      ),
    ).intent
    const other = parseIntent(
      small({
        path: 'network.yaml',
        text: 'allow: [inference -> b, inference  ->  a]\nservices:\n  b: { ports: [icmp], at: [inference] }\n  a: { ports: [udp/2, tcp/1], at: [berlin/inference, core/inference] }\nsegments: [cameras, inference]\nhubs: [frankfurt]\nnetwork: acme\n',
      }),
    ).intent
    expect(one).not.toBeNull()
    expect(other).toEqual(one)
  })
  it('does not move for a comment, and its positions do', () => {
    const commented = demo.map(({ path, text }) => ({ path, text: `# a comment\n\n${text}` }))
    const [before, after] = [parseIntent(demo), parseIntent(commented)]
    expect(after.intent).toEqual(before.intent)
    const keys = (of: Origins) => [...of].map(([key]) => key).sort()
    expect(keys(after.origins)).toEqual(keys(before.origins))
    for (const [key, origin] of before.origins) expect(after.origins.get(key)).toEqual({ ...origin, line: origin.line + 2 })
  })

  it('has a place for every key that the compiler may name', () => {
    const { intent, origins } = parseIntent(demo)
    const lines = (key: string): string => {
      const origin = origins.get(key)
      const file = demo.find((each) => each.path === origin?.file)
      return origin ? file!.text.split('\n')[origin.line - 1]!.slice(origin.column - 1, origin.column - 1 + origin.length) : `no ${key}`
    }
    expect(lines('network')).toBe('demo')
    expect(lines('hubs/1')).toBe('dublin')
    expect(lines('segment/training')).toBe('training')
    expect(lines('class/bulk/never')).toBe('metered')
    expect(lines('service/model-api/at/0')).toBe('core/inference')
    expect(lines('site/berlin')).toBe('berlin')
    expect(lines('site/frankfurt/role')).toBe('core')
    expect(lines('site/dublin/uplink/isp-b/address')).toBe('198.51.100.26/28')
    expect(lines('site/berlin/lan/cameras/0')).toBe('192.168.1.0/24')
    for (const [n, allow] of intent!.allow.entries()) {
      expect(lines(`allow/${n}/from`)).toBe(allow.from.text)
      expect(lines(`allow/${n}/to`)).toBe(allow.to.text)
      expect(lines(`allow/${n}`)).toBe(`${allow.from.text} -> ${allow.to.text}`)
    }
    for (const [n, expected] of intent!.expect.entries()) expect(lines(`expect/${n}`)).toBe(`${expected.from.text} -> ${expected.to.text}`)
  })
})

describe('places inside a line', () => {
  it.each([
    ['allow: inference -> nothing', '4:21'],
    ['allow: "inference -> nothing"', '4:22'],
    ["allow: 'inference -> nothing'", '4:22'],
    ['allow:\n  - inference   ->   nothing', '5:22'],
    // Escapes and folding move letters about: then it is the whole text.
    ['allow: "\\x69nference -> nothing"', '4:8'],
    ['allow: >-\n  inference -> nothing', '4:8'],
  ])('%s', (line, at) => {
    expect(check(small(network(line)))).toContain(`error[I013] network.yaml:${at}  "nothing" is no segment or service`)
  })
  it('are counted in characters also behind others than ASCII, and in CRLF files', () => {
    const files = small({
      path: 'berlin.yaml',
      text: 'site: berlin\r\nplace: Zürich 🚠\r\nuplinks: { fiber: { interface: eth0, note: "🚠", rate: fast } }\r\n',
    })
    expect(check(files)).toContain('error[I043] berlin.yaml:3:56  "fast" is not a rate')
  })
})

describe('one cause, one finding', () => {
  it('a name misspelt where it is declared does not accuse its uses', () => {
    expect(check(small(network('servces:\n  api: { at: core/inference, ports: tcp/1 }\nallow: inference -> api\n')))).toBe(
      'error[I005] network.yaml:4:1  "servces" is not a key here; did you mean "services"?\n1 error, nothing verified\n',
    )
  })
  it('a file that can’t be read does not make its site unknown', () => {
    expect(check(small({ path: 'frankfurt.yaml', text: 'site: frankfurt\nuplinks: {\n' })).match(/error\[/g)).toHaveLength(1)
  })
  it('an address that can’t be read is not missing as well', () => {
    const text = 'site: frankfurt\nrole: core\nuplinks:\n  isp-a: { interface: eth0, address: 192.0.2.10.1/28, router: 192.0.2.1 }\n'
    expect(check(small({ path: 'frankfurt.yaml', text })).match(/error\[/g)).toHaveLength(1)
  })
  it('a hub’s address that stands without its half is not missing as well', () => {
    const hub = (uplink: string) => ({
      path: 'frankfurt.yaml',
      text: `site: frankfurt\nrole: core\nuplinks:\n  isp-a: { interface: eth0, ${uplink} }\n`,
    })
    expect(check(small(hub('router: 192.0.2.1')))).toMatch(/^error\[I006\][^]*1 error, nothing verified\n$/)
    expect(check(small(hub('address: 192.0.2.10/28')))).toMatch(/^error\[I006\][^]*1 error, nothing verified\n$/)
  })
  it('a share that can’t be read does not spoil the sum', () => {
    expect(check(small(network('classes:\n  realtime: { share: most }\n  business: { share: 90 }\n'))).match(/error\[/g)).toHaveLength(1)
  })
  it('segments that can’t be read do not make each use unknown', () => {
    expect(
      check(
        small({ path: 'network.yaml', text: 'network: acme\nhubs: frankfurt\nsegments: { inference: {} }\nallow: inference -> inference\n' }),
      ).match(/error\[/g),
    ).toHaveLength(1)
  })
})

describe('paths', () => {
  const mpls = (transport: string) => ({
    path: 'berlin.yaml',
    text: `site: berlin\nuplinks: { mpls: { interface: eth0, transport: ${transport} } }\nsegments: { inference: { interface: eth1, prefixes: 10.1.10.0/24 } }\n`,
  })
  it.each([
    ['the same transport', 'transports: { mpls-a: {} }\n', 'internet', true],
    ['one that reaches the hub’s', 'transports: { mpls-a: { reaches: internet } }\n', 'mpls-a', true],
    ['one that the hub’s reaches', 'transports: { internet: { reaches: mpls-a }, mpls-a: {} }\n', 'mpls-a', true],
    ['one that reaches another', 'transports: { mpls-a: { reaches: mpls-b }, mpls-b: { reaches: internet } }\n', 'mpls-a', false],
  ])('over %s', (_, transports, of, there) => {
    expect(check(small(network(transports), mpls(of))).includes('[I063]')).toBe(!there)
  })
})

describe('all findings at once', () => {
  it('in every file and of every kind, sorted', () => {
    const files = small(
      network('mtu: 9\nallow: inference -> nothing\nclasses: { bulk: { dscp: 99 } }\n'),
      {
        path: 'berlin.yaml',
        text: 'site: berlin\ncolour: red\nuplinks: { fiber: { interface: eth0, rate: fast } }\nsegments:\n  inference: { interface: eth0, prefixes: 10.1.10.4/24 }\n',
      },
      { path: 'broken.yaml', text: 'site: [\n' },
    )
    expect(check(files).match(/^error.*:\d+:\d+/gm)).toEqual([
      'error[I005] berlin.yaml:2:1',
      'error[I043] berlin.yaml:3:44',
      'error[I041] berlin.yaml:5:27',
      'error[I031] berlin.yaml:5:43',
      'error[I001] broken.yaml:2:1',
      'error[I049] network.yaml:4:6',
      'error[I046] network.yaml:6:26',
    ])
  })
})
