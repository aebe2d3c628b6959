import { isIP, isIPv6 } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Address,
  address,
  addressFromBits,
  addressWithLength,
  comparePrefixes,
  contains,
  familyOf,
  hostOf,
  hostPrefix,
  lengthOf,
  networkOf,
  nth,
  overlaps,
  parseAddress,
  parseAddressWithLength,
  parsePrefix,
  prefix,
  rangeOf,
} from '#src/net/address.ts'
import { anyAddress, anyFamily, anyPrefix, smallAddresses, smallPrefix } from './arbitrary.ts'

describe('addresses as text', () => {
  it.each([
    ['192.0.2.10', '192.0.2.10'],
    ['FD00:0001:0:0:0:0:0:10', 'fd00:1::10'],
    ['::', '::'],
    ['1::', '1::'],
    ['::1', '::1'],
    // RFC 5952 section 4.2.2: one zero group is not shortened; 4.2.3: the longest run is, the first of equals.
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::ffff:192.0.2.10', '::ffff:c000:20a'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('%s is %s', (text, canonical) => {
    expect(parseAddress(text)).toEqual({ ok: true, value: canonical })
  })

  it.each([
    '',
    '10.1',
    '010.0.0.1',
    '10.0.0.256',
    '10.0.0.1 ',
    '10.0.0.1.',
    '1.2.3.4.5',
    '1e1.0.0.1',
    '0x0a.0.0.1',
    '-1.0.0.1',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '12345::',
    'fe80::1%eth0',
    '::1.2.3',
    '1.2.3.4::',
    '::g',
    '[::1]',
    '10.0.0.1/24',
  ])('"%s" is no address', (text) => {
    expect(parseAddress(text)).toMatchObject({ ok: false, says: `"${text}" is not an IP address` })
  })

  it('agrees with Node on what is one', () => {
    const piece = fc.constantFrom('0', '1', '10', '255', '256', '00', 'a', 'ffff', '10000', '.', '.', ':', ':', '::', '%', '/')
    const texts = fc.oneof(
      fc.array(piece, { maxLength: 16 }).map((parts) => parts.join('')),
      fc.ipV4(),
      fc.ipV6(),
    )
    fc.assert(
      fc.property(texts, (text) => {
        // Scoped addresses are Node's, not ours: a scope has no meaning on another machine.
        expect(parseAddress(text).ok).toBe(isIP(text) !== 0 && !text.includes('%'))
      }),
      { numRuns: 2000 },
    )
  })
  it('survives being written and read', () => {
    fc.assert(
      fc.property(anyAddress, (of) => {
        expect(parseAddress(of)).toEqual({ ok: true, value: of })
      }),
    )
  })
  it('has one text for one value', () => {
    fc.assert(
      fc.property(fc.ipV6().filter(isIPv6), (text) => {
        const canonical = address(text)
        expect(address(text.toUpperCase())).toBe(canonical)
        // The URL parser shortens by the same rules (RFC 5952 by way of the WHATWG serializer).
        expect(new URL(`http://[${text}]/`).hostname).toBe(`[${canonical}]`)
      }),
    )
  })
})

