import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Expect, Fabric, Finding } from '#src/fabric/fabric.ts'
import { routesOf } from '#src/fabric/routes.ts'
import { eachItself, shapesOf } from '#src/verify/shapes.ts'
import { verify, verifyTransition, type Verification } from '#src/verify/verify.ts'
import { prefix } from '#src/net/address.ts'
import { build } from './build.ts'
import { careless, crowds, damage, joined, kinds, lined, patient, reader, type Reader, risky, shared } from './random.ts'

/** As `same` does: an expectation for each caller. */
const byCaller = (fabric: Fabric): Fabric => ({
  ...fabric,
  expects: fabric.expects.flatMap((one): Expect[] => one.from.map((place) => ({ ...one, id: `${one.id} @${place.node}`, from: [place] }))),
})
/**
 * Each edge of one crowd may call one of the other, four further on, and all lines have one name: the edges look alike one
 * by one, but no two may be exchanged without their partners.
 */
function paired(of: Reader): Fabric {
  const count = 5 + of.below(3)
  const crowd = (name: string, net: number) =>
    Array.from({ length: count }, (_, i) => ({ id: `${name}${i}`, uplinks: ['a'], lans: { red: `10.${net}.${i}.0/30` } }))
  const [callers, answerers] = [crowd('d', 1), crowd('e', 2)]
  const fabric = build({
    sites: [{ id: 'h0', hub: true, uplinks: ['a', 'b'], lans: { red: '10.0.0.0/30' } }, ...callers, ...answerers],
    allow: callers.map((one, i) => ({ from: `${one.id}/red`, to: `e${(i + 4) % count}/red`, ports: 'tcp/1', class: 'default' })),
    expect: [
      {
        reach: callers.map((one) => `${one.id}/red`).join(),
        to: answerers.map((one) => `${one.id}/red`).join(),
        ports: 'tcp/1',
        survives: kinds.filter(() => of.chance(50)),
      },
    ],
  })
  return {
    ...fabric,
    sites: fabric.sites.map((site) => ({
      ...site,
      rules: site.rules.map((rule) => ({ ...rule, id: 'pair' })),
      transits: site.transits.length === 0 ? [] : [{ id: 'pair', a: site.transits.flatMap(({ a }) => a), b: site.transits.flatMap(({ b }) => b) }],
    })),
  }
}
/** The same mistake at every site of a crowd. */
function damageAlike(of: Reader, fabric: Fabric): Fabric {
  const victims = fabric.sites.filter((site) => site.id.startsWith(of.pick(['d', 'e'])))
  const gone = of.below(4)
  const at = new Set(victims.map((site) => site.id))
  return {
    ...fabric,
    sites: fabric.sites.map((site) =>
      at.has(site.id)
        ? {
            ...site,
            groups: gone < 2 ? site.groups.slice(gone) : site.groups,
            rules: gone === 2 ? site.rules.slice(1) : site.rules,
            ...(gone === 3 ? { routes: routesOf(fabric, site).slice(1) } : {}),
          }
        : site,
    ),
  }
}

/** Hosts of a whole crowd have the same addresses, those of one site of it are its own, or they are another's. */
function translatedAlike(of: Reader, fabric: Fabric): Fabric {
  const crowd = of.pick(['d', 'e'])
  const local = of.pick([prefix('10.8.0.0/30'), of.pick(fabric.sites).lans[0]!.prefix])
  return {
    ...fabric,
    sites: fabric.sites.map((site) => {
      const [lan, ...others] = site.lans
      const is = site.id.startsWith(crowd) && lan?.prefix !== local && !others.some((one) => one.prefix === local) && !of.chance(10)
      return is ? { ...site, lans: [{ ...lan!, local }, ...others] } : site
    }),
  }
}

const network = fc.array(fc.nat(9_999), { minLength: 60, maxLength: 60 }).map((tape) => {
  const of = reader(tape)
  let fabric = of.chance(10) ? paired(of) : build(crowds(of))
  if (of.chance(20)) fabric = joined(of, fabric)
  if (of.chance(25)) fabric = { ...fabric, sites: fabric.sites.map(patient) }
  if (of.chance(15)) fabric = careless(of, fabric)
  if (of.chance(20)) fabric = risky(of, fabric)
  if (of.chance(30)) fabric = translatedAlike(of, fabric)
  const each = of.chance(20)
  if (each) fabric = byCaller(fabric)
  if (of.chance(60)) fabric = shared(fabric)
  const sound = fabric
  if (of.chance(30)) fabric = damageAlike(of, fabric)
  for (let n = of.below(3); n > 0; n--) fabric = damage(of, fabric)
  if (!of.chance(30)) return { sound, fabric, each }
  const n = of.below(9_999)
  const [before, after] = [sound, fabric].map((one) => lined(reader([n, n + 1, n * 3, n * 7]), one, (site) => site.slice(0, 1)))
  return { sound: before!, fabric: after!, each }
})

