import 'reflect-metadata'
import { generateKeyPairSync } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { expect, test } from 'vitest'
import { createCsr } from '#src/wire/csr.ts'

const keys = generateKeyPairSync('ed25519')

test('another implementation reads the request and finds it signed by its own key', async () => {
  const request = new x509.Pkcs10CertificateRequest(createCsr('berlin', keys))
  expect(request.subject).toBe('CN=berlin')
  expect(await request.verify()).toBe(true)
  expect(Buffer.from(request.publicKey.rawData)).toEqual(keys.publicKey.export({ type: 'spki', format: 'der' }))
})

test('a request for another key than the one that signed is noticed', async () => {
  const { publicKey } = generateKeyPairSync('ed25519')
  expect(await new x509.Pkcs10CertificateRequest(createCsr('berlin', { privateKey: keys.privateKey, publicKey })).verify()).toBe(false)
})

test('names of any length and script keep the form', async () => {
  for (const name of ['', 'Düsseldorf', '東京', 'x'.repeat(200)]) {
    const request = new x509.Pkcs10CertificateRequest(createCsr(name, keys))
    expect(request.subjectName.getField('CN')).toEqual([name.slice(0, 64)])
    expect(await request.verify()).toBe(true)
  }
})

test('another kind of key is an error of the caller', () => {
  expect(() => createCsr('berlin', generateKeyPairSync('ec', { namedCurve: 'P-256' }))).toThrow('the request is made for an Ed25519 key')
})
