import 'reflect-metadata'
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Authority, loadAuthority } from '#src/controller/pki/authority.ts'
import { createCa } from '#src/controller/pki/ca.ts'
import { judge } from '#src/controller/pki/peer.ts'
import { thumbprintOf } from '#src/controller/pki/thumbprint.ts'
import { hashSecret, newToken } from '#src/controller/pki/tokens.ts'
import { memoryRows, openVault, type Vault } from '#src/controller/pki/vault.ts'
import { keyIdOf, openTrust, sign } from '#src/wire/bundle.ts'
import { createCsr } from '#src/wire/csr.ts'
import { renewAt, spkiPin, thumbprint } from '#src/wire/identity.ts'
import type { TrustPayload } from '#src/wire/messages.ts'
import { decodeToken, type Token } from '#src/wire/token.ts'

const now = new Date('2026-11-23T12:00:00Z')
const newVault = (): Promise<Vault> => openVault(Buffer.alloc(32, 7), memoryRows())
const device = generateKeyPairSync('ed25519')
const csr = createCsr('berlin', device)
const days = (count: number): Date => new Date(now.getTime() + count * 86_400_000)

/** A CA, and certificates for berlin that state it as their issuer, signed by any key. */
async function forgery() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const ca = await createCa({ keyId: keyIdOf(publicKey), privateKey }, 'demo', now)
  const issuer = new x509.X509Certificate(ca.certificate)
  const forge = async (key: KeyObject, usage: x509.ExtendedKeyUsage): Promise<X509Certificate> => {
    const made = await x509.X509CertificateGenerator.create({
      subject: 'CN=berlin',
      issuer: issuer.subjectName,
      notBefore: days(-1),
      notAfter: days(7),
      signingAlgorithm: { name: 'Ed25519' },
      publicKey: device.publicKey.toCryptoKey('Ed25519', true, ['verify']),
      signingKey: key.toCryptoKey('Ed25519', false, ['sign']),
      extensions: [
        new x509.ExtendedKeyUsageExtension([usage]),
        new x509.SubjectAlternativeNameExtension([{ type: 'url', value: 'spiffe://demo/site/berlin' }]),
        await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ],
    })
    return new X509Certificate(made.toString('pem'))
  }
  return { ca, forge }
}

let vault: Vault
let authority: Authority
beforeAll(async () => {
  vault = await newVault()
  authority = await loadAuthority(vault, { network: 'demo', now })
})

test('the second start finds the same authority', async () => {
  const again = await loadAuthority(vault, { network: 'demo', now: days(1) })
  expect(again.ca).toEqual(authority.ca)
  expect(again.caPin).toEqual(authority.caPin)
  expect(again.bundleSigner.keyId).toBe(authority.bundleSigner.keyId)
  expect(again.trust).toEqual(authority.trust)
})

test('two controllers that start at once have one authority', async () => {
  const shared = await newVault()
  const [one, two] = await Promise.all([loadAuthority(shared, { network: 'demo', now }), loadAuthority(shared, { network: 'demo', now })])
  expect(two.ca).toEqual(one.ca)
  expect(two.trust).toEqual(one.trust)
})

