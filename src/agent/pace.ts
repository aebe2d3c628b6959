/** Something that may be done at once a few times in a row, and then now and then as long as it is asked for. */
export interface PaceOptions {
  /** Monotonic, ms. */
  readonly tick: () => number
  /** So many times at once; one more is earned every `againMs`. */
  readonly burst: number
  readonly againMs: number
  readonly go: () => void
}

/** Whatever is asked for while a later turn is waited for is done by that. */
export function createPace({ tick, burst, againMs, go }: PaceOptions): () => void {
  let left = burst
  let countedAt = tick()
  let waits = false
  return () => {
    if (waits) return
    const now = tick()
    left = Math.min(burst, left + (now - countedAt) / againMs)
    countedAt = now
    if (left >= 1) {
      left--
      return go()
    }
    waits = true
    // It must not keep a process that ends.
    setTimeout(() => {
      waits = false
      // The wait was for this turn, and earns no other.
      countedAt = tick()
      go()
    }, againMs).unref()
  }
}
