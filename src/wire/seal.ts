/**
 * Secrets for one box: X25519 with an ephemeral key, HKDF-SHA256, AES-256-GCM. The controller seals
 * (controller/pki/seal.ts), the box opens. Form: version 1, ephemeral key 32, ciphertext, tag 16; base64url.
 */
import { createDecipheriv, createPublicKey, diffieHellman, hkdfSync, type KeyObject } from 'node:crypto'
import { refuse, type Refusal } from './refusal.ts'

export const sealVersion = 1
export const sealOverhead = { ephemeral: 32, tag: 16 } as const
const spkiHeader = Buffer.from('302a300506032b656e032100', 'hex')

/** A raw 32-byte X25519 public key as node's key object; throws RangeError on another length. */
export function x25519Public(raw: Buffer): KeyObject {
  if (raw.length !== 32) throw new RangeError('an X25519 public key has 32 bytes')
  return createPublicKey({ key: Buffer.concat([spkiHeader, raw]), format: 'der', type: 'spki' })
}
export const x25519Raw = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' }).subarray(-32)

/** What a sealed secret is for. It is authenticated, so a secret can't be passed off as another one. */
export interface SealContext {
  readonly network: string
  readonly site: string
  readonly secret: { readonly id: string; readonly version: number }
}
export const sealAad = (context: SealContext): Buffer =>
  Buffer.from(JSON.stringify(['causeway seal 1', context.network, context.site, context.secret.id, context.secret.version]))

/** Key and nonce of one message: both ends' public keys go into the salt, as in RFC 9180, so neither can be exchanged. */
export function sealKeys(shared: Buffer, ephemeral: Buffer, recipient: Buffer): { readonly key: Buffer; readonly nonce: Buffer } {
  const okm = Buffer.from(hkdfSync('sha256', shared, Buffer.concat([ephemeral, recipient]), 'causeway seal 1', 44))
  return { key: okm.subarray(0, 32), nonce: okm.subarray(32) }
}

/** Opens what was sealed to this box's X25519 key for exactly this context. */
export function openSealed(
  sealed: string,
  keys: { readonly privateKey: KeyObject; readonly publicKey: KeyObject },
  context: SealContext,
): { readonly ok: true; readonly secret: Buffer } | Refusal {
  const bytes = Buffer.from(sealed, 'base64url')
  const start = 1 + sealOverhead.ephemeral
  try {
    if (bytes[0] !== sealVersion || bytes.length < start + sealOverhead.tag) throw new RangeError('form')
    const ephemeral = bytes.subarray(1, start)
    const { key, nonce } = sealKeys(
      diffieHellman({ privateKey: keys.privateKey, publicKey: x25519Public(ephemeral) }),
      ephemeral,
      x25519Raw(keys.publicKey),
    )
    const decipher = createDecipheriv('aes-256-gcm', key, nonce).setAAD(sealAad(context)).setAuthTag(bytes.subarray(-sealOverhead.tag))
    return { ok: true, secret: Buffer.concat([decipher.update(bytes.subarray(start, -sealOverhead.tag)), decipher.final()]) }
  } catch {
    return refuse(
      'A30',
      `The secret "${context.secret.id}" is not sealed for this box, or was changed on the way`,
      'Nothing was changed; the box asks again',
    )
  }
}
