/** sites/demo as a Fabric, with changes to its network.yaml. */
import { readdirSync, readFileSync } from 'node:fs'
import { compile } from '#src/compile/compile.ts'
import type { Fabric, Origins } from '#src/fabric/fabric.ts'
import { parseIntent } from '#src/intent/parse.ts'

const folder = new URL('../../../sites/demo/', import.meta.url)

export function demo(...edits: readonly (readonly [string, string])[]): { readonly fabric: Fabric; readonly origins: Origins } {
  const files = readdirSync(folder)
    .filter((path) => path.endsWith('.yaml'))
    .map((path) => {
      let text = readFileSync(new URL(path, folder), 'utf8')
      if (path === 'network.yaml') {
        for (const [from, to] of edits) {
          if (!text.includes(from)) throw new Error(`network.yaml has no "${from}" to replace`)
          text = text.replace(from, to)
        }
      }
      return { path, text }
    })
  const { intent, origins, findings } = parseIntent(files)
  const compiled = intent && compile(intent, [])
  if (!compiled?.fabric) throw new Error([...findings, ...(compiled?.findings ?? [])].map((one) => one.says).join('\n'))
  return { fabric: compiled.fabric, origins }
}
