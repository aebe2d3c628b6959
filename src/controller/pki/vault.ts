/**
 * Secrets at rest: a data key per secret, AES-256-GCM, each data key wrapped under one key-encryption key (KEK) that is
 * kept outside the database. Rows never hold plaintext; id and version are authenticated, so rows can't be exchanged.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import type { SecretRef } from '#src/fabric/fabric.ts'
import { PkiError } from './error.ts'

/** One row of table `secrets`. */
export interface SecretRow {
  readonly id: string
  readonly version: number
  readonly wrappedKey: Buffer
  readonly ciphertext: Buffer
  readonly fingerprint: string
}
/** What the vault needs of the store. */
export interface SecretRows {
  get(id: string, version: number): Promise<SecretRow | undefined>
  /** The highest version of an id. */
  latest(id: string): Promise<SecretRow | undefined>
  /** false when (id, version) exists: nothing is changed then. */
  insert(row: SecretRow): Promise<boolean>
  /** Whether there is any row at all. */
  any(): Promise<boolean>
}
export interface Vault {
  /** Stores version 1. When the id exists already, the stored one stays and its reference is returned. */
  put(id: string, secret: Buffer): Promise<SecretRef>
  /** Exactly the version that the reference names. Throws PkiError C062, C063. */
  get(ref: SecretRef): Promise<Buffer>
  /** The newest version, undefined when there is none. */
  latest(id: string): Promise<{ readonly ref: SecretRef; readonly secret: Buffer } | undefined>
  /** Stores the next version; the old ones stay readable. */
  rotate(id: string, secret: Buffer): Promise<SecretRef>
}

const canaryId = 'vault/canary'
const canary = Buffer.from('causeway vault canary 1')
const nonceLength = 12
const tagLength = 16

function encrypt(key: Buffer, plain: Buffer, aad: string): Buffer {
  const nonce = randomBytes(nonceLength)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(aad))
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}
function decrypt(key: Buffer, sealed: Buffer, aad: string): Buffer | undefined {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceLength)).setAAD(Buffer.from(aad))
    decipher.setAuthTag(sealed.subarray(-tagLength))
    return Buffer.concat([decipher.update(sealed.subarray(nonceLength, -tagLength)), decipher.final()])
  } catch {
    return undefined
  }
}
const aadOf = (part: 'key' | 'secret', id: string, version: number): string => JSON.stringify(['causeway vault 1', part, id, version])

function sealRow(kek: Buffer, id: string, version: number, secret: Buffer): SecretRow {
  const key = randomBytes(32)
  return {
    id,
    version,
    wrappedKey: encrypt(kek, key, aadOf('key', id, version)),
    ciphertext: encrypt(key, secret, aadOf('secret', id, version)),
    // Keyed, so that a fingerprint in a plan or bundle can't be used to test guesses of the secret.
    fingerprint: createHmac('sha256', key).update(secret).digest('hex').slice(0, 16),
  }
}
function openRow(kek: Buffer, row: SecretRow): Buffer {
  const key = decrypt(kek, row.wrappedKey, aadOf('key', row.id, row.version))
  const secret = key && decrypt(key, row.ciphertext, aadOf('secret', row.id, row.version))
  if (!secret)
    throw new PkiError(
      'C062',
      `The vault's secret "${row.id}" version ${row.version} can't be decrypted`,
      'Its row was changed, or belongs to another vault: restore the database and its vault key from the same backup',
    )
  return secret
}
const refOf = ({ id, version, fingerprint }: SecretRow): SecretRef => ({ id, version, fingerprint })

/**
 * Opens the vault of these rows and proves by the canary record that `kek` (32 bytes) is its key. Empty rows become a
 * new vault. Throws PkiError C060 (wrong key), C061 (secrets without a canary).
 */
export async function openVault(kek: Buffer, rows: SecretRows): Promise<Vault> {
  if (kek.length !== 32) throw new RangeError('a vault key has 32 bytes')
  let found = await rows.latest(canaryId)
  if (!found) {
    // Another process that starts now may have made it between the two questions.
    if ((await rows.any()) && !(await rows.latest(canaryId)))
      throw new PkiError(
        'C061',
        'The vault has secrets but not its canary record',
        'Rows of table "secrets" were lost: restore the database from a backup',
      )
    await rows.insert(sealRow(kek, canaryId, 1, canary))
    // Whoever was first: what is stored decides.
    found = (await rows.latest(canaryId))!
  }
  const key = decrypt(kek, found.wrappedKey, aadOf('key', canaryId, found.version))
  if (!key || !decrypt(key, found.ciphertext, aadOf('secret', canaryId, found.version))?.equals(canary)) {
    throw new PkiError(
      'C060',
      'This vault key does not open the vault of this database',
      'Start with the key file that was made together with the database; without it the network has to be enrolled anew',
    )
  }
  return {
    async put(id, secret) {
      const row = sealRow(kek, id, 1, secret)
      return (await rows.insert(row)) ? refOf(row) : refOf((await rows.get(id, 1))!)
    },
    async get(ref) {
      const row = await rows.get(ref.id, ref.version)
      if (!row || row.fingerprint !== ref.fingerprint)
        throw new PkiError(
          'C063',
          `The vault has no secret "${ref.id}" version ${ref.version} with fingerprint ${ref.fingerprint}`,
          'Rotate the key: causeway key rotate',
        )
      return openRow(kek, row)
    },
    async latest(id) {
      const row = await rows.latest(id)
      return row && { ref: refOf(row), secret: openRow(kek, row) }
    },
    async rotate(id, secret) {
      for (;;) {
        const row = sealRow(kek, id, ((await rows.latest(id))?.version ?? 0) + 1, secret)
        if (await rows.insert(row)) return refOf(row)
      }
    },
  }
}

/** Rows in memory, for tests and for `doctor`. */
export function memoryRows(): SecretRows {
  const rows = new Map<string, SecretRow>()
  const versions = (id: string) => [...rows.values()].filter((row) => row.id === id)
  return {
    get: async (id, version) => rows.get(`${id}@${version}`),
    latest: async (id) => versions(id).sort((a, b) => b.version - a.version)[0],
    insert: async (row) => {
      const key = `${row.id}@${row.version}`
      if (rows.has(key)) return false
      rows.set(key, row)
      return true
    },
    any: async () => rows.size > 0,
  }
}
