import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { keyIdOf, type PublicSigner, type Signer } from '#src/wire/bundle.ts'
import type { Vault } from './vault.ts'

const signerOf = (privateKey: KeyObject): Signer => ({ keyId: keyIdOf(createPublicKey(privateKey)), privateKey })

/** The Ed25519 key of this id from the vault, made there on first use. Two controllers that start at once get the same one. */
export async function loadSigner(vault: Vault, id: string): Promise<Signer> {
  const { privateKey } = generateKeyPairSync('ed25519')
  const ref = (await vault.latest(id))?.ref ?? (await vault.put(id, privateKey.export({ type: 'pkcs8', format: 'der' })))
  return signerOf(createPrivateKey({ key: await vault.get(ref), format: 'der', type: 'pkcs8' }))
}

export const publicSigner = ({ keyId, privateKey }: Signer): PublicSigner => ({
  keyId,
  publicKey: createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString(),
})
