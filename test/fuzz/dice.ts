/** Numbers that look random and are the same for a seed on any machine: an input is found again by its seed alone. */
export interface Dice {
  /** 0 to `sides` − 1. */
  (sides: number): number
  readonly of: <T>(all: readonly T[]) => T
  readonly once: (in_: number) => boolean
}

/** Mulberry32. */
export function dice(seed: number): Dice {
  let state = seed >>> 0
  const roll = (sides: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * sides)
  }
  return Object.assign(roll, { of: <T>(all: readonly T[]): T => all[roll(all.length)]!, once: (in_: number): boolean => roll(in_) === 0 })
}
