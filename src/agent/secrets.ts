/**
 * Secrets of this box. On disk only as they came: sealed to its X25519 key (wire/seal.ts), beside the bundle, so that a
 * reboot without the controller keeps its IPsec tunnels. Opened into memory when the driver asks; never written in clear.
 */
import { createHash } from 'node:crypto'
import type { SecretRef } from '#src/fabric/fabric.ts'
import { openSealed } from '#src/wire/seal.ts'
import type { Files } from './files.ts'
import type { Pair } from './keys.ts'
import { AgentError } from './trouble.ts'

export interface Secrets {
  /** Fetches what is missing. What comes is opened once before it is kept: throws AgentError A30 when it isn't for this box. */
  ensure(refs: readonly SecretRef[], fetch: (ref: SecretRef) => Promise<string>): Promise<void>
  /** Throws AgentError A39 when the box doesn't have it, A30 when the file was damaged. */
  open(ref: SecretRef): Promise<Uint8Array>
  /** Drops the ciphertext of all but these. */
  keepOnly(refs: readonly SecretRef[]): Promise<void>
}

const folder = 'secrets'
/** Ids hold slashes and more. The fingerprint tells two vaults' versions apart. */
const nameOf = ({ id, version, fingerprint }: SecretRef): string =>
  `${createHash('sha256')
    .update(JSON.stringify([id, version, fingerprint]))
    .digest('hex')
    .slice(0, 32)}.sealed`

export function openSecrets(files: Files, key: Pair, of: { readonly network: string; readonly site: string }): Secrets {
  const opened = new Map<string, Uint8Array>()
  function unseal(ref: SecretRef, sealed: string): Uint8Array {
    const result = openSealed(sealed, key, { network: of.network, site: of.site, secret: { id: ref.id, version: ref.version } })
    if (!result.ok) throw new AgentError(result.code, result.says, result.instead, true)
    opened.set(nameOf(ref), result.secret)
    return result.secret
  }
  return {
    async ensure(refs, fetch) {
      for (const ref of refs) {
        if ((await files.read(`${folder}/${nameOf(ref)}`)) !== null) continue
        const sealed = await fetch(ref)
        unseal(ref, sealed)
        await files.write(`${folder}/${nameOf(ref)}`, sealed)
      }
    },
    async open(ref) {
      const held = opened.get(nameOf(ref))
      if (held) return held
      const sealed = await files.read(`${folder}/${nameOf(ref)}`)
      if (sealed === null)
        throw new AgentError(
          'A39',
          `The secret "${ref.id}" version ${ref.version} is not on this box`,
          'Nothing to do: it comes with the next bundle',
          true,
        )
      return unseal(ref, sealed)
    },
    async keepOnly(refs) {
      const keep = new Set(refs.map(nameOf))
      for (const name of opened.keys()) if (!keep.has(name)) opened.delete(name)
      for (const name of await files.list(folder)) if (!keep.has(name)) await files.remove(`${folder}/${name}`)
    },
  }
}
