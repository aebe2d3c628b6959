import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Fabric } from '#src/fabric/fabric.ts'
import { eachItself, shapesOf } from '#src/verify/shapes.ts'
import { touchedSites } from '#src/verify/touched.ts'
import { createVerifier, verify } from '#src/verify/verify.ts'
import { build, change, type Sketch } from './build.ts'
import { crowds, damage, lined, reader, type Reader, shared } from './random.ts'

/** What an engineer changes at one site. */
function edited(of: Reader, sketch: Sketch): Sketch {
  const edges = sketch.sites.filter((one) => !one.hub)
  const victim = of.pick(edges)
  const at = (edit: (one: Sketch['sites'][number]) => Sketch['sites'][number]): Sketch => ({
    ...sketch,
    sites: sketch.sites.map((one) => (one === victim ? edit(one) : one)),
  })
  const lan = (text: string) => (one: Sketch['sites'][number]) => ({ ...one, lans: { ...one.lans, red: text } })
  return of.pick([
    () => at((one) => ({ ...one, uplinks: ['a'] })),
    () => at((one) => ({ ...one, uplinks: ['a', 'b'] })),
    () => at((one) => ({ ...one, uplinks: ['b'] })),
    () => at(lan('10.9.0.0/30')),
    () => at(lan('10.9.0.0/29')),
    () => at((one) => lan(`${one.lans['red']} 10.9.0.0/30`)(one)),
    () => at((one) => lan(`${one.lans['red']} 10.9.0.8/30>`)(one)),
    () => at((one) => lan(one.lans['red']!.replace('>', ''))(one)),
    () => at((one) => lan(one.lans['red']!.split(' ').at(-1)!.replace('>', ''))(one)),
    () => at(lan('10.9.0.0/30 fd01::9:0:0/126')),
    () => at(lan('fd01::9:0:0/126')),
    // Somebody else's.
    () => at(lan(of.pick(sketch.sites).lans['red']!.split(' ')[0]!)),
    () => ({ ...sketch, never: { bulk: ['a'] } }),
    // Its hosts have others' addresses, and it is something else in the overlay.
    () =>
      at((one) => ({
        ...one,
        local: { ...one.local, red: of.pick([...sketch.sites.map((other) => other.lans['red']!.split(' ')[0]!), '10.8.0.0/30']) },
      })),
  ])()
}

/** As the compiler does with lines that are written twice. */
const numbered = (fabric: Fabric): Fabric => ({ ...fabric, expects: fabric.expects.map((one, i) => ({ ...one, id: `${one.id}#${i}` })) })

const seen = { few: 0, refused: 0 }
const edits = fc.array(fc.nat(9_999), { minLength: 90, maxLength: 90 }).map((tape) => {
  const of = reader(tape)
  const sketch = crowds(of)
  const sharing = of.chance(60)
  const ways = of.chance(30) ? of.below(9_999) : 0
  const make = (sketch: Sketch): Fabric => {
    const fabric = numbered(build(sketch))
    const asked = ways > 0 ? lined(reader([ways, ways + 1, ways * 3, ways * 7]), fabric, (site) => site.slice(0, 1)) : fabric
    return sharing ? shared(asked) : asked
  }
  const steps: Fabric[] = [make(sketch)]
  let now = sketch
  for (let n = 1 + of.below(3); n > 0; n--) {
    now = edited(of, now)
    const next = make(now)
    steps.push(of.chance(25) ? damage(of, next) : next)
  }
  return steps
})

test('after an edit a verifier says what a proof from the start says', () => {
  fc.assert(
    fc.property(fc.noShrink(edits), (steps) => {
      const check = createVerifier(0)
      for (const [i, fabric] of steps.entries()) {
        const whole = verify(fabric, shapesOf([fabric], 0))
        expect(check(fabric)).toEqual(whole)
        if (i > 0 && shapesOf([steps[i - 1]!], 0) !== eachItself && touchedSites(steps[i - 1]!, fabric) !== undefined) seen.few++
        if (whole.findings.length > 0) seen.refused++
      }
    }),
    { numRuns: Number(process.env['RUNS'] ?? 40), seed: 5 },
  )
  expect(Math.min(seen.few, seen.refused)).toBeGreaterThan(15)
}, 600_000)

test('nothing else is asked again: what changed nowhere is neither proven nor lost', () => {
  const edges = Array.from({ length: 8 }, (_, i) => ({ id: `e${i}`, uplinks: ['a', 'b'], lans: { red: `10.1.${i}.0/24` } }))
  const names = edges.map((one) => `${one.id}/red`).join()
  const fabric = build({
    sites: [...edges, { id: 'hub', hub: true, uplinks: ['a', 'b'], lans: { red: '10.0.0.0/24' } }],
    allow: [{ from: names, to: 'hub/red', ports: 'tcp/1', class: 'default' }],
    expect: [{ reach: names, to: 'hub/red', ports: 'tcp/1', survives: ['uplink'] }],
  })
  expect([...touchedSites(fabric, structuredClone(fabric))!.sites]).toEqual([])
  const one = change(fabric, 'e3', (of) => ({ rules: [] as typeof of.rules }))
  expect([...touchedSites(fabric, one)!.sites]).toEqual(['e3'])
  expect(
    touchedSites(
      fabric,
      change(fabric, 'hub', () => ({ uplinks: [] })),
    ),
  ).toBeUndefined()
  const alike = shared(fabric)
  const lost = { ...alike, routes: alike.routes!.filter(({ remote }) => remote !== 'e3') }
  expect(touchedSites(alike, lost)).toEqual({ sites: new Set(['e3']), tables: new Set(['e3']) })
  const check = createVerifier(0)
  expect(check(fabric).findings).toEqual([])
  expect(check(one).findings.map(({ says }) => says)).toEqual(["e3 can't reach hub/red: no `allow` covers it"])
  expect(check(fabric).findings).toEqual([])
})

test('callers that may answer themselves ask as many questions, told apart or not', () => {
  const edges = Array.from({ length: 8 }, (_, i) => ({ id: `e${i}`, uplinks: ['a', 'b'], lans: { red: `10.1.${i}.0/30 10.2.${i}.0/30` } }))
  const names = edges.map((one) => `${one.id}/red`).join()
  const fabric = build({
    sites: [...edges, { id: 'hub', hub: true, uplinks: ['a', 'b'], lans: { red: '10.0.0.0/24' } }],
    allow: [{ from: names, to: names, ports: 'tcp/1', class: 'default' }],
    expect: [{ reach: names, to: names, ports: 'tcp/1', survives: ['uplink'] }],
  })
  const shapes = shapesOf([fabric], 0)
  expect(shapes).not.toBe(eachItself)
  expect(verify(fabric, shapes)).toEqual(verify(fabric, eachItself))
  expect(verify(fabric, shapes).findings).toEqual([])
})
