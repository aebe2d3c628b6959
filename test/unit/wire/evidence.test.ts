import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { keyIdOf, sign } from '#src/wire/bundle.ts'
import { openEvidence } from '#src/wire/evidence.ts'

const pair = () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const keyId = keyIdOf(publicKey)
  return { signer: { keyId, privateKey }, shown: { keyId, publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() } }
}
const [root, evidenceKey, stranger] = [pair(), pair(), pair()]
const trustOf = (network: string) => ({
  kind: 'trust',
  network,
  version: 1,
  ca: [],
  bundleSigners: [stranger.shown],
  evidenceSigners: [evidenceKey.shown],
  root: root.shown,
  minimumAgent: '0.1.0',
})
const trust = sign(trustOf('acme'), root.signer)
const evidence = (network = 'acme') => ({
  kind: 'evidence',
  network,
  evidence: 'ev-1',
  drill: 'd-1',
  site: 'berlin',
  uplink: 'fiber',
  seconds: 5,
  generation: 42,
  gate: {},
  held: true,
  signedAt: '2026-11-23T11:00:00.000Z',
  measured: { drill: 'd-1', state: 'healed', brokenAt: '2026-11-23T10:59:50.000Z', healedAt: '2026-11-23T10:59:55.000Z', classes: [], why: '' },
})

test('evidence counts when an evidence signer of the trust document signed it', () => {
  expect(openEvidence(sign(evidence(), evidenceKey.signer), trust)).toMatchObject({
    ok: true,
    keyId: evidenceKey.shown.keyId,
    evidence: { site: 'berlin' },
  })
})

const changed = (signed: typeof trust, from: string, to: string) => ({
  ...signed,
  payload: Buffer.from(Buffer.from(signed.payload, 'base64url').toString().replace(from, to)).toString('base64url'),
})
test.each([
  [
    'a changed figure',
    changed(sign(evidence(), evidenceKey.signer), '"seconds":5', '"seconds":9'),
    trust,
    'A20',
    'The evidence is not signed by a key of this trust document',
  ],
  ['a bundle signer', sign(evidence(), stranger.signer), trust, 'A20', 'The evidence is not signed by a key of this trust document'],
  ['something else that is signed', sign({ kind: 'bundle' }, evidenceKey.signer), trust, 'A21', 'It is signed, but it is no evidence of a drill'],
  [
    'another network',
    sign(evidence('other'), evidenceKey.signer),
    trust,
    'A22',
    'The evidence is of network "other", and the trust document of "acme"',
  ],
  [
    'a changed trust document',
    sign(evidence(), evidenceKey.signer),
    changed(trust, '"version":1', '"version":2'),
    'A20',
    'The trust document is not signed by the root key that it names',
  ],
  ['a trust file that is none', sign(evidence(), evidenceKey.signer), sign({}, root.signer), 'A21', 'The trust file is not a trust document'],
])('%s is refused', (_, signed, against, code, says) => {
  expect(openEvidence(signed, against)).toMatchObject({ ok: false, code, says })
})
