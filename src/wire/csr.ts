/** A PKCS#10 request (RFC 2986) for an Ed25519 key (RFC 8410), made on the box: the private key never leaves it. */
import { sign, type KeyObject } from 'node:crypto'

function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents)
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body])
  const length = body.length < 0x100 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}
const sequence = (...contents: readonly Buffer[]): Buffer => der(0x30, ...contents)
const bitString = (bytes: Buffer): Buffer => der(0x03, Buffer.from([0]), bytes)
const ed25519 = sequence(Buffer.from('06032b6570', 'hex')) // 1.3.101.112
const commonNameOid = Buffer.from('0603550403', 'hex') // 2.5.4.3

/** @param commonName for people only, at most 64 characters; the controller writes the names that count itself. */
export function createCsr(commonName: string, keys: { readonly privateKey: KeyObject; readonly publicKey: KeyObject }): string {
  if (keys.privateKey.asymmetricKeyType !== 'ed25519') throw new RangeError('the request is made for an Ed25519 key')
  const name = sequence(der(0x31, sequence(commonNameOid, der(0x0c, Buffer.from(commonName.slice(0, 64), 'utf8')))))
  const info = sequence(Buffer.from([0x02, 1, 0]), name, keys.publicKey.export({ type: 'spki', format: 'der' }), der(0xa0))
  const request = sequence(info, ed25519, bitString(sign(null, info, keys.privateKey)))
  const lines = request.toString('base64').match(/.{1,64}/g)!
  return ['-----BEGIN CERTIFICATE REQUEST-----', ...lines, '-----END CERTIFICATE REQUEST-----', ''].join('\n')
}
