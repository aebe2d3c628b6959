/** What is worked out once, and asked for often. */

/**
 * What follows from an object alone, kept as long as the object is. Nothing that is read, compiled or configured ever changes, and
 * what says the same as before mostly is the same object (`src/intent/parse.ts`, `src/compile/memo.ts`).
 */
export function onceOf<K extends object, V>(work: (of: K) => V): (of: K) => V {
  const known = new WeakMap<K, { readonly value: V }>()
  return (of) => {
    let made = known.get(of)
    if (!made) known.set(of, (made = { value: work(of) }))
    return made.value
  }
}
/** Likewise what follows from a name or a number: for the few of them that are asked about all the time. */
export function onceOfEach<K extends string | number, V>(work: (of: K) => V): (of: K) => V {
  const known = new Map<K, V>()
  return (of) => {
    let made = known.get(of)
    if (made === undefined) known.set(of, (made = work(of)))
    return made
  }
}
/** When it is first asked for, if ever. */
export function once<V>(work: () => V): () => V {
  let made: { readonly value: V } | undefined
  return () => (made ??= { value: work() }).value
}
