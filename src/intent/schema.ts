/** The language: which keys stand where. What they mean together is judged by `check.ts`. */
import {
  parseAddress,
  parseAddressWithLength,
  hostPrefix,
  parsePrefix,
  type Address,
  type AddressWithLength,
  type Parsed,
  type ParseFailure,
  type Prefix,
} from '#src/net/address.ts'
import { parsePortRange } from '#src/net/ports.ts'
import { bgpDefaults, ospfDefaults } from './defaults.ts'
import { refused } from './refused.ts'
import { peerBody } from './schema-peer.ts'
import { regionBody } from './schema-region.ts'
import { briefly, flag, integer, list, map, object, parsedText, type ReadOf, some, text, word } from './spec.ts'
import {
  media,
  uplinkFamilies,
  parseArea,
  parseDomain,
  parseDscp,
  parseDuration,
  parseInterface,
  parseLan,
  parseLifetime,
  parseLease,
  parseMac,
  parseName,
  parsePercent,
  parsePlace,
  parsePublic,
  parseRange,
  parseRate,
  parseShare,
  parseTimezone,
  parseWindow,
} from './values.ts'

const name = (description: string, ...examples: readonly string[]) => parsedText('I010', parseName, { description, examples })

/** Host bits are a mistake of their own: the address of a host was written where its network is meant. */
const hostBits = (failure: ParseFailure) => (failure.reason === 'host-bits' ? 'I031' : 'I030')
const prefixText = (description: string, ...examples: readonly string[]) => parsedText(hostBits, parsePrefix, { description, examples })

export type LanAddress = { readonly kind: 'plain'; readonly address: Address } | { readonly kind: 'with-length'; readonly address: AddressWithLength }
function parseLanAddress(written: string): Parsed<LanAddress> {
  if (written.includes('/')) {
    const parsed = parseAddressWithLength(written)
    return parsed.ok ? { ok: true, value: { kind: 'with-length', address: parsed.value } } : parsed
  }
  const parsed = parseAddress(written)
  return parsed.ok ? { ok: true, value: { kind: 'plain', address: parsed.value } } : parsed
}

/** One address, or all of a prefix. */
function parseHosts(written: string): Parsed<Prefix> {
  if (written.includes('/')) return parsePrefix(written)
  const parsed = parseAddress(written)
  return parsed.ok ? { ok: true, value: hostPrefix(parsed.value) } : parsed
}
const hosts = (description: string) =>
  some(
    parsedText(hostBits, parseHosts, {
      description,
      examples: ['10.1.10.20', '10.1.10.32/28'],
    }),
  )

const address = parsedText('I030', parseAddressWithLength, {
  description: "The uplink's own address with the length of the provider's link.",
  examples: ['192.0.2.10/28', '2001:db8:7::10/64'],
})
const router = parsedText('I030', parseAddress, { description: "The provider's router on this uplink.", examples: ['192.0.2.1', 'fe80::1'] })
const interfaceName = (description: string, example: string) => parsedText('I040', parseInterface, { description, examples: [example] })

export const uplink = object(
  {
    interface: interfaceName("The operating system's name of the interface.", 'eth0'),
    rate: parsedText('I043', parseRate, { description: 'Line rate in bit/s, down/up or one for both.', examples: ['500M/100M', '1G'] }),
    address,
    router,
    public: parsedText('I030', parsePublic, {
      description: 'What others dial when a router in front forwards to this uplink: address, or address:port for 51820.',
      examples: ['203.0.113.7', '203.0.113.7:40000', '[2001:db8::7]:40000'],
    }),
    family: word('I058', 'address family', uplinkFamilies, 'What the provider gives where no address is stated. Default: ipv4.'),
    transport: text('Who can be reached: uplinks of the same transport form paths. Default: internet.', 'internet'),
    medium: word('I047', 'medium', media, 'The last mile. Default: what the name of the uplink begins with, else ethernet.'),
    metered: flag('Paid by volume. Default: true for lte, 5g and sat.'),
    tags: list(name('Words of your own for `prefer`, `avoid` and `never`.', 'cheap')),
    shared_risk: list(name('What it fails together with: uplinks that name the same duct, pole or provider fail at once.', 'duct-7')),
  },
  {
    required: ['interface'],
    refused: refused.uplink,
    example: '{ interface: eth0, rate: 500M/100M }',
  },
)

