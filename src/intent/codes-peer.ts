/** Pages of findings about peers: third parties' IPsec gateways. */
import type { CodePage } from '#src/fabric/codes.ts'

const right = '# partner.yaml\npeer: partner\naddress: 203.0.113.200\nsegments:\n  inference: { prefixes: 172.20.0.0/16 }'

export const peerCodes = [
  {
    code: 'I090',
    title: 'Not a peer',
    text: "A peer is a third party's IPsec gateway: one or two different addresses, to each of which every uplink of its hubs that has the same family holds a tunnel, and what is behind it, by segment.",
    wrong: '# partner.yaml\npeer: partner\naddress: [203.0.113.200, 203.0.113.200]\nsegments:\n  inference: { prefixes: 172.20.0.0/16 }',
    right: right,
  },
  {
    code: 'I091',
    title: 'A peer that can’t be dialled',
    text: 'Hubs dial the peer, and nobody else answers at its address. On the internet it is a public one; if the gateway is behind NAT, the one that its router forwards from, with its own as `id:`.',
    wrong: '# partner.yaml\npeer: partner\naddress: 10.9.8.7\nsegments:\n  inference: { prefixes: 172.20.0.0/16 }',
    right: right,
  },
  {
    code: 'I092',
    title: 'Not a proposal',
    text: 'Proposals of IKE and ESP stand in a short list, strongest first, in strongSwan’s notation: AES with SHA-2, Diffie-Hellman of at least 2048 bits, always with perfect forward secrecy. Both ends need one in common; older ones (3DES, SHA-1, modp1024, without PFS) are not offered, whatever the other end can do.',
    wrong:
      '# partner.yaml\npeer: partner\naddress: 203.0.113.200\nsegments:\n  inference: { prefixes: 172.20.0.0/16 }\nipsec: { ike: 3des-sha1-modp1024 }',
    right:
      '# partner.yaml\npeer: partner\naddress: 203.0.113.200\nsegments:\n  inference: { prefixes: 172.20.0.0/16 }\nipsec: { ike: aes256-sha256-modp2048 }',
  },
  {
    code: 'I093',
    title: 'Not a lifetime',
    text: 'IKE lives for 15 minutes to 24 hours (8 by default), ESP for 5 minutes to 8 hours (1 by default) and not longer than IKE. They are what the peer is set to; the hub makes new keys at five sixths of it.',
    wrong:
      '# partner.yaml\npeer: partner\naddress: 203.0.113.200\nsegments:\n  inference: { prefixes: 172.20.0.0/16 }\nipsec: { lifetime: { esp: 10s } }',
    right:
      '# partner.yaml\npeer: partner\naddress: 203.0.113.200\nsegments:\n  inference: { prefixes: 172.20.0.0/16 }\nipsec: { lifetime: { esp: 30m } }',
  },
  {
    code: 'I094',
    title: 'Not an IKE identity',
    text: 'What the peer proves to be (RFC 7296 section 3.5): an address or a domain name. It is its address unless said otherwise; behind NAT it is often the private one. The pre-shared key is found by it, so no two peers have the same.',
    wrong: '# partner.yaml\npeer: partner\naddress: 203.0.113.200\nsegments:\n  inference: { prefixes: 172.20.0.0/16 }\nipsec: { id: the firewall }',
    right:
      '# partner.yaml\npeer: partner\naddress: 203.0.113.200\nsegments:\n  inference: { prefixes: 172.20.0.0/16 }\nipsec: { id: gw.partner.example }',
  },
  {
    code: 'I095',
    title: 'A probe that nothing answers',
    text: 'Each tunnel is probed by ICMP through itself, from its own inside address: its far inside address, or a host behind the peer of a family that `inside:` has (IPv4 unless written). Only those may come out of the tunnel, so another address could never answer.',
    wrong: '# partner.yaml\npeer: partner\naddress: 203.0.113.200\nsegments:\n  inference: { prefixes: 172.20.0.0/16 }\nprobe: 172.30.0.1',
    right: '# partner.yaml\npeer: partner\naddress: 203.0.113.200\nsegments:\n  inference: { prefixes: 172.20.0.0/16 }\nprobe: 172.20.0.1',
  },
  {
    code: 'I096',
    title: 'Not for inside tunnels',
    text: 'Each tunnel has a /30 of IPv4 inside, a /126 of IPv6, or both: the peer takes the first host, the hub the second. They come from networks that are nobody’s, neither a LAN’s nor an uplink’s, one of a family: of IPv4 of /8 to /30, and not from where clouds have their metadata (169.254.169.0/24), of IPv6 of /16 to /126.',
    wrong: '# partner.yaml\npeer: partner\naddress: 203.0.113.200\nsegments:\n  inference: { prefixes: 172.20.0.0/16 }\ninside: 172.20.9.0/24',
    right: '# partner.yaml\npeer: partner\naddress: 203.0.113.200\nsegments:\n  inference: { prefixes: 172.20.0.0/16 }\ninside: 169.254.100.0/24',
  },
] as const satisfies readonly CodePage[]
