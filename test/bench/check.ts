/** `causeway check` on a folder of 50 sites as a shell runs it: the start of Node included, the bundle built before. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SourceFile } from '#src/intent/yaml.ts'
import type { Figures } from './measure.ts'

const hub = (n: number): SourceFile => ({
  path: `hub-${n}.yaml`,
  text: `site: hub-${n}
role: core
uplinks:
  isp-a: { interface: eth0, address: 192.0.2.${n * 16 + 10}/28, router: 192.0.2.${n * 16 + 1} }
  isp-b: { interface: eth1, address: 198.51.100.${n * 16 + 10}/28, router: 198.51.100.${n * 16 + 1} }
segments: { office: { interface: eth2, prefixes: 10.20${n}.0.0/16 } }
`,
})
const edge = (n: number): SourceFile => ({
  path: `edge-${n}.yaml`,
  text: `site: edge-${n}
uplinks: { fiber: { interface: eth0 }, lte: { interface: wwan0 } }
segments:
  office: { interface: eth1, prefixes: 10.1.${n}.0/24 }
  cameras: { interface: eth2, prefixes: 10.2.${n}.0/24 }
`,
})
const network: SourceFile = {
  path: 'network.yaml',
  text: `network: fifty
hubs: [hub-1, hub-2]
segments: [office, cameras]
services: { desk: { at: core/office, ports: tcp/443, class: business } }
allow:
  - edge/office -> desk
  - edge/office -> edge/office
expect:
  - { reach: edge/office -> desk, survives: [uplink, hub, tunnel] }
  - isolate: cameras -> office
`,
}
const sites = 50
const times = 11

export function run(): Figures {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-check-'))
  try {
    for (const { path, text } of [network, hub(1), hub(2), ...Array.from({ length: sites - 2 }, (_, n) => edge(n))])
      writeFileSync(join(folder, path), text)
    const check = () => {
      const start = performance.now()
      execFileSync(process.execPath, [join(import.meta.dirname, '..', '..', 'bin', 'causeway.js'), 'check', folder], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      return performance.now() - start
    }
    check()
    const took = Array.from({ length: times }, check).sort((a, b) => a - b)
    return { check_50_ms: took[times >> 1]!, check_50_fastest_ms: took[0]!, sites }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
