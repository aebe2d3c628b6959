import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { seal } from '#src/controller/pki/seal.ts'
import { openSealed, type SealContext, x25519Raw } from '#src/wire/seal.ts'

const frankfurt = generateKeyPairSync('x25519')
const dublin = generateKeyPairSync('x25519')
const sealingKey = x25519Raw(frankfurt.publicKey).toString('base64')
const context: SealContext = { network: 'demo', site: 'frankfurt', secret: { id: 'psk/aws-1', version: 1 } }
const refused = {
  ok: false,
  code: 'A30',
  says: 'The secret "psk/aws-1" is not sealed for this box, or was changed on the way',
  instead: 'Nothing was changed; the box asks again',
}

test('what is sealed to a box is opened by that box', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(openSealed(seal(Buffer.from(bytes), sealingKey, context), frankfurt, context)).toEqual({ ok: true, secret: Buffer.from(bytes) })
    }),
  )
})

test('the same secret is never sealed to the same text', () => {
  expect(seal(Buffer.from('psk'), sealingKey, context)).not.toBe(seal(Buffer.from('psk'), sealingKey, context))
})

test('another box does not open it', () => {
  expect(openSealed(seal(Buffer.from('psk'), sealingKey, context), dublin, context)).toEqual(refused)
})

test.each([
  ['site', { ...context, site: 'dublin' }],
  ['network', { ...context, network: 'acme' }],
  ['version', { ...context, secret: { ...context.secret, version: 2 } }],
])('it does not pass for the secret of another %s', (_what, other) => {
  expect(openSealed(seal(Buffer.from('psk'), sealingKey, other), frankfurt, context)).toEqual(refused)
})

test('a changed or cut text is refused, at every byte', () => {
  const sealed = Buffer.from(seal(Buffer.from('psk'), sealingKey, context), 'base64url')
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed)
    changed[at] = changed[at]! ^ 1
    expect(openSealed(changed.toString('base64url'), frankfurt, context)).toEqual(refused)
    expect(openSealed(sealed.subarray(0, at).toString('base64url'), frankfurt, context)).toEqual(refused)
  }
})

test('a key of another length is an error of the caller', () => {
  expect(() => seal(Buffer.from('psk'), 'AAAA', context)).toThrow('an X25519 public key has 32 bytes')
})