/** Breakout (BCP 38 applies: only the LAN's own addresses leave, behind the uplink's). */
const internet = (description: string) => word('I064', 'breakout', ['none', 'local', 'hub'], description)
const asn = (description: string) => integer('I068', 1, 4_294_967_295, description)
export const bgp = object(
  {
    asn: asn('The AS number of the routers.'),
    neighbor: some(
      parsedText('I030', parseAddress, { description: "The routers' addresses on this LAN, of either family.", examples: ['10.1.10.254'] }),
    ),
    prefixes: some(
      prefixText(
        'What may be learned: these networks and parts of them, which belong to the segment as the LAN does.',
        '10.5.0.0/16',
        '2001:db8:5::/48',
      ),
    ),
    local_asn: asn(`The AS number of the gateway. Default: ${bgpDefaults.localAsn}, private (RFC 6996).`),
    hold: parsedText('I067', parseLifetime, {
      description: `Silence after which a router counts as gone, 3s or more. Default: ${bgpDefaults.hold}s.`,
      examples: ['9s', '3m'],
    }),
    max_prefixes: integer('I067', 1, 10_000, `With more from one router its session is closed for a minute. Default: ${bgpDefaults.maxPrefixes}.`),
  },
  {
    required: ['asn', 'neighbor', 'prefixes'],
    refused: refused.bgp,
    example: '{ asn: 65010, neighbor: 10.1.10.254, prefixes: 10.5.0.0/16 }',
  },
)
export const ospf = object(
  {
    neighbor: some(
      parsedText('I030', parseAddress, {
        description: "The routers' addresses on this LAN, link-local of IPv6 (OSPFv3); no other is listened to.",
        examples: ['10.1.10.254', 'fe80::fe'],
      }),
    ),
    prefixes: some(
      prefixText(
        'What may be learned: these networks and parts of them, which belong to the segment as the LAN does.',
        '10.5.0.0/16',
        '2001:db8:5::/48',
      ),
    ),
    area: parsedText('I065', parseArea, {
      description: `The area of this LAN, dotted or a number; no stub, for what the overlay has is announced as external. Default: ${ospfDefaults.area}.`,
      examples: ['0.0.0.0', '0.0.0.1'],
    }),
    hello: parsedText('I065', parseLifetime, {
      description: `A hello each so long, as at the routers. Default: ${ospfDefaults.hello}s.`,
      examples: ['10s', '1s'],
    }),
    dead: parsedText('I065', parseLifetime, {
      description: 'Silence after which a router counts as gone, as at the routers. Default: four hellos.',
      examples: ['40s', '4s'],
    }),
  },
  { required: ['neighbor', 'prefixes'], refused: refused.ospf, example: '{ neighbor: 10.1.10.254, prefixes: 10.5.0.0/16 }' },
)
/** RFC 2663 calls it basic NAT: address for address, the host part stays. */
const translation = (description: string) => word('I097', 'way to translate', ['auto', 'always', 'never'], description)

const lanAddress = (description: string, example: string) => parsedText('I030', parseAddress, { description, examples: [example] })
const domain = parsedText('I069', parseDomain, { description: 'The domain that hosts search names in.', examples: ['berlin.example.com'] })
const reservation = object(
  {
    mac: parsedText('I069', parseMac, { description: "The host's MAC address.", examples: ['02:00:5e:00:53:01'] }),
    address: lanAddress('What it always gets, in the LAN.', '10.1.10.20'),
  },
  { required: ['mac', 'address'], example: '{ mac: "02:00:5e:00:53:01", address: 10.1.10.20 }' },
)
export const dhcp = object(
  {
    range: parsedText('I069', parseRange, {
      description: "Addresses to lease, both ends too. Default: the upper half of the LAN's IPv4 prefix.",
      examples: ['10.1.10.100-10.1.10.199'],
    }),
    lease: parsedText('I069', parseLease, { description: 'How long, 5m to 30d. Default: 12h.', examples: ['12h'] }),
    dns: list(lanAddress('Resolvers, in order. Default: none.', '10.11.0.53')),
    domain,
    reserved: map(
      parsedText('I069', parseDomain, { description: 'The name of a host.', examples: ['printer'] }),
      reservation,
      `{ printer: ${reservation.example} }`,
    ),
    relay: lanAddress('The DHCP server in the overlay to which requests are relayed, instead of all else here.', '10.11.0.5'),
  },
  { refused: refused.dhcp, example: '{ range: 10.1.10.100-10.1.10.199 }' },
)
export const advertisement = object(
  { dns: list(lanAddress('Resolvers, in order. Default: none.', '2001:db8:53::53')), domain },
  { refused: refused.ra, example: '{ dns: "2001:db8:53::53" }' },
)

