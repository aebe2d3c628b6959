import { describe, expect, test } from 'vitest'
import { peerConfig } from '#providers/export/peer.ts'
import { exportFiles } from '#providers/export/files.ts'
import { compile } from '#src/compile/compile.ts'
import type { Fact } from '#src/fabric/fabric.ts'
import { connectionId, ipsecTunnelId } from '#src/fabric/ids.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { address, prefix } from '#src/net/address.ts'
import { allow, berlin, cloud, fixed, madrid, network, partner, site, siteId, uplinkId } from '../compile/networks.ts'

const hub = site('hub', 'core', [fixed('isp', '192.0.2.10/28', '192.0.2.1')], { inference: ['10.10.0.0/16'], training: ['10.20.0.0/16'] })
const other = site('other', 'core', [fixed('isp', '10.0.0.2/24', '10.0.0.1', { public: { address: '203.0.113.7' as never, base: 40000 } })], {
  inference: ['10.11.0.0/16'],
})
const hubs = { hubs: [siteId('hub'), siteId('other')] }
const allows = [
  allow('edge/inference -> model-api'),
  allow('cameras -> same/camera-rtp'),
  allow('hub/training -> berlin/inference', 'icmp', 'udp', 'tcp/80-90'),
]
const denies = [allow('berlin/inference -> other/inference', 'tcp/22', 'icmp')]
const fabric = compile(network({ ...hubs, sites: [{ ...berlin, ...hubs }, hub, other], allow: allows, deny: denies, expect: [] }), []).fabric!
const file = (path: string, facts?: readonly Fact[]) => exportFiles(fabric, facts).find((one) => one.path === path)?.text

