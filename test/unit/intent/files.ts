import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseIntent } from '#src/intent/parse.ts'
import { renderFindings } from '#src/intent/render.ts'
import type { SourceFile } from '#src/intent/yaml.ts'

const demoFolder = join(import.meta.dirname, '../../networks/branches')
/** The demo network without its cloud, as it stands. */
export const demo: readonly SourceFile[] = readdirSync(demoFolder)
  .filter((path) => path.endsWith('.yaml'))
  .sort()
  .map((path) => ({ path, text: readFileSync(join(demoFolder, path), 'utf8') }))

/** A hub and an edge, and no more; a file given here replaces the one of its name, `null` takes it away. */
export function small(...instead: readonly (SourceFile | { readonly path: string; readonly text: null })[]): readonly SourceFile[] {
  const files = new Map<string, string>([
    ['network.yaml', 'network: acme\nhubs: frankfurt\nsegments: inference\n'],
    [
      'frankfurt.yaml',
      'site: frankfurt\nrole: core\nuplinks:\n  isp-a: { interface: eth0, address: 192.0.2.10/28, router: 192.0.2.1 }\nsegments:\n  inference: { interface: eth2, prefixes: 10.10.0.0/16 }\n',
    ],
    ['berlin.yaml', 'site: berlin\nuplinks: { fiber: { interface: eth0 } }\nsegments:\n  inference: { interface: eth1, prefixes: 10.1.10.0/24 }\n'],
  ])
  for (const { path, text } of instead) {
    if (text === null) files.delete(path)
    else files.set(path, text)
  }
  return [...files].map(([path, text]) => ({ path, text }))
}

/** The YAML of network.yaml with more keys below. */
export const network = (more: string): SourceFile => ({
  path: 'network.yaml',
  text: `network: acme\nhubs: frankfurt\nsegments: [inference, cameras]\n${more}`,
})

/** What `causeway check` would print. */
export function check(files: readonly SourceFile[]): string {
  const { findings, origins } = parseIntent(files)
  return renderFindings(findings, origins, files, { colour: false })
}
