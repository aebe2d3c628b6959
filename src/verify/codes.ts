/** `causeway explain V003`: what verification refuses, and what to do. */
import type { CodePage } from '#src/fabric/codes.ts'

const page = (code: string, title: string, text: string, wrong = '', right = ''): CodePage => ({ code, title, text, wrong, right })

export const verifyCodes: readonly CodePage[] = [
  page(
    'V001',
    'expected to reach, but not allowed',
    'An expectation wants a connection that no line under `allow` opens, for at least one address or port. Everything that is not allowed is dropped at the gateway of its source. Add the allow, or take back the expectation.',
    'allow: []\nexpect:\n  - reach: edge/inference -> model-api',
    'allow:\n  - edge/inference -> model-api\nexpect:\n  - reach: edge/inference -> model-api',
  ),
  page(
    'V002',
    'expected to reach, but there is no way',
    'The connection is allowed, but its packets or the replies stop on the way although nothing has failed: mostly because a class says `never` to every uplink that could carry them. The witness names the node where they stop and what is up there but forbidden.',
    'classes:\n  bulk: { never: [fiber, lte] }',
    'classes:\n  bulk: { never: metered }',
  ),
  page(
    'V003',
    'lost when one thing fails',
    'An expectation must survive the failure of any single uplink, tunnel, hub or connection to a cloud that `survives` lists, and there is one that it does not survive. The witness names it, and where packets stop then. Give the site a second uplink, the network a second hub, the service a second place, or take that kind out of `survives`.',
    'hubs: [frankfurt]\nexpect:\n  - { reach: edge/inference -> model-api, survives: hub }',
    'hubs: [frankfurt, dublin]\nexpect:\n  - { reach: edge/inference -> model-api, survives: hub }',
  ),
  page(
    'V004',
    'can be lost while traffic waits to return',
    'After a failure traffic goes back to its first choice only when that was clean for some minutes. This expectation holds once traffic has settled, but while it waits on the fallback path one more failure would interrupt it until the wait ends. A second path on the fallback removes the warning.',
  ),
  page(
    'V005',
    'lost until the return route has moved',
    "A cloud with static routing sends replies into one connection. When that fails, its hubs notice within a second or two and Causeway points the route to another connection by a call to the cloud's API; when only one of its two tunnels fails, the cloud notices by itself. Until then replies are lost. The expectation holds once the route has moved, and at once when a second place, a data centre for example, answers as well.",
    'expect:\n  - { reach: edge/inference -> aws-eu-west-1/inference, survives: connection }',
    'services:\n  model-api: { at: [core/inference, aws-eu-west-1/inference], ports: tcp/8443 }\nexpect:\n  - { reach: edge/inference -> model-api, survives: connection }',
  ),
  page(
    'V011',
    'can reach what it must not',
    'An `isolate` expectation says that no connection may be opened, and an `allow` opens one. Every packet was considered, over every path that could be chosen after any failure. One of the two lines is wrong: take one back.',
    'allow:\n  - cameras -> training\nexpect:\n  - isolate: cameras -> training',
    'expect:\n  - isolate: cameras -> training',
  ),
  page(
    'V012',
    'a shared LAN can not be kept apart',
    'Hosts in one LAN reach each other without their gateway, so nothing that it does keeps them apart. Give each group its own segment, with its own interface and prefix.',
  ),
  page(
    'V013',
    'isolated one way only',
    'An arrow is the direction in which connections are opened. This side can open none, but the other can, and is answered. When no packet at all may pass, expect isolation in both directions.',
    'allow:\n  - training -> cameras\nexpect:\n  - isolate: cameras -> training',
    'expect:\n  - isolate: cameras -> training\n  - isolate: training -> cameras',
  ),
  page(
    'V020',
    'packets can go round',
    'Some choice of hops sends packets back to a node where they were. Split horizon between hubs makes that impossible, so the compiler did something wrong: report it.',
  ),
  page('V021', 'a route to a stranger', 'A route leads to a node that does not own the prefix. The compiler did something wrong: report it.'),
  page(
    'V022',
    'a route that a class can not use',
    'Each (remote, class) has a group of hops that its routes refer to, and here one is missing. The compiler did something wrong: report it.',
  ),
  page(
    'V023',
    'a class without any path',
    'Every path from the site to the remote is one that the class never uses, so its traffic is unreachable there even when everything is up. `never` is hard, `avoid` is soft: an avoided uplink is used when no other is left.',
    'classes:\n  bulk: { never: metered } # at a site that has only lte',
    'classes:\n  bulk: { avoid: metered }',
  ),
  page(
    'V024',
    'one address, two owners',
    'Two LANs overlap, so an address in both would have two owners. Every overlay address belongs to one LAN of one site: renumber one of them.',
  ),
  page(
    'V025',
    'one prefix behind two peers',
    'Two peers of one WireGuard interface would claim the same prefix, and WireGuard silently gives it to the last one. The compiler did something wrong: report it.',
  ),
  page(
    'V026',
    'the MTU does not fit',
    'A tunnel over a line of 1500 bytes carries 1440 inside IPv4 and 1420 inside IPv6, and IPv6 in it needs 1280. One MTU holds for the whole overlay, so that a failover never loses large packets.',
    'mtu: 1500',
    'mtu: 1360',
  ),
  page(
    'V027',
    'a tunnel that does not join its ends',
    'A hop goes over a tunnel that does not lead there, or an end has no interface for it. The compiler did something wrong: report it.',
  ),
  page(
    'V028',
    'two interfaces in one place',
    'Two tunnel interfaces of a site have the same kernel name or port. The compiler did something wrong: report it.',
  ),
  page(
    'V030',
    'goes another way',
    'An expectation says what traffic passes, `via`: with everything up, and after each failure of its `survives`, the first choice of every gateway, there and back, passes one of the things listed. It speaks of lines that keep their SLA: a class that allows several uplinks may leave a bad one for a while. `not` speaks of every way that could ever be chosen.',
    'expect:\n  - { path: edge/inference -> model-api, via: fiber, survives: uplink }',
    'expect:\n  - { path: edge/inference -> model-api, via: [fiber, lte], survives: uplink }',
  ),
  page(
    'V031',
    'may go a forbidden way',
    'An expectation says what no way ever passes, `not`, whatever has failed and however bad a line is. `avoid` is soft: an avoided uplink is used when nothing else is left. `never` is hard, and keeps a class off it.',
    'classes:\n  bulk: { avoid: metered }\nexpect:\n  - { path: edge/inference -> registry, not: metered }',
    'classes:\n  bulk: { never: metered }\nexpect:\n  - { path: edge/inference -> registry, not: metered }',
  ),
  page(
    'V032',
    'there one way, back another',
    'An expectation is `symmetric`: both directions pass the same sites and lines. Two edges whose first hubs differ send over different hubs; a peer may answer by any of its tunnels. Asymmetry is legal here, for nobody on the way keeps state, and it matters where something else does, or for measuring.',
    '# berlin.yaml\nhubs: [frankfurt, dublin]\n# oslo.yaml\nhubs: [dublin, frankfurt]',
    '# oslo.yaml\nhubs: [frankfurt, dublin]',
  ),
  page(
    'V033',
    'not reached again soon enough',
    "An expectation says how soon after a failure a place is reached again, `within`. Proven is an upper limit that follows from how paths are probed: one that carries traffic is left after at most 250 ms, or later where the class allows much jitter; whoever falls silent throws doubt on all that share a line with it, but after the loss of a hub paths that share none may be tried one after the other, 250 ms each. A cloud's return route, or a peer's, is not bounded by probes at all. What a cut really takes is measured by drills: one that takes longer than `within` has failed.",
    'expect:\n  - { reach: edge/inference -> model-api, survives: [uplink, hub], within: 100ms }',
    'expect:\n  - { reach: edge/inference -> model-api, survives: [uplink, hub], within: 1s }',
  ),
  page(
    'V034',
    'too little bandwidth remains',
    'An expectation says what remains for its class on every way that it may take, `bandwidth`, as down/up as the caller sees it. Reckoned is the class’s share of the stated rate of each line of the way, at both ends, with everything up and after each failure of its `survives`.',
    'classes:\n  realtime: { share: 30% }\nexpect:\n  - { reach: edge/inference -> stream, survives: uplink, bandwidth: 20M } # over an lte of 50M/20M',
    'expect:\n  - { reach: edge/inference -> stream, survives: uplink, bandwidth: 5M }',
  ),
  page(
    'V035',
    'a line without a rate',
    'An expectation asks for bandwidth on a way that has a line whose rate nobody stated, so nothing can be said of it. Write the `rate:` that the provider promises.',
    'uplinks:\n  fiber: { interface: eth0 }',
    'uplinks:\n  fiber: { interface: eth0, rate: 500M/100M }',
  ),
  page(
    'V036',
    'promised together, more than a line keeps',
    'Every expectation of bandwidth holds by itself, but together they ask more of an uplink than their class keeps of it, its share of the stated rate: with everything up, or after a failure that one of them survives and that sends more traffic there. A hub carries what all of its edges were promised, on the way in and again on the way out. Each caller is counted once for each expectation, on the way that is its first choice then.',
    '# 40 branches, frankfurt.isp-a has 1G\nclasses:\n  realtime: { share: 30% }\nexpect:\n  - { reach: edge/inference -> stream, survives: uplink, bandwidth: 20M }',
    'expect:\n  - { reach: edge/inference -> stream, survives: uplink, bandwidth: 5M }',
  ),
  page(
    'V041',
    'can reach what it must not, during the change',
    'Before and after the change the isolation holds, but while some sites run the old and some the new generation, packets could pass. Make the change in two steps: first remove, then add.',
  ),
  page(
    'V042',
    'lost between the waves',
    'Hubs are changed one after another, then edges in waves, and a cloud in its own time. After one of those waves the expectation would not hold, though it does before the change and after it: mostly because the old way is gone at one end and the new one is not there yet at the other. The finding names the wave. Make the change in two steps: first add the new way, then remove the old one.',
  ),
]
