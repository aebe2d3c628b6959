/** The network's own certificate authority: Ed25519, X.509 v3, one level. Agents trust it by its pin or by trust.json. */
import 'reflect-metadata'
import { createPublicKey, generateKeyPairSync, randomBytes, type KeyObject, type webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import type { Signer } from '#src/wire/bundle.ts'
import { controllerUri, siteUri, spkiPin, thumbprint } from '#src/wire/identity.ts'
import { PkiError } from './error.ts'

const algorithm = { name: 'Ed25519' } as const
const day = 86_400_000
const caLifetime = 20 * 365 * day
const serverLifetime = 30 * day
/** Of a client certificate unless told otherwise; agents renew at two thirds. */
export const clientLifetime = 7 * day
/** Certificates begin this much before now, for boxes whose clock is a little behind. */
const skew = 60 * 60 * 1000

export interface Ca {
  /** PEM. */
  readonly certificate: string
  /** What tokens carry: first 20 bytes of the SHA-256 of the SPKI. */
  readonly pin: Buffer
  readonly signer: Signer
}
export interface IssuedCertificate {
  /** PEM of the certificate alone; the CA's is in the answer's `ca`. */
  readonly certificate: string
  /** Lower-case hex. */
  readonly serial: string
  /** SHA-256 of the SPKI, hex: the device. */
  readonly thumbprint: string
  readonly notBefore: Date
  readonly notAfter: Date
}
/** For `tls.createServer`: the chain carries the CA, so that a box that only knows its pin can find it. */
export interface ServerCredentials {
  readonly cert: string
  readonly key: string
  readonly notAfter: Date
}

const signingKey = ({ privateKey }: Signer): webcrypto.CryptoKey => privateKey.toCryptoKey(algorithm, false, ['sign'])
const verifyingKey = (publicKey: KeyObject): webcrypto.CryptoKey => publicKey.toCryptoKey(algorithm, true, ['verify'])
// Positive and never zero, 126 random bits (RFC 5280 section 4.1.2.2 allows 20 octets).
const newSerial = (): string => {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x3f) | 0x40
  return bytes.toString('hex')
}

/** The self-signed certificate of a CA key. */
export async function createCa(signer: Signer, network: string, now: Date): Promise<Ca> {
  const publicKey = createPublicKey(signer.privateKey)
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: `CN=Causeway ${network} CA`,
    notBefore: new Date(now.getTime() - skew),
    notAfter: new Date(now.getTime() + caLifetime),
    signingAlgorithm: algorithm,
    keys: { privateKey: signingKey(signer), publicKey: verifyingKey(publicKey) },
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(verifyingKey(publicKey)),
    ],
  })
  return caOf(signer, certificate.toString('pem'))
}

/** A CA from its parts as stored. */
export const caOf = (signer: Signer, certificate: string): Ca => ({ certificate, signer, pin: spkiPin(createPublicKey(signer.privateKey)) })

interface Request {
  readonly publicKey: x509.PublicKeyType
  readonly subject: string
  readonly uri: string
  readonly usage: x509.ExtendedKeyUsage
  readonly from: Date
  readonly until: Date
}
async function issue(ca: Ca, request: Request): Promise<x509.X509Certificate> {
  const issuer = new x509.X509Certificate(ca.certificate)
  return x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: request.subject,
    issuer: issuer.subjectName,
    notBefore: request.from,
    notAfter: request.until,
    signingAlgorithm: algorithm,
    publicKey: request.publicKey,
    signingKey: signingKey(ca.signer),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([request.usage]),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: request.uri }]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(request.publicKey),
    ],
  })
}

/** A fresh key and certificate of the controller. The key is never stored: each start makes its own. */
export async function issueServer(ca: Ca, network: string, now: Date): Promise<ServerCredentials> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const until = new Date(now.getTime() + serverLifetime)
  const certificate = await issue(ca, {
    publicKey: verifyingKey(publicKey),
    subject: `CN=Causeway ${network} controller`,
    uri: controllerUri(network),
    usage: x509.ExtendedKeyUsage.serverAuth,
    from: new Date(now.getTime() - skew),
    until,
  })
  return {
    cert: `${certificate.toString('pem')}\n${ca.certificate}`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    notAfter: until,
  }
}

/** A request that was checked: well formed, signed by its own key, of a kind that we accept. */
export interface CheckedRequest {
  readonly publicKey: x509.PublicKey
  readonly thumbprint: string
}
/** Throws PkiError C070 when the PKCS#10 is not one, C071 for its signature, C072 for its kind of key. */
export async function checkRequest(csr: string): Promise<CheckedRequest> {
  let request: x509.Pkcs10CertificateRequest
  let key: KeyObject
  try {
    request = new x509.Pkcs10CertificateRequest(csr)
    key = createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: 'der', type: 'spki' })
  } catch {
    throw new PkiError('C070', 'The certificate request is not PKCS#10 in PEM', 'Send what `causeway-agent enrol` makes')
  }
  if (key.asymmetricKeyType !== 'ed25519' && key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new PkiError('C072', `The certificate request is for a key of type ${key.asymmetricKeyType ?? 'unknown'}`, 'Make an Ed25519 or P-256 key')
  }
  if (!(await request.verify().catch(() => false)))
    throw new PkiError('C071', 'The certificate request is not signed by its own key', 'Make a new one on the box')
  return { publicKey: request.publicKey, thumbprint: thumbprint(key) }
}

/**
 * A client certificate for a site's box. Only the key is taken from the request: names are the controller's decision.
 * @param lifetime milliseconds.
 */
export async function issueClient(
  ca: Ca,
  csr: string,
  of: { readonly network: string; readonly site: string; readonly now: Date; readonly lifetime?: number },
): Promise<IssuedCertificate> {
  const request = await checkRequest(csr)
  const notBefore = new Date(of.now.getTime() - skew)
  const notAfter = new Date(of.now.getTime() + (of.lifetime ?? clientLifetime))
  const certificate = await issue(ca, {
    publicKey: request.publicKey,
    subject: `CN=${of.site}`,
    uri: siteUri(of.network, of.site),
    usage: x509.ExtendedKeyUsage.clientAuth,
    from: notBefore,
    until: notAfter,
  })
  return { certificate: certificate.toString('pem'), serial: certificate.serialNumber, thumbprint: request.thumbprint, notBefore, notAfter }
}
