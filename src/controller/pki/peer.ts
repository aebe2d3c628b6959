/** Who is at the other end of a TLS connection to the agents' listener. */
import { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { siteOf, thumbprint } from '#src/wire/identity.ts'
import { refuse, type Refusal } from '#src/wire/refusal.ts'

export type Peer =
  | {
      readonly ok: true
      readonly site: string
      /** The device. */
      readonly thumbprint: string
      /** Lower-case hex, as in table `certificates`: the caller looks there whether it is revoked. */
      readonly serial: string
      readonly notAfter: Date
      /** Only good for renewal, up to `headless.max`. */
      readonly expired: boolean
    }
  | Refusal

/**
 * For a listener with `requestCert: true, rejectUnauthorized: false`: enrolment has no certificate yet, and a box that was
 * long without its controller renews with an expired one. So the certificate is judged here, and not by OpenSSL's last
 * word: on an expired certificate that is CERT_HAS_EXPIRED even when its signature is wrong too.
 * @param ca the CA certificates that count now, PEM.
 */
export function peerOf(socket: TLSSocket, ca: readonly string[], network: string, now: Date): Peer {
  const raw = socket.getPeerX509Certificate()?.raw
  return raw
    ? judge(new X509Certificate(raw), ca, network, now)
    : refuse('C073', 'The connection brings no client certificate', 'Enrol the box with a token')
}

export function judge(certificate: X509Certificate, ca: readonly string[], network: string, now: Date): Peer {
  const ours = ca.some((pem) => {
    const authority = new X509Certificate(pem)
    return certificate.checkIssued(authority) && certificate.verify(authority.publicKey)
  })
  const site = siteOf(certificate, network)
  if (!ours || site === undefined || certificate.ca || !certificate.keyUsage?.includes('1.3.6.1.5.5.7.3.2')) {
    return refuse('C074', `The client certificate is not one of network "${network}"`, 'Enrol the box with a token')
  }
  const notAfter = new Date(certificate.validTo)
  if (now.getTime() < new Date(certificate.validFrom).getTime())
    return refuse('C075', `The client certificate begins only at ${certificate.validFrom}`, "Check the controller's clock")
  return {
    ok: true,
    site,
    thumbprint: thumbprint(certificate.publicKey),
    serial: certificate.serialNumber.toLowerCase(),
    notAfter,
    expired: now.getTime() >= notAfter.getTime(),
  }
}
