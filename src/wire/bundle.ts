/** Signed documents (bundle, permit, trust): Ed25519 over the exact bytes of their canonical JSON; each says its `kind`. */
import { createHash, createPublicKey, sign as signBytes, verify as verifyBytes, X509Certificate, type KeyObject } from 'node:crypto'
import { canonicalJson, contentHash } from '#src/fabric/hash.ts'
import type { Triple } from '#src/fabric/fabric.ts'
import { spkiPin } from './identity.ts'
import { BundlePayload, PermitPayload, type Signed, TrustPayload } from './messages.ts'
import { refuse, type Refusal } from './refusal.ts'

export interface Signer {
  readonly keyId: string
  /** Ed25519. */
  readonly privateKey: KeyObject
}
export interface PublicSigner {
  readonly keyId: string
  /** Ed25519, SPKI in PEM. */
  readonly publicKey: string
}
type Opened<T> = ({ readonly ok: true } & T) | Refusal

/** First 16 hex characters of the SHA-256 of the key's SPKI (DER). */
export const keyIdOf = (publicKey: KeyObject): string =>
  createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 16)

/** < 0 when `a` is older than `b`: by term, then generation, then revision. */
export const compareTriples = (a: Triple, b: Triple): number => a.term - b.term || a.generation - b.generation || a.revision - b.revision

/** `3/42/7`: term, generation, revision. */
export const tripleText = (of: Triple): string => `${of.term}/${of.generation}/${of.revision}`

/** Signs by every signer, in their order. The same payload and keys give the same bytes. */
export function sign(payload: unknown, ...signers: readonly Signer[]): Signed {
  const bytes = Buffer.from(canonicalJson(payload))
  const signatures = signers.map(({ keyId, privateKey }) => ({ keyId, signature: signBytes(null, bytes, privateKey).toString('base64url') }))
  return { payload: bytes.toString('base64url'), signatures }
}

function signedBy(signed: Signed, bytes: Buffer, { keyId, publicKey }: PublicSigner): boolean {
  return signed.signatures.some((one) => {
    if (one.keyId !== keyId) return false
    try {
      const key = createPublicKey(publicKey)
      return key.asymmetricKeyType === 'ed25519' && verifyBytes(null, bytes, key, Buffer.from(one.signature, 'base64url'))
    } catch {
      return false
    }
  })
}

/** The payload's JSON if at least one of `publicKeys` signed exactly these bytes. */
export function openSigned(signed: Signed, publicKeys: readonly PublicSigner[]): Opened<{ readonly payload: unknown; readonly keyId: string }> {
  const bytes = Buffer.from(signed.payload, 'base64url')
  const by = publicKeys.find((key) => signedBy(signed, bytes, key))
  if (!by)
    return refuse(
      'A20',
      'It is not signed by a key that this network trusts',
      "Nothing was changed; look for who else answers at the controller's address",
    )
  try {
    return { ok: true, payload: JSON.parse(bytes.toString('utf8')), keyId: by.keyId }
  } catch {
    return refuse('A21', 'It is signed, but its content is not JSON', 'Upgrade the agent, or the controller')
  }
}

export interface BundleContext {
  readonly network: string
  readonly site: string
  /** Thumbprint of this box's TLS key. */
  readonly device: string
  /** What runs now; a bundle must be newer. null: nothing runs, or this very bundle is read again at a start. */
  readonly running: Triple | null
  /** null: a bundle that was accepted before and is read again from disk; `acceptBefore` limits acceptance, never running. */
  readonly now: Date | null
  /** The bundle schema that this agent knows. */
  readonly schema: number
}

/** Checks, in this order: signature, kind and schema, network, site, device, hash, age, acceptBefore. */
export function openBundle(
  signed: Signed,
  trust: Pick<TrustPayload, 'bundleSigners'>,
  context: BundleContext,
): Opened<{ readonly bundle: BundlePayload }> {
  const opened = openSigned(signed, trust.bundleSigners)
  if (!opened.ok) return opened
  const claimed = member(opened.payload, 'schema')
  if (member(opened.payload, 'kind') === 'bundle' && claimed !== context.schema) {
    return refuse('A21', `The bundle has schema ${JSON.stringify(claimed)}, and this agent knows schema ${context.schema}`, 'Upgrade the agent')
  }
  const parsed = BundlePayload.safeParse(opened.payload)
  if (!parsed.success) return refuse('A21', 'It is signed, but it is not a bundle', 'Upgrade the agent, or the controller')
  const bundle = parsed.data
  const other = notOurs('bundle', bundle, context)
  if (other) return other
  if (contentHash(bundle.config) !== bundle.hash)
    return refuse('A25', "The bundle's content does not have the hash that it states", 'Report this to the makers of the controller')
  if (context.running !== null && compareTriples(bundle, context.running) <= 0) {
    return refuse(
      'A26',
      `The bundle is ${tripleText(bundle)}, and ${tripleText(context.running)} already runs (term/generation/revision)`,
      'An older state comes back only as a new generation: causeway generation rollback',
    )
  }
  const acceptBefore = Date.parse(bundle.acceptBefore)
  if (context.now !== null && !(context.now.getTime() < acceptBefore)) {
    return refuse(
      'A27',
      `The bundle had to be accepted before ${bundle.acceptBefore}, and it is ${context.now.toISOString()}`,
      "Check this box's clock; the controller makes a new bundle by itself",
    )
  }
  return { ok: true, bundle }
}

