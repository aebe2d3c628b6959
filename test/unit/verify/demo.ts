/** The demo network without its cloud, or the same with a cloud region, as a Fabric, with changes to its network.yaml. */
import { readdirSync, readFileSync } from 'node:fs'
import { compile } from '#src/compile/compile.ts'
import type { Fabric, Origins } from '#src/fabric/fabric.ts'
import { parseIntent } from '#src/intent/parse.ts'

type Edits = readonly (readonly [string, string])[]
interface Compiled {
  readonly fabric: Fabric
  readonly origins: Origins
}
export const demo = (...edits: Edits): Compiled => compiledOf(new URL('../../networks/branches/', import.meta.url), edits)
export const cloudDemo = (...edits: Edits): Compiled => compiledOf(new URL('../../cases/cloud/', import.meta.url), edits)

function compiledOf(folder: URL, edits: Edits): Compiled {
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
