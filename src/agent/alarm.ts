/**
 * One timer that is moved. What is due runs after the event loop has read its sockets: a reply that lies there came in
 * time, however late this process is.
 */
export interface Alarm {
  /** Of the clock that was given, ms; Infinity when nothing is due. */
  readonly at: number
  set(at: number): void
  /** Rings in this turn of the loop: once, whatever its sockets still hold. */
  soon(): void
  clear(): void
}

export function createAlarm(now: () => number, ring: () => void): Alarm {
  let at = Number.POSITIVE_INFINITY
  let timer: NodeJS.Timeout | undefined
  let soon: NodeJS.Immediate | undefined
  const clear = () => {
    clearTimeout(timer)
    clearImmediate(soon)
    at = Number.POSITIVE_INFINITY
    timer = undefined
    soon = undefined
  }
  const soonRings = () => {
    soon = setImmediate(() => {
      soon = undefined
      ring()
    })
  }
  return {
    get at() {
      return at
    },
    set(next) {
      // Already due: it rings in this turn of the loop.
      if (soon !== undefined || next === at) return
      clear()
      if (next === Number.POSITIVE_INFINITY) return
      at = next
      timer = setTimeout(soonRings, Math.max(0, Math.ceil(next - now())))
    },
    soon() {
      if (soon !== undefined) return
      clearTimeout(timer)
      soonRings()
    },
    clear,
  }
}
