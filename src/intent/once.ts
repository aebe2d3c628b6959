/**
 * What follows from an object alone, worked out once. Nothing changes what was read, and a parser that remembers brings a
 * site that reads the same as the same object (parse.ts), so what thousands of sites say is put together and not read anew.
 */
export function onceOf<K extends object, V>(work: (of: K) => V): (of: K) => V {
  const known = new WeakMap<K, { readonly value: V }>()
  return (of) => {
    const made = known.get(of) ?? { value: work(of) }
    known.set(of, made)
    return made.value
  }
}
/** When it is first asked for, if ever. */
export function once<V>(work: () => V): () => V {
  let made: { readonly value: V } | undefined
  return () => (made ??= { value: work() }).value
}
