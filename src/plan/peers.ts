/** What a change means for each peer: what its owner has to change too, and whether traffic feels it. */
import type { Fabric, Peer, PeerId } from '#src/fabric/fabric.ts'
import { contentHash } from '#src/fabric/hash.ts'
import { counted } from '#src/fabric/plural.ts'
import { twinOf } from '#src/fabric/slice.ts'
import { always, type ChangeClass, delta, type Difference, type Judged, judged, policyDeltas, routesDelta } from './changes.ts'

export interface PeerChange {
  readonly kind: 'add' | 'change' | 'remove'
  readonly peer: PeerId
  /** `4 tunnels, 2 prefixes`, `+1 route`. */
  readonly text: string
  readonly class: ChangeClass
}

export function peerChanges(before: Fabric | null, after: Fabric, difference: Difference): readonly PeerChange[] {
  const here = after.peers.flatMap((peer): PeerChange[] => {
    const was = before ? twinOf(before, peer) : undefined
    if (was?.kind !== 'peer') return [{ kind: 'add', peer: peer.id, text: partsOf(peer), class: 'additive' }]
    return contentHash(was) === contentHash(peer) ? [] : [{ kind: 'change', peer: peer.id, ...changeOf(was, peer, difference) }]
  })
  const gone = (before?.peers ?? [])
    .filter((peer) => twinOf(after, peer)?.kind !== 'peer')
    .map((peer): PeerChange => ({ kind: 'remove', peer: peer.id, text: partsOf(peer), class: 'disruptive' }))
  return [...here, ...gone].sort((a, b) => (a.peer < b.peer ? -1 : 1))
}

const tunnelsOf = ({ connections }: Peer) => connections.flatMap(({ site, members }) => members.map((member) => ({ site, ...member })))
const partsOf = (peer: Peer): string => `${counted(tunnelsOf(peer).length, 'tunnel')}, ${counted(peer.lans.length, 'prefix')}`
const settingsOf = ({ gateways, profile, probe }: Peer) => ({ gateways, profile, probe })
const changeOf = (was: Peer, is: Peer, difference: Difference): Judged =>
  judged(
    [
      delta(
        'tunnel',
        tunnelsOf(was),
        tunnelsOf(is),
        ({ tunnel }) => tunnel,
        ({ site }) => !difference.gone.nodes.has(site),
      ),
      delta('prefix', was.lans, is.lans, ({ prefix }) => prefix, always),
      routesDelta(was.routes, is.routes, difference.gone),
      ...policyDeltas(was, is, difference),
      delta('setting', [settingsOf(was)], [settingsOf(is)], () => '', always),
    ],
    'order of tunnels',
  )
