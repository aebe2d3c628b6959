/**
 * The one nft table, as text: classification, policy, anti-spoofing, MSS. Replaced whole in one transaction, so there is
 * no moment with half a policy. See README.md for the chains.
 */
import type { Deny, Lan, SiteConfig, Translation } from '#src/fabric/fabric.ts'
import { linkOf } from '#src/fabric/lans.ts'
import { spokenTo } from '#src/fabric/lan-routing.ts'
import { insideEndsOf, isIpsec } from '#src/fabric/ipsec.ts'
import { contains, type Family, familyOf, type Prefix, privateSpace } from '#src/net/address.ts'
import { leases } from './dnsmasq.ts'
import { interfaceOf } from './lookup.ts'
import type { PortRange } from '#src/net/ports.ts'
import { nftRewrite } from '#src/net/translate.ts'
import { bgpPort, type Esp, exitMark, exitMask, guestMark, hex, ikePorts, nftTable, stampPort, transitCounter, tunnelPrefix } from './scheme.ts'
import { outermost, transitTable, untracking } from './transit.ts'
import { sharedLans } from './vrrp.ts'

const families = [4, 6] as const
const word = (family: Family): 'ip' | 'ip6' => (family === 4 ? 'ip' : 'ip6')
const tunnels = `"${tunnelPrefix}*"`
const icmpErrors = [
  'icmp type { destination-unreachable, time-exceeded, parameter-problem } accept',
  'icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept',
]

const ofFamily = (prefixes: readonly Prefix[], family: Family): readonly Prefix[] =>
  outermost(prefixes.filter((prefix) => familyOf(prefix) === family))
const oneOf = (members: readonly (string | number)[]): string => (members.length === 1 ? String(members[0]) : `{ ${members.join(', ')} }`)
const names = (devices: readonly string[]): string => oneOf([...new Set(devices)].sort().map((name) => `"${name}"`))

/** What a list of ports matches; [] matches nothing, so its rule is left out. `port` is the nft expression of the service's end. */
function portMatches(ports: readonly PortRange[], family: Family, port: (protocol: 'tcp' | 'udp') => string): readonly string[] {
  if (ports.some((range) => range.protocol === 'any')) return ['']
  const matches: string[] = []
  if (ports.some((range) => range.protocol === 'icmp')) matches.push(`meta l4proto ${family === 4 ? 'icmp' : 'ipv6-icmp'} `)
  for (const protocol of ['tcp', 'udp'] as const) {
    const ranges = ports.filter((range) => range.protocol === protocol).sort((a, b) => a.from - b.from)
    if (ranges.length === 0) continue
    const all = ranges.some((range) => range.from === 0 && range.to === 65535)
    const merged: { from: number; to: number }[] = []
    for (const { from, to } of ranges) {
      const last = merged.at(-1)
      if (last && from <= last.to + 1) last.to = Math.max(last.to, to)
      else merged.push({ from, to })
    }
    matches.push(
      all
        ? `meta l4proto ${protocol} `
        : `meta l4proto ${protocol} ${port(protocol)} ${oneOf(merged.map(({ from, to }) => (from === to ? from : `${from}-${to}`)))} `,
    )
  }
  return matches
}

/** A rule narrowed to the pairs in which this site owns an end. */
function ownedPairs(
  rule: Deny,
  own: readonly Prefix[],
  family: Family,
): readonly { readonly from: readonly Prefix[]; readonly to: readonly Prefix[]; readonly owns: 'from' | 'to' }[] {
  const isOwn = (prefix: Prefix): boolean => own.some((lan) => contains(lan, prefix))
  const from = ofFamily(rule.from.prefixes, family)
  const to = ofFamily(rule.to.prefixes, family)
  const pairs = [
    { from: from.filter(isOwn), to, owns: 'from' as const },
    { from, to: to.filter(isOwn), owns: 'to' as const },
  ]
  return pairs.filter((pair) => pair.from.length > 0 && pair.to.length > 0)
}