/** What the structure says of sites of one shape, or an expectation of each of its callers, is said of one of them, as of a line of theirs with too little room. */
const verdicts = ({ findings, proof }: Verification, each: boolean) => {
  const once = ({ code }: Finding): boolean => each || code.startsWith('V02') || code === 'V036'
  // Of several places that answer the first is asked about, and for some callers that is another one.
  const { checks: _, ...counts } = proof
  return {
    counts,
    findings: findings.filter((one) => !once(one)),
    ofShapes: [...new Set(findings.filter(once).map(({ code, at }) => `${code} ${code.startsWith('V02') ? '' : at[0]}`))].sort(),
  }
}
const seen = { reduced: 0, refused: 0 }

test('a few sites of each shape prove what all of them prove one by one', () => {
  fc.assert(
    fc.property(fc.noShrink(network), ({ fabric, sound, each }) => {
      const shapes = shapesOf([fabric], 0)
      if (shapes.within(fabric).sites.length < fabric.sites.length) seen.reduced++
      const whole = verify(fabric, eachItself)
      const few = verify(fabric, shapes)
      if (whole.findings.length > 0) seen.refused++
      expect(verdicts(few, each)).toEqual(verdicts(whole, each))
      expect(verdicts(verifyTransition(sound, fabric, shapesOf([sound, fabric], 0)), each)).toEqual(
        verdicts(verifyTransition(sound, fabric, eachItself), each),
      )
    }),
    { numRuns: Number(process.env.RUNS ?? 200), seed: 11 },
  )
  // It means something only if sites were left out, and if something was wrong.
  expect(Math.min(seen.reduced, seen.refused)).toBeGreaterThan(30)
}, 600_000)

test('a mistake at every site of a shape is told at the first, with the others named', () => {
  const edges = Array.from({ length: 8 }, (_, i) => ({ id: `e${i}`, uplinks: ['a'], lans: { red: `10.1.${i}.0/24` } }))
  const fabric = build({ sites: [...edges, { id: 'hub', hub: true, uplinks: ['a'], lans: { red: '10.0.0.0/24' } }], allow: [], expect: [] })
  const broken = { ...fabric, sites: fabric.sites.map((site) => (site.hub ? site : { ...site, groups: [] })) }
  const { findings } = verify(broken, shapesOf([broken], 0))
  expect(findings.find((one) => one.says.startsWith('e0 routes to hub'))).toMatchObject({
    code: 'V022',
    witness: ['the same at 7 more sites: e1, e2, e3, e4, e5, …'],
  })
  expect(findings.filter((one) => one.at[0] !== 'site/e0')).toEqual([])
})

test('whoever has in the overlay what hosts of a translated LAN are called keeps a shape of its own', () => {
  const crowd = (name: string, net: number) =>
    Array.from({ length: 8 }, (_, i) => ({ id: `${name}${i}`, uplinks: ['a'], lans: { red: `10.${net}.${i}.0/30` } }))
  const [callers, answerers] = [crowd('d', 1), crowd('e', 2)]
  const [from, to] = [callers, answerers].map((some) => some.map((one) => `${one.id}/red`).join()) as [string, string]
  const fabric = build({
    sites: [
      { id: 'h0', hub: true, uplinks: ['a'], lans: { red: '10.0.0.0/30' } },
      ...callers.map((one) => ({ ...one, local: { red: '10.2.7.0/30' } })),
      ...answerers,
    ],
    allow: [{ from, to, ports: 'tcp/1', class: 'default' }],
    expect: [{ reach: from, to, ports: 'tcp/1', mode: 'all' }],
  })
  const shapes = shapesOf([fabric], 0)
  expect(shapes.within(fabric).sites.length).toBeLessThan(fabric.sites.length)
  expect(verify(fabric, shapes).findings.map(({ code }) => code)).toEqual(['V002'])
})
