/** The addresses inside IPsec tunnels as numbers, so that they are held as all others are. */
import { familyOf, lengthOf, type Prefix, prefix, prefixBits, prefixFromBits } from '#src/net/address.ts'

/**
 * The /30s inside IPsec tunnels, each numbered by its place among all of IPv4's, and the /126s among those of the same /80:
 * their scope, for a number has no more than 53 bits. Of a wider pool the first /80 has more than there will be tunnels.
 */
export const insideScope = (of: Prefix): string => (familyOf(of) === 4 ? '' : prefixFromBits(6, prefixBits(of).value, 80))
export const insideAt = (number: number, scope: string): Prefix =>
  scope === '' ? prefixFromBits(4, BigInt(number) << 2n, 30) : prefixFromBits(6, prefixBits(scope as Prefix).value | (BigInt(number) << 2n), 126)
export const insideNumber = (of: Prefix): number => Number(BigInt.asUintN(48, prefixBits(of).value) >> 2n)
export function insideRange(pool: Prefix) {
  const first = insideNumber(pool)
  const bits = familyOf(pool) === 4 ? 30 - lengthOf(pool) : 126 - Math.max(lengthOf(pool), 80)
  return { first, step: 1, end: first + 2 ** bits }
}
/**
 * Usually the upper half of 169.254.0.0/16 less 169.254.169.0/24, where clouds have their metadata. AWS refuses 169.254.0.0
 * to 5.3 and 169.254.169.252/30, Azure takes 169.254.21.0 to 22.255.
 */
export const usualPool = insideRange(prefix('169.254.128.0/17'))
export const metadata = insideRange(prefix('169.254.169.0/24'))
export const insideCount = usualPool.end - usualPool.first - (metadata.end - metadata.first)
