/** One after another, in the order of asking; a failure is the asker's alone. */
export function lock(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return async (work) => {
    const mine = last.then(work, work)
    last = mine.catch(() => {})
    return await mine
  }
}
