/** Names in certificates (SPIFFE form) and the checks by which agent and controller know each other. */
import { createHash, X509Certificate, type KeyObject } from 'node:crypto'
import { refuse, type Refusal } from './refusal.ts'

/** URI SAN of the controller's certificate: the network id, never a host name, so that its address may change. */
export const controllerUri = (network: string): string => `spiffe://${network}/controller`
export const siteUri = (network: string, site: string): string => `spiffe://${network}/site/${site}`

const spki = (publicKey: KeyObject): Buffer => publicKey.export({ type: 'spki', format: 'der' })
/** SHA-256 of the SPKI, hex: this *is* the device. */
export const thumbprint = (publicKey: KeyObject): string => createHash('sha256').update(spki(publicKey)).digest('hex')
/** First 20 bytes of the SHA-256 of the CA's SPKI, as tokens carry it. */
export const spkiPin = (publicKey: KeyObject): Buffer => createHash('sha256').update(spki(publicKey)).digest().subarray(0, 20)

/** The only URI name of a certificate, from node's `subjectAltName` text. undefined: none, several, or quoted oddities. */
function onlyUri(subjectAltName: string | undefined): string | undefined {
  // Node quotes a value that holds a comma or quote (CVE-2021-44532), so a hidden name never begins with `spiffe:`.
  const names = (subjectAltName ?? '').split(', ').filter((name) => name.startsWith('URI:'))
  return names.length === 1 ? names[0]!.slice(4) : undefined
}

/** The site that a client certificate names; undefined when it is not one of this network's. */
export function siteOf(certificate: X509Certificate, network: string): string | undefined {
  const start = siteUri(network, '')
  const uri = onlyUri(certificate.subjectAltName)
  const site = uri?.startsWith(start) ? uri.slice(start.length) : ''
  // The second gateway of a site has its name and `.b`.
  return /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.b)?$/.test(site) ? site : undefined
}

/** The network that a controller's certificate is for; undefined when it is not a controller's. */
export function networkOf(certificate: X509Certificate): string | undefined {
  return /^spiffe:\/\/([a-z0-9]+(?:-[a-z0-9]+)*)\/controller$/.exec(onlyUri(certificate.subjectAltName) ?? '')?.[1]
}

/**
 * For `tls.connect({ checkServerIdentity })`: the CA vouches for the certificate, this for the name. `network` null at
 * enrolment, when the token pins the CA but does not name the network: then any controller of that CA will do.
 */
export const checkController =
  (network: string | null) =>
  (_host: string, peer: { readonly raw: Buffer }): Error | undefined => {
    const named = networkOf(new X509Certificate(peer.raw))
    if (named !== undefined && (network === null || named === network)) return undefined
    return new Error(
      named === undefined ? "the certificate is not a Causeway controller's" : `the certificate is for network "${named}", not "${network}"`,
    )
  }

/**
 * At enrolment the CA is known only by its pin: the chain is taken from a first connection on which nothing is sent,
 * the CA is found in it, and the second connection is made with that CA as the only root.
 * @param chain DER certificates, leaf first.
 * @param host as a person knows it, for the message.
 */
export function findPinnedCa(chain: readonly Buffer[], caPin: Buffer, host: string): { readonly ok: true; readonly ca: string } | Refusal {
  const certificates = chain.map((der) => new X509Certificate(der))
  const ca = certificates.find((one) => one.ca && spkiPin(one.publicKey).equals(caPin) && one.verify(one.publicKey))
  if (ca) return { ok: true, ca: ca.toString() }
  const issuer = certificates[0] ? commonName(certificates[0].issuer) : ''
  return refuse(
    'A06',
    `Something between this box and ${host} replaces its certificate (issuer "${issuer}"). I will not continue`,
    `Ask for an exception for ${host}, without inspection`,
  )
}

/** `CN=a\nO=b` → `a`; the whole name on one line when it has no common name. */
const commonName = (name: string): string => /^CN=(.*)$/m.exec(name)?.[1] ?? name.replaceAll('\n', ', ')

/** When a client certificate (PEM) is to be renewed: at two thirds of its life. */
export function renewAt(certificate: string): Date {
  const { validFrom, validTo } = new X509Certificate(certificate)
  const from = Date.parse(validFrom)
  return new Date(from + ((Date.parse(validTo) - from) * 2) / 3)
}
