/** Counted nouns in what people read: `1 site`, `2 sites`, `0 classes`. */

const irregular: Readonly<Record<string, string>> = { 'LAN let out': 'LANs let out' }
const many = (noun: string): string =>
  irregular[noun] ?? (/(?:s|x|ch|sh)$/.test(noun) ? `${noun}es` : /[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`)
/** The noun alone, as it stands behind that number. */
export const plural = (n: number, noun: string): string => (n === 1 ? noun : many(noun))
export const counted = (n: number, noun: string): string => `${n} ${plural(n, noun)}`