describe('export files', () => {
  test('a small network, all of it', async () => {
    const text = exportFiles(fabric)
      .map((one) => `──── ${one.path}\n${one.text}`)
      .join('\n')
    await expect(text).toMatchFileSnapshot('small-network.txt')
  })
  test('a translated LAN, as its hosts call it and with what does the translating', () => {
    const lans = madrid.lans.map((lan) => ({ ...lan, translate: 'always' as const }))
    const intent = network({ ...hubs, sites: [{ ...madrid, ...hubs, lans }, hub, other], allow: allows.slice(0, 1), expect: [] })
    const files = new Map(exportFiles(compile(intent, []).fabric!).map((one) => [one.path, one.text]))
    expect(files.get('sites/madrid/README.md')).toContain('10.1.11.0/24, 198.18.0.0/24 in the overlay')
    const policy = files.get('sites/madrid/policy.nft')!
    expect(policy).toContain('iifname "cw*" ip daddr 198.18.0.0/24 ip daddr set ip daddr & 0.0.0.255 | 10.1.11.0')
    expect(policy).toContain('ip saddr { 10.1.11.0/24 } ip daddr { 10.10.0.0/16, 10.11.0.0/16 } tcp dport 8443 accept')
    expect(files.get('sites/hub/policy.nft')).toContain('ip saddr { 198.18.0.0/24 } ip daddr { 10.10.0.0/16 }')
  })
  test('paths are unique, sorted, and stay in their folder', () => {
    const paths = exportFiles(fabric).map((one) => one.path)
    expect(paths).toEqual([...new Set(paths)].toSorted())
    expect(paths.every((path) => /^(README\.md|sites\/[a-z]+\/(README\.md|policy\.nft|wireguard\/[a-z0-9]+\.conf))$/.test(path))).toBe(true)
  })
  test('with facts, public keys stand where they are known; private keys never', () => {
    const facts: Fact[] = [
      { kind: 'key', site: siteId('berlin'), interface: 'edge:fiber/hub.isp' as never, linkEpoch: 0, publicKey: 'berlins-key=' },
      { kind: 'key', site: siteId('hub'), interface: 'hub:isp/s0' as never, linkEpoch: 0, publicKey: 'hubs-key=' },
    ]
    const edge = file('sites/berlin/wireguard/cwe1u0u0p0.conf', facts)!
    expect(edge).toContain('PublicKey = hubs-key=\n')
    expect(file('sites/hub/wireguard/cwh0s0p0.conf', facts)).toContain('PublicKey = berlins-key=\n')
    expect(file('sites/hub/wireguard/cwh0s1p0.conf', facts)).toContain('PublicKey = <public key of berlin edge:lte/hub.isp>\n')
    expect(edge).toContain('PrivateKey = <private key stays on the box>\n')
  })
  test('once both ends rotated, device, port and insides are the next link epoch’s', () => {
    const facts = ([0, 1] as const).flatMap((linkEpoch): Fact[] => [
      { kind: 'key', site: siteId('berlin'), interface: 'edge:fiber/hub.isp' as never, linkEpoch, publicKey: `b${linkEpoch}` },
      { kind: 'key', site: siteId('hub'), interface: 'hub:isp/s0' as never, linkEpoch, publicKey: `h${linkEpoch}` },
    ])
    const edge = file('sites/berlin/wireguard/cwe1u0u0p1.conf', facts)!
    expect(edge).toContain('ListenPort = 53001\n')
    expect(edge).toContain('PublicKey = h1\n')
    expect(edge).toContain('Endpoint = 192.0.2.10:51821\n')
    expect(file('sites/berlin/wireguard/cwe1u0u0p0.conf', facts)).toBeUndefined()
  })
  test('while others have not rotated, both devices are written, each with its own peers', () => {
    const facts = (['fiber', 'lte'] as const).map(
      (line): Fact => ({ kind: 'key', site: siteId('berlin'), interface: `edge:${line}/hub.isp` as never, linkEpoch: 0, publicKey: line }),
    )
    const two = compile(network({ ...hubs, sites: [{ ...berlin, ...hubs }, { ...madrid, ...hubs }, hub, other], allow: allows, expect: [] }), [])
      .fabric!
    const rotating: Fact[] = [
      ...facts,
      ...([0, 1] as const).map(
        (linkEpoch): Fact => ({ kind: 'key', site: siteId('hub'), interface: 'hub:isp/s0' as never, linkEpoch, publicKey: `h${linkEpoch}` }),
      ),
      ...([0, 1] as const).map(
        (linkEpoch): Fact => ({
          kind: 'key',
          site: siteId('madrid'),
          interface: 'edge:fiber/hub.isp' as never,
          linkEpoch,
          publicKey: `m${linkEpoch}`,
        }),
      ),
    ]
    const peers = (path: string) =>
      exportFiles(two, rotating)
        .find((one) => one.path === path)
        ?.text.match(/(?<=PublicKey = ).*/g)
    expect(peers('sites/hub/wireguard/cwh0s0p0.conf')).toEqual(['fiber'])
    expect(peers('sites/hub/wireguard/cwh0s0p1.conf')).toEqual(['m1'])
  })
})

