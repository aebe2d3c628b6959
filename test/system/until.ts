import { setTimeout as sleep } from 'node:timers/promises'

/** Waits for something to become true; what it met last is in the error. */
export async function until(what: string, seconds: number, isSo: () => unknown): Promise<void> {
  const end = Date.now() + seconds * 1000
  let met: unknown = ''
  for (;;) {
    try {
      if (await isSo()) return
      met = ''
    } catch (error) {
      met = error
    }
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what} ${met instanceof Error ? met.message : ''}`)
    await sleep(100)
  }
}
