import fc from 'fast-check'
import { expect, test } from 'vitest'
import { confirmationCode } from '#src/wire/confirmation.ts'

const thumbprint = '9f2c'.repeat(16)

test('installer and engineer see the same code for the same box', () => {
  expect(confirmationCode(thumbprint)).toBe(confirmationCode(thumbprint.toUpperCase()))
  expect(confirmationCode(thumbprint)).toMatch(/^[A-Z]\d-[A-Z]+-\d\d$/)
})

test('it has no letter or digit that is mistaken for another', () => {
  fc.assert(
    fc.property(fc.string(), (any) => {
      expect(confirmationCode(any)).toMatch(/^[A-HJ-NP-Z][2-9]-[A-Z]{4,6}-[1-9]\d$/)
    }),
  )
})

test('another box has another code', () => {
  const codes = new Set(Array.from({ length: 1000 }, (_, index) => confirmationCode(index.toString(16).padStart(64, '0'))))
  expect(codes.size).toBeGreaterThan(995)
})
