/**
 * The pre-shared key of a peer, one for all of its tunnels: made by us when a generation first names the peer, or given by
 * its owner. Plans, bundles and workflows know it by reference; people see one that we made once, when they ask for it.
 */
import type { Fabric, Peer, PeerId, SecretRef, TunnelId } from '#src/fabric/fabric.ts'
import { cloudEndpoints } from '#src/fabric/peers.ts'
import { presharedKey } from './pki/psk.ts'
import type { Vault } from './pki/vault.ts'
import { Problem } from './problem.ts'
import { audit, events, facts, peers, type Store, type Tx } from './store/index.ts'
import type { SecretOrigin } from './store/peers.ts'

export const tunnelsOf = ({ connections }: Peer): readonly TunnelId[] => connections.flatMap(({ members }) => members.map(({ tunnel }) => tunnel))
export const hubsOf = ({ connections }: Peer): readonly string[] => [...new Set(connections.map(({ site }) => site as string))]

/** In the generation's own transaction: every tunnel has its peer's newest key. */
export async function provideSecrets(tx: Tx, vault: Vault, fabric: Fabric, by: string): Promise<void> {
  for (const peer of fabric.peers) {
    await peers.lock(tx, peer.id)
    const row = await peers.newest(tx, peer.id)
    if (row) {
      await assign(tx, peer, peers.refOf(row))
      continue
    }
    // One that a transaction left behind, when it failed, is used by nobody.
    const ref = await vault.rotate(peers.secretId(peer.id), Buffer.from(presharedKey()))
    await peers.insert(tx, peer.id, ref, 'made', by)
    await assign(tx, peer, ref)
  }
}

/** A new key in place of the old one: `given` by the peer's owner, or made when it is null. Hubs take it at once. */
export async function replaceSecret(
  store: Store,
  vault: Vault,
  { peer, given, by }: { readonly peer: Peer; readonly given: string | null; readonly by: string },
): Promise<SecretRef> {
  const origin: SecretOrigin = given === null ? 'made' : 'given'
  const ref = await vault.rotate(peers.secretId(peer.id), Buffer.from(given ?? presharedKey()))
  await store.transaction(async (tx) => {
    await peers.lock(tx, peer.id)
    await peers.insert(tx, peer.id, ref, origin, by)
    await assign(tx, peer, ref)
    const { version, fingerprint } = ref
    await audit.append(tx, { actor: by, action: 'peer.secret', subject: `peer/${peer.id}`, detail: { version, fingerprint, origin } })
    await events.emit(tx, {
      subject: `peer/${peer.id}`,
      kind: 'peer.secret',
      text: `${peer.id} has a new pre-shared key, version ${version}, ${origin === 'given' ? 'given by its owner' : 'made here'}`,
    })
  })
  return ref
}

/** The key that we made, once. Throws Problem C141 to C143. */
export async function showSecret(
  store: Store,
  vault: Vault,
  { peer, by }: { readonly peer: PeerId; readonly by: string },
): Promise<{ readonly secret: string; readonly version: number }> {
  return await store.transaction(async (tx) => {
    await peers.lock(tx, peer)
    const row = await peers.newest(tx, peer)
    const anew = `make a new one, which interrupts its tunnels until both ends have it: causeway peer secret ${peer} --new`
    if (!row) throw new Problem(409, 'C143', `${peer} has no pre-shared key yet`, `make one: causeway peer secret ${peer} --new`)
    if (row.origin === 'given') throw new Problem(409, 'C142', `the pre-shared key of ${peer} was given by its owner, who has it`, anew)
    if (row.shown_at)
      throw new Problem(
        409,
        'C141',
        `the pre-shared key of ${peer} was shown to ${row.shown_by} at ${row.shown_at.toISOString()}, and is shown once`,
        anew,
      )
    const secret = (await vault.get(peers.refOf(row))).toString()
    await peers.shown(tx, peer, row.version, by)
    await audit.append(tx, { actor: by, action: 'peer.secret-shown', subject: `peer/${peer}`, detail: { version: row.version } })
    return { secret, version: row.version }
  })
}

/** A tunnel's facts count its keys; one that has another version than the peer gets the next. */
async function assign(tx: Tx, peer: Peer, ref: SecretRef): Promise<void> {
  const known = cloudEndpoints(await facts.all(tx))
  await facts.put(
    tx,
    tunnelsOf(peer).flatMap((tunnel) => {
      const before = known.secret(tunnel)
      if (before?.ref.id === ref.id && before.ref.version === ref.version) return []
      return [{ kind: 'psk', tunnel, linkEpoch: before === undefined ? 0 : before.linkEpoch + 1, ref }]
    }),
  )
}
