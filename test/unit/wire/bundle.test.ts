import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { contentHash } from '#src/fabric/hash.ts'
import {
  type BundleContext,
  compareTriples,
  keyIdOf,
  openBundle,
  openPermit,
  openSigned,
  type PublicSigner,
  sign,
  type Signer,
} from '#src/wire/bundle.ts'
import type { BundlePayload, PermitPayload } from '#src/wire/messages.ts'

function newSigner(): Signer & PublicSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return { keyId: keyIdOf(publicKey), privateKey, publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() }
}
const signer = newSigner()
const stranger = newSigner()
const trust = { bundleSigners: [{ keyId: signer.keyId, publicKey: signer.publicKey }] }

const config = { kind: 'site-config', site: 'berlin' }
const bundle: BundlePayload = {
  kind: 'bundle',
  schema: 1,
  network: 'demo',
  site: 'berlin',
  device: 'ab'.repeat(32),
  term: 1,
  generation: 42,
  revision: 3,
  hash: contentHash(config),
  acceptBefore: '2026-11-24T12:00:00.000Z',
  config,
}
const berlin: BundleContext = {
  network: 'demo',
  site: 'berlin',
  device: bundle.device,
  running: { term: 1, generation: 42, revision: 2 },
  now: new Date('2026-11-23T12:00:00Z'),
  schema: 1,
}
const open = (change: Partial<BundlePayload> = {}, context: Partial<BundleContext> = {}) =>
  openBundle(sign({ ...bundle, ...change }, signer), trust, { ...berlin, ...context })
const refused = (code: string, says: string, instead: string) => ({ ok: false, code, says, instead })
const forged = refused(
  'A20',
  'It is not signed by a key that this network trusts',
  "Nothing was changed; look for who else answers at the controller's address",
)

describe('a bundle', () => {
  test('for this box, newer than what runs, is accepted', () => {
    expect(open()).toEqual({ ok: true, bundle })
    expect(open({}, { running: null })).toEqual({ ok: true, bundle })
  })
  test('the same content and key give the same bytes', () => {
    expect(sign(bundle, signer)).toEqual(sign(Object.fromEntries(Object.entries(bundle).reverse()), signer))
  })
  test('one of two signers is enough, so that a signer can be replaced', () => {
    expect(openBundle(sign(bundle, stranger, signer), trust, berlin).ok).toBe(true)
  })

  describe('is refused', () => {
    test('forged: signed by another key', () => expect(openBundle(sign(bundle, stranger), trust, berlin)).toEqual(forged))
    test("forged: another key under the trusted key's id", () => {
      expect(openBundle(sign(bundle, { keyId: signer.keyId, privateKey: stranger.privateKey }), trust, berlin)).toEqual(forged)
      expect(openBundle(sign(bundle, signer), { bundleSigners: [{ keyId: signer.keyId, publicKey: stranger.publicKey }] }, berlin)).toEqual(forged)
    })
    test('forged: changed after signing, one bit anywhere', () => {
      const { payload, signatures } = sign(bundle, signer)
      const bytes = Buffer.from(payload, 'base64url')
      fc.assert(
        fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
          const changed = Buffer.from(bytes)
          changed[at] = changed[at]! ^ (1 << bit)
          expect(openBundle({ payload: changed.toString('base64url'), signatures }, trust, berlin)).toEqual(forged)
        }),
      )
    })
    test('unsigned, or with signatures that are rubbish', () => {
      const { payload } = sign(bundle)
      expect(openBundle({ payload, signatures: [] }, trust, berlin)).toEqual(forged)
      expect(openBundle({ payload, signatures: [{ keyId: signer.keyId, signature: '' }] }, trust, berlin)).toEqual(forged)
      expect(openBundle(sign(bundle, signer), { bundleSigners: [{ keyId: signer.keyId, publicKey: 'rubbish' }] }, berlin)).toEqual(forged)
    })
    test('replayed: it runs already', () => {
      expect(open({ revision: 2 })).toEqual(
        refused(
          'A26',
          'The bundle is 1/42/2, and 1/42/2 already runs (term/generation/revision)',
          'An older state comes back only as a new generation: causeway generation rollback',
        ),
      )
    })
    test.each([{ revision: 1 }, { generation: 41, revision: 9 }])('older: %o', (older) =>
      expect(open(older)).toMatchObject({ ok: false, code: 'A26' }),
    )
    test('older by term, however high its generation', () =>
      expect(open({ generation: 99 }, { running: { term: 2, generation: 1, revision: 0 } })).toMatchObject({ code: 'A26' }))
    test('for another network', () =>
      expect(open({ network: 'acme' })).toEqual(
        refused(
          'A22',
          'The bundle is for network "acme", and this box belongs to "demo"',
          'Nothing was changed; check which controller this box talks to',
        ),
      ))
    test('for another site', () =>
      expect(open({ site: 'oslo' })).toEqual(refused('A23', 'The bundle is for site "oslo", and this box is "berlin"', 'Nothing was changed')))
    test('for another box of the site', () =>
      expect(open({ device: 'cd'.repeat(32) })).toEqual(
        refused('A24', 'The bundle is for another box of site "berlin"', 'If you swapped boxes, ask for: causeway site replace'),
      ))
    test('whose content was exchanged', () =>
      expect(open({ config: { site: 'other' } })).toEqual(
        refused('A25', "The bundle's content does not have the hash that it states", 'Report this to the makers of the controller'),
      ))
    test('too late', () => {
      const late = refused(
        'A27',
        'The bundle had to be accepted before 2026-11-24T12:00:00.000Z, and it is 2026-11-24T12:00:00.000Z',
        "Check this box's clock; the controller makes a new bundle by itself",
      )
      expect(open({}, { now: new Date('2026-11-24T12:00:00Z') })).toEqual(late)
      expect(open({ acceptBefore: 'soon' })).toMatchObject({ code: 'A27' })
    })
    test('of an unknown schema', () => {
      expect(openBundle(sign({ ...bundle, schema: 2 }, signer), trust, berlin)).toEqual(
        refused('A21', 'The bundle has schema 2, and this agent knows schema 1', 'Upgrade the agent'),
      )
    })
    test('that is no bundle, though it is signed', () => {
      expect(openBundle(sign({ kind: 'permit' }, signer), trust, berlin)).toEqual(
        refused('A21', 'It is signed, but it is not a bundle', 'Upgrade the agent, or the controller'),
      )
      const { signatures } = sign('', signer)
      expect(openSigned({ payload: '', signatures }, trust.bundleSigners)).toMatchObject({ ok: false, code: 'A20' })
    })
  })

  test('that was accepted in time is read again at a start, however late', () => {
    expect(open({}, { running: null, now: null })).toEqual({ ok: true, bundle })
  })
})

