/** Which version of its pre-shared key each peer has, where it is from and who has seen it. */
import { sql } from 'kysely'
import type { PeerId, SecretRef } from '#src/fabric/fabric.ts'
import type { Db, Tx } from './database.ts'

export type SecretOrigin = 'made' | 'given'
export interface PeerSecretRow {
  readonly peer: string
  readonly version: number
  readonly fingerprint: string
  readonly origin: SecretOrigin
  readonly created_by: string
  readonly created_at: Date
  readonly shown_by: string | null
  readonly shown_at: Date | null
}

/** In the vault: one for all tunnels of the peer. */
export const secretId = (peer: PeerId): string => `psk/peer/${peer}`
export const refOf = ({ peer, version, fingerprint }: PeerSecretRow): SecretRef => ({ id: secretId(peer as PeerId), version, fingerprint })

/** Nobody else moves the peer's key until the transaction ends. */
export async function lock(tx: Tx, peer: PeerId): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`peer ${peer}`}, 3))`.execute(tx)
}
export const newest = (db: Db, peer: PeerId): Promise<PeerSecretRow | undefined> =>
  db.selectFrom('peer_secrets').selectAll().where('peer', '=', peer).orderBy('version', 'desc').limit(1).executeTakeFirst()
export const insert = async (tx: Tx, peer: PeerId, { version, fingerprint }: SecretRef, origin: SecretOrigin, by: string): Promise<void> => {
  await tx.insertInto('peer_secrets').values({ peer, version, fingerprint, origin, created_by: by }).execute()
}
export const shown = async (tx: Tx, peer: PeerId, version: number, by: string): Promise<void> => {
  await tx
    .updateTable('peer_secrets')
    .set({ shown_by: by, shown_at: sql<Date>`now()` })
    .where('peer', '=', peer)
    .where('version', '=', version)
    .execute()
}
