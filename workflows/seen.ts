/** Ids already handled, bounded, oldest forgotten first; carried through continue-as-new, since an updateId is deduplicated only within one run. */
export interface Seen {
  /** False when it was there already. */
  add(id: string): boolean
  has(id: string): boolean
  all(): readonly string[]
}

export function remember(before: readonly string[], limit = 1_000): Seen {
  const ids = new Set(before)
  return {
    add: (id) => {
      if (ids.has(id)) return false
      ids.add(id)
      for (const oldest of ids) {
        if (ids.size <= limit) break
        ids.delete(oldest)
      }
      return true
    },
    has: (id) => ids.has(id),
    all: () => [...ids],
  }
}