describe('a client certificate', () => {
  test("names the site by the controller's word, whatever the request calls itself", async () => {
    const issued = await authority.issueClient(createCsr('oslo', device), { site: 'berlin', now })
    const certificate = new X509Certificate(issued.certificate)
    expect(certificate.subjectAltName).toBe('URI:spiffe://demo/site/berlin')
    expect(certificate.serialNumber.toLowerCase()).toBe(issued.serial)
    expect(thumbprintOf(issued.certificate)).toBe(thumbprint(device.publicKey))
    expect(issued.notAfter).toEqual(days(7))
    expect(judge(certificate, authority.ca, 'demo', now)).toEqual({
      ok: true,
      site: 'berlin',
      thumbprint: issued.thumbprint,
      serial: issued.serial,
      notAfter: days(7),
      expired: false,
    })
  })
  test('is renewed at two thirds of its life', async () => {
    const { certificate } = await authority.issueClient(csr, { site: 'berlin', now, lifetime: 3 * 86_400_000 })
    expect(Math.abs(renewAt(certificate).getTime() - days(2).getTime())).toBeLessThanOrEqual(3_600_000)
  })
  test('each has a serial of its own', async () => {
    const serials = await Promise.all(Array.from({ length: 5 }, async () => (await authority.issueClient(csr, { site: 'berlin', now })).serial))
    expect(new Set(serials).size).toBe(5)
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9a-f]{31}$/)
  })
  test('that has ended still tells who asks for a renewal', async () => {
    const { certificate } = await authority.issueClient(csr, { site: 'berlin', now })
    expect(judge(new X509Certificate(certificate), authority.ca, 'demo', days(60))).toMatchObject({ ok: true, site: 'berlin', expired: true })
  })
  test('can be made for a P-256 key too', async () => {
    const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify'])
    const request = await x509.Pkcs10CertificateRequestGenerator.create({ name: 'CN=x', keys, signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' } })
    const issued = await authority.issueClient(request.toString('pem'), { site: 'madrid', now })
    expect(judge(new X509Certificate(issued.certificate), authority.ca, 'demo', now)).toMatchObject({ ok: true, site: 'madrid' })
  })

  describe('is not one of ours', () => {
    const refused = { ok: false, code: 'C074', says: 'The client certificate is not one of network "demo"', instead: 'Enrol the box with a token' }

    test('when another CA of the same name signed it, ended or not', async () => {
      const theirs = await loadAuthority(await newVault(), { network: 'demo', now })
      const { certificate } = await theirs.issueClient(csr, { site: 'berlin', now })
      expect(judge(new X509Certificate(certificate), authority.ca, 'demo', now)).toEqual(refused)
      expect(judge(new X509Certificate(certificate), authority.ca, 'demo', days(60))).toEqual(refused)
    })
    test('when it only states the CA that should have signed it, whatever OpenSSL calls first', async () => {
      const { ca, forge } = await forgery()
      const stranger = generateKeyPairSync('ed25519').privateKey
      const good = await forge(ca.signer.privateKey, x509.ExtendedKeyUsage.clientAuth)
      const forged = await forge(stranger, x509.ExtendedKeyUsage.clientAuth)
      expect(forged.checkIssued(new X509Certificate(ca.certificate))).toBe(true)
      expect(judge(good, [ca.certificate], 'demo', now)).toMatchObject({ ok: true, site: 'berlin' })
      expect(judge(forged, [ca.certificate], 'demo', now)).toEqual(refused)
      expect(judge(forged, [ca.certificate], 'demo', days(60))).toEqual(refused)
    })
    test('when it was made for servers', async () => {
      const { ca, forge } = await forgery()
      expect(judge(await forge(ca.signer.privateKey, x509.ExtendedKeyUsage.serverAuth), [ca.certificate], 'demo', now)).toEqual(refused)
    })
    test("when it is the controller's own, or the CA's", async () => {
      const { cert } = await authority.serverCredentials(now)
      expect(judge(new X509Certificate(cert), authority.ca, 'demo', now)).toEqual(refused)
      expect(judge(new X509Certificate(authority.ca[0]!), authority.ca, 'demo', now)).toEqual(refused)
    })
    test('when it is for another network', async () => {
      const { certificate } = await authority.issueClient(csr, { site: 'berlin', now })
      expect(judge(new X509Certificate(certificate), authority.ca, 'acme', now)).toMatchObject({ ok: false, code: 'C074' })
    })
    test('when it has not begun', async () => {
      const { certificate } = await authority.issueClient(csr, { site: 'berlin', now })
      expect(judge(new X509Certificate(certificate), authority.ca, 'demo', days(-1))).toMatchObject({
        ok: false,
        code: 'C075',
        instead: "Check the controller's clock",
      })
    })
  })
})

