/** Proof of the demo network, and of stars of edges around two hubs: the time should grow with the edges, not with their square. */
import { verify } from '#src/verify/verify.ts'
import { build, type Sketch } from '#test/unit/verify/build.ts'
import { demo } from '#test/unit/verify/demo.ts'
import { type Figures, median } from './measure.ts'

const star = (edges: number): Sketch => {
  const names = Array.from({ length: edges }, (_, i) => `e${i}`)
  return {
    sites: [
      ...names.map((id, i) => ({ id, uplinks: ['fiber', 'lte'], lans: { red: `10.${Math.floor(i / 250)}.${i % 250}.0/24` } })),
      { id: 'h1', hub: true, uplinks: ['a', 'b'], lans: { red: '10.250.0.0/16' } },
      { id: 'h2', hub: true, uplinks: ['a', 'b'], lans: { red: '10.251.0.0/16' } },
    ],
    allow: [{ from: names.map((id) => `${id}/red`).join(','), to: 'h1/red,h2/red', ports: 'tcp/443', class: 'default' }],
    expect: [{ reach: names.map((id) => `${id}/red`).join(','), to: 'h1/red,h2/red', ports: 'tcp/443', survives: ['uplink', 'tunnel', 'hub'] }],
  }
}

export function run(): Figures {
  const small = demo().fabric
  const figures: Record<string, number> = { demo_ms: median(20, () => verify(small)), demo_failures: verify(small).proof.failures }
  for (const edges of [50, 200]) {
    const fabric = thin(build(star(edges)))
    const { proof, findings } = verify(fabric)
    if (findings.length > 0) throw new Error(`the star of ${edges} does not hold: ${findings[0]!.says}`)
    figures[`star_${edges}_ms`] = median(3, () => verify(fabric))
    figures[`star_${edges}_checks`] = proof.checks
  }
  return figures
}

/** Edges of a star know the hubs' prefixes only, as the compiler makes them. */
const thin = (fabric: ReturnType<typeof build>): ReturnType<typeof build> => ({
  ...fabric,
  sites: fabric.sites.map((site) =>
    site.hub
      ? site
      : {
          ...site,
          routes: site.routes.filter((route) => /^h\d$/.test(route.remote)),
          groups: site.groups.filter((group) => /^h\d$/.test(group.remotes[0]!)),
          rules: site.rules.map((rule) => ({ ...rule, from: { ...rule.from, prefixes: site.lans.map((lan) => lan.prefix) } })),
        },
  ),
})
