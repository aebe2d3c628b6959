/**
 * Keys that people write, knowing other tools or what is still to come, and that are not read: what is true of each, and
 * what to write instead. A key that another map has needs no line here: `homes.ts` tells where it stands.
 */

/** `because` goes on after `"key" can't be written here: `. */
export interface Refused {
  readonly because: string
  readonly instead: string
}
export type RefusedKeys = Readonly<Record<string, Refused>>
const no = (because: string, instead: string): Refused => ({ because, instead })

const notYet = {
  bgpBetween: no(
    'no routing protocol runs between gateways: the compiler makes their routes, so that every one was proven before it is used',
    'leave it out; a cloud region has an `asn:` of its own',
  ),
  lanRouting: no(
    'what is behind the routers of a LAN is stated, or learned by BGP or OSPF',
    'write it at the LAN: next_hop: { 10.1.10.254: 10.5.0.0/16 }, bgp: { asn: 65010, neighbor: 10.1.10.254, prefixes: 10.5.0.0/16 } or ospf: { neighbor: 10.1.10.254, prefixes: 10.5.0.0/16 }',
  ),
}
const always = {
  probeBudget: no(
    'the volume of probes is not counted; a metered line that stands by is probed every 15 seconds, and that is all',
    'leave it out; `metered: true` at the uplink is what spares it',
  ),
  headless: no('sites always run on without their controller, for as long as it is away', 'leave it out'),
  drills: no(
    'drills are ordered while the network runs, and are no part of it',
    'leave it out, and run `causeway drill schedule berlin --break fiber --every 7d --at 02:10`',
  ),
  log: no(
    'each line of `allow` and `deny` says for itself whether it is logged',
    'write the line as { rule: edge/inference -> model-api, log: true }',
  ),
}
const classKeys = {
  trust: no('whether hosts may mark their packets is asked at their LAN', 'write trust: dscp at the LAN'),
  priority: no('no class goes before another in a queue; each has its share of a line', 'write share: 30%'),
  ceil: no('no class is held below the line: it may take what the others leave', 'write share: 30%, which is what it is promised'),
  duplicate: no('each packet is sent once, over one path', 'leave a bad line sooner: sla: { loss: 0.5% }'),
  fec: no('packets lost are not made up for', 'leave a bad line sooner: sla: { loss: 0.5% }'),
} satisfies RefusedKeys
const ipsecSelectors = no(
  'the traffic selectors of a tunnel are 0.0.0.0/0 at both ends; routes and rules say what goes in',
  'leave it out, and let the other end use a route-based tunnel',
)
const ipsecAuth = no(
  'both ends prove themselves by a pre-shared key; certificates are not done yet',
  'leave it out; `causeway peer config partner --secret` shows it',
)