describe('prefixes as text', () => {
  it.each([
    ['10.1.10.0/24', '10.1.10.0/24'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['192.0.2.10/32', '192.0.2.10/32'],
    ['FD00:1:0::/48', 'fd00:1::/48'],
    ['::/0', '::/0'],
  ])('%s is %s', (text, canonical) => {
    expect(parsePrefix(text)).toEqual({ ok: true, value: canonical })
  })
  it('says which network was meant when host bits are set', () => {
    expect(parsePrefix('10.1.10.4/24')).toEqual({
      ok: false,
      reason: 'host-bits',
      says: 'prefix 10.1.10.4/24 has host bits set',
      instead: 'write 10.1.10.0/24, or 10.1.10.4/32 for this one host',
    })
    expect(parsePrefix('fd00:1::4/64')).toMatchObject({ instead: 'write fd00:1::/64, or fd00:1::4/128 for this one host' })
  })
  it.each([
    ['10.1.10.0', 'has no length'],
    ['10.1.10.0/33', 'is not a prefix length'],
    ['fd00::/129', 'is not a prefix length'],
    ['10.1.10.0/', 'is not a prefix length'],
    ['10.1.10.0/024', 'is not a prefix length'],
    ['10.1.10.0/24/24', 'is not a prefix'],
    ['/24', 'is not a prefix'],
    ['ten/8', 'is not a prefix'],
  ])('"%s" %s', (text, says) => {
    expect(parsePrefix(text)).toMatchObject({ ok: false, says: expect.stringContaining(says) as string })
  })
  it('survives being written and read', () => {
    fc.assert(
      fc.property(anyPrefix, (of) => {
        expect(parsePrefix(of)).toEqual({ ok: true, value: of })
      }),
    )
  })
  it('throws for a literal that is none', () => {
    expect(() => prefix('10.1.10.4/24')).toThrow(TypeError)
    expect(() => address('ten')).toThrow(TypeError)
  })
})

describe('interface addresses', () => {
  it('keep host and length', () => {
    const of = addressWithLength('192.0.2.10/28')
    expect([hostOf(of), lengthOf(of), networkOf(of)]).toEqual(['192.0.2.10', 28, '192.0.2.0/28'])
  })
  it('say how one is written', () => {
    expect(parseAddressWithLength('192.0.2.10')).toMatchObject({ ok: false, instead: 'write address/length like 192.0.2.10/28' })
  })
})

describe('containment', () => {
  it('of a small prefix is membership of all its addresses', () => {
    fc.assert(
      fc.property(
        anyFamily.chain((family) => fc.tuple(smallPrefix(family), smallPrefix(family))),
        ([a, b]) => {
          const all = smallAddresses(familyOf(a))
          const inside = (of: Address, p: typeof a) => {
            const { low, high } = rangeOf(p)
            const bits = rangeOf(hostPrefix(of)).low
            return low <= bits && bits <= high
          }
          const inB = all.filter((each) => inside(each, b))
          expect(contains(a, b)).toBe(inB.every((each) => contains(a, each)))
          expect(overlaps(a, b)).toBe(inB.some((each) => contains(a, each)))
          expect(all.filter((each) => contains(b, each))).toEqual(inB)
        },
      ),
      { numRuns: 200 },
    )
  })
  it('is an order: reflexive, antisymmetric, transitive; overlap is containment one way or the other', () => {
    fc.assert(
      fc.property(
        anyFamily.chain((family) => fc.tuple(smallPrefix(family), smallPrefix(family), smallPrefix(family))),
        ([a, b, c]) => {
          expect(contains(a, a)).toBe(true)
          expect(contains(a, b) && contains(b, a)).toBe(a === b)
          expect(contains(a, b) && contains(b, c) && !contains(a, c)).toBe(false)
          expect(overlaps(a, b)).toBe(overlaps(b, a))
          expect(overlaps(a, b)).toBe(contains(a, b) || contains(b, a))
        },
      ),
    )
  })
  it('never crosses families', () => {
    expect(contains(prefix('::/0'), prefix('10.0.0.0/8'))).toBe(false)
    expect(overlaps(prefix('0.0.0.0/0'), prefix('::/0'))).toBe(false)
  })
})

describe('counting and order', () => {
  it('counts hosts from the network on', () => {
    expect(nth(prefix('10.1.10.0/24'), 1)).toBe('10.1.10.1')
    expect(nth(prefix('10.1.10.0/24'), 255)).toBe('10.1.10.255')
    expect(nth(prefix('10.1.10.0/24'), 256)).toBeUndefined()
    expect(nth(prefix('10.1.10.7/32'), 1)).toBeUndefined()
  })
  it('counts as big numbers do', () => {
    fc.assert(
      fc.property(anyPrefix, fc.oneof(fc.nat(300), fc.nat(), fc.maxSafeNat()), (of, n) => {
        const { family, low, high } = rangeOf(of)
        expect(nth(of, n)).toBe(low + BigInt(n) > high ? undefined : addressFromBits(family, low + BigInt(n)))
      }),
    )
  })
  it('sorts by family, number, then the shorter first, and totally', () => {
    expect(['fd00::/8', '10.0.0.0/16', '10.0.0.0/8', '9.0.0.0/8'].map(prefix).sort(comparePrefixes)).toEqual([
      '9.0.0.0/8',
      '10.0.0.0/8',
      '10.0.0.0/16',
      'fd00::/8',
    ])
    fc.assert(
      fc.property(anyPrefix, anyPrefix, (a, b) => {
        expect(Math.sign(comparePrefixes(a, b))).toBe(-Math.sign(comparePrefixes(b, a)) + 0)
        expect(comparePrefixes(a, b) === 0).toBe(a === b)
      }),
    )
  })
})
