import { afterEach, expect, test, vi } from 'vitest'
import { compile, createCompiler } from '#src/compile/compile.ts'
import { remembering } from '#src/controller/planner.ts'
import type { Fabric } from '#src/fabric/fabric.ts'
import { dublin, edge, frankfurt, network } from '#test/unit/compile/networks.ts'

afterEach(() => vi.useRealTimers())

const intent = (...edges: readonly string[]) =>
  network({ sites: [frankfurt, dublin, ...edges.map((id, n) => edge(id, { inference: [`10.${100 + n}.0.0/24`] }))] })
const siteIn = (fabric: Fabric | null, id: string) => fabric?.sites.find((site) => site.id === id)

test('plan after plan says what a compiler without memory says, and makes no site again that did not move', () => {
  const compiler = remembering(createCompiler)
  // Read anew for each plan.
  const held = () => compile(intent('a', 'b'), []).claims
  const [first, second] = [compiler(intent('a', 'b'), held()), compiler(intent('a', 'b', 'c'), held())]
  expect(first).toEqual(compile(intent('a', 'b'), held()))
  expect(second).toEqual(compile(intent('a', 'b', 'c'), held()))
  expect(siteIn(second.fabric, 'a')?.uplinks).toBe(siteIn(first.fabric, 'a')?.uplinks)
})
test('what went wrong in the middle is not remembered', () => {
  let made = 0
  const odd = remembering(() => {
    const mine = ++made
    return (fail: boolean) => {
      if (fail) throw new Error('in the middle')
      return mine
    }
  })
  expect([odd(false), odd(false)]).toEqual([1, 1])
  expect(() => odd(true)).toThrow('in the middle')
  expect(odd(false)).toBe(2)
})
test('it forgets when nobody plans, and after many plans', () => {
  vi.useFakeTimers()
  const compiler = remembering(createCompiler)
  const uplinks = () => siteIn(compiler(intent('a', 'b'), []).fabric, 'a')?.uplinks
  const first = uplinks()
  vi.advanceTimersByTime(9 * 60_000)
  expect(uplinks()).toBe(first)
  vi.advanceTimersByTime(11 * 60_000)
  const later = uplinks()
  expect(later).not.toBe(first)
  expect(Array.from({ length: 64 }, uplinks).at(-1)).not.toBe(later)
})
