/** Everything that the controller signs with, made in the vault at the first start and loaded from it afterwards. */
import { canonicalJson } from '#src/fabric/hash.ts'
import { sign, type Signer } from '#src/wire/bundle.ts'
import { type Signed, TrustPayload } from '#src/wire/messages.ts'
import {
  type Ca,
  type CheckedRequest,
  caOf,
  checkRequest,
  createCa,
  type IssuedCertificate,
  issueClient,
  issueServer,
  type ServerCredentials,
} from './ca.ts'
import { loadSigner, publicSigner } from './signer.ts'
import { type Peer, peerOf } from './peer.ts'
import type { TLSSocket } from 'node:tls'
import type { Vault } from './vault.ts'

export interface Authority {
  readonly network: string
  /** What tokens carry. */
  readonly caPin: Buffer
  /** PEM, for answers to agents and for the listener. */
  readonly ca: readonly string[]
  /** Bundles and permits. */
  readonly bundleSigner: Signer
  readonly evidenceSigner: Signer
  /** trust.json as agents get it, and its content. */
  readonly trust: Signed
  readonly trustPayload: TrustPayload
  /** A fresh key and certificate for the agents' listener, good for 30 days. */
  serverCredentials(now: Date): Promise<ServerCredentials>
  /** Throws PkiError C070–C072. */
  checkRequest(csr: string): Promise<CheckedRequest>
  /** First certificate and renewals alike. Throws PkiError C070–C072. */
  issueClient(csr: string, of: { readonly site: string; readonly now: Date; readonly lifetime?: number }): Promise<IssuedCertificate>
  /** Who speaks on this connection; refused without a certificate of this network. */
  peer(socket: TLSSocket, now: Date): Peer
}

const ids = {
  root: 'pki/root',
  ca: 'pki/ca',
  caCertificate: 'pki/ca-certificate',
  bundle: 'pki/bundle-signer',
  evidence: 'pki/evidence-signer',
  trust: 'pki/trust',
} as const

/**
 * Creates what is missing, once, also when two controllers start at the same time. `minimumAgent` is the oldest agent
 * version that may run; when it (or a key) differs from the stored trust document, a new version of that is signed.
 */
export async function loadAuthority(
  vault: Vault,
  of: { readonly network: string; readonly now: Date; readonly minimumAgent?: string },
): Promise<Authority> {
  const root = await loadSigner(vault, ids.root)
  const ca = await loadCa(vault, of.network, of.now)
  const bundleSigner = await loadSigner(vault, ids.bundle)
  const evidenceSigner = await loadSigner(vault, ids.evidence)
  const content: Omit<TrustPayload, 'version'> = {
    kind: 'trust',
    network: of.network,
    ca: [ca.certificate],
    bundleSigners: [publicSigner(bundleSigner)],
    evidenceSigners: [publicSigner(evidenceSigner)],
    root: publicSigner(root),
    minimumAgent: of.minimumAgent ?? '0.1.0',
  }
  const trustPayload = await loadTrust(vault, content)
  return {
    network: of.network,
    caPin: ca.pin,
    ca: [ca.certificate],
    bundleSigner,
    evidenceSigner,
    // Signed by the CA's key too: the token pins that one, so the first document needs no other trust.
    trust: sign(trustPayload, root, ca.signer),
    trustPayload,
    serverCredentials: (now) => issueServer(ca, of.network, now),
    checkRequest,
    issueClient: (csr, client) => issueClient(ca, csr, { network: of.network, ...client }),
    peer: (socket, now) => peerOf(socket, [ca.certificate], of.network, now),
  }
}

async function loadCa(vault: Vault, network: string, now: Date): Promise<Ca> {
  const signer = await loadSigner(vault, ids.ca)
  const stored = await vault.latest(ids.caCertificate)
  if (stored) return caOf(signer, stored.secret.toString())
  const ref = await vault.put(ids.caCertificate, Buffer.from((await createCa(signer, network, now)).certificate))
  return caOf(signer, (await vault.get(ref)).toString())
}

/** The document's version is the vault's version of its record, so that it rises by one with each change and never falls. */
async function loadTrust(vault: Vault, content: Omit<TrustPayload, 'version'>): Promise<TrustPayload> {
  const text = canonicalJson(content)
  const stored = await vault.latest(ids.trust)
  if (stored?.secret.toString() === text) return { ...content, version: stored.ref.version }
  const ref = stored ? await vault.rotate(ids.trust, Buffer.from(text)) : await vault.put(ids.trust, Buffer.from(text))
  return TrustPayload.parse({ ...JSON.parse((await vault.get(ref)).toString()), version: ref.version })
}
