/** Client certificates that we issued, each naming the one before it: a clone shows as a fork. */
import { sql } from 'kysely'
import type { Db, Tx } from './database.ts'

export interface CertificateRow {
  readonly serial: string
  readonly site: string
  readonly thumbprint: string
  readonly previous: string | null
  readonly pem: string
  readonly not_after: Date
  readonly issued_at: Date
  readonly revoked_at: Date | null
  readonly seen_at: Date | null
}
export interface NewCertificate {
  readonly serial: string
  readonly site: string
  readonly thumbprint: string
  readonly previous: string | null
  readonly pem: string
  readonly notAfter: Date
}
export async function insert(tx: Db, of: NewCertificate): Promise<void> {
  await tx
    .insertInto('certificates')
    .values({ serial: of.serial, site: of.site, thumbprint: of.thumbprint, previous: of.previous, pem: of.pem, not_after: of.notAfter })
    .execute()
}
export const get = (db: Db, serial: string): Promise<CertificateRow | undefined> =>
  db.selectFrom('certificates').selectAll().where('serial', '=', serial).executeTakeFirst()
export const successor = (db: Db, serial: string): Promise<CertificateRow | undefined> =>
  db.selectFrom('certificates').selectAll().where('previous', '=', serial).orderBy('issued_at', 'desc').limit(1).executeTakeFirst()
/** By which the box is known now. */
export const newestOfKey = (db: Db, thumbprint: string): Promise<CertificateRow | undefined> =>
  db.selectFrom('certificates').selectAll().where('thumbprint', '=', thumbprint).orderBy('issued_at', 'desc').limit(1).executeTakeFirst()
/** Locks every certificate of the key, so that two renewals of one key are served one after the other. */
export const lockOfKey = (tx: Tx, thumbprint: string): Promise<readonly CertificateRow[]> =>
  tx.selectFrom('certificates').selectAll().where('thumbprint', '=', thumbprint).orderBy('issued_at', 'desc').forUpdate().execute()
/** The device used it: whoever renews its predecessor now is somebody else. */
export const seen = async (db: Db, serial: string): Promise<void> => {
  await db.updateTable('certificates').set({ seen_at: sql<Date>`now()` }).where('serial', '=', serial).where('seen_at', 'is', null).execute()
}
export const revokeOf = async (tx: Db, site: string, thumbprint: string): Promise<void> => {
  await tx
    .updateTable('certificates')
    .set({ revoked_at: sql<Date>`now()` })
    .where('site', '=', site)
    .where('thumbprint', '=', thumbprint)
    .where('revoked_at', 'is', null)
    .execute()
}
export const revokeAll = async (tx: Db, site: string): Promise<void> => {
  await tx.updateTable('certificates').set({ revoked_at: sql<Date>`now()` }).where('site', '=', site).where('revoked_at', 'is', null).execute()
}
