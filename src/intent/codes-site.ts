/** Pages of findings about a site: addresses, interfaces, uplinks. */
import type { CodePage } from '#src/fabric/codes.ts'

export const siteCodes = [
  {
    code: 'I030',
    title: 'Not an address',
    text: 'An address, prefix or endpoint could not be read. IPv4 is four numbers from 0 to 255 without leading zeros (some programs read 010 as 8), IPv6 as in RFC 4291; a prefix has its length behind a slash.',
    wrong: '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10/24 }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24 }',
  },
  {
    code: 'I031',
    title: 'Host bits set',
    text: 'A prefix names a network: behind its length all bits are zero. With host bits it may be the address of one host (/32), that of the gateway on the LAN (`address`), or a network whose length or last number is wrong; Causeway does not guess which.',
    wrong:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.4/24 }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24 }',
  },
  {
    code: 'I032',
    title: 'Not a network for hosts',
    text: 'The prefix is reserved (this network, loopback, link-local, multicast; RFC 6890), or larger than /8 of IPv4 or /16 of IPv6. A LAN that large would take in the addresses of everybody else. Nor can a LAN be a single address (/32, of IPv6 /128): the gateway is on it as well, and needs one of its own; behind a `next_hop` it can.',
    wrong: '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 0.0.0.0/0 }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24 }',
  },
  {
    code: 'I033',
    title: 'Overlap within a site',
    text: 'Two LANs of a site share addresses. The gateway could not know on which interface a host is.',
    wrong:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: [10.1.10.0/24, 10.1.10.128/25] }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24 }',
  },
  {
    code: 'I034',
    title: 'Overlap between sites',
    text: 'Two sites have the same addresses, or a site and a cloud or third party do. The overlay is one address space in which a prefix has one owner. With `translate: auto` in network.yaml the first keeps its prefix, and a site that comes later has another one in the overlay; that is never done unasked, for a slip of the pen would go unnoticed. Addresses of clouds and third parties can not be translated, nor of a LAN that says `translate: never`.',
    wrong:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.10.7.0/24 }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24 }',
  },
  {
    code: 'I035',
    title: 'Not the address of a host there',
    text: 'The address is outside its network, has another length, or is the first or last of it (network and broadcast; of IPv6 the first only, the address of all routers). A gateway needs no address written on a LAN: it takes the first host.',
    wrong:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24, address: 10.1.11.1 }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24, address: 10.1.10.254 }',
  },
  {
    code: 'I036',
    title: 'Router not on the link',
    text: "The provider's router must be a neighbour: a host in the network of the uplink's own address, and not that address itself. If both are right, the length is wrong. The same holds of a `next_hop` and of a BGP `neighbor` on a LAN: each is a host in one of the LAN's prefixes, and not the gateway.",
    wrong:
      '# frankfurt.yaml\nsite: frankfurt\nrole: core\nuplinks:\n  isp-a: { interface: eth0, address: 192.0.2.10/28, router: 192.0.2.17 }\nsegments:\n  inference: { interface: eth2, prefixes: 10.10.0.0/16 }',
    right:
      '# frankfurt.yaml\nsite: frankfurt\nrole: core\nuplinks:\n  isp-a: { interface: eth0, address: 192.0.2.10/28, router: 192.0.2.1 }\nsegments:\n  inference: { interface: eth2, prefixes: 10.10.0.0/16 }',
  },
  {
    code: 'I037',
    title: 'Hub without an address',
    text: 'Edges and other hubs dial each uplink of a hub, so each states its address and router. The operating system sets them; Causeway checks that they are the same.',
    wrong:
      '# frankfurt.yaml\nsite: frankfurt\nrole: core\nuplinks:\n  isp-a: { interface: eth0 }\nsegments:\n  inference: { interface: eth2, prefixes: 10.10.0.0/16 }',
    right:
      '# frankfurt.yaml\nsite: frankfurt\nrole: core\nuplinks:\n  isp-a: { interface: eth0, address: 192.0.2.10/28, router: 192.0.2.1 }\nsegments:\n  inference: { interface: eth2, prefixes: 10.10.0.0/16 }',
  },
  {
    code: 'I038',
    title: 'Hub that nobody can dial',
    text: "The address is private (RFC 1918) or from the range between a provider's NAT and its customers (RFC 6598, CGNAT). Behind a router of your own, forward ports and say so by `public:`. Behind CGNAT a site can't be a hub. Uplinks of a private transport may have private addresses.",
    wrong:
      '# frankfurt.yaml\nsite: frankfurt\nrole: core\nuplinks:\n  isp-a: { interface: eth0, address: 10.0.0.2/24, router: 10.0.0.1 }\nsegments:\n  inference: { interface: eth2, prefixes: 10.10.0.0/16 }',
    right:
      '# frankfurt.yaml\nsite: frankfurt\nrole: core\nuplinks:\n  isp-a: { interface: eth0, address: 10.0.0.2/24, router: 10.0.0.1, public: 203.0.113.7 }\nsegments:\n  inference: { interface: eth2, prefixes: 10.10.0.0/16 }',
  },
  {
    code: 'I039',
    title: 'LAN and uplink overlap',
    text: "A LAN has addresses of an uplink's network, so the gateway could not know on which side a host is. Provider routers that hand out 192.168.1.0/24 are the usual cause.",
    wrong:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0, address: 10.1.10.2/24, router: 10.1.10.1 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24 }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0, address: 192.168.77.2/24, router: 192.168.77.1 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24 }',
  },
  {
    code: 'I040',
    title: 'Not an interface',
    text: "Interface names are those of the operating system, at most 15 characters. `lo`, and names like `cwh0…` that Causeway gives its tunnels, can't be uplinks or LANs.",
    wrong: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: enterprise-uplink0 }',
    right: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: enp1s0 }',
  },
  {
    code: 'I041',
    title: 'Interface used twice',
    text: 'Each uplink and each LAN has an interface of its own, or the gateway could not tell their traffic apart. VLANs of one port are different interfaces: eth1.10 and eth1.20.',
    wrong: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0 }\n  lte: { interface: eth0 }',
    right: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0 }\n  lte: { interface: wwan0 }',
  },
  {
    code: 'I042',
    title: 'Too few or too many uplinks',
    text: 'A site has one to eight uplinks. With one it works; with two that fail apart it survives.',
    wrong: '# berlin.yaml\nsite: berlin\nuplinks: {}',
    right: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0 }',
  },
  {
    code: 'I043',
    title: 'Not a rate',
    text: 'Rates are bit/s with K, M, G or T (powers of 1000), down/up as providers sell them, or one number for both.',
    wrong: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0, rate: 500Mbit }',
    right: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0, rate: 500M/100M }',
  },
  {
    code: 'I047',
    title: 'Unknown medium',
    text: 'The medium is what the last mile is made of: ethernet, fiber, cable, dsl, radio, lte, 5g or sat. An uplink whose name begins with one needs no `medium:`. lte, 5g and sat count as metered unless you say otherwise.',
    wrong: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0, medium: fibre-optic }',
    right: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0, medium: fiber }',
  },
  {
    code: 'I065',
    title: 'OSPF that can not be spoken',
    text: 'A gateway speaks OSPF with one to four routers on one of its LANs: OSPFv2 (RFC 2328) with those of IPv4 addresses, from whom it learns IPv4 prefixes, and OSPFv3 (RFC 5340) for IPv6. Of IPv6 a router is named by its link-local address on that LAN, for no other comes with what it says. Area, hello and dead interval are those of the routers, or they are no neighbors; the area is no stub, for what the overlay has is announced as external routes. Only what is declared is taken, and at most 100 prefixes are.',
    wrong:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference:\n    interface: eth1\n    prefixes: 10.1.10.0/24\n    ospf: { neighbor: 10.1.10.254, prefixes: 10.5.0.0/16, hello: 10s, dead: 5s }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference:\n    interface: eth1\n    prefixes: 10.1.10.0/24\n    ospf: { neighbor: 10.1.10.254, prefixes: 10.5.0.0/16, hello: 1s, dead: 4s }',
  },
  {
    code: 'I067',
    title: 'A BGP session that can not be',
    text: 'A gateway speaks BGP with one to four routers on a LAN. A session is for the family of its neighbor, so IPv6 prefixes are learned from an IPv6 address of the router and IPv4 ones from an IPv4 address. At most 100 prefixes are declared for a LAN; parts of each may be learned, up to `max_prefixes` from one router. A hold time is 3 s or more (RFC 4271).',
    wrong:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference:\n    interface: eth1\n    prefixes: 10.1.10.0/24\n    bgp: { asn: 65010, neighbor: 10.1.10.254, prefixes: [10.5.0.0/16, "2001:db8:5::/48"] }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference:\n    interface: eth1\n    prefixes: 10.1.10.0/24\n    bgp: { asn: 65010, neighbor: 10.1.10.254, prefixes: 10.5.0.0/16, hold: 9s }',
  },
  {
    code: 'I068',
    title: 'An AS number that can not be',
    text: 'AS numbers go from 1 to 4294967295. Some are nobody’s: 23456, 65535 and 4294967295, those for documents (64496 to 64511, 65536 to 65551) and what is reserved up to 131071. Private ones are 64512 to 65534 and 4200000000 to 4294967294 (RFC 6996). Gateway and router are of different AS, for between routers of one AS BGP wants a session for each pair. The gateway has 65000 unless `local_asn` says otherwise.',
    wrong:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference:\n    interface: eth1\n    prefixes: 10.1.10.0/24\n    bgp: { asn: 65000, neighbor: 10.1.10.254, prefixes: 10.5.0.0/16 }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference:\n    interface: eth1\n    prefixes: 10.1.10.0/24\n    bgp: { asn: 65010, neighbor: 10.1.10.254, prefixes: 10.5.0.0/16 }',
  },
  {
    code: 'I076',
    title: 'No DHCP server to relay to',
    text: 'A relay hands what hosts ask to a server elsewhere in the overlay, which answers to the address of the gateway on the LAN. The server is a host of a LAN of the network, of a region or behind a peer, and not of the LAN itself, where it would hear hosts without a relay. The packets to it are as any others, so an `allow` from this LAN to the server, port udp/67, is needed as well; `check` proves that they get there and back (V001).',
    wrong:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24, dhcp: { relay: 10.99.0.5 } }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24, dhcp: { relay: 10.10.0.5 } }',
  },
  {
    code: 'I074',
    title: 'Not a kind of trust',
    text: 'The packets of a LAN get their class by the service that they call, and the DSCP of that class; what hosts write there is overwritten. With `trust: dscp` the DSCP of a host chooses the class wherever no service names one: the class that has that DSCP, else `default`.',
    wrong:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24, trust: cos }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24, trust: dscp }',
  },
  {
    code: 'I075',
    title: 'A LAN that can not be served',
    text: 'DHCP leases IPv4 addresses, so the LAN needs an IPv4 prefix with an address to spare. Router advertisements are of IPv6, and hosts make themselves addresses of a /64 and of no other length (RFC 4862).',
    wrong:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: "2001:db8:1:10::/80", ra: true }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: "2001:db8:1:10::/64", ra: true }',
  },
  {
    code: 'I069',
    title: 'Not what a LAN can be served with',
    text: 'A range is leased whole, both ends included: it is inside one IPv4 prefix of the LAN, and neither the gateway nor a router of `next_hop:` is in it. Left out, it is the upper half of the prefix without those. Reserved addresses are of the LAN too, in the range or beside it, one for each MAC address. Resolvers are named by the family that asks for them: IPv4 under `dhcp:`, IPv6 under `ra:`.',
    wrong:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24, dhcp: { range: 10.1.10.1-10.1.10.99 } }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24, dhcp: { range: 10.1.10.100-10.1.10.199, lease: 12h } }',
  },
  {
    code: 'I066',
    title: 'Not a maintenance window',
    text: 'A window is days and hours in local time: `sun 02:00-04:00`, `mon-fri 22:00-06:00` (into the next morning), `daily 01:00-03:00`; in YAML in quotes inside braces. The timezone is a name of the IANA database, so that it knows when clocks change.',
    wrong: '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nmaintenance: { window: "sunday 2-4", timezone: Europe/Berlin }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nmaintenance: { window: "sun 02:00-04:00", timezone: Europe/Berlin }',
  },
  {
    code: 'I053',
    title: 'Unknown transport',
    text: 'Uplinks reach one another when they are of the same transport. `internet` always exists; others (an MPLS network, a dark fiber) are declared under `transports:` of the network.',
    wrong: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0 }\n  mpls: { interface: eth3, transport: mpls-a }',
    right:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\ntransports: { mpls-a: {} }\n# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0 }\n  mpls: { interface: eth3, transport: mpls-a }',
  },
] as const satisfies readonly CodePage[]
