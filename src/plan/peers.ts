/** What a change means for each peer: what its owner has to change too, and whether traffic feels it. */
import type { Fabric, Peer, PeerId } from '#src/fabric/fabric.ts'
import { contentHash } from '#src/fabric/hash.ts'
import { counted } from '#src/fabric/plural.ts'
import { twinOf } from '#src/fabric/slice.ts'
import type { ChangeClass } from './changes.ts'
import { delta, judged } from './regions.ts'

export interface PeerChange {
  readonly kind: 'add' | 'change' | 'remove'
  readonly peer: PeerId
  /** `4 tunnels, 2 prefixes`, `+1 route`. */
  readonly text: string
  readonly class: ChangeClass
}

export function peerChanges(before: Fabric | null, after: Fabric): readonly PeerChange[] {
  const here = after.peers.flatMap((peer): PeerChange[] => {
    const was = before ? twinOf(before, peer) : undefined
    if (was?.kind !== 'peer') return [{ kind: 'add', peer: peer.id, text: partsOf(peer), class: 'additive' }]
    return contentHash(was) === contentHash(peer) ? [] : [{ kind: 'change', peer: peer.id, ...changeOf(was, peer) }]
  })
  const gone = (before?.peers ?? [])
    .filter((peer) => twinOf(after, peer)?.kind !== 'peer')
    .map((peer): PeerChange => ({ kind: 'remove', peer: peer.id, text: partsOf(peer), class: 'disruptive' }))
  return [...here, ...gone].sort((a, b) => (a.peer < b.peer ? -1 : 1))
}

const tunnelsOf = ({ connections }: Peer) => connections.flatMap(({ members }) => members)
const partsOf = (peer: Peer): string => `${counted(tunnelsOf(peer).length, 'tunnel')}, ${counted(peer.lans.length, 'prefix')}`
const settingsOf = ({ gateways, profile, probe }: Peer) => ({ gateways, profile, probe })
const changeOf = (was: Peer, is: Peer): Pick<PeerChange, 'text' | 'class'> =>
  judged(
    [
      delta('tunnel', tunnelsOf(was), tunnelsOf(is), (one) => one.tunnel),
      delta('prefix', was.lans, is.lans, (one) => one.prefix),
      delta('route', was.routes, is.routes, (one) => one.to),
      delta('rule', was.rules, is.rules, (one) => one.id),
      delta('deny', was.denies ?? [], is.denies ?? [], (one) => one.id),
      delta('setting', [settingsOf(was)], [settingsOf(is)], () => ''),
    ],
    'order of tunnels',
  )