export const refused = {
  gateway: {
    priority: no('the first of two gateways has the LANs while it can, else the second', 'leave it out; call the one a that is to have them'),
    vrid: no('it is 67 on every LAN', 'leave it out; give another router that is there another one'),
    track: no('each gives the LANs up when all its tunnels are down, or a LAN has no link', 'leave it out'),
  },
  uplink: {
    dhcp: no(
      'the operating system configures uplinks, and the gateway follows the address and router that it gets',
      'leave it out; an uplink without `address:` has one that may change',
    ),
    vlan: no('the operating system makes VLANs', 'make it there, and write its interface: interface: eth0.7'),
    pppoe: no('the operating system dials', 'dial there, and write the interface that it makes: interface: ppp0'),
    mtu: no('the MTU of an uplink is set in the operating system', 'leave it out; `mtu:` of the network is that of the packets inside the tunnels'),
    dns: no('the operating system has the resolvers of an uplink', 'leave it out'),
    internet: no(
      'who leaves to the internet is said of segments and LANs; the order of the uplinks is that of class `default`',
      'write internet: { office: local } in network.yaml, and classes: { default: { prefer: fiber } }',
    ),
    probe_budget: always.probeBudget,
  },
  lan: {
    vlan: no('the operating system makes VLANs', 'make it there, and write its interface: interface: eth1.20'),
    mtu: no("the MTU of a LAN is its own affair; TCP is told the overlay's, and larger packets get an answer", 'leave it out'),
    cluster: no(
      'what joins the machines of a cluster (RoCE, InfiniBand) is not configured; to the network its LAN is one like others',
      'leave it out',
    ),
    vrrp: no('two gateways of a site share its `address:` by VRRP as they are', 'leave it out; write gateways: { a: …, b: … } at the site'),
    routing: notYet.lanRouting,
    vpcs: no('VPCs belong to a region of a cloud', 'write a file that begins with `region: aws-eu-west-1`'),
    nat: no('LANs that overlap are translated host for host', 'write translate: auto in network.yaml, or translate: always here'),
  },
  bgp: {
    password: no(
      'sessions are not signed yet (RFC 2385), and a secret never stands in a file',
      'leave it out; bgpd listens to the neighbors named here, and only on their LAN',
    ),
    bfd: no('a silent router is noticed by the hold time alone', 'write hold: 3s, the shortest that there is'),
    multihop: no('a router is a neighbor on the LAN itself', 'leave it out, and write its address there'),
    keepalive: no('keepalives come in a third of the hold time', 'write hold: 9s'),
    communities: no('nothing is attached to what is announced', 'leave it out, and attach it at the router'),
    announce: no('what is announced follows from the allows', 'leave it out'),
  },
  ospf: {
    password: no(
      'neighbors are not authenticated yet (RFC 5709, RFC 7166), and a secret never stands in a file',
      'leave it out; ospfd listens to the neighbors named here, and only on their LAN',
    ),
    bfd: no('a silent router is noticed by its hellos alone', 'write hello: 1s, also at the router'),
    cost: no('a gateway is on one LAN of the area', 'leave it out, and set it at the routers'),
    priority: no('who is the designated router is left to chance and age, as RFC 2328 has it', 'leave it out, and set it at the routers'),
    type: no(
      'what the overlay has is announced as external, which a stub area does not take',
      'leave it out, and make it a normal area at the routers',
    ),
    instance: no('routers of IPv6 are spoken with in instance 0 (RFC 5340 section 2.4)', 'leave it out, and write 0 at the routers'),
    asn: no('areas have no AS numbers', 'leave it out, or write bgp: { asn: 65010, neighbor: 10.1.10.254, prefixes: 10.5.0.0/16 }'),
    announce: no('what is announced follows from the allows', 'leave it out'),
    redistribute: no('what is announced follows from the allows', 'leave it out'),
  },
  dhcp: {
    router: no('the router of its hosts is the gateway', 'leave it out; `address:` of the LAN is what they get'),
    gateway: no('the router of its hosts is the gateway', 'leave it out; `address:` of the LAN is what they get'),
    options: no(
      'hosts get router, resolvers and domain, and no other options',
      'leave it out, or relay to a server that has them: dhcp: { relay: 10.11.0.5 }',
    ),
    ntp: no(
      'hosts get router, resolvers and domain, and no other options',
      'leave it out, or relay to a server that has them: dhcp: { relay: 10.11.0.5 }',
    ),
  },
  ra: {
    prefix: no('each /64 of the LAN is advertised', 'leave it out'),
    managed: no('hosts make their addresses themselves; the gateway speaks no DHCPv6', 'leave it out'),
    relay: no('only DHCP of IPv4 is relayed; hosts make their IPv6 addresses themselves', 'write ra: true'),
  },
  sla: {
    bandwidth: no('probes measure loss, delay and jitter, and no rate', 'expect it: { path: edge/inference -> model-api, bandwidth: 20M }'),
    mos: no('it is computed of loss, delay and jitter', 'write those; for voice { latency: 150ms, jitter: 30ms, loss: 1% }'),
  },
  siteClass: {
    ...classKeys,
    dscp: no('hubs read the class of a packet by its DSCP, so it is the same everywhere', 'write it under `classes:` in network.yaml'),
  },
  class: {
    ...classKeys,
    symmetric: no(
      'a gateway follows the path that the one at the other end of it chose, so both directions take the same',
      'expect it: { path: a -> b, symmetric: true }',
    ),
    internet: no('what leaves to the internet is of class `default`', 'write internet: { office: local } in network.yaml'),
  },
  site: {
    a: no('it is one of two gateways', 'write gateways: { a: …, b: … }'),
    b: no('it is one of two gateways', 'write gateways: { a: …, b: … }'),
    routing: notYet.bgpBetween,
    asn: notYet.bgpBetween,
    internet: no(
      'who leaves to the internet is said of segments and LANs',
      'write internet: local at a LAN, or internet: { office: local } in network.yaml',
    ),
    at: no('it would say where the site is', 'write place: "Berlin, DE"'),
    shares: no('shares belong to classes', 'write classes: { bulk: { share: 5% } }'),
    serial: no('a box is joined to its site by a token that works once', 'leave it out, and run `causeway site token berlin`'),
    headless: always.headless,
    drills: always.drills,
    log: always.log,
    probe_budget: always.probeBudget,
  },
  rule: {
    ports: no('ports stand in the line, or are those of a service', 'write rule: edge/inference -> training tcp/22'),
    class: no('the class is that of a service', 'declare a service with its `ports:` and `class:`, and write its name behind the arrow'),
    from: no('both ends stand in the line', 'write rule: edge/inference -> model-api'),
    to: no('both ends stand in the line', 'write rule: edge/inference -> model-api'),
    until: no('a line holds until it is removed', 'leave it out, and remove the line when its time has come'),
    action: no('`allow:` lets pass and `deny:` does not', 'write the line under the one or the other'),
  },
  group: {
    groups: no('a group holds hosts and no groups', 'write the hosts here, or a line for each group'),
    at: no('the addresses say at which site a host is', 'leave it out'),
  },
  service: {
    health: no('nobody asks endpoints whether they are well', 'leave it out; `expect` proves that calls get there'),
    internet: no('a service answers inside the network', 'write internet: { office: local } in network.yaml for what leaves it'),
    log: always.log,
    translate: no('whole LANs are translated', 'write translate: auto in network.yaml, or translate: always at the LAN'),
    dscp: no('packets are marked by class', 'write class: business, and its `dscp:` under `classes:`'),
  },
  expect: {
    ports: no('the ports are those of a service', 'declare a service, and write its name behind the arrow'),
    class: no('the class is that of a service', 'declare a service, and write its name behind the arrow'),
    count: no('it is asked whether one place answers, or each', 'write reach: or reach-all:'),
  },
  network: {
    routing: notYet.bgpBetween,
    asn: notYet.bgpBetween,
    bgp: notYet.bgpBetween,
    log: always.log,
    drills: always.drills,
    headless: always.headless,
    probe_budget: always.probeBudget,
    telemetry: no('agents always report what their paths do', 'leave it out; `causeway status` shows it'),
    dns: no('names are not served; hosts are told whom to ask', 'write dhcp: { dns: 10.11.0.53 } at a LAN, and ra: { dns: ... } for IPv6'),
  },
  region: {
    place: no('where it is follows from `in:`', 'write in: eu-west-1'),
    labels: no('regions are selected by their name, or all by `region`', 'write aws-eu-west-1/inference or region/inference'),
    isolation: no('a region has one segment, so nothing in it is to be kept apart', 'leave it out'),
    maintenance: no('a cloud services its gateways when it likes; windows are for the hubs', 'write it in network.yaml or at a hub'),
    bgp: no('routes to a cloud are static, and the controller moves them; BGP is not done yet', 'leave it out, or write routing: static'),
    translate: no(
      "a VPC's addresses can't be translated, so it keeps them, and LANs that overlap it get others",
      'write translate: auto in network.yaml',
    ),
    drills: always.drills,
  },
  cloudSegment: {
    vnets: no('they are of Azure, which is not done yet', 'write vpcs: and a region of AWS'),
    subnets: no('a VPC is joined whole', 'write prefixes: 10.96.0.0/16, those of the VPC'),
    routing: no('routes to a cloud are static', 'leave it out'),
    translate: no(
      "a VPC's addresses can't be translated, so it keeps them, and LANs that overlap it get others",
      'write translate: auto in network.yaml',
    ),
  },
  peer: {
    routing: no('routes to a peer are static; BGP is not done yet', 'write segments: { inference: { prefixes: 172.20.0.0/16 } }'),
    bgp: no('routes to a peer are static; BGP is not done yet', 'write segments: { inference: { prefixes: 172.20.0.0/16 } }'),
    asn: no('routes to a peer are static; BGP is not done yet', 'write segments: { inference: { prefixes: 172.20.0.0/16 } }'),
    place: no('it is not ours to describe', 'leave it out'),
    labels: no('peers are selected by their name, or all by `peer`', 'write partner/inference or peer/inference'),
    maintenance: no('its owner services it; windows are for the hubs', 'write it in network.yaml or at a hub'),
    shared_risk: no('its lines are unknown here; risks are named at the uplinks of hubs', 'write shared_risk: duct-7 at an uplink'),
    translate: no(
      "a third party's addresses can't be translated, so it keeps them, and LANs that overlap it get others",
      'write translate: auto in network.yaml',
    ),
    uplinks: no('its lines are unknown here; hubs dial its addresses', 'write address: 203.0.113.200'),
    selectors: ipsecSelectors,
    psk: no(
      'a secret never stands in a file',
      'leave it out; `causeway peer secret partner` reads it, or `causeway peer config partner --secret` shows the one that was made',
    ),
    drills: always.drills,
  },
  ipsec: {
    selectors: ipsecSelectors,
    local_ts: ipsecSelectors,
    remote_ts: ipsecSelectors,
    version: no('IKEv2 is spoken, and no other', 'leave it out'),
    auth: ipsecAuth,
    certificate: ipsecAuth,
    psk: no(
      'a secret never stands in a file',
      'leave it out; `causeway peer secret partner` reads it, or `causeway peer config partner --secret` shows the one that was made',
    ),
    dpd: no('a peer that is silent is asked after 2 seconds, always', 'leave it out'),
    initiate: no('hubs dial, and a peer only answers', 'leave it out'),
  },
  peerSegment: {
    translate: no(
      "a third party's addresses can't be translated, so it keeps them, and LANs that overlap it get others",
      'write translate: auto in network.yaml',
    ),
    routing: no('routes to a peer are static; BGP is not done yet', 'write prefixes: 172.20.0.0/16'),
  },
} as const satisfies Readonly<Record<string, RefusedKeys>>

/** Words that some keys of a region could have, and why they can't be had. */
export const refusedWords = {
  provider: { azure: 'regions of Azure are not done yet', gcp: 'regions of Google Cloud are not done yet' },
  attach: {
    'virtual-private-gateway': 'it joins one VPC and has one route for each prefix, where a transit gateway joins many; it is not done yet',
    'gateway-vm': 'a gateway of ours inside a VPC is a site: give its machine a file that begins with `site:`',
    'vpn-gateway': 'it is of Azure, which is not done yet',
    'virtual-wan': 'it is of Azure, which is not done yet',
  },
  routing: { bgp: 'the controller moves static routes, within seconds; BGP is not done yet' },
} as const satisfies Readonly<Record<string, Readonly<Record<string, string>>>>