export interface PermitContext extends Pick<BundleContext, 'network' | 'site' | 'device'> {
  readonly triple: Triple
  readonly nonce: string
}

/** A permit counts only for the very change that asked for it: same device, triple and nonce. */
export function openPermit(
  signed: Signed,
  trust: Pick<TrustPayload, 'bundleSigners'>,
  context: PermitContext,
): Opened<{ readonly permit: PermitPayload }> {
  const opened = openSigned(signed, trust.bundleSigners)
  if (!opened.ok) return opened
  const parsed = PermitPayload.safeParse(opened.payload)
  if (!parsed.success) return refuse('A21', 'It is signed, but it is not a permit', 'Upgrade the agent, or the controller')
  const permit = parsed.data
  const other = notOurs('permit', permit, context)
  if (other) return other
  if (compareTriples(permit.triple, context.triple) !== 0)
    return refuse(
      'A28',
      `The permit is for ${tripleText(permit.triple)}, and ${tripleText(context.triple)} is pending`,
      'The change is rolled back; the controller assigns it again',
    )
  if (permit.nonce !== context.nonce)
    return refuse('A28', 'The permit answers another request', 'The change is rolled back; the controller assigns it again')
  return { ok: true, permit }
}

/** What vouches for a trust document: the one before it, or at enrolment the CA that the token pins. */
export type TrustAnchor = { readonly current: TrustPayload } | { readonly network: string; readonly caPin: Buffer }

/**
 * A newer trust document is signed by its own root key and by the current one's. The first is signed by its root and
 * by the pinned CA's key. The current version again, byte for byte, is accepted too.
 */
export function openTrust(signed: Signed, anchor: TrustAnchor): Opened<{ readonly trust: TrustPayload }> {
  const bytes = Buffer.from(signed.payload, 'base64url')
  let parsed: TrustPayload
  try {
    parsed = TrustPayload.parse(JSON.parse(bytes.toString('utf8')))
  } catch {
    return refuse('A21', 'It is not a trust document', 'Upgrade the agent, or the controller')
  }
  const network = 'current' in anchor ? anchor.current.network : anchor.network
  if (parsed.network !== network) return otherNetwork('trust document', parsed.network, network)
  const voucher = 'current' in anchor ? anchor.current.root : pinnedKey(parsed.ca, anchor.caPin)
  if (!voucher || !signedBy(signed, bytes, parsed.root) || !signedBy(signed, bytes, voucher)) {
    return refuse(
      'A29',
      `Version ${parsed.version} of the trust document is not signed by the key that this box trusts`,
      "Nothing was changed; enrol the box again if the network's root key was lost",
    )
  }
  if ('current' in anchor) {
    const { current } = anchor
    const same = parsed.version === current.version && canonicalJson(parsed) === canonicalJson(current)
    if (parsed.version <= current.version && !same)
      return refuse(
        'A29',
        `Version ${parsed.version} of the trust document is not newer than version ${current.version}, which this box has`,
        'Nothing was changed',
      )
  }
  return { ok: true, trust: parsed }
}

function pinnedKey(certificates: readonly string[], pin: Buffer): PublicSigner | undefined {
  for (const pem of certificates) {
    try {
      const { publicKey } = new X509Certificate(pem)
      if (spkiPin(publicKey).equals(pin))
        return { keyId: keyIdOf(publicKey), publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() }
    } catch {
      // A certificate that can't be read is not the pinned one.
    }
  }
  return undefined
}

const member = (of: unknown, name: string): unknown => (of !== null && typeof of === 'object' ? (of as Record<string, unknown>)[name] : undefined)

const otherNetwork = (what: string, theirs: string, ours: string): Refusal =>
  refuse(
    'A22',
    `The ${what} is for network "${theirs}", and this box belongs to "${ours}"`,
    'Nothing was changed; check which controller this box talks to',
  )

function notOurs(
  what: string,
  theirs: { network: string; site: string; device: string },
  ours: Pick<BundleContext, 'network' | 'site' | 'device'>,
): Refusal | undefined {
  if (theirs.network !== ours.network) return otherNetwork(what, theirs.network, ours.network)
  if (theirs.site !== ours.site)
    return refuse('A23', `The ${what} is for site "${theirs.site}", and this box is "${ours.site}"`, 'Nothing was changed')
  if (theirs.device !== ours.device)
    return refuse('A24', `The ${what} is for another box of site "${ours.site}"`, 'If you swapped boxes, ask for: causeway site replace')
  return undefined
}
