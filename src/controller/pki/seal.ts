import { createCipheriv, diffieHellman, generateKeyPairSync } from 'node:crypto'
import { type SealContext, sealAad, sealKeys, sealVersion, x25519Public, x25519Raw } from '#src/wire/seal.ts'

/**
 * Seals a secret to a box's X25519 key (raw, base64); opened by `openSealed` of wire/seal.ts with the same context.
 * Throws RangeError when the key is not one.
 */
export function seal(secret: Buffer, sealingKey: string, context: SealContext): string {
  const recipient = Buffer.from(sealingKey, 'base64')
  const pair = generateKeyPairSync('x25519')
  const ephemeral = x25519Raw(pair.publicKey)
  const { key, nonce } = sealKeys(diffieHellman({ privateKey: pair.privateKey, publicKey: x25519Public(recipient) }), ephemeral, recipient)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(sealAad(context))
  return Buffer.concat([Buffer.from([sealVersion]), ephemeral, cipher.update(secret), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}