describe('a permit', () => {
  const triple = { term: 1, generation: 42, revision: 3 }
  const permit: PermitPayload = { kind: 'permit', network: 'demo', site: 'berlin', device: bundle.device, triple, nonce: 'n-1' }
  const openIt = (change: Partial<PermitPayload> = {}) =>
    openPermit(sign({ ...permit, ...change }, signer), trust, { network: 'demo', site: 'berlin', device: bundle.device, triple, nonce: 'n-1' })

  test('counts for the change that asked for it', () => expect(openIt()).toEqual({ ok: true, permit }))
  test('does not count for another change', () => {
    expect(openIt({ triple: { ...triple, revision: 2 } })).toEqual(
      refused('A28', 'The permit is for 1/42/2, and 1/42/3 is pending', 'The change is rolled back; the controller assigns it again'),
    )
  })
  test('does not count twice', () => {
    expect(openIt({ nonce: 'n-0' })).toEqual(
      refused('A28', 'The permit answers another request', 'The change is rolled back; the controller assigns it again'),
    )
  })
  test('does not count for another site, box or network', () => {
    expect(openIt({ site: 'oslo' })).toMatchObject({ code: 'A23' })
    expect(openIt({ device: '' })).toMatchObject({ code: 'A24' })
    expect(openIt({ network: 'acme' })).toMatchObject({ code: 'A22' })
  })
  test('is not a bundle, and a bundle is not a permit', () => {
    expect(openPermit(sign(bundle, signer), trust, { network: 'demo', site: 'berlin', device: bundle.device, triple, nonce: 'n-1' })).toEqual(
      refused('A21', 'It is signed, but it is not a permit', 'Upgrade the agent, or the controller'),
    )
  })
  test('of a stranger is refused', () => {
    expect(openPermit(sign(permit, stranger), trust, { network: 'demo', site: 'berlin', device: bundle.device, triple, nonce: 'n-1' })).toEqual(
      forged,
    )
  })
})

test('triples are ordered by term, then generation, then revision', () => {
  const triples = fc.record({
    term: fc.integer({ min: 1, max: 3 }),
    generation: fc.integer({ min: 1, max: 3 }),
    revision: fc.integer({ min: 0, max: 2 }),
  })
  const rank = (of: { term: number; generation: number; revision: number }) => of.term * 100 + of.generation * 10 + of.revision
  fc.assert(
    fc.property(triples, triples, (a, b) => {
      expect(Math.sign(compareTriples(a, b))).toBe(Math.sign(rank(a) - rank(b)))
    }),
  )
})

test('a key id is the beginning of the hash of the key', () => {
  expect(keyIdOf(createPublicKey(signer.privateKey))).toMatch(/^[0-9a-f]{16}$/)
  expect(signer.keyId).not.toBe(stranger.keyId)
})