describe('a site with gateways, routers and hosts that are told things', () => {
  const parsed = parseIntent([
    {
      path: 'network.yaml',
      text: 'network: small\nhubs: north\nsegments: [office, lab]\ninternet: { office: local, lab: hub }\nmaintenance: { window: "sun 02:00-04:00", timezone: Europe/Berlin }\nallow: [harbor/lab -> north/lab]\n',
    },
    {
      path: 'north.yaml',
      text: 'site: north\nrole: core\nuplinks:\n  isp: { interface: eth0, address: 192.0.2.10/28, router: 192.0.2.1 }\nsegments:\n  lab: { interface: eth1, prefixes: 10.20.0.0/16, ospf: { neighbor: 10.20.0.2, prefixes: 10.21.0.0/16 } }\n',
    },
    {
      path: 'harbor.yaml',
      text: `site: harbor
gateways:
  a: { uplinks: { fiber: { interface: eth0 } } }
  b: { uplinks: { cable: { interface: eth0 } } }
segments:
  office: { interface: lan0, prefixes: [10.50.1.0/24, "fd50:1::/64"], trust: dscp, dhcp: { range: 10.50.1.10-10.50.1.99, dns: 10.20.0.53 }, ra: { dns: "fd20::53" }, ospf: { neighbor: 10.50.1.9, prefixes: 10.52.0.0/20 } }
  lab: { interface: lan1, prefixes: 10.50.2.0/24, bgp: { asn: 65010, neighbor: 10.50.2.9, prefixes: 10.51.0.0/20 }, dhcp: { relay: 10.20.0.5 } }
`,
    },
  ])
  const files = new Map(exportFiles(compile(parsed.intent!, []).fabric!).map((one) => [one.path, one.text]))
  const [first, second, hub] = ['harbor', 'harbor.b', 'north'].map((id) => files.get(`sites/${id}/README.md`)!)
  test('says which other gateway has its LANs with it, and which addresses each has alone', () => {
    expect(first).toContain('One of the two gateways of harbor, with harbor.b')
    expect(second).toContain('One of the two gateways of harbor, with harbor:')
    expect(first).toContain('| 10.50.2.1/24 of whichever is on duty, its own 10.50.2.2/24 |')
    expect(second).toContain('| 10.50.2.1/24 of whichever is on duty, its own 10.50.2.3/24 |')
    expect(hub).not.toContain('gateways')
  })
  test('says who leaves to the internet, and by what', () => {
    expect(first).toContain('| by fiber, behind their IPv4 addresses | believed |')
    expect(second).toContain('| by cable, behind their IPv4 addresses | believed |')
    expect(first).toContain('| at hub north |')
  })
  test('says what hosts are told, and what routers are and may announce', () => {
    expect(first).toContain('| office | lan0 | DHCP | 10.50.1.10 to 10.50.1.99 for 43200 s<br>resolvers 10.20.0.53 |')
    expect(first).toContain('| office | lan0 | router advertisements | this gateway as router<br>resolvers fd20::53 |')
    expect(first).toContain('| lab | lan1 | DHCP | what 10.20.0.5 says |')
    expect(first).toContain('| lab | lan1 | 10.50.2.9 | BGP, AS 65010, here 65000, hold 9 s | 10.51.0.0/20 | 10.20.0.0/15, a default route |')
    const area = '| office | lan0 | 10.50.1.9 | OSPF, area 0.0.0.0, hello 10 s, dead 40 s, metric'
    expect(first).toContain(`${area} 20, or 40 while it stands by | 10.52.0.0/20 | a default route |`)
    expect(second).toContain(`${area} 10, or 30 while it stands by | 10.52.0.0/20 | a default route |`)
    expect(hub).toContain(
      '| lab | eth1 | 10.20.0.2 | OSPF, area 0.0.0.0, hello 10 s, dead 40 s | 10.21.0.0/16 | 10.50.2.0/24, 10.51.0.0/20, a default route |',
    )
  })
  test('says when changes are made', () => {
    expect(files.get('README.md')).toContain('| harbor | sun 02:00-04:00 Europe/Berlin |')
  })
})

