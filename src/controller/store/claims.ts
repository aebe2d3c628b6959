/** {token, key} → the same answer again. */
import type { Inventory } from '#src/wire/messages.ts'
import { type ClaimState, type Db, json, type Tx } from './database.ts'

export interface ClaimRow {
  readonly id: string
  readonly token_id: string
  readonly site: string
  readonly thumbprint: string
  readonly sealing_key: string
  readonly serial: string
  readonly inventory: Inventory
  readonly certificate: string | null
  readonly state: ClaimState
  readonly created_at: Date
}
export interface NewClaim {
  readonly id: string
  readonly tokenId: string
  readonly site: string
  readonly thumbprint: string
  readonly sealingKey: string
  readonly serial: string
  readonly inventory: Inventory
  readonly state: ClaimState
}

export const get = (db: Db, id: string): Promise<ClaimRow | undefined> => db.selectFrom('claims').selectAll().where('id', '=', id).executeTakeFirst()
export const ofKey = (db: Db, tokenId: string, thumbprint: string): Promise<ClaimRow | undefined> =>
  db.selectFrom('claims').selectAll().where('token_id', '=', tokenId).where('thumbprint', '=', thumbprint).executeTakeFirst()
export const ofSite = (db: Db, site: string): Promise<readonly ClaimRow[]> =>
  db.selectFrom('claims').selectAll().where('site', '=', site).orderBy('created_at', 'desc').execute()

/** Its box is not, and will not be, the site's. */
export const isOver = ({ state }: Pick<ClaimRow, 'state'>): boolean => state === 'superseded' || state === 'replaced'

export async function insert(tx: Tx, claim: NewClaim): Promise<void> {
  await tx
    .insertInto('claims')
    .values({
      id: claim.id,
      token_id: claim.tokenId,
      site: claim.site,
      thumbprint: claim.thumbprint,
      sealing_key: claim.sealingKey,
      serial: claim.serial,
      inventory: json(claim.inventory),
      state: claim.state,
    })
    .onConflict((at) => at.doNothing())
    .execute()
}
export const setState = async (tx: Db, id: string, state: ClaimState): Promise<void> => {
  await tx.updateTable('claims').set({ state }).where('id', '=', id).execute()
}
export const setCertificate = async (tx: Db, id: string, pem: string): Promise<void> => {
  await tx.updateTable('claims').set({ certificate: pem }).where('id', '=', id).execute()
}
/** A fingerprint as people write it: colons, spaces, upper case, or its first 16 or more characters. */
export const normalFingerprint = (text: string): string => text.replaceAll(/[\s:]/g, '').toLowerCase()
/** The site's waiting claim with this fingerprint, if there is exactly one. */
export async function waiting(db: Db, site: string, fingerprint: string): Promise<ClaimRow | undefined> {
  const wanted = normalFingerprint(fingerprint)
  if (wanted.length < 16) return undefined
  const found = (await ofSite(db, site)).filter(
    (claim) => (claim.state === 'claimed' || claim.state === 'enrolled') && claim.thumbprint.startsWith(wanted),
  )
  return found.length === 1 ? found[0] : undefined
}
