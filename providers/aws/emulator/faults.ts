/** Faults on demand: what goes wrong with the next calls, on one side of the act or the other. */
import * as z from 'zod'

export const faultSchema = z.strictObject({
  /**
   * Before the cloud acts: `cut` closes the connection, `hang` never answers, `error` is HTTP 500 (or `code`), `throttle`
   * RequestLimitExceeded, `delay` waits `ms` and then acts. After it acted: `lose` closes the connection, `hang-after`
   * never answers, `error-after` is HTTP 500.
   */
  kind: z.enum(['cut', 'hang', 'error', 'throttle', 'delay', 'lose', 'hang-after', 'error-after']),
  /** `*`: every action. */
  action: z.string().default('*'),
  /** Calls of this action that go well first. */
  skip: z.int().min(0).default(0),
  times: z.int().min(1).default(1),
  ms: z.int().min(0).default(1_000),
  /** With `error`: another code, e.g. ConcurrentMutationLimitExceeded, as HTTP 400. */
  code: z.string().optional(),
})
export type Fault = z.infer<typeof faultSchema>

/** The first fault that is meant for this call, and the faults that are left for the next. */
export function takeFault(faults: readonly Fault[], action: string): { readonly fault: Fault | undefined; readonly left: readonly Fault[] } {
  const at = faults.findIndex((one) => one.action === '*' || one.action === action)
  const found = faults[at]
  if (!found) return { fault: undefined, left: faults }
  if (found.skip > 0) return { fault: undefined, left: faults.with(at, { ...found, skip: found.skip - 1 }) }
  const left = found.times > 1 ? faults.with(at, { ...found, times: found.times - 1 }) : faults.toSpliced(at, 1)
  return { fault: found, left }
}
