/** Pages of findings about cloud regions. */
import type { CodePage } from '#src/fabric/codes.ts'

const right =
  '# aws-eu-west-1.yaml\nregion: aws-eu-west-1\nprovider: aws\nsegments:\n  inference: { vpcs: vpc-0a1b2c3d4e5f60718, prefixes: 10.96.0.0/16 }'

export const regionCodes = [
  {
    code: 'I080',
    title: 'Not a cloud region',
    text: 'A region names its provider (`aws`), what ends the tunnels there (`attach: transit-gateway`), how the cloud learns our prefixes (`routing: static`) and one segment with its VPCs. Where it is follows from the end of its name, or from `in:`.',
    wrong: '# cloud.yaml\nregion: cloud\nprovider: aws\nsegments:\n  inference: { vpcs: vpc-0a1b2c3d4e5f60718, prefixes: 10.96.0.0/16 }',
    right:
      '# cloud.yaml\nregion: cloud\nprovider: aws\nin: eu-west-1\nsegments:\n  inference: { vpcs: vpc-0a1b2c3d4e5f60718, prefixes: 10.96.0.0/16 }',
  },
  {
    code: 'I081',
    title: 'Not a VPC',
    text: 'VPCs are never made here: the file names those that exist, once each, by their id: `vpc-` and 17 (in old accounts 8) digits and letters from a to f.',
    wrong: '# aws-eu-west-1.yaml\nregion: aws-eu-west-1\nprovider: aws\nsegments:\n  inference: { vpcs: my-vpc, prefixes: 10.96.0.0/16 }',
    right,
  },
  {
    code: 'I082',
    title: 'Prefixes that no VPC has',
    text: 'The prefixes of a VPC are stated, so that everything is checked offline; what the cloud reports must agree. Each belongs to one VPC: with more than one, a map says which. A VPC has networks of /16 to /28, and of IPv6 of /44 to /60, every fourth length.',
    wrong:
      '# aws-eu-west-1.yaml\nregion: aws-eu-west-1\nprovider: aws\nsegments:\n  inference: { vpcs: [vpc-0a1b2c3d4e5f60718, vpc-0a1b2c3d4e5f60719], prefixes: 10.96.0.0/16 }',
    right:
      '# aws-eu-west-1.yaml\nregion: aws-eu-west-1\nprovider: aws\nsegments:\n  inference:\n    vpcs: { vpc-0a1b2c3d4e5f60718: 10.96.0.0/16, vpc-0a1b2c3d4e5f60719: 10.97.0.0/16 }',
  },
  {
    code: 'I083',
    title: 'Not a private AS number',
    text: 'The cloud’s side of a connection has an AS number from 64512 to 65534 (RFC 6996), and the hubs have 65000. The default is 64512.',
    wrong: `${right}\nasn: 174`,
    right: `${right}\nasn: 64513`,
  },
  {
    code: 'I084',
    title: 'A hub that a cloud or peer can’t join',
    text: 'Tunnels to a cloud run over the internet and IPv4, those to a peer over its transport and the family of its address, and it knows each hub uplink by its public address. So every hub of a region or peer has an uplink there, every address of a peer is of a family that one of its hubs has, and no two uplinks share an address, not even with different ports.',
    wrong: `# frankfurt.yaml\nsite: frankfurt\nrole: core\nuplinks:\n  isp-a: { interface: eth0, address: 10.0.0.2/24, router: 10.0.0.1, public: 203.0.113.7:40000 }\n  isp-b: { interface: eth1, address: 10.0.1.2/24, router: 10.0.1.1, public: 203.0.113.7:50000 }\nsegments:\n  inference: { interface: eth2, prefixes: 10.10.0.0/16 }\n${right}`,
    right: `# frankfurt.yaml\nsite: frankfurt\nrole: core\nuplinks:\n  isp-a: { interface: eth0, address: 10.0.0.2/24, router: 10.0.0.1, public: 203.0.113.7:40000 }\n  isp-b: { interface: eth1, address: 10.0.1.2/24, router: 10.0.1.1, public: 203.0.113.8:50000 }\nsegments:\n  inference: { interface: eth2, prefixes: 10.10.0.0/16 }\n${right}`,
  },
] as const satisfies readonly CodePage[]
