import { type Address, addressBits, type Family, familyOf, type Prefix, prefixBits, width } from './address.ts'

/** Longest-prefix match (RFC 1812 section 5.2.4.3): one map per length, longest first. */
export class PrefixTable<T> {
  readonly #byLength: Record<Family, Map<number, Map<bigint, T>>> = { 4: new Map(), 6: new Map() }
  #lengths: Record<Family, readonly number[]> = { 4: [], 6: [] }

  set(key: Prefix, value: T): void {
    const { family, value: network, length } = prefixBits(key)
    let table = this.#byLength[family].get(length)
    if (!table) {
      table = new Map()
      this.#byLength[family].set(length, table)
      this.#lengths = { ...this.#lengths, [family]: [...this.#lengths[family], length].sort((a, b) => b - a) }
    }
    table.set(network, value)
  }

  get(key: Prefix): T | undefined {
    const { family, value, length } = prefixBits(key)
    return this.#byLength[family].get(length)?.get(value)
  }

  lookup(of: Address): T | undefined {
    const family = familyOf(of)
    const value = addressBits(of)
    for (const length of this.#lengths[family]) {
      const shift = BigInt(width(family) - length)
      const found = this.#byLength[family].get(length)!.get((value >> shift) << shift)
      if (found !== undefined) return found
    }
    return undefined
  }
}
