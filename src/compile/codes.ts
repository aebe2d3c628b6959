/** The compiler's findings at length, for `causeway explain`. */
import type { CodePage } from '#src/fabric/codes.ts'

export const compileCodes: readonly CodePage[] = [
  {
    code: 'I101',
    title: 'expected at a site that has none',
    text: 'The expectation says `same`, the caller’s own site, and some callers have nothing there that could answer. A promise that a site can’t keep is refused before it is verified. Give the site the segment or service, or let fewer sites make the promise.',
    wrong:
      '# madrid.yaml\nsegments:\n  cameras: { interface: eth2, prefixes: 192.168.2.0/24 }\n# network.yaml\nexpect:\n  - reach: cameras -> same/camera-rtp # madrid has cameras, but no inference',
    right:
      '# madrid.yaml\nsegments:\n  cameras: { interface: eth2, prefixes: 192.168.2.0/24 }\n# network.yaml\nexpect:\n  - reach: berlin/cameras -> same/camera-rtp',
  },
  {
    code: 'I102',
    title: 'denied, but not allowed',
    text: 'Everything that no line under `allow` opens is dropped anyway, so a deny is for what some allow would open too much of. None opens anything of this one. It does no harm, and it would win over an allow to come.',
    wrong: 'allow:\n  - edge/inference -> model-api\ndeny:\n  - cameras -> model-api',
    right: 'groups:\n  kiosks: { hosts: 10.1.10.200/29 }\nallow:\n  - edge/inference -> model-api\ndeny:\n  - kiosks -> model-api',
  },
  {
    code: 'I103',
    title: 'a deny that nobody can keep',
    text: 'Hosts of one LAN reach each other without their gateway. Between two clouds or peers there is no gateway of ours that knows connections: hubs leave out whole pairs of prefixes, whatever the port, and only as long as no allow of the other direction needs them. Everywhere else the deny holds.',
    wrong:
      'groups:\n  kiosks: { hosts: 10.1.10.200/29 }\nallow:\n  - inference -> inference\ndeny:\n  - kiosks -> inference # berlin has both in 10.1.10.0/24',
    right:
      'segments: [inference, kiosks, cameras, training]\nallow:\n  - inference -> inference\n  - kiosks -> inference\ndeny:\n  - kiosks -> inference tcp/22\n# berlin.yaml\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24 }\n  kiosks: { interface: eth4, prefixes: 10.1.40.0/24 }',
  },
  {
    code: 'I104',
    title: 'a line that nobody can log',
    text: 'A line with `log: true` is logged by the gateways of the sites at its ends. Between two clouds or peers there is none: hubs carry what runs between them without looking at connections. Everywhere else the line is logged.',
    wrong:
      'peers:\n  partner: { address: 203.0.113.200, segments: { inference: { prefixes: 172.20.0.0/16 } } }\n  mainframe: { address: 203.0.113.201, segments: { inference: { prefixes: 172.21.0.0/16 } } }\nallow:\n  - { rule: mainframe/inference -> partner/inference, log: true }',
    right:
      'peers:\n  partner: { address: 203.0.113.200, segments: { inference: { prefixes: 172.20.0.0/16 } } }\n  mainframe: { address: 203.0.113.201, segments: { inference: { prefixes: 172.21.0.0/16 } } }\nallow:\n  - mainframe/inference -> partner/inference\n  - { rule: edge/inference -> partner/inference, log: true }',
  },
  {
    code: 'I105',
    title: 'a line between IPv4 and IPv6',
    text: 'All callers of the line have addresses of one family only, and all that they would call has addresses of the other. Gateways route both and translate neither into the other, so the line lets nothing pass, and denies nothing.',
    wrong:
      'allow:\n  - berlin/inference -> frankfurt/inference\n# frankfurt.yaml\nsegments:\n  inference: { interface: eth2, prefixes: "2001:db8:10::/64" } # berlin has 10.1.10.0/24',
    right:
      'allow:\n  - berlin/inference -> frankfurt/inference\n# frankfurt.yaml\nsegments:\n  inference: { interface: eth2, prefixes: [10.10.0.0/16, "2001:db8:10::/64"] }',
  },
  {
    code: 'I106',
    title: 'a relay and a translated LAN',
    text: 'A DHCP server answers to the address of the relay that stands inside the request (RFC 2131, giaddr), and leases addresses of that network. Of a LAN that has other addresses in the overlay that is not the address by which it can be reached, and a server on such a LAN can not be called by its own.',
    wrong: '# berlin.yaml\nsegments:\n  inference: { interface: eth1, prefixes: 192.168.1.0/24, translate: always, dhcp: { relay: 10.11.0.5 } }',
    right: '# berlin.yaml\nsegments:\n  inference: { interface: eth1, prefixes: 192.168.1.0/24, translate: always, dhcp: true }',
  },
  {
    code: 'I110',
    title: 'no transport in common',
    text: 'A tunnel runs between two uplinks that can reach each other: on the same transport, or on two of which one `reaches` the other. Each spoke needs one such pair with each of its hubs, and hubs are meshed, so each pair of hubs needs one too.',
    wrong: '# frankfurt\nuplinks:\n  wan: { interface: eth0, transport: mpls-a }\n# dublin\nuplinks:\n  wan: { interface: eth0 }   # internet',
    right: '# network.yaml\ntransports:\n  mpls-a: { reaches: internet }',
  },
  {
    code: 'I111',
    title: 'site without a hub',
    text: 'Sites are joined by hubs: cores with addresses that the others dial. A network of more than one site needs a hub, and a site that states its own list of hubs must not leave it empty.',
    wrong: '# madrid.yaml\nhubs: []',
    right: '# madrid.yaml\nhubs: [dublin, frankfurt]',
  },
  {
    code: 'I112',
    title: 'two hub uplinks dialled on the same ports',
    text: 'Behind one public address a router forwards a range of ports to each hub uplink. The ranges must not overlap, or half of the tunnels end at the wrong box.',
    wrong:
      '# frankfurt.yaml\nuplinks:\n  isp-a: { interface: eth0, address: 10.9.0.2/24, router: 10.9.0.1, public: 203.0.113.7:40000 }\n  isp-b: { interface: eth1, address: 10.9.1.2/24, router: 10.9.1.1, public: 203.0.113.7:40010 }',
    right:
      '# frankfurt.yaml\nuplinks:\n  isp-a: { interface: eth0, address: 10.9.0.2/24, router: 10.9.0.1, public: 203.0.113.7:40000 }\n  isp-b: { interface: eth1, address: 10.9.1.2/24, router: 10.9.1.1, public: 203.0.113.7:42000 }',
  },
  {
    code: 'I113',
    title: 'too few ports above a forwarded base',
    text: 'A hub uplink is dialled on 51820 and 1179 ports above it. With `public: address:base` a router forwards as many from the base, so that the last one must not pass 65535.',
    wrong:
      '# frankfurt.yaml\nuplinks:\n  isp-a: { interface: eth0, address: 10.9.0.2/24, router: 10.9.0.1, public: 203.0.113.7:65000 }\n  isp-b: { interface: eth1, address: 198.51.100.10/28, router: 198.51.100.1 }',
    right:
      '# frankfurt.yaml\nuplinks:\n  isp-a: { interface: eth0, address: 10.9.0.2/24, router: 10.9.0.1, public: 203.0.113.7:60000 }\n  isp-b: { interface: eth1, address: 198.51.100.10/28, router: 198.51.100.1 }',
  },
  {
    code: 'I114',
    title: 'uplink without a tunnel',
    text: 'Nothing that this uplink could reach is on its transport. The site works over its other uplinks, but this one is paid for and protects nothing.',
    wrong:
      'transports: { mpls-a: {} }\n# berlin.yaml\nuplinks:\n  fiber: { interface: eth0 }\n  lte: { interface: wwan0 }\n  mpls: { interface: eth5, transport: mpls-a } # no hub is on mpls-a',
    right:
      'transports: { mpls-a: { reaches: internet } }\n# berlin.yaml\nuplinks:\n  fiber: { interface: eth0 }\n  lte: { interface: wwan0 }\n  mpls: { interface: eth5, transport: mpls-a }',
  },
  {
    code: 'I120',
    title: 'no slot left for an uplink',
    text: 'A hub tells the uplinks of a site apart by slots 0 to 7. The slot of an uplink that was removed stays taken until its allocation is released, so that a running gateway never mistakes the new one for the old.',
    wrong: 'a ninth uplink at one site, counting removed ones',
    right: 'keep the name of an uplink when only its line changes',
  },
  {
    code: 'I121',
    title: 'no port left for a tunnel',
    text: 'Every tunnel of an edge, and every mesh tunnel of a hub, listens on a port of its own: 500 mesh ports from 52000 and 500 edge ports from 53000 at each site. Ports of removed tunnels stay taken until released.',
    wrong: 'eight uplinks on every hub of a mesh of nine',
    right: 'fewer hubs, or uplinks on separate transports',
  },
  {
    code: 'I122',
    title: 'too many classes',
    text: 'Each class has a mark and a routing table on every gateway; there are 64. Classes that were removed count until their number is released.',
    wrong: 'a 65th class',
    right: 'reuse a class for traffic that is treated alike',
  },
  {
    code: 'I123',
    title: 'too many segments',
    text: 'Each segment has a number on every gateway; there are 4096. Segments that were removed count until their number is released.',
    wrong: 'a 4097th segment',
    right: 'share a segment between LANs that trust each other',
  },
  {
    code: 'I124',
    title: 'no addresses left inside IPsec tunnels',
    text: 'Every tunnel to a cloud has a /30 of 169.254.0.0/16 inside, as clouds want it; there are 8128 that no cloud keeps for itself. Each hub uplink has two such tunnels to each region, one or two to each peer, and those that were removed count until released. A peer may state networks of its own for them (`inside:`), with a /30 of IPv4, a /126 of IPv6, or both for each of its tunnels.',
    wrong: 'a 4065th pair of hub uplink and region',
    right: 'fewer hubs in the `hubs:` of regions',
  },
  {
    code: 'I125',
    title: 'no prefix left to translate to',
    text: 'A LAN that is translated has a prefix of its own size in the overlay, from the pool of its family that the network states in `translate:` (198.18.0.0/15 and 2001:2::/48 unless written). It keeps it, and that of a LAN that was removed counts until released. Another pool gives all of them other prefixes, and the old ones again when it is taken back.',
    wrong:
      'translate: { mode: auto, pool: 10.192.0.0/24 } # for one of the two that come after berlin\n# madrid.yaml\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.11.0/24 }\n  cameras: { interface: eth2, prefixes: 192.168.1.0/24 }\n# oslo.yaml\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.12.0/24 }\n  cameras: { interface: eth2, prefixes: 192.168.1.0/24 }',
    right:
      'translate: { mode: auto, pool: 10.192.0.0/16 }\n# madrid.yaml\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.11.0/24 }\n  cameras: { interface: eth2, prefixes: 192.168.1.0/24 }\n# oslo.yaml\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.12.0/24 }\n  cameras: { interface: eth2, prefixes: 192.168.1.0/24 }',
  },
  {
    code: 'I126',
    title: 'a hub with the addresses of another',
    text: 'A hub carries what is for others, so what is behind it can not have addresses that are somebody else’s in the overlay: the hub could not tell them apart. Its own LAN may be translated when nobody else is called so.',
    wrong: '# berlin, 192.168.1.0/24, was first; frankfurt is a hub\nsegments:\n  cameras: { interface: eth1, prefixes: 192.168.1.0/24 }',
    right: '# berlin.yaml\nsegments:\n  cameras: { interface: eth1, prefixes: 192.168.1.0/24, translate: always }',
  },
  {
    code: 'I127',
    title: 'two LANs that can not reach each other',
    text: 'Under `translate: auto` the first LAN of several with the same addresses keeps its prefix in the overlay. To the hosts of the others that prefix is their own LAN, so they can not call it, and could not answer it: they reach everybody else. An allow would let them meet. When both are translated they can.',
    wrong:
      'translate: auto\nallow:\n  - cameras -> cameras # berlin and madrid have 192.168.1.0/24\n# madrid.yaml\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.11.0/24 }\n  cameras: { interface: eth2, prefixes: 192.168.1.0/24 }',
    right:
      'translate: auto\nallow:\n  - cameras -> cameras\n# berlin.yaml\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24 }\n  cameras: { interface: eth2, prefixes: 192.168.1.0/24, translate: always }\n# madrid.yaml\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.11.0/24 }\n  cameras: { interface: eth2, prefixes: 192.168.1.0/24, translate: always }',
  },
  {
    code: 'I130',
    title: 'two peers of one interface overlap',
    text: 'WireGuard sends a prefix to the peer that was configured last and takes it silently from the other, so the compiler proves for every hub interface that no two peers have an address in common. The numbers that keep them apart are allocations; when the proof fails, those in the store contradict each other.',
    wrong: 'two uplinks of one site stored with the same slot',
    right: 'restore the `allocations` table from a backup',
  },
  {
    code: 'I131',
    title: 'LAN in the addresses of the tunnels',
    text: 'Each network has an IPv6 /48 of its own (RFC 4193), made from its name and shown by `causeway explain`, for the insides of tunnels and the loopbacks of gateways. A host in there could answer for a gateway, so no LAN may have a part of it, nor may the `inside:` of a peer.',
    wrong: '# berlin.yaml\nsegments:\n  inference: { interface: eth1, prefixes: "fd65:b821:8de0:1::/64" } # the network demo has fd65:b821:8de0::/48',
    right: '# berlin.yaml\nsegments:\n  inference: { interface: eth1, prefixes: "2001:db8:1:10::/64" }',
  },
  {
    code: 'I140',
    title: 'class without an uplink',
    text: '`never` is hard: rather unreachable than over such an uplink. At the sites named, no other uplink is left, so the class has no path there even while everything works. That is legal, and `verify` counts it as unreachable.',
    wrong: 'classes:\n  bulk: { never: metered }\n# madrid.yaml\nuplinks:\n  lte: { interface: wwan0 } # metered, and the only one',
    right: 'classes:\n  bulk: { avoid: metered }\n# madrid.yaml\nuplinks:\n  lte: { interface: wwan0 }',
  },
  {
    code: 'I141',
    title: 'nowhere to leave',
    text: 'A segment with `internet: local` leaves over uplinks of the transport `internet` at its own site. A private transport that `reaches` the internet’s hubs leads to no other host there, and what class `default` never uses is not used for this either. A host leaves behind an address of its own family: a LAN that has IPv6 alone needs an uplink that has it (`family: both`), and one with IPv4 an uplink that has that.',
    wrong:
      'transports: { mpls-a: { reaches: internet } }\ninternet: { cameras: local }\n# berlin.yaml\nuplinks:\n  mpls: { interface: eth0, transport: mpls-a }',
    right:
      'transports: { mpls-a: { reaches: internet } }\ninternet: { cameras: local }\n# berlin.yaml\nuplinks:\n  mpls: { interface: eth0, transport: mpls-a }\n  lte: { interface: wwan0 }',
  },
  {
    code: 'I142',
    title: 'IPv6 that stays inside',
    text: 'A LAN with `internet:` leaves in each of its families, behind the address of an uplink of that family. None of the site’s uplinks on the internet has IPv6 (of the home hub’s, for `internet: hub`), so what its hosts send over IPv6 reaches the network and nobody else. Programs fall back to IPv4. An uplink has IPv4 alone unless its `address:` is IPv6 or `family:` says so.',
    wrong:
      'internet: { cameras: local }\n# berlin.yaml\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24 }\n  cameras: { interface: eth2, prefixes: [192.168.1.0/24, "2001:db8:1:20::/64"] }',
    right:
      'internet: { cameras: local }\n# berlin.yaml\nuplinks:\n  fiber: { interface: eth0, family: both }\n  lte: { interface: wwan0 }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24 }\n  cameras: { interface: eth2, prefixes: [192.168.1.0/24, "2001:db8:1:20::/64"] }',
  },
]