describe('a peer', () => {
  const joined = compile(network({ peers: [partner], allow: [allow('edge/inference -> partner/inference', 'tcp/5432')], expect: [] }), []).fabric!
  const files = new Map(exportFiles(joined).map((one) => [one.path, one.text]))
  test('has what its owner sets, and hubs a file a tunnel, both of the same words', () => {
    expect(files.get('README.md')).toContain('5 sites, 1 peer, ')
    const theirs = files.get('peers/partner/swanctl.conf')!
    const ours = files.get('sites/frankfurt/ipsec/cwi5u0m1p0.conf')!
    expect(ours).toContain('remote_addrs = 203.0.113.201')
    expect(ours).toContain('local { auth = psk, id = 192.0.2.10 }')
    expect(ours).toContain('remote { auth = psk, id = gw.partner.example }')
    expect(ours).toContain('secret = <pre-shared key of partner>')
    expect(ours).toContain('rekey_time = 24000s')
    expect(theirs).toContain('local_addrs = 203.0.113.201, %any\n    remote_addrs = 192.0.2.10')
    expect(theirs).toContain('rekey_time = 28800s')
    for (const text of [ours, theirs]) {
      expect(text).toContain('proposals = aes256gcm16-prfsha384-ecp384')
      expect(text).toContain('esp_proposals = aes256gcm16-ecp384')
    }
    expect(theirs).toContain('secret = "<pre-shared key: causeway peer config partner --secret>"')
    expect(theirs).toContain('#   ip route add 10.1.10.0/23 dev causeway1 metric 1')
    expect(theirs).toContain('#   edge/inference -> partner/inference tcp/5432: 10.1.10.0/24, 10.1.11.0/24, 10.1.12.0/24 -> 172.20.0.0/16')
  })
  test('with IPv6 behind it has tunnels for both families at either end', () => {
    const six = { ...partner, lans: [...partner.lans, { ...partner.lans[0]!, prefix: prefix('fd20::/48') }] }
    const both = exportFiles(compile(network({ peers: [six], expect: [] }), []).fabric!).filter(
      ({ path }) => path.includes('/ipsec/') || path.startsWith('peers/'),
    )
    for (const { text } of both) expect(text).toContain('local_ts = 0.0.0.0/0, ::/0')
  })
  test('with IPv6 inside: its addresses, and tunnels for what they carry', () => {
    const [four, six] = [prefix('169.254.100.0/24'), prefix('fd5c:1a2b:3c4d::/64')]
    const texts = (peer: Partial<typeof partner>) => {
      const of = new Map(
        exportFiles(compile(network({ peers: [{ ...partner, ...peer }], expect: [] }), []).fabric!).map((one) => [one.path, one.text]),
      )
      return [of.get('peers/partner/swanctl.conf')!, of.get('sites/frankfurt/ipsec/cwi5u0m0p0.conf')!] as const
    }
    const [theirs, ours] = texts({ pools: [six] })
    expect(theirs).toContain(
      `#   ip link add causeway1 type xfrm if_id 1   # frankfurt_isp-a_0, fd5c:1a2b:3c4d::11 -> fd5c:1a2b:3c4d::12
#   ip address add fd5c:1a2b:3c4d::11/126 dev causeway1; ip link set causeway1 mtu 1360 up\n`,
    )
    expect(ours).toContain('inside fd5c:1a2b:3c4d::12 to fd5c:1a2b:3c4d::11\n')
    for (const text of [theirs, ours]) expect(text).toContain('local_ts = 0.0.0.0/0, ::/0\n')
    const [toBoth, ofBoth] = texts({ pools: [four, six] })
    expect(toBoth).toContain(
      `# frankfurt_isp-a_0, 169.254.100.17 -> 169.254.100.18, fd5c:1a2b:3c4d::11 -> fd5c:1a2b:3c4d::12
#   ip address add 169.254.100.17/30 dev causeway1; ip address add fd5c:1a2b:3c4d::11/126 dev causeway1; ip link set causeway1 mtu 1360 up\n`,
    )
    expect(ofBoth).toContain('inside 169.254.100.18 to 169.254.100.17 and fd5c:1a2b:3c4d::12 to fd5c:1a2b:3c4d::11\n')
    const ofSix = { pools: [six], lans: [{ ...partner.lans[0]!, prefix: prefix('fd20::/48') }] }
    for (const text of texts(ofSix)) expect(text).toContain('local_ts = ::/0\n')
  })
  test('that is joined over IPv6 as well: each connection between two addresses of one family', () => {
    const gateways = [partner.gateways[0]!, { address: address('2001:db8:200::200'), id: '2001:db8:200::200' }]
    const hub = site('hub', 'core', [fixed('isp', '192.0.2.10/28', '192.0.2.1'), fixed('isp-v6', '2001:db8:2::10/64', 'fe80::1')], {
      inference: ['10.10.0.0/16'],
    })
    const joined = compile(
      network({
        hubs: [hub.id],
        sites: [{ ...berlin, hubs: [hub.id] }, hub],
        peers: [{ ...partner, gateways, hubs: [hub.id] }],
        allow: [allow('edge/inference -> partner/inference')],
        expect: [],
      }),
      [],
    ).fabric!
    const text = peerConfig(joined, joined.peers[0]!, null)
    expect(text.match(/^ {2}hub_.*|^ {4}(local|remote)_addrs = .*|^ {6}id = .*|^ {4}id-.*/gm)).toEqual([
      '  hub_isp_0 {',
      '    local_addrs = 203.0.113.200, %any',
      '    remote_addrs = 192.0.2.10',
      '      id = 203.0.113.200',
      '      id = 192.0.2.10',
      '  hub_isp-v6_1 {',
      '    local_addrs = 2001:db8:200::200, %any',
      '    remote_addrs = 2001:db8:2::10',
      '      id = 2001:db8:200::200',
      '      id = 2001:db8:2::10',
      '    id-peer = 203.0.113.200',
      '    id-hub = 192.0.2.10',
      '    id-peer = 2001:db8:200::200',
      '    id-hub = 2001:db8:2::10',
    ])
    const ours = exportFiles(joined).find(({ text: of }) => of.includes('remote_addrs = 2001:db8:200::200'))!.text
    expect(ours).toContain('local { auth = psk, id = 2001:db8:2::10 }')
  })
  test('gets its secret only when it is given one, once for each pair of identities', () => {
    const text = peerConfig(joined, joined.peers[0]!, 'a-secret-of-twenty-characters')
    expect(text.match(/secret = "a-secret-of-twenty-characters"/g)).toHaveLength(8)
    expect(text).not.toContain('<pre-shared key')
  })
})

