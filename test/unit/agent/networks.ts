/** One hub with two uplinks and one edge with two: small enough to read, and all kinds of things are in it. */
import { compile } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import type { Fabric, Fact, SiteConfig, SiteId } from '#src/fabric/fabric.ts'
import { parseIntent } from '#src/intent/parse.ts'

export const files = [
  {
    path: 'network.yaml',
    text: `network: small
hubs: [frankfurt]
segments: [inference]
services:
  model-api: { at: core/inference, ports: tcp/8443, class: business }
allow:
  - edge/inference -> model-api
`,
  },
  {
    path: 'frankfurt.yaml',
    text: `site: frankfurt
role: core
uplinks:
  isp-a: { interface: eth0, address: 192.0.2.10/28, router: 192.0.2.1, rate: 1G }
  isp-b: { interface: eth1, address: 198.51.100.10/28, router: 198.51.100.1, rate: 1G }
segments:
  inference: { interface: eth2, prefixes: 10.10.0.0/16 }
`,
  },
  {
    path: 'berlin.yaml',
    text: `site: berlin
uplinks:
  fiber: { interface: eth0, rate: 500M/100M }
  lte: { interface: wwan0, rate: 50M/10M }
segments:
  inference: { interface: eth1, prefixes: 10.1.10.0/24 }
`,
  },
] as const

export function smallFabric(): Fabric {
  const { intent, findings } = parseIntent(files)
  if (!intent) throw new Error(JSON.stringify(findings))
  const { fabric, findings: more } = compile(intent, [{ kind: 'ula', owner: intent.network, value: 'fd42:cafe:1::/48' } as never])
  if (!fabric) throw new Error(JSON.stringify(more))
  return fabric
}
export const configOf = (site: string, facts: readonly Fact[] = []): SiteConfig => configure(smallFabric(), facts, site as SiteId)
