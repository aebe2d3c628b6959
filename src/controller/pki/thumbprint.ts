import { createPublicKey, X509Certificate } from 'node:crypto'
import { thumbprint } from '#src/wire/identity.ts'

/** The device of a certificate or public key in PEM: SHA-256 of the SPKI, hex. Throws when it is neither. */
export const thumbprintOf = (pem: string): string =>
  thumbprint(pem.includes('BEGIN CERTIFICATE-----') ? new X509Certificate(pem).publicKey : createPublicKey(pem))
