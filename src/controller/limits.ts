/** Token buckets by name: so many at once, so many a second after that. Old ones are dropped. */
export interface Limiter {
  /** 0 when it may pass, else the seconds to wait. */
  take(name: string): number
}
export function createLimiter({
  burst,
  perSecond,
  now,
}: {
  readonly burst: number
  readonly perSecond: number
  readonly now: () => number
}): Limiter {
  const buckets = new Map<string, { tokens: number; at: number }>()
  const fullAfterMs = (burst / perSecond) * 1000
  return {
    take: (name) => {
      const at = now()
      // A bucket that has filled up again is like none; swept when many are held.
      if (buckets.size > 10_000) for (const [key, bucket] of buckets) if (at - bucket.at > fullAfterMs) buckets.delete(key)
      const bucket = buckets.get(name) ?? { tokens: burst, at }
      const tokens = Math.min(burst, bucket.tokens + ((at - bucket.at) / 1000) * perSecond)
      const passes = tokens >= 1
      buckets.set(name, { tokens: passes ? tokens - 1 : tokens, at })
      return passes ? 0 : (1 - tokens) / perSecond
    },
  }
}
