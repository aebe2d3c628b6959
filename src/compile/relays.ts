/** DHCP relays: what their packets need is an expectation like any other, so that it is proven, and after each edit again. */
import type { Expect, Finding, NodeId, Place, SegmentId } from '#src/fabric/fabric.ts'
import { compareText, siteOfGateway } from '#src/fabric/ids.ts'
import { relayText } from '#src/intent/canonical.ts'
import type { Intent } from '#src/intent/intent.ts'
import { type Address, contains, hostOf, hostPrefix, type Prefix, sortPrefixes } from '#src/net/address.ts'
import type { PortRange } from '#src/net/ports.ts'
import type { Memo } from './memo.ts'
import { sitesOf } from './sites.ts'

/** RFC 2131 section 4.1. */
const bootps: PortRange = { protocol: 'udp', from: 67, to: 67 }

interface Relay {
  readonly node: NodeId
  readonly segment: SegmentId
  readonly address: Address
  readonly server: Address
  readonly translated: boolean
  readonly key: string
}
const relaysOf = (intent: Intent, memo: Memo): readonly Relay[] =>
  memo.sparse('relays of DHCP', [], [sitesOf(intent, memo)], ({ id, lans }) => {
    const node = siteOfGateway(id)
    return lans.flatMap(({ segment, address, own, dhcp, local }): readonly Relay[] => {
      if (dhcp?.kind !== 'relay') return []
      const key = `site/${node}/lan/${segment}`
      return [{ node, segment, address: hostOf(own ?? address), server: dhcp.server, translated: local !== undefined, key }]
    })
  })

const nothingRelayed = { expects: [], findings: [] } as const
/** `intent`: in the overlay. */
export function relays(intent: Intent, memo: Memo): { readonly expects: readonly Expect[]; readonly findings: readonly Finding[] } {
  const all = relaysOf(intent, memo)
  if (all.length === 0) return nothingRelayed
  const findings = [...new Map(all.map((relay) => [`${relay.key} ${relay.server}`, relay])).values()].flatMap((relay): readonly Finding[] => {
    const there = holderOf(intent, relay.server)
    if (there && !relay.translated) return []
    return [
      {
        code: 'I106',
        severity: 'error',
        at: [relay.key],
        says: relay.translated
          ? `${relay.node} can't relay DHCP for a LAN that has other addresses in the overlay: the server answers to the address in the request, ${relay.address}, and nobody is reached by that there`
          : `${relay.node} can't relay DHCP to ${relay.server}: its LAN has other addresses in the overlay`,
        instead: relay.translated
          ? 'lease addresses here: dhcp: { range: … }, or renumber the LAN'
          : 'renumber the LAN of the server, or choose a server in another',
        witness: [],
      },
    ]
  })
  const groups = Map.groupBy(all, ({ segment, server }) => relayText(segment, server)).entries()
  const expects = [...groups].flatMap(([id, own]): readonly Expect[] => {
    const { segment, server } = own[0]!
    const there = holderOf(intent, server)
    if (!there) return []
    // Of a pair of gateways each relays as itself, and both are the site's.
    const from = [...Map.groupBy(own, ({ node }) => node)]
      .map(([node, all]): Place => ({ node, segment, prefixes: sortPrefixes(all.map(({ address }) => hostPrefix(address))) }))
      .sort((a, b) => compareText(a.node, b.node))
    const to = [{ ...there, prefixes: [hostPrefix(server)] }]
    const text = `${segment} -> ${there.node}/${there.segment} udp/67`
    return [{ kind: 'reach', id, text, from, to, ports: [bootps], mode: 'any', survives: [] }]
  })
  return { expects: findings.length > 0 ? [] : expects, findings }
}

function holderOf({ sites, regions, peers }: Intent, server: Address): Pick<Place, 'node' | 'segment'> | undefined {
  const holds = ({ prefix }: { readonly prefix: Prefix }) => contains(prefix, server)
  for (const { id, lans } of [...sites, ...peers]) {
    const lan = lans.find(holds)
    if (lan) return { node: id, segment: lan.segment }
  }
  const region = regions.find(({ networks }) => networks.some(({ prefixes }) => prefixes.some((prefix) => contains(prefix, server))))
  return region && { node: region.id, segment: region.segment }
}
