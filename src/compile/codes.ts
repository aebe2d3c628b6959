/** The compiler's findings at length, for `causeway explain`. */
import type { CodePage } from '#src/fabric/codes.ts'

export const compileCodes: readonly CodePage[] = [
  {
    code: 'I101',
    title: 'expected at a site that has none',
    text: 'The expectation says `same`, the caller’s own site, and some callers have nothing there that could answer. A promise that a site can’t keep is refused before it is verified. Give the site the segment or service, or let fewer sites make the promise.',
    wrong: 'expect:\n  - reach: cameras -> same/camera-rtp   # madrid has cameras, but no inference',
    right: 'expect:\n  - reach: berlin/cameras -> same/camera-rtp',
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
    wrong: 'network: acme\nhubs: []',
    right: 'network: acme\nhubs: [frankfurt, dublin]',
  },
  {
    code: 'I112',
    title: 'two hub uplinks dialled on the same ports',
    text: 'Behind one public address a router forwards a range of ports to each hub uplink. The ranges must not overlap, or half of the tunnels end at the wrong box.',
    wrong: 'isp-a: { …, public: 203.0.113.7:40000 }\nisp-b: { …, public: 203.0.113.7:40010 }',
    right: 'isp-a: { …, public: 203.0.113.7:40000 }\nisp-b: { …, public: 203.0.113.7:42000 }',
  },
  {
    code: 'I113',
    title: 'too few ports above a forwarded base',
    text: 'A hub uplink is dialled on 51820 and 1179 ports above it. With `public: address:base` a router forwards as many from the base, so that the last one must not pass 65535.',
    wrong: 'isp-a: { …, public: 203.0.113.7:65000 }',
    right: 'isp-a: { …, public: 203.0.113.7:60000 }',
  },
  {
    code: 'I114',
    title: 'uplink without a tunnel',
    text: 'Nothing that this uplink could reach is on its transport. The site works over its other uplinks, but this one is paid for and protects nothing.',
    wrong: 'uplinks:\n  fiber: { interface: eth0 }\n  mpls: { interface: eth1, transport: mpls-a }   # no hub is on mpls-a',
    right: '# network.yaml\ntransports:\n  mpls-a: { reaches: internet }',
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
    code: 'I130',
    title: 'two peers of one interface overlap',
    text: 'WireGuard sends a prefix to the peer that was configured last and takes it silently from the other, so the compiler proves for every hub interface that no two peers have an address in common. The numbers that keep them apart are allocations; when the proof fails, those in the store contradict each other.',
    wrong: 'two uplinks of one site stored with the same slot',
    right: 'restore the `allocations` table from a backup',
  },
  {
    code: 'I140',
    title: 'class without an uplink',
    text: '`never` is hard: rather unreachable than over such an uplink. At the sites named, no other uplink is left, so the class has no path there even while everything works. That is legal, and `verify` counts it as unreachable.',
    wrong: 'classes:\n  bulk: { never: metered }   # and madrid has only lte',
    right: 'classes:\n  bulk: { avoid: metered }',
  },
]