describe('a cloud region', () => {
  const joined = compile(network({ regions: [cloud], expect: [] }), []).fabric!
  const tunnel = ipsecTunnelId(connectionId(siteId('frankfurt'), uplinkId('isp-a')), cloud.id, 1)
  const files = (facts: readonly Fact[] = []) => new Map(exportFiles(joined, facts).map((one) => [one.path, one.text]))
  test('has a page of its own, and hubs a file a tunnel', () => {
    expect([...files().keys()].filter((path) => path.startsWith('regions/') || path.includes('/ipsec/'))).toEqual([
      'regions/aws-eu-west-1/README.md',
      ...['dublin', 'frankfurt'].flatMap((hub) =>
        ['cwi0u0m0', 'cwi0u0m1', 'cwi0u1m0', 'cwi0u1m1'].map((stem) => `sites/${hub}/ipsec/${stem}p0.conf`),
      ),
    ])
    const page = files().get('regions/aws-eu-west-1/README.md')!
    expect(page).toContain('| vpc-0a1b2c3d4e5f60718 | 10.96.0.0/16 |')
    expect(page).toContain('| frankfurt | frankfurt.isp-a, frankfurt.isp-b, dublin.isp-a, dublin.isp-b |')
    expect(files().get('sites/frankfurt/README.md')).toContain(`| cwi0u0m1p0 | 52010 | cloud | ${tunnel} |`)
  })
  test('keeps its secrets, and says the cloud’s address once it is known', () => {
    const path = 'sites/frankfurt/ipsec/cwi0u0m1p0.conf'
    expect(files().get(path)).toContain('remote_addrs = <address of aws-eu-west-1>')
    const psk: Fact = { kind: 'psk', tunnel, linkEpoch: 0, ref: { id: 'psk/secret-id', version: 1, fingerprint: '0123456789abcdef' } }
    const known = files([psk, { kind: 'cloud-endpoint', tunnel, address: address('203.0.113.9') }]).get(path)!
    expect(known).toContain('local { auth = psk, id = 192.0.2.10 }')
    expect(known).toContain('remote { auth = psk, id = 203.0.113.9 }')
    expect(known).toContain(`secret = <pre-shared key of ${tunnel}>`)
    expect(known).not.toContain('0123456789abcdef')
  })
  test('what is denied to a peer is said before what may pass, and in a region beside it', () => {
    const open = {
      regions: [cloud],
      peers: [partner],
      allow: [allow('inference -> inference')],
      deny: [allow('edge/inference -> region/inference'), allow('edge/inference -> peer/inference')],
    }
    const joined = compile(network({ ...open, expect: [] }), []).fabric!
    const text = peerConfig(joined, joined.peers[0]!, null)
    expect(text).toContain(
      '# Drop, before anything passes:\n#   deny edge/inference -> peer/inference: 10.1.10.0/24, 10.1.11.0/24, 10.1.12.0/24 -> 172.20.0.0/16\n# Let pass:\n',
    )
    const readme = exportFiles(joined).find(({ path }) => path === 'regions/aws-eu-west-1/README.md')!.text
    expect(readme).toContain('deny edge/inference -> region/inference#in inference>inference')
  })
})