export const lan = object(
  {
    interface: interfaceName("The operating system's name of the interface.", 'eth1'),
    prefixes: some(
      parsedText(hostBits, parseLan, {
        description: 'Networks of this LAN, as network/length, of IPv4, IPv6 or both.',
        examples: ['10.1.10.0/24', '2001:db8:1:10::/64'],
      }),
    ),
    next_hop: map(
      parsedText('I030', parseAddress, { description: 'A router on this LAN.', examples: ['10.1.10.254'] }),
      some(prefixText('Networks behind the router; they belong to the segment as the LAN does.', '10.5.0.0/16', '2001:db8:5::/48')),
      '{ 10.1.10.254: 10.5.0.0/16 }',
    ),
    bgp,
    ospf,
    translate: translation("Whether it has other addresses in the overlay than on the LAN. Default: the network's."),
    address: list(
      parsedText('I030', parseLanAddress, {
        description: "The gateway's own address on the LAN. Default: the first host of each prefix.",
        examples: ['10.1.10.1'],
      }),
    ),
    internet: internet('How its hosts leave to the internet. Default: what the network says of the segment, else none.'),
    dhcp: briefly(flag('Lease IPv4 addresses to its hosts, with all defaults. Default: false.'), dhcp, (on): ReadOf<typeof dhcp> | undefined =>
      on.value ? { at: on.at, wrote: new Map(), fields: {} } : undefined,
    ),
    ra: briefly(
      flag('Advertise the gateway as IPv6 router, and its /64 for hosts to make addresses of. Default: false.'),
      advertisement,
      (on): ReadOf<typeof advertisement> | undefined => (on.value ? { at: on.at, wrote: new Map(), fields: {} } : undefined),
    ),
    trust: word('I074', 'trust', ['none', 'dscp'], 'Whether the DSCP of its hosts chooses the class where no service names one. Default: none.'),
  },
  {
    required: ['interface', 'prefixes'],
    refused: refused.lan,
    example: '{ interface: eth1, prefixes: 10.1.10.0/24 }',
  },
)

const duration = (description: string) => parsedText('I044', parseDuration, { description, examples: ['120ms', '1s', 'none'] })
export const sla = object(
  {
    latency: duration('Round trip.'),
    jitter: duration('Variation of the round trip.'),
    loss: parsedText('I045', parsePercent, { description: 'Packets lost.', examples: ['1%', 'none'] }),
  },
  { refused: refused.sla, example: '{ latency: 120ms, loss: 1% }' },
)
const share = (description: string) => parsedText('I045', parseShare, { description, examples: ['30%', 30] })
const uplinkWords = list(text('Uplinks by medium, transport, tag or `metered`.', 'lte'))
export const siteClass = object(
  {
    sla,
    share: share('Per cent of a line of this site under load. All classes make 100; `default` takes what the others leave.'),
    prefer: uplinkWords,
    avoid: uplinkWords,
    never: uplinkWords,
  },
  { refused: refused.siteClass, example: '{ share: 5% }' },
)

const maintenance = object(
  {
    window: some(
      parsedText('I066', parseWindow, {
        description: 'Days and hours, local time.',
        examples: ['sun 02:00-04:00', 'mon-fri 22:00-06:00', 'daily 01:00-03:00'],
      }),
    ),
    timezone: parsedText('I066', parseTimezone, { description: "Its IANA name. Default: the network's, else UTC.", examples: ['Europe/Berlin'] }),
  },
  { required: ['window'], example: '{ window: "sun 02:00-04:00", timezone: Europe/Berlin }' },
)

const uplinks = map(name('The name of an uplink.', 'fiber'), uplink, '{ fiber: { interface: eth0 } }')
export const gateway = object(
  {
    uplinks,
    address: list(
      parsedText('I030', parseLanAddress, {
        description: 'What this gateway alone has on LANs whose address both share. Default: the first hosts of the prefix that are free.',
        examples: ['10.1.10.2'],
      }),
    ),
    interfaces: map(
      interfaceName("A LAN's interface as the site names it.", 'eth1'),
      interfaceName('What it is called at this gateway.', 'ens4'),
      '{ eth1: ens4 }',
    ),
  },
  { required: ['uplinks'], refused: refused.gateway, example: '{ uplinks: { fiber: { interface: eth0 } } }' },
)