/** The line as written; the kernel takes 127 characters. Of a flood a few a second are told, and the verdict waits for none. */
const logging = (id: string, verdict: 'accept' | 'counter drop'): string => {
  const line = id.replace(/#.*$/, '')
  const prefix = `causeway ${verdict === 'accept' ? `allow ${line}` : line}`.slice(0, 124)
  return `ct state new limit rate 10/second burst 20 packets log prefix "${prefix}: " level info`
}

/** To or from what is behind a router on the LAN. The other direction goes past us: no state, and nothing to keep apart. */
function behindRouters(lans: SiteConfig['lans']): readonly string[] {
  const links = Map.groupBy(lans, (lan) => `${lan.interface} ${linkOf(lan)}`).values()
  return [...links].flatMap((own) => {
    const routed = own.some(({ via }) => via !== undefined)
    const members = oneOf(own.map(({ prefix }) => prefix))
    const [{ interface: device, prefix: any } = lans[0]!] = own
    const ip = word(familyOf(any))
    return routed ? [`iifname "${device}" oifname "${device}" ${ip} saddr ${members} ${ip} daddr ${members} accept`] : []
  })
}

const block = (head: string, lines: readonly string[]): string => `\t${head} {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n`
const named = (name: string, type: string, elements: readonly string[]): string =>
  block(`set ${name}`, [`type ${type}`, 'flags interval', ...(elements.length > 0 ? [`elements = { ${elements.join(', ')} }`] : [])])

/**
 * Host for host, and for each packet by itself: before `raw` on the way in and after everything on the way out, so that
 * policy, marks and connection tracking know the site's hosts as they call themselves. Nobody reaches them through a tunnel
 * by those names, which are somebody else's there. What an ICMP error quotes stays as it was: see README.md.
 */
function translating(translations: readonly Translation[]): readonly string[] {
  if (translations.length === 0) return []
  return [
    block('chain translate_in', [
      'type filter hook prerouting priority -350; policy accept;',
      ...translations.map(({ local }) => `iifname ${tunnels} ${word(familyOf(local))} daddr ${local} counter drop`),
      ...translations.map(({ local, overlay }) => `iifname ${tunnels} ${nftRewrite('daddr', overlay, local)}`),
    ]),
    block('chain translate_out', [
      'type filter hook postrouting priority 350; policy accept;',
      ...translations.map(({ local, overlay }) => `oifname ${tunnels} ${nftRewrite('saddr', local, overlay)}`),
    ]),
  ]
}
/** `listenPorts`: of the tunnels that exist, which during make-before-break are more than the config names. */
export function ruleset(config: SiteConfig, listenPorts: readonly number[], esp: Esp): string {
  const lanDevices = [...new Set(config.lans.map((lan) => lan.interface))].sort()
  const pairDevices = [...new Set(sharedLans(config).map((lan) => lan.interface))].sort()
  const asking = config.lans.filter(leases).map((lan) => lan.interface)
  const own = outermost(config.lans.map((lan) => lan.prefix))
  const others = outermost(config.routes.map((route) => route.to))
  const clouds = config.tunnels.flatMap((tunnel) => {
    const own = isIpsec(tunnel) ? interfaceOf(config, tunnel) : undefined
    if (!isIpsec(tunnel) || !own || tunnel.peer.prefixes.length === 0) return []
    return [{ tunnel, device: own.device, ports: ikePorts(esp, own.port) }]
  })
  const uplinks = config.uplinks.length > 0 ? names(config.uplinks.map((uplink) => uplink.interface)) : undefined
  /** IKE and ESP in UDP, from the far endpoints only. */
  const ike = clouds.map(
    ({ tunnel: { peer }, ports }) =>
      `iifname ${uplinks} ${word(familyOf(peer.address))} saddr ${peer.address} udp dport { ${ports.ike}, ${ports.nat} } accept`,
  )
  const exits = config.uplinks.filter((uplink) => config.exits?.includes(uplink.id)).sort((a, b) => a.slot - b.slot)
  const exitNames = names(exits.map((uplink) => uplink.interface))
  const [leavingHere, leavingAtHub] = (['local', 'hub'] as const).map((way) => config.lans.filter((lan) => lan.internet === way)) as [Lan[], Lan[]]
  const guests = config.exitsFor ?? []
  /** Where they may come from: what leaves here, and what is sent to the hub. */
  const here =
    exits.length === 0
      ? []
      : [...(leavingHere.length > 0 ? [names(leavingHere.map((lan) => lan.interface))] : []), ...(guests.length > 0 ? [tunnels] : [])]
  const meshes = config.interfaces.filter(({ kind }) => kind === 'mesh').map(({ device }) => device)
  /** Answers to guests that left at another hub, which sends them by way of this one. Their gateway knows what they asked for. */
  const answers =
    guests.length === 0 || meshes.length === 0
      ? []
      : families.flatMap((family) => {
          const members = ofFamily(guests, family)
          return members.length === 0
            ? []
            : [`iifname ${names(meshes)} ${word(family)} saddr != @pool${family} ${word(family)} daddr ${oneOf(members)}`]
        })
  const outwards = (sources: string) =>
    families.map((family) => ({ family, match: `${word(family)} saddr @${sources}${family} ${word(family)} daddr != @pool${family}` }))
  const classes = [...config.classes].sort((a, b) => a.index - b.index)
  /** The DSCP of class default. */
  const usual = classes.find(({ index }) => index === 0)?.dscp ?? 0
  const blocks: string[] = []
  const counted = `counter name ${transitCounter} accept` as const
  const transits = { 4: transitTable(config.transits, 4, [untracking, counted]), 6: transitTable(config.transits, 6, [untracking, counted]) }

  for (const family of families) {
    const type = `ipv${family}_addr`
    blocks.push(named(`own${family}`, type, ofFamily(own, family)))
    blocks.push(named(`others${family}`, type, ofFamily(others, family)))
    const prefixes = (lans: readonly Lan[]) => lans.map((lan) => lan.prefix)
    if (here.length > 0) blocks.push(named(`leaving${family}`, type, ofFamily([...prefixes(leavingHere), ...guests], family)))
    if (leavingAtHub.length > 0) blocks.push(named(`athub${family}`, type, ofFamily(prefixes(leavingAtHub), family)))
    if (here.length + leavingAtHub.length > 0) blocks.push(named(`pool${family}`, type, ofFamily([...privateSpace, ...config.network.pool], family)))
    for (const { head, lines } of transits[family].blocks) blocks.push(block(head, lines))
  }
  blocks.push(block(`counter ${transitCounter}`, []))
  blocks.push(...translating(config.translations ?? []))
  blocks.push(
    block('chain ingress', [
      'type filter hook prerouting priority raw; policy accept;',
      ...lanDevices.map((device, index) => `iifname "${device}" goto lan${index}`),
      ...clouds.map(({ device }, index) => `iifname "${device}" goto cloud${index}`),
      `iifname ${tunnels} goto tunnel`,
      ...(uplinks === undefined
        ? []
        : [
            // A third party's gateway may have an address of the prefixes behind it.
            ...ike,
            ...families.flatMap((family) => ['own', 'others'].map((set) => `iifname ${uplinks} ${word(family)} saddr @${set}${family} counter drop`)),
          ]),
    ]),
  )
  lanDevices.forEach((device, index) => {
    const prefixes = config.lans.filter((lan) => lan.interface === device).map((lan) => lan.prefix)
    blocks.push(
      block(`chain lan${index}`, [
        ...families.flatMap((family) => {
          const members = ofFamily(prefixes, family)
          return members.length === 0 ? [] : [`${word(family)} saddr ${oneOf(members)} accept`]
        }),
        'ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept',
        'ip6 saddr { ::, fe80::/10 } accept',
        'counter drop',
      ]),
    )
  })
  clouds.forEach(({ tunnel }, index) => {
    blocks.push(
      block(`chain cloud${index}`, [
        ...insideEndsOf(tunnel).map(({ farInside }) => `${word(familyOf(farInside))} saddr ${farInside} accept`),
        ...icmpErrors,
        // What is behind its far end, whatever it sends.
        ...families.map((family) => {
          const behind = ofFamily(tunnel.peer.prefixes, family)
          return behind.length === 0 ? `meta nfproto ipv${family} counter drop` : `${word(family)} saddr != ${oneOf(behind)} counter drop`
        }),
        ...families.flatMap((family) => (ofFamily(tunnel.peer.prefixes, family).length === 0 ? [] : transits[family].rules(untracking))),
        'accept',
      ]),
    )
  })
  blocks.push(
    block('chain tunnel', [
      ...icmpErrors,
      ...families.map((family) => `${word(family)} saddr @own${family} counter drop`),
      ...families.flatMap((family) => transits[family].rules(untracking)),
      ...families.map((family) => `${word(family)} saddr @others${family} accept`),
      // Answers from the internet, by way of the hub; `forward` lets in what was asked for.
      ...(leavingAtHub.length > 0 ? families.map((family) => `${word(family)} saddr != @pool${family} accept`) : []),
      ...answers.map((match) => `${match} ${untracking}`),
      `ip6 saddr ${config.network.ula} accept`,
      'counter drop',
    ]),
  )

  const trusting = config.lans.filter((lan) => lan.trust === 'dscp').map((lan) => lan.interface)
  const dscps = [...new Map([...classes].reverse().map((one) => [one.dscp, one])).values()].sort((a, b) => a.dscp - b.dscp)
  blocks.push(
    block('chain classify', [
      'type filter hook prerouting priority mangle; policy accept;',
      ...(lanDevices.length > 0 ? [`iifname ${names(lanDevices)} goto classify_lan`] : []),
      // The DSCP of a cloud or peer is not trusted, here or at whoever comes next and reads it.
      ...(clouds.length > 0
        ? families.map((family) => `iifname ${names(clouds.map((one) => one.device))} meta mark set 0x0 ${word(family)} dscp set ${usual} accept`)
        : []),
      ...(guests.length > 0 ? outwards('leaving').map(({ match }) => `iifname ${tunnels} ${match} goto leaving`) : []),
      ...families.map(
        (family) =>
          `iifname ${tunnels} meta mark set ${word(family)} dscp map { ${dscps.map((one) => `${one.dscp} : ${hex(one.index)}`).join(', ')} }`,
      ),
    ]),
  )
  // By the service's port in both directions, and not by what connection tracking remembers: what this end can't have seen
  // start (a restart, a moved path) is classified all the same. It only says which direction is asked first, or the
  // request of one allow would pass as a reply of another that has no port, in that one's class.
  const classified = (end: 'from' | 'to'): readonly string[] =>
    config.rules.flatMap((rule) => {
      const index = classes.find((one) => one.id === rule.trafficClass)?.index ?? 0
      return families.flatMap((family) =>
        ownedPairs(rule, own, family)
          .filter(({ owns }) => owns === end)
          .flatMap(({ from, to }) => {
            const [near, far, port] = end === 'from' ? [from, to, 'th dport'] : [to, from, 'th sport']
            return portMatches(rule.ports, family, () => port).map(
              (match) => `${word(family)} saddr ${oneOf(near)} ${word(family)} daddr ${oneOf(far)} ${match}goto class${index}`,
            )
          }),
      )
    })
  blocks.push(block('chain requests', classified('from')))
  blocks.push(block('chain replies', classified('to')))
  if (guests.length > 0)
    blocks.push(block('chain leaving', [`ct mark & ${hex(exitMask)} != 0x0 meta mark set ct mark accept`, `meta mark set ${hex(guestMark)} accept`]))
  blocks.push(
    block('chain classify_lan', [
      // Left to the internet before: stays where it left, and is of no class.
      ...(leavingHere.length > 0
        ? outwards('leaving').map(({ match }) => `${match} ct mark & ${hex(exitMask)} != 0x0 meta mark set ct mark accept`)
        : []),
      ...icmpErrors.map((match) => match.replace(/accept$/, 'meta mark set ct mark accept')),
      'ct direction reply jump replies',
      'jump requests',
      'jump replies',
      'goto class0',
    ]),
  )
  if (trusting.length > 0)
    blocks.push(
      block(
        'chain marked',
        dscps
          .filter(({ index }) => index !== 0)
          .flatMap(({ dscp, index }) => families.map((family) => `${word(family)} dscp ${dscp} goto class${index}`)),
      ),
    )
  for (const one of classes.some((each) => each.index === 0) ? classes : [{ index: 0, dscp: 0 }, ...classes]) {
    blocks.push(
      block(`chain class${one.index}`, [
        // Where no service names a class, the host may.
        ...(one.index === 0 && trusting.length > 0 ? [`iifname ${names(trusting)} jump marked`] : []),
        `meta mark set ${hex(one.index)}`,
        'ct mark set meta mark',
        `ip dscp set ${one.dscp}`,
        `ip6 dscp set ${one.dscp}`,
        'accept',
      ]),
    )
  }

  blocks.push(
    block('chain mss', [
      'type filter hook forward priority mangle; policy accept;',
      ...(['iifname', 'oifname'] as const).flatMap((side) =>
        families.map(
          (family) =>
            `${side} ${tunnels} meta nfproto ipv${family} tcp flags syn tcp option maxseg size set ${family === 4 ? config.network.mss.v4 : config.network.mss.v6}`,
        ),
      ),
      ...(here.length > 0 ? [`oifname ${exitNames} tcp flags syn tcp option maxseg size set rt mtu`] : []),
    ]),
  )
  // Whoever is on the internet chooses no class here, or at the gateway that reads it next.
  if (here.length > 0)
    blocks.push(
      block('chain unmark', [
        'type filter hook forward priority mangle; policy accept;',
        ...families.map((family) => `iifname ${exitNames} ${word(family)} dscp set ${usual}`),
      ]),
    )
  // The first packet of a connection comes by here, and the mark keeps the others on its uplink.
  if (here.length > 0)
    blocks.push(
      block('chain exits', [
        'type nat hook postrouting priority srcnat; policy accept;',
        ...exits.flatMap(({ slot, interface: device }) =>
          outwards('leaving').map(({ match }) => `oifname "${device}" ${match} ct mark set ${hex(exitMark(slot))} masquerade`),
        ),
      ]),
    )
  blocks.push(
    block('chain forward', [
      'type filter hook forward priority filter; policy drop;',
      ...(here.length > 0
        ? [
            ...here.flatMap((from) =>
              outwards('leaving').map(({ match }) => `iifname ${from} oifname ${exitNames} ${match} ct state { new, established, related } accept`),
            ),
            // The mark is on what hosts opened, and on errors about it.
            `iifname ${exitNames} ct mark & ${hex(exitMask)} != 0x0 ct state { established, related } accept`,
          ]
        : []),
      ...(leavingAtHub.length > 0
        ? outwards('athub').flatMap(({ family, match }) => {
            const lans = names(leavingAtHub.map((lan) => lan.interface))
            return [
              `iifname ${lans} oifname ${tunnels} ${match} ct state { new, established, related } accept`,
              `iifname ${tunnels} oifname ${lans} ${word(family)} saddr != @pool${family} ct state { established, related } accept`,
            ]
          })
        : []),
      ...(uplinks === undefined ? [] : [`iifname ${uplinks} counter drop`, `oifname ${uplinks} counter drop`]),
      ...icmpErrors,
      ...behindRouters(config.lans),
      ...families.flatMap((family) => transits[family].rules(counted, `iifname ${tunnels} oifname ${tunnels} `)),
      ...answers.map((match) => `${match} oifname ${tunnels} ${counted}`),
      'ct state { new, established, related } jump owner',
      'counter',
    ]),
  )
  // On the connection's original direction: a reply passes because its request may, and an allow that is taken back, or a
  // deny that comes, ends the flows that were let in, at once.
  const owned = (rules: readonly Deny[], verdict: 'accept' | 'counter drop'): readonly string[] =>
    rules.flatMap((rule) =>
      families.flatMap((family) =>
        ownedPairs(rule, own, family).flatMap(({ from, to }) =>
          portMatches(rule.ports, family, () => 'ct original proto-dst').flatMap((match) => {
            const matched = `ct original ${word(family)} saddr ${oneOf(from)} ct original ${word(family)} daddr ${oneOf(to)} ${match}`
            return [...(rule.log ? [`${matched}${logging(rule.id, verdict)}`] : []), `${matched}${verdict}`]
          }),
        ),
      ),
    )
  blocks.push(block('chain owner', [...owned(config.denies ?? [], 'counter drop'), ...owned(config.rules, 'accept')]))
  const ports = [...new Set(listenPorts)].sort((a, b) => a - b)
  blocks.push(
    block('chain input', [
      'type filter hook input priority filter; policy drop;',
      'iifname "lo" accept',
      'ct state { established, related } accept',
      ...icmpErrors,
      'icmp type echo-request limit rate 100/second accept',
      'icmpv6 type echo-request limit rate 100/second accept',
      'icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query } accept',
      `iifname ${tunnels} ip6 saddr ${config.network.ula} udp dport ${stampPort} accept`,
      ...(uplinks === undefined
        ? []
        : [
            ...(ports.length > 0 ? [`iifname ${uplinks} udp dport ${oneOf(ports)} accept`] : []),
            ...ike,
            `iifname ${uplinks} udp sport 67 udp dport 68 accept`,
            `iifname ${uplinks} ip6 saddr fe80::/10 udp dport 546 accept`,
          ]),
      ...(lanDevices.length > 0 ? [`iifname ${names(lanDevices)} tcp dport 22 accept`] : []),
      ...(asking.length > 0 ? [`iifname ${names(asking)} udp dport 67 accept`] : []),
      ...(config.bgp ?? []).flatMap(({ interface: device, neighbors }) =>
        neighbors.map((one) => `iifname "${device}" ${word(familyOf(one))} saddr ${one} tcp dport ${bgpPort} accept`),
      ),
      ...(config.ospf ? [config.ospf] : []).flatMap((ospf) =>
        spokenTo(ospf).map((family) => {
          const from = ospf.neighbors.filter((one) => familyOf(one) === family).join(', ')
          return `iifname "${ospf.interface}" ${word(family)} saddr { ${from} } ${family === 4 ? 'ip protocol' : 'ip6 nexthdr'} ospf accept`
        }),
      ),
      // From the other gateway of the site (RFC 9568 section 5.1.1.2).
      ...(pairDevices.length > 0
        ? [
            `iifname ${names(pairDevices)} ip daddr 224.0.0.18 ip protocol vrrp accept`,
            `iifname ${names(pairDevices)} ip6 daddr ff02::12 ip6 nexthdr vrrp accept`,
          ]
        : []),
      'counter',
    ]),
  )
  return `table inet ${nftTable} {\n${blocks.join('\n')}}\n`
}

/** One transaction: `add` first so that `delete` never fails. */
export const replacement = (text: string): string => `add table inet ${nftTable}\ndelete table inet ${nftTable}\n${text}`
