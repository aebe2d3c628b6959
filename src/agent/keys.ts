/** The box's private keys: made here, 0600, never sent. A second start reuses what the first one made. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { InterfaceId, SiteConfig } from '#src/fabric/fabric.ts'
import { isIpsecInterface } from '#src/fabric/ipsec.ts'
import type { KeyStore } from '#providers/device.ts'
import type { Files } from './files.ts'
import { openSecrets, type Secrets } from './secrets.ts'
import { AgentError } from './trouble.ts'

export interface Pair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

async function pair(files: Files, name: string, make: () => { privateKey: KeyObject }): Promise<Pair> {
  const held = await files.read(name)
  if (held !== null) {
    const privateKey = createPrivateKey(held)
    return { privateKey, publicKey: createPublicKey(privateKey) }
  }
  const pem = make().privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  // Two starts at once agree on whichever key reached the disk first.
  await files.claim(name, pem)
  return pair(files, name, make)
}
/** Ed25519 for TLS: its thumbprint is the device. */
export const deviceKey = (files: Files): Promise<Pair> => pair(files, 'device.key', () => generateKeyPairSync('ed25519'))
/** X25519, to which the controller seals secrets. */
export const sealingKey = (files: Files): Promise<Pair> => pair(files, 'sealing.key', () => generateKeyPairSync('x25519'))

export interface TunnelKey {
  readonly interface: InterfaceId
  readonly linkEpoch: number
}
interface Stored {
  readonly privateKey: string
  readonly publicKey: string
}
export interface WireguardKeys extends Pick<KeyStore, 'privateKey'> {
  /** Makes the missing pairs, and says whether there were any; drops nothing. */
  ensure(of: readonly TunnelKey[]): Promise<boolean>
  /** Drops all but these: after a commit is confirmed, a rotated key is of no more use. */
  keepOnly(of: readonly TunnelKey[]): Promise<void>
  publicKeys(): readonly (TunnelKey & { readonly publicKey: string })[]
}

const nameOf = (of: TunnelKey): string => `${of.linkEpoch} ${of.interface}`
const base64 = (base64url: string): string => Buffer.from(base64url, 'base64url').toString('base64')

function make(): Stored {
  const jwk = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' })
  return { privateKey: base64(jwk.d!), publicKey: base64(jwk.x!) }
}

/** All pairs are in one file, so that staging a bundle costs one flush of the disk. */
export async function openWireguardKeys(files: Files): Promise<WireguardKeys> {
  let held: Readonly<Record<string, Stored>> = JSON.parse((await files.read('wireguard-keys.json')) ?? '{}')
  const save = async (next: Readonly<Record<string, Stored>>) => {
    await files.write('wireguard-keys.json', JSON.stringify(next))
    held = next
  }
  return {
    async ensure(of) {
      const missing = of.filter((one) => held[nameOf(one)] === undefined)
      if (missing.length === 0) return false
      await save({ ...held, ...Object.fromEntries(missing.map((one) => [nameOf(one), make()])) })
      return true
    },
    async keepOnly(of) {
      const keep = new Set(of.map(nameOf))
      const next = Object.fromEntries(Object.entries(held).filter(([name]) => keep.has(name)))
      if (Object.keys(next).length < Object.keys(held).length) await save(next)
    },
    publicKeys: () =>
      Object.entries(held).map(([name, { publicKey }]) => {
        const at = name.indexOf(' ')
        return { linkEpoch: Number(name.slice(0, at)), interface: name.slice(at + 1) as InterfaceId, publicKey }
      }),
    async privateKey(of) {
      const found = held[nameOf(of)]
      if (!found)
        throw new AgentError(
          'A34',
          `There is no key for ${of.interface} of link epoch ${of.linkEpoch} on this box`,
          'Nothing to do: the bundle is staged again',
        )
      return found.privateKey
    },
  }
}

/** All that the driver may ask for. */
export interface BoxKeys extends WireguardKeys, KeyStore {
  readonly secrets: Secrets
}
export async function openBoxKeys(files: Files, of: { readonly network: string; readonly site: string }): Promise<BoxKeys> {
  const [wireguard, sealing] = await Promise.all([openWireguardKeys(files), sealingKey(files)])
  const secrets = openSecrets(files, sealing, of)
  return { ...wireguard, secrets, secret: (ref) => secrets.open(ref) }
}

/** The interfaces that have a key pair of this box; a cloud's have a secret. */
export const keyed = (config: SiteConfig): readonly TunnelKey[] =>
  config.interfaces.filter((one) => !isIpsecInterface(one)).map((one) => ({ interface: one.id, linkEpoch: one.linkEpoch }))

/** Everything that makes this box a part of its network. Keys first: what is left of an interrupted wipe is worth nothing. */
export async function destroy(files: Files): Promise<void> {
  for (const name of [
    'device.key',
    'sealing.key',
    'wireguard-keys.json',
    'secrets',
    'token',
    'identity.json',
    'state.json',
    'bundles',
    'decisions',
    'status.json',
    'clock',
    'guard.log',
  ])
    await files.remove(name)
}