describe('a request is refused', () => {
  test('when it is not one', async () => {
    await expect(authority.issueClient('rubbish', { site: 'berlin', now })).rejects.toMatchObject({
      code: 'C070',
      message: 'The certificate request is not PKCS#10 in PEM',
    })
  })
  test("when its key did not sign it: nobody gets a certificate for another's key", async () => {
    const { publicKey } = generateKeyPairSync('ed25519')
    await expect(authority.checkRequest(createCsr('berlin', { privateKey: device.privateKey, publicKey }))).rejects.toMatchObject({
      code: 'C071',
      message: 'The certificate request is not signed by its own key',
    })
  })
  test("when its key is of a kind that we don't take", async () => {
    const keys = await crypto.subtle.generateKey(
      { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', publicExponent: new Uint8Array([1, 0, 1]), modulusLength: 2048 },
      false,
      ['sign', 'verify'],
    )
    const request = await x509.Pkcs10CertificateRequestGenerator.create({
      name: 'CN=x',
      keys,
      signingAlgorithm: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    })
    await expect(authority.checkRequest(request.toString('pem'))).rejects.toMatchObject({
      code: 'C072',
      message: 'The certificate request is for a key of type rsa',
      instead: 'Make an Ed25519 or P-256 key',
    })
  })
})

describe('the trust document', () => {
  const pinned = () => ({ network: 'demo', caPin: authority.caPin })
  const root = (of: TrustPayload) => of.root.keyId

  test('is vouched for by the CA that the token pins', () => {
    expect(openTrust(authority.trust, pinned())).toEqual({ ok: true, trust: authority.trustPayload })
    expect(authority.trustPayload).toMatchObject({ network: 'demo', version: 1, minimumAgent: '0.1.0' })
  })
  test('is refused with another pin, or from another network', async () => {
    expect(openTrust(authority.trust, { ...pinned(), caPin: Buffer.alloc(20) })).toEqual({
      ok: false,
      code: 'A29',
      says: 'Version 1 of the trust document is not signed by the key that this box trusts',
      instead: "Nothing was changed; enrol the box again if the network's root key was lost",
    })
    expect(openTrust(authority.trust, { ...pinned(), network: 'acme' })).toMatchObject({
      code: 'A22',
      says: 'The trust document is for network "demo", and this box belongs to "acme"',
    })
  })
  test('rises by one version when its content changes, signed by the same root', async () => {
    const changed = await loadAuthority(vault, { network: 'demo', now, minimumAgent: '0.2.0' })
    expect(changed.trustPayload).toMatchObject({ version: 2, minimumAgent: '0.2.0' })
    expect(root(changed.trustPayload)).toBe(root(authority.trustPayload))
    expect(openTrust(changed.trust, { current: authority.trustPayload })).toMatchObject({ ok: true, trust: { version: 2 } })
    expect(openTrust(authority.trust, { current: changed.trustPayload })).toEqual({
      ok: false,
      code: 'A29',
      says: 'Version 1 of the trust document is not newer than version 2, which this box has',
      instead: 'Nothing was changed',
    })
  })
  test('of the version that is there is accepted only as it is', () => {
    expect(openTrust(authority.trust, { current: authority.trustPayload })).toMatchObject({ ok: true })
    const other = { ...authority.trustPayload, minimumAgent: '9.9.9' }
    expect(openTrust(authority.trust, { current: other })).toMatchObject({ ok: false, code: 'A29' })
  })
  test("of a stranger's root is refused, even when he signs it well", async () => {
    const stranger = await loadAuthority(await newVault(), { network: 'demo', now })
    expect(openTrust(stranger.trust, { current: authority.trustPayload })).toMatchObject({ ok: false, code: 'A29' })
    expect(openTrust(stranger.trust, pinned())).toMatchObject({ ok: false, code: 'A29' })
  })
  test('that names a new root must be signed by the old one and the new one', () => {
    const pair = () => {
      const { privateKey, publicKey } = generateKeyPairSync('ed25519')
      return {
        signer: { keyId: keyIdOf(publicKey), privateKey },
        public: { keyId: keyIdOf(publicKey), publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() },
      }
    }
    const old = pair()
    const next = pair()
    const current = { ...authority.trustPayload, root: old.public }
    const after = { ...current, version: 2, root: next.public }
    expect(openTrust(sign(after, old.signer, next.signer), { current })).toMatchObject({ ok: true })
    expect(openTrust(sign(after, next.signer), { current })).toMatchObject({ ok: false, code: 'A29' })
    expect(openTrust(sign(after, old.signer), { current })).toMatchObject({ ok: false, code: 'A29' })
  })
  test('that is none is refused', () => {
    expect(openTrust(sign({ kind: 'bundle' }, authority.bundleSigner), pinned())).toEqual({
      ok: false,
      code: 'A21',
      says: 'It is not a trust document',
      instead: 'Upgrade the agent, or the controller',
    })
    expect(openTrust({ payload: '!', signatures: [] }, pinned())).toMatchObject({ code: 'A21' })
  })
})

test('a new token carries the pin of the CA, and only the hash of its secret is kept', () => {
  const token = newToken({ caPin: authority.caPin, host: '203.0.113.250:443', expiresAt: new Date(days(1).getTime() + 345) })
  const decoded = decodeToken(token.text)
  expect(decoded).toMatchObject({ ok: true, caPin: authority.caPin, host: '203.0.113.250:443', expiresAt: days(1).getTime() / 1000 })
  expect(token.expiresAt).toEqual(days(1))
  expect(hashSecret((decoded as Token).secret)).toBe(token.hash)
  expect(newToken({ caPin: authority.caPin, host: 'x:1', expiresAt: now }).hash).not.toBe(token.hash)
})

test('the CA pin survives a new certificate for the same key', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const again = await createCa({ keyId: keyIdOf(publicKey), privateKey }, 'demo', days(100))
  expect(again.pin).toEqual(spkiPin(publicKey))
})
