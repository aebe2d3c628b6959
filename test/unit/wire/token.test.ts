import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeToken, encodeToken, type Token } from '#src/wire/token.ts'

const token: Token = {
  secret: Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex'),
  caPin: Buffer.from('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff00112233', 'hex'),
  expiresAt: 1_795_000_000,
  host: 'ctl.acme.net:443',
}
const text = encodeToken(token)
const again = 'Paste the whole line again; long lines break in some consoles. The token is not used up'
const refused = (says: string, instead = again) => ({ ok: false, code: 'A01', says, instead })

const hosts = fc.oneof(
  fc.constantFrom('ctl.acme.net:443', '203.0.113.250:443', '[2001:db8::1]:7701', 'a:1'),
  fc
    .tuple(fc.domain(), fc.integer({ min: 1, max: 65535 }))
    .filter(([name]) => name.length < 180)
    .map(([name, port]) => `${name}:${port}`),
)
const tokens = fc.record({
  secret: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes)),
  caPin: fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
  expiresAt: fc.integer({ min: 0, max: 0xffffffff }),
  host: hosts,
})

test('a token is one word of about 85 characters, and always the same for the same content', () => {
  expect(text).toBe('cw1_AT4AAQIDBAUGBwgJCgsMDQ4P8PHy8_T19vf4-fr7_P3-_wARIjNq_YbAY3RsLmFjbWUubmV0OjQ0Mzsrgmw')
})

test('what was encoded is decoded', () => {
  fc.assert(
    fc.property(tokens, (any) => {
      expect(decodeToken(encodeToken(any))).toEqual({ ok: true, ...any })
    }),
  )
})

test('a cut paste is refused with how much of it is there', () => {
  expect(decodeToken(text.slice(0, 61))).toEqual(refused('The token is incomplete (61 of 87 characters)'))
  expect(decodeToken(text.slice(0, 86))).toEqual(refused('The token is incomplete (86 of 87 characters)'))
  expect(decodeToken(text.slice(0, 6))).toEqual(refused('The token is incomplete (only 6 characters)'))
  expect(decodeToken('cw1_')).toEqual(refused('The token is incomplete (only 4 characters)'))
})

test('no part of a token is a token, wherever it is cut', () => {
  fc.assert(
    fc.property(tokens, fc.nat(), (any, at) => {
      const whole = encodeToken(any)
      expect(decodeToken(whole.slice(0, at % whole.length)).ok).toBe(false)
      expect(decodeToken(whole.slice(1 + (at % (whole.length - 1)))).ok).toBe(false)
    }),
  )
})

test('one changed character is always noticed', () => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  for (let at = 0; at < text.length; at++) {
    for (const other of [alphabet[(alphabet.indexOf(text[at]!) + 1) % 64]!, alphabet[(alphabet.indexOf(text[at]!) + 32) % 64]!]) {
      expect(decodeToken(text.slice(0, at) + other + text.slice(at + 1)).ok).toBe(false)
    }
  }
  expect(decodeToken(`${text.slice(0, 30)}A${text.slice(31)}`)).toEqual(refused('The token is damaged: some of its characters were changed'))
})

describe('what does no harm is tolerated', () => {
  test.each([
    ['a newline at its end', `${text}\n`],
    ['line breaks where the console wrapped it', `${text.slice(0, 40)}\r\n  ${text.slice(40)}\r\n`],
    ['quotes', `"${text}"`],
    ['typographic quotes and a full stop', `“${text}”.`],
    ['a byte order mark from a file', `\ufeff${text}`],
    ['the command that it stood in', `echo ${text} | sudo sh cw`],
    ['the same token twice', `${text}\n${text}`],
  ])('%s', (_what, pasted) => {
    expect(decodeToken(pasted)).toEqual({ ok: true, ...token })
  })
})

describe('what is no token is refused by name', () => {
  test('nothing', () => expect(decodeToken(' \n')).toEqual(refused('No token was given', 'Paste the token, one line that begins with cw1_')))
  test('something else, which is not repeated: it may be a password', () => {
    expect(decodeToken('hunter2')).toEqual(refused('This is not a token: it has no cw1_ at its beginning'))
  })
  test('a token of a later kind', () => {
    expect(decodeToken('cw2_AAAA')).toEqual(
      refused('This token is of kind cw2_, which this agent does not know', 'Take the agent from the controller that made the token'),
    )
  })
  test('two different tokens', () => {
    expect(decodeToken(`${text} ${encodeToken({ ...token, expiresAt: 1 })}`)).toEqual(
      refused('There are two different tokens in what was pasted', 'Paste only the token of this site'),
    )
  })
  test('random text never throws', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((end) => `cw1_${end}`),
          fc.base64String().map((end) => `cw1_AT4${end}`),
        ),
        (any) => {
          expect(decodeToken(any)).toMatchObject({ ok: false, code: 'A01' })
        },
      ),
    )
  })
})

test('the controller can only make tokens that can be read', () => {
  expect(() => encodeToken({ ...token, secret: Buffer.alloc(15) })).toThrow('a token has a secret of 16 bytes and a CA pin of 20')
  expect(() => encodeToken({ ...token, host: 'ctl.acme.net' })).toThrow('"ctl.acme.net" is not host:port of at most 209 characters')
  expect(() => encodeToken({ ...token, host: 'ctl.acme.net:70000' })).toThrow('is not host:port')
  expect(() => encodeToken({ ...token, host: `${'a'.repeat(210)}:443` })).toThrow('is not host:port')
  expect(() => encodeToken({ ...token, expiresAt: 1.5 })).toThrow('a token ends at a whole second before 2106')
})
