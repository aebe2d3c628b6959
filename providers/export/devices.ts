/** The WireGuard devices of an interface, and who is a peer of each. */
import type { Interface } from '#src/fabric/fabric.ts'
import { deviceName } from '#src/fabric/ids.ts'
import { commonKey, type Keyring } from '#src/fabric/peers.ts'
import type { SlicePeer, SiteSlice } from '#src/fabric/slice.ts'

export interface Device {
  readonly name: string
  readonly linkEpoch: number
  readonly peers: readonly SlicePeer[]
}
/** One per link epoch in use; peers without a common key are planned for the newest, 0 at first. */
export function devicesOf({ site, peers }: SliceOf, own: Interface, keys: Keyring): readonly Device[] {
  const known = keys(site.id, own.id)
  const newest = known.at(-1)?.linkEpoch ?? 0
  const byEpoch = Map.groupBy(
    peers.filter(({ tunnel, end }) => tunnel.ends[end].interface === own.id),
    (peer) => commonKey(known, keys(farEnd(peer).site, farEnd(peer).interface))?.linkEpoch ?? newest,
  )
  return [...byEpoch].sort(([a], [b]) => a - b).map(([linkEpoch, of]) => ({ name: deviceName(own.stem, linkEpoch), linkEpoch, peers: of }))
}
type SliceOf = Pick<SiteSlice, 'site' | 'peers'>
export const farEnd = ({ tunnel, end }: SlicePeer) => tunnel.ends[end === 0 ? 1 : 0]