const siteFields = {
  role: word('I016', 'role', ['edge', 'core'], 'A branch, or a data centre with public addresses. Default: edge.'),
  place: parsedText('I007', parsePlace, { description: 'Where it is, for people.', examples: ['Berlin, DE'] }),
  labels: list(name('Words of your own that select several sites, as in `emea/inference`.', 'emea')),
  hubs: list(text("The hubs of this site in order of preference. Default: the network's.", 'frankfurt')),
  uplinks,
  gateways: object(
    { a: gateway, b: gateway },
    { required: ['a', 'b'], example: '{ a: { uplinks: { fiber: { interface: eth0 } } }, b: { uplinks: { lte: { interface: wwan0 } } } }' },
  ),
  classes: map(text('A class of the network.', 'bulk'), siteClass, '{ bulk: { share: 5% } }'),
  maintenance,
  segments: map(
    text('A segment of the network, and its LAN here, or a list of them.', 'inference'),
    some(lan),
    '{ inference: { interface: eth1, prefixes: 10.1.10.0/24 } }',
  ),
}
const siteExample = '{ uplinks: { fiber: { interface: eth0 } } }'
export const siteBody = object(siteFields, { either: ['uplinks', 'gateways'], refused: refused.site, example: siteExample })

export const siteFile = object(
  { site: name('The name of the site.', 'berlin'), ...siteFields },
  { required: ['site'], either: ['uplinks', 'gateways'], refused: refused.site, example: siteExample },
)

const selectorText = (description: string, ...examples: readonly string[]) => text(description, examples[0]!)
const arrow = (what: string) =>
  text(`${what}: [where/]segment or group -> [where/]segment, group or service, then ports if it is no service.`, 'edge/inference -> model-api')
export const ruleMap = (what: string) =>
  object(
    { rule: arrow(what), log: flag('Write the first packet of each connection to the log of the gateway, at most ten a second. Default: false.') },
    { required: ['rule'], refused: refused.rule, example: '{ rule: edge/inference -> model-api, log: true }' },
  )
const rule = (what: string) =>
  briefly(arrow(what), ruleMap(what), (line) => ({ at: line.at, wrote: new Map([['rule', line.at]]), fields: { rule: line } }))

export const group = object(
  { hosts: hosts('Addresses or prefixes inside LANs of the network, of any sites.') },
  { required: ['hosts'], refused: refused.group, example: '{ hosts: [10.1.10.20, 10.1.10.32/28] }' },
)

export const service = object(
  {
    at: some(selectorText('Where it answers: [where/]segment or group.', 'core/inference')),
    endpoints: hosts('The hosts that answer, inside the LANs of `at`. Default: any host there.'),
    ports: some(parsedText('I048', parsePortRange, { description: 'Protocol and ports.', examples: ['tcp/8443', 'udp/5004-5010'] })),
    class: text('How its traffic is treated. Default: default.', 'business'),
  },
  {
    required: ['at', 'ports'],
    refused: refused.service,
    example: '{ at: core/inference, ports: tcp/8443 }',
  },
)

export const trafficClass = object(
  {
    sla,
    share: share('Per cent of a line under load. All classes make 100; `default` takes what the others leave.'),
    dscp: parsedText('I046', parseDscp, { description: 'Mark of its packets.', examples: ['EF', 'AF21', 46] }),
    prefer: uplinkWords,
    avoid: uplinkWords,
    never: uplinkWords,
  },
  { refused: refused.class, example: '{ sla: { latency: 120ms }, avoid: lte }' },
)

const wayWords = (description: string, example: string) =>
  some(text(`${description} A medium, transport, tag, \`metered\`, hub, or uplink like fiber or berlin.fiber.`, example))
