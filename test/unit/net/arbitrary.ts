/** Addresses and prefixes of both families for property tests; small worlds, so that they meet one another. */
import fc from 'fast-check'
import { type Address, addressFromBits, type Family, type Prefix, prefixFromBits, width } from '#src/net/address.ts'

export const anyFamily: fc.Arbitrary<Family> = fc.constantFrom(4, 6)
const bitsOf = (family: Family) => fc.bigInt({ min: 0n, max: (1n << BigInt(width(family))) - 1n })

export const anyAddress: fc.Arbitrary<Address> = anyFamily.chain((family) => bitsOf(family).map((bits) => addressFromBits(family, bits)))
export const anyPrefix: fc.Arbitrary<Prefix> = anyFamily.chain((family) =>
  fc.tuple(bitsOf(family), fc.integer({ min: 0, max: width(family) })).map(([bits, length]) => prefixFromBits(family, bits, length)),
)

/** Within 10.0.0.0/24, or fd00::/120: few enough that all addresses can be looked at one by one. */
export const smallBase = (family: Family): bigint => (family === 4 ? 0x0a000000n : 0xfdn << 120n)
export const smallPrefix = (family: Family): fc.Arbitrary<Prefix> =>
  fc
    .tuple(fc.bigInt({ min: 0n, max: 255n }), fc.integer({ min: width(family) - 8, max: width(family) }))
    .map(([bits, length]) => prefixFromBits(family, smallBase(family) + bits, length))
export const smallAddresses = (family: Family): readonly Address[] =>
  Array.from({ length: 256 }, (_, i) => addressFromBits(family, smallBase(family) + BigInt(i)))
