/** Pages of findings about the language itself: files, keys, names, selectors. */
import type { CodePage } from '#src/fabric/codes.ts'

export const languageCodes = [
  {
    code: 'I001',
    title: 'Not YAML',
    text: 'The file is no YAML 1.2, so nothing in it could be read. The place is where the parser stumbled: the mistake is there or just before. Usual causes are a bracket that was not closed, a tab in the indentation, or a text with a colon that needs quotes. Tags (`!!binary`, `!include`) are refused too.',
    wrong: '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 }',
    right: '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }',
  },
  {
    code: 'I002',
    title: 'Too large',
    text: 'A file has limits so that no text can keep a reader busy: 1,000,000 characters, 24 levels, 32 aliases. The language needs six levels. A large network is a folder of many small files, usually one a site.',
    wrong: '# berlin.yaml\nsite: berlin\nplace: [[[[[[[[[[[[[[[[[[[[[[[[[ Berlin ]]]]]]]]]]]]]]]]]]]]]]]]]\nuplinks: { fiber: { interface: eth0 } }',
    right: '# berlin.yaml\nsite: berlin\nplace: Berlin\nuplinks: { fiber: { interface: eth0 } }',
  },
  {
    code: 'I003',
    title: 'No network',
    text: 'One file of the folder names the network and says what all sites share: hubs, segments, services, who may talk to whom. None does. `causeway init` writes one to start from.',
    wrong: '# network.yaml\n',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference',
  },
  {
    code: 'I004',
    title: 'A file that declares nothing, or two things',
    text: 'A file declares one thing, and its key says which: `network:`, `site:`, `region:` or `peer:`. One document a file: a line `---` does not start another. An empty file is refused, because it is more likely a save that failed than a wish.',
    wrong: '# berlin.yaml\nplace: Berlin, DE\nuplinks: { fiber: { interface: eth0 } }',
    right: '# berlin.yaml\nsite: berlin\nplace: Berlin, DE\nuplinks: { fiber: { interface: eth0 } }',
  },
  {
    code: 'I005',
    title: 'Unknown key',
    text: 'The key is not in the language at this place. Keys are refused rather than ignored: an ignored `allow` would be an outage, an ignored `never` a bill.',
    wrong: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interfce: eth0 }',
    right: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0 }',
  },
  {
    code: 'I006',
    title: 'Missing key',
    text: 'Something that has no default was not said. Keys that come in pairs count too: an uplink with an address needs its router, a class of your own needs its DSCP and share.',
    wrong: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { rate: 500M/100M }',
    right: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0, rate: 500M/100M }',
  },
  {
    code: 'I007',
    title: 'Wrong kind of value',
    text: 'A map stands where a single value is wanted, or the other way round, or nothing stands after the colon. Lists are forgiving: one item alone needs no brackets.',
    wrong: '# berlin.yaml\nsite: berlin\nuplinks: eth0',
    right: '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }',
  },
  {
    code: 'I008',
    title: 'Known, and not done here',
    text: 'The key or value is one that other tools have, or that is still to come: other clouds than AWS, more than one segment in a region, certificates at a peer. The finding says of each what is true of it, whether it can never be or is not done yet, and what to write instead. It is refused, because reading over it would promise what nobody keeps.',
    wrong: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0, vlan: 7 }',
    right: '# berlin.yaml\nsite: berlin\nuplinks:\n  fiber: { interface: eth0.7 }',
  },
  {
    code: 'I009',
    title: 'Declared twice',
    text: 'Two files declare the same site or the network, or a key stands twice in one map. Which of the two holds would depend on the order of reading, and no order matters in the language.',
    wrong: '# berlin.yaml\nsite: berlin\nplace: Berlin\nplace: Potsdam\nuplinks: { fiber: { interface: eth0 } }',
    right: '# berlin.yaml\nsite: berlin\nplace: Berlin\nuplinks: { fiber: { interface: eth0 } }',
  },
  {
    code: 'I010',
    title: 'Not a name',
    text: 'Names are lower-case letters, digits and single hyphens, begin with a letter and have at most 40 characters: they become parts of host names, certificates and selectors. Two hyphens in a row join the ends of a tunnel.',
    wrong: '# network.yaml\nnetwork: Acme_Corp\nhubs: frankfurt\nsegments: inference',
    right: '# network.yaml\nnetwork: acme-corp\nhubs: frankfurt\nsegments: inference',
  },
  {
    code: 'I011',
    title: 'Names clash',
    text: 'Segments, groups, services, sites, regions, peers and labels share one set of names, so that `x` in a selector is never two things; `edge`, `core`, `region`, `peer`, `same` and `any` are words of the language. The words of `prefer`, `avoid` and `never` (media, transports, tags, `metered`) are a second set.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nservices:\n  inference: { at: core/inference, ports: tcp/8443 }',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nservices:\n  model-api: { at: core/inference, ports: tcp/8443 }',
  },
  {
    code: 'I012',
    title: 'Unknown site',
    text: 'A name under `hubs:` is no site of the network. Sites are declared by a file of their own or under `sites:` in network.yaml.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfort\nsegments: inference',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference',
  },
  {
    code: 'I013',
    title: 'Unknown segment, group or service',
    text: 'Segments are declared under `segments:` of the network, groups of hosts under `groups:`, services under `services:`. A site joins a segment by naming it under its own `segments:`.',
    wrong:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inferense: { interface: eth1, prefixes: 10.1.10.0/24 }',
    right:
      '# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24 }',
  },
  {
    code: 'I014',
    title: 'Unknown place',
    text: 'In `[where/]what` the first part is a site, a role (`edge`, `core`), a label that some site has, or, behind an arrow, `same`.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nallow: edges/inference -> inference',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nallow: edge/inference -> inference',
  },
  {
    code: 'I015',
    title: 'Unknown class',
    text: 'Classes realtime, business, bulk and default exist; others are declared under `classes:` with their DSCP and share.',
    wrong:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nservices:\n  model-api: { at: core/inference, ports: tcp/8443, class: busines }',
    right:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nservices:\n  model-api: { at: core/inference, ports: tcp/8443, class: business }',
  },
  {
    code: 'I016',
    title: 'Unknown role',
    text: 'A site is an `edge`, which is the default, or a `core`: a data centre with public addresses. Hubs are cores.',
    wrong: '# berlin.yaml\nsite: berlin\nrole: branch\nuplinks: { fiber: { interface: eth0 } }',
    right: '# berlin.yaml\nsite: berlin\nrole: edge\nuplinks: { fiber: { interface: eth0 } }',
  },
  {
    code: 'I017',
    title: 'Not a selector',
    text: 'A place is `what` or `where/what`; a line of `allow`, `deny` or `expect` is `from -> to` with spaces around the arrow. Behind a segment or group, ports may follow in `allow` and `deny`: `edge/inference -> training tcp/22`.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nallow: edge/inference, core/inference',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nallow: edge/inference -> core/inference',
  },
  {
    code: 'I018',
    title: 'A selector that means nothing here',
    text: 'Every word is known, but not at this place: `same` before an arrow, where there is no caller yet; a service where only a segment or group can stand (a service answers, it opens no connections); a place without a segment, or a segment as a place.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nallow: same/inference -> core/inference',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nallow: edge/inference -> core/inference',
  },
  {
    code: 'I019',
    title: 'Nothing selected',
    text: 'No site has a LAN that the selector selects. In an expectation that is an error, because a promise about nothing always holds; with the name of a site too. An allow, a deny or a service by role, label or segment alone is only warned about: the site may be still to come.',
    wrong: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: [inference, cameras]\nexpect:\n  - isolate: cameras -> inference',
    right: '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: [inference, cameras]\nexpect:\n  - reach: edge/inference -> core/inference',
  },
  {
    code: 'I020',
    title: 'Hosts outside every LAN',
    text: 'A group of hosts names addresses of the LANs that sites, regions and peers declare; a prefix in it is inside one of them. An address of no LAN belongs to nobody, so no gateway could let it pass or keep it out, and a prefix wider than a LAN would take in whatever comes to stand beside it.',
    wrong:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\ngroups:\n  printers: { hosts: [10.1.10.20, 10.99.10.20] }\nallow: inference -> printers tcp/631',
    right:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\ngroups:\n  printers: { hosts: [10.1.10.20, 10.1.10.32/28] }\nallow: inference -> printers tcp/631',
  },
  {
    code: 'I021',
    title: 'An endpoint elsewhere',
    text: 'The endpoints of a service are hosts in the LANs that its `at` selects: whoever may call the service may call them, and nobody else there. This one is somewhere else. `reach` asks that one endpoint answers, `reach-all` that each does.',
    wrong:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nservices:\n  model-api: { at: core/inference, endpoints: [10.10.0.10, 10.1.10.10], ports: tcp/8443 }',
    right:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nservices:\n  model-api: { at: core/inference, endpoints: [10.10.0.10, 10.10.0.11], ports: tcp/8443 }',
  },
  {
    code: 'I022',
    title: 'Hosts at two sites',
    text: 'A group of hosts names addresses as their own LAN knows them. Where a LAN is translated, two sites can have the same, and the line would say more than its author meant. The endpoints of a service may: its `at` says at which sites.',
    wrong:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\ntranslate: auto\ngroups:\n  printers: { hosts: 10.10.7.20 }\nallow: inference -> printers tcp/631\n# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.10.7.0/24 }',
    right:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\ntranslate: auto\nservices:\n  printing: { at: berlin/inference, endpoints: 10.10.7.20, ports: tcp/631 }\nallow: inference -> printing\n# berlin.yaml\nsite: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.10.7.0/24 }',
  },
  {
    code: 'I023',
    title: 'Not the address of a host',
    text: "A group of hosts, or the endpoints of a service, names an address that no host can have: the gateway's own on a LAN, or the first or last of its prefix. What is for a gateway itself it answers alone, so nothing that is allowed would get there, and nothing that is denied is kept from it. A prefix in a group may hold such addresses.",
    wrong:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nservices:\n  model-api: { at: core/inference, endpoints: 10.10.0.1, ports: tcp/8443 }',
    right:
      '# network.yaml\nnetwork: acme\nhubs: frankfurt\nsegments: inference\nservices:\n  model-api: { at: core/inference, endpoints: 10.10.0.10, ports: tcp/8443 }',
  },
] as const satisfies readonly CodePage[]