export const expectation = object(
  {
    reach: arrow('At least one place of the service answers'),
    'reach-all': arrow('Every place answers'),
    isolate: arrow('No connection can be opened'),
    path: arrow('Which way traffic takes'),
    via: wayWords('What the way passes while every line keeps its SLA: one of these, in both directions.', 'fiber'),
    not: wayWords('What no way ever passes, whatever has failed.', 'lte'),
    symmetric: flag('There and back over the same sites and lines.'),
    within: parsedText('I044', parseDuration, {
      description: 'Until traffic goes another way after a failure of `survives`; drills measure it.',
      examples: ['1s'],
    }),
    bandwidth: parsedText('I043', parseRate, {
      description: 'What remains for its class on every way, in bit/s as the caller sees it: down/up, or one for both.',
      examples: ['20M', '50M/5M'],
    }),
    survives: list(
      word(
        'I071',
        'failure',
        ['uplink', 'tunnel', 'hub', 'gateway', 'connection', 'shared_risk', 'any two uplinks'],
        'What may break, one at a time, while the promise holds; `any two uplinks` at the same time.',
      ),
    ),
  },
  { refused: refused.expect, example: '{ reach: edge/inference -> model-api }' },
)

export const transport = object(
  { reaches: list(text('Another transport whose uplinks can be reached from this one.', 'internet')) },
  { example: '{ reaches: internet }' },
)

export const networkFile = object(
  {
    network: name('The name of the network.', 'acme'),
    translate: briefly(
      translation('LANs that overlap: newcomers get other addresses in the overlay, all do, or it is an error. Default: never.'),
      object(
        {
          mode: translation('Newcomers get other addresses in the overlay (auto), all LANs do (always), or an overlap is an error (never).'),
          pool: list(
            prefixText('Where the addresses in the overlay come from, one of each family. Default: 198.18.0.0/15 and 2001:2::/48.', '198.18.0.0/15'),
          ),
        },
        { required: ['mode'], example: '{ mode: auto, pool: 198.18.0.0/15 }' },
      ),
      (mode) => ({ at: mode.at, wrote: new Map([['mode', mode.at]]), fields: { mode } }),
    ),
    mtu: integer('I049', 1280, 8900, 'Bytes of an inner packet, one for the whole overlay. Default: 1360.'),
    hubs: list(text('Sites that end the tunnels of the others; the first is home.', 'frankfurt')),
    segments: some(name('A group of LANs, kept apart from the others.', 'inference')),
    internet: map(
      text('A segment of the network.', 'office'),
      internet('How hosts of this segment leave to the internet: not at all, at their own site over its uplinks, or at the hub. Default: none.'),
      '{ office: local }',
    ),
    transports: map(name('The name of a transport.', 'mpls-a'), transport, '{ mpls-a: {} }'),
    groups: map(name('The name of a group of hosts; it may stand wherever a segment may.', 'printers'), group, `{ printers: ${group.example} }`),
    services: map(name('The name of a service.', 'model-api'), service, '{ model-api: { at: core/inference, ports: tcp/8443 } }'),
    allow: list(rule('Who may open a connection to what')),
    deny: list(rule('What nobody opens, whichever `allow` there is')),
    classes: map(name('realtime, business, bulk, default, or a name of your own.', 'business'), trafficClass, '{ business: { avoid: lte } }'),
    expect: list(expectation),
    maintenance,
    sites: map(name('The name of a site.', 'berlin'), siteBody, '{ berlin: { uplinks: { fiber: { interface: eth0 } } } }'),
    regions: map(name('The name of a cloud region.', 'aws-eu-west-1'), regionBody, `{ aws-eu-west-1: ${regionBody.example} }`),
    peers: map(name("The name of a third party's IPsec gateway.", 'partner'), peerBody, `{ partner: ${peerBody.example} }`),
  },
  {
    required: ['network', 'segments'],
    refused: refused.network,
    example: '{ network: acme }',
  },
)

export type RawSite = ReadOf<typeof siteBody>
export type RawNetwork = ReadOf<typeof networkFile>
export type RawUplink = ReadOf<typeof uplink>
export type RawGateway = ReadOf<typeof gateway>
export type RawLan = ReadOf<typeof lan>
export type RawBgp = ReadOf<typeof bgp>
export type RawOspf = ReadOf<typeof ospf>
export type RawDhcp = ReadOf<typeof dhcp>
export type RawAdvertisement = ReadOf<typeof advertisement>
export type RawMaintenance = ReadOf<typeof maintenance>
export type RawGroup = ReadOf<typeof group>
export type RawSiteClass = ReadOf<typeof siteClass>
export type RawService = ReadOf<typeof service>
export type RawClass = ReadOf<typeof trafficClass>
export type RawExpect = ReadOf<typeof expectation>
