import { createHash, randomBytes } from 'node:crypto'
import { encodeToken } from '#src/wire/token.ts'

export interface NewToken {
  /** Of the row; says nothing about the secret. */
  readonly id: string
  /** Shown once, never stored. */
  readonly text: string
  /** What is stored: `hashSecret` of the secret. */
  readonly hash: string
  readonly expiresAt: Date
}

/** @param host where agents dial, `host:port`; @param caPin `authority.caPin`. Whole seconds: the rest of `expiresAt` is cut. */
export function newToken(of: { readonly caPin: Buffer; readonly host: string; readonly expiresAt: Date }): NewToken {
  const secret = randomBytes(16)
  const seconds = Math.floor(of.expiresAt.getTime() / 1000)
  return {
    id: `t-${randomBytes(6).toString('hex')}`,
    text: encodeToken({ secret, caPin: of.caPin, expiresAt: seconds, host: of.host }),
    hash: hashSecret(secret),
    expiresAt: new Date(seconds * 1000),
  }
}

/** Of a token's 16-byte secret, hex. A plain hash will do: 128 random bits can't be guessed. */
export const hashSecret = (secret: Buffer): string => createHash('sha256').update('causeway token 1').update(secret).digest('hex')
