/** Pages of findings about the network as a whole: hubs, classes, services, expectations. */
import type { CodePage } from '#src/fabric/codes.ts'

export const networkCodes = [
  {
    code: 'I044',
    title: 'Not a time',
    text: 'Times have a unit: `120ms`, `1.5s`, from 1 ms to 60 s. `none` lifts a limit.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  business: { sla: { latency: 120 } }',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  business: { sla: { latency: 120ms } }',
  },
  {
    code: 'I045',
    title: 'Not a percentage',
    text: 'Loss is more than 0% and less than 100%, or `none`; a share is a whole number from 1 to 100.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  business: { sla: { loss: 0.02 } }',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  business: { sla: { loss: 2% } }',
  },
  {
    code: 'I046',
    title: 'Not a DSCP',
    text: 'A DSCP is a name (EF, AF11 to AF43, CS0 to CS7, VA, LE) or a number from 0 to 63.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  realtime: { dscp: VOICE }',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  realtime: { dscp: EF }',
  },
  {
    code: 'I048',
    title: 'Not a port',
    text: 'Ports are `tcp/8443`, `udp/5004-5010`, `tcp` or `udp` for all of them, `icmp`, or `any`. A service states its ports once, where it is declared.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nservices:\n  model-api: { at: core/inference, ports: 8443 }',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nservices:\n  model-api: { at: core/inference, ports: tcp/8443 }',
  },
  {
    code: 'I049',
    title: 'Out of range',
    text: 'The overlay has one MTU, from 1280 bytes, which IPv6 needs (RFC 8200), to 8900. More than 1360 needs lines that carry it.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nmtu: 900',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nmtu: 1380',
  },
  {
    code: 'I050',
    title: "Shares don't make 100",
    text: 'A share is the part of a line that a class gets under load. All classes together make 100; `default` takes what the others leave, at least 1, unless its own share is written. A site may write shares of its own under `classes:`; what it leaves out is the network’s.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  realtime: { share: 60% }',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  realtime: { share: 45% }',
  },
  {
    code: 'I051',
    title: 'Unknown uplinks',
    text: '`prefer`, `avoid` and `never` select uplinks by medium, by transport, by a tag that some uplink has, or by `metered`.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  business: { avoid: satelite-b }',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  business: { avoid: sat }',
  },
  {
    code: 'I052',
    title: 'Contradiction in a class',
    text: 'The same uplinks stand under two of `prefer`, `avoid` and `never`. never is hard: rather no path than this one. avoid is a last choice, prefer a first.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  bulk: { avoid: lte, never: lte }',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  bulk: { never: lte }',
  },
  {
    code: 'I054',
    title: 'Too many classes',
    text: 'There are at most eight classes, the four that exist among them: every class costs a routing table and a queue on each line.',
    wrong:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  c1: { dscp: CS1, share: 1% }\n  c2: { dscp: CS2, share: 1% }\n  c3: { dscp: CS3, share: 1% }\n  c4: { dscp: CS4, share: 1% }\n  c5: { dscp: CS5, share: 1% }',
    right:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  c1: { dscp: CS1, share: 1% }\n  c2: { dscp: CS2, share: 1% }\n  c3: { dscp: CS3, share: 1% }\n  c4: { dscp: CS4, share: 1% }',
  },
  {
    code: 'I055',
    title: 'One public address twice',
    text: 'Two uplinks of hubs are dialled at the same address and port. Behind one router, forward different ports: `public: 203.0.113.7:40000`.',
    wrong:
      '# frankfurt.yaml\nsite: frankfurt\nrole: core\nuplinks:\n  isp-a: { interface: eth0, address: 192.0.2.10/28, router: 192.0.2.1 }\n  isp-b: { interface: eth1, address: 192.0.2.10/28, router: 192.0.2.1 }\nsegments:\n  inference: { interface: eth2, prefixes: 10.10.0.0/16 }',
    right:
      '# frankfurt.yaml\nsite: frankfurt\nrole: core\nuplinks:\n  isp-a: { interface: eth0, address: 192.0.2.10/28, router: 192.0.2.1 }\n  isp-b: { interface: eth1, address: 198.51.100.10/28, router: 198.51.100.1 }\nsegments:\n  inference: { interface: eth2, prefixes: 10.10.0.0/16 }',
  },
  {
    code: 'I056',
    title: 'One DSCP for two classes',
    text: "On its way a packet's class is known by its DSCP alone, so no two classes share one.",
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  business: { dscp: EF }',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  business: { dscp: AF31 }',
  },
  {
    code: 'I057',
    title: 'A shared risk that nothing shares',
    text: 'Uplinks that name the same `shared_risk` (a duct, a pole, a provider behind both) are taken to fail at the same time, and `survives: shared_risk` proves that the promise holds then. A name that stands at one uplink only says no more than `survives: uplink`; mostly it is a slip of the pen.',
    wrong:
      '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0, shared_risk: duct-7 }\n  cable: { interface: eth1 }\nsegments:\n  inference: { interface: eth2, prefixes: 10.1.10.0/24 }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0, shared_risk: duct-7 }\n  cable: { interface: eth1, shared_risk: duct-7 }\nsegments:\n  inference: { interface: eth2, prefixes: 10.1.10.0/24 }',
  },
  {
    code: 'I064',
    title: 'Not a breakout',
    text: 'Hosts of a segment stay inside the network (`none`, the default) or leave to the internet, at their own site (`local`) or at its hub (`hub`): over uplinks of the transport `internet` there, in the order that class `default` prefers them, behind the address of the uplink. What is inside the network, and every private address, never leaves that way. The network says it of a segment, a site of its own LAN.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: [inference, cameras]\ninternet: { cameras: direct }',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: [inference, cameras]\ninternet: { cameras: local }',
  },
  {
    code: 'I058',
    title: 'Address family',
    text: 'A path runs between two lines of one family, and an uplink with an address has that one: its router and its public endpoint are of it too. Where the provider gives the address, `family` says of which: ipv4 (the default), ipv6 or both.',
    wrong: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0, family: v6 }',
    right: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0, family: both }',
  },
  {
    code: 'I059',
    title: 'Not a pair of gateways',
    text: "A site that is no hub may have two gateways, a and b, each with uplinks of its own; the LANs are those of the site and at both. Hosts keep one router, the LAN's `address`, which the two share by VRRP (RFC 9568): a has it while it can, else b. Each also has an address of its own there, by default the first hosts that are free. Between them they have at most eight uplinks, none called a or b.",
    wrong:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\ngateways:\n  a: { uplinks: { lte: { interface: wwan0 } } }\n  b: { uplinks: { dsl: { interface: eth0 } } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24 }',
    right:
      '# berlin.yaml\nsite: berlin\ngateways:\n  a: { uplinks: { fiber: { interface: eth0 } } }\n  b: { uplinks: { dsl: { interface: eth0 } } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24 }',
  },
  {
    code: 'I060',
    title: 'Hub listed twice',
    text: 'The order of hubs is the order of preference; a hub stands in it once.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: [frankfurt, frankfurt]\nsegments: inference',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference',
  },
  {
    code: 'I061',
    title: 'Not a hub',
    text: "A hub is a core site in the network's `hubs:`. A site's own `hubs:` is its order of preference among them; a hub has none.",
    wrong: '# network.yaml\nnetwork: acme\nhubs: [frankfurt, berlin]\nsegments: inference',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference',
  },
  {
    code: 'I062',
    title: 'No hubs',
    text: 'Sites are joined by tunnels that end at hubs. With more than one site, at least one core site is a hub; two survive the loss of one.',
    wrong: '# network.yaml\nnetwork: acme\nsegments: inference',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference',
  },
  {
    code: 'I063',
    title: 'No path to a hub',
    text: 'Two uplinks form a path when their transports are the same or one reaches the other, and they have an address family in common. The site has no such pair with one of its hubs.',
    wrong:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\ntransports: { mpls-a: {} }\n# berlin.yaml\nsite: berlin\nuplinks: { mpls: { interface: eth0, transport: mpls-a } }',
    right:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\ntransports: { mpls-a: { reaches: internet } }\n# berlin.yaml\nsite: berlin\nuplinks: { mpls: { interface: eth0, transport: mpls-a } }',
  },
  {
    code: 'I070',
    title: 'Not an expectation',
    text: 'An expectation says one of `reach` (one place of the service answers), `reach-all` (each does), `path` (which ways there are between the two) and `isolate` (nothing passes). `survives`, `via`, `not`, `symmetric` and `bandwidth` belong to the first three: isolation holds under every failure and on every way anyway. `within` belongs to `reach` and `reach-all`, and needs `survives`: it says how soon they are reached again. docs/expect.md says what each of them means.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nexpect:\n  - survives: uplink',
    right:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nexpect:\n  - reach: edge/inference -> core/inference\n    survives: uplink',
  },
  {
    code: 'I071',
    title: 'Unknown failure',
    text: '`survives` lists what may break, one at a time: `uplink`, `tunnel`, `hub`, `connection` (both tunnels between a hub uplink and a cloud), `shared_risk` (all uplinks that name the same one), and `any two uplinks`, which fail together.',
    wrong:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nexpect:\n  - reach: edge/inference -> core/inference\n    survives: site',
    right:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nexpect:\n  - reach: edge/inference -> core/inference\n    survives: hub',
  },
  {
    code: 'I072',
    title: 'The same line twice',
    text: 'The line says what another says already. It changes nothing, so it is only a warning.',
    wrong:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nallow:\n  - edge/inference -> core/inference\n  - edge/inference  ->  core/inference',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nallow:\n  - edge/inference -> core/inference',
  },
  {
    code: 'I073',
    title: 'Nothing that a way passes',
    text: '`via` and `not` name what a way passes: a medium (`fiber`), a transport, a tag, `metered`, a hub, an uplink by its name at any site (`isp-a`) or at one (`berlin.fiber`). A word that is a medium, transport or tag means that, also where an uplink has its name. A hub with the name of something else can not be told from it.',
    wrong:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nallow: edge/inference -> core/inference\nexpect:\n  - path: edge/inference -> core/inference\n    via: fibre',
    right:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nallow: edge/inference -> core/inference\nexpect:\n  - path: edge/inference -> core/inference\n    via: fiber',
  },
  {
    code: 'I097',
    title: 'Not a way to translate',
    text: '`translate` is `auto` (where LANs overlap, those that came later have another prefix in the overlay), `always` (every LAN has) or `never` (an overlap is an error). It stands in network.yaml, and at a LAN of a site where that is to be otherwise.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\ntranslate: on',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\ntranslate: auto',
  },
  {
    code: 'I098',
    title: 'Not a pool to translate to',
    text: 'What LANs are called in the overlay comes from a pool, one for each family, of IPv4 of /8 to /24 and of IPv6 of /16 to /60, that nobody has: no LAN, cloud or third party, no uplink, no inside of a tunnel. They are 198.18.0.0/15 and 2001:2::/48 unless written. An address of a pool is given once and stays, so choose one that is large enough for all LANs to come.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\ntranslate: { mode: auto, pool: 10.0.0.0/8 }',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\ntranslate: { mode: auto, pool: 172.16.0.0/12 }',
  },
] as const satisfies readonly CodePage[]
