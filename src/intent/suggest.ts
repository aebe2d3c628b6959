/** Optimal string alignment distance (edits and swaps of neighbours), given up above `limit`. */
export function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2]! + 1)
      row.push(best)
    }
    if (Math.min(...row) > limit) return limit + 1
    before = last
    last = row
  }
  return last[b.length]!
}

/** The one known word that was probably meant: the nearest within a third of the length, the first of equals. */
export function suggest(wrong: string, known: Iterable<string>): string | undefined {
  const text = wrong.toLowerCase()
  if (text.length > 60) return undefined
  let best: { readonly word: string; readonly distance: number } | undefined
  for (const word of known) {
    const limit = Math.max(1, Math.floor(Math.max(text.length, word.length) / 3))
    const far = distance(text, word.toLowerCase(), Math.min(limit, best ? best.distance - 1 : limit))
    if (far <= limit && far < word.length && (best === undefined || far < best.distance)) best = { word, distance: far }
  }
  return best?.word
}

/** ` ; did you mean "x"?` for the end of a sentence, or nothing. */
export function didYouMean(wrong: string, known: Iterable<string>): string {
  const word = suggest(wrong, known)
  return word === undefined ? '' : `; did you mean "${word}"?`
}

/** `a, b or c`, at most twelve and then `…`. */
export function oneOf(words: Iterable<string>): string {
  const shown: string[] = []
  for (const word of words) {
    if (shown.length === 12) return `${shown.join(', ')}, …`
    shown.push(word)
  }
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} or ${shown.at(-1)}`
}
