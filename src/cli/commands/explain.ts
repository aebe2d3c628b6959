import type { Command } from 'commander'
import type { Fabric } from '#src/fabric/fabric.ts'
import { identityOf } from '#src/intent/fragments.ts'
import { explain as explainPath, type Overlays } from '#src/intent/explain.ts'
import { load } from '../load.ts'
import { exit, type Output, Stop } from '../output.ts'
import { command } from '../program.ts'

async function explainCode(code: string, output: Output): Promise<void> {
  // The pages are many, and a path needs none of them.
  const { codePages } = await import('../codes.ts')
  const page = codePages.find((one) => one.code === code)
  if (!page) throw new Stop(exit.usage, `there is no code ${code}`, `codes look like ${codePages[0]?.code ?? 'I001'}`)
  if (output.json) return output.document('Code', page)
  const block = (title: string, text: string) =>
    text
      ? `\n\n${title}\n${text
          .trimEnd()
          .split('\n')
          .map((line) => `  ${line}`)
          .join('\n')}`
      : ''
  output.line(`${output.style('bold', page.code)}  ${page.title}\n\n${page.text}${block('wrong', page.wrong)}${block('right', page.right)}`)
}

export function explain(program: Command): void {
  command(program, 'explain <path-or-code>', 'the effective value of a path and the line it comes from, or an error code at length')
    .option('--folder <dir>', 'the network; default: the one here')
    .action(({ output, args: [what = ''], options }) => {
      if (/^[A-Z]\d{3}$/i.test(what)) return explainCode(what.toUpperCase(), output)
      const { intent, origins, fabric, files } = load(options['folder'] as string | undefined)
      if (!intent) throw new Stop(exit.refused, 'the network has errors, so nothing is effective yet', 'see them: causeway check')
      const explained = explainPath(intent, origins, what, overlaysOf(fabric), identityOf(files))
      if (!explained.ok) throw new Stop(exit.usage, explained.says)
      if (output.json) return output.document('Explain', explained.entries)
      const width = Math.max(...explained.entries.map((entry) => entry.path.length + entry.value.length))
      for (const { path, value, at, why } of explained.entries)
        output.line(`${`${path}: ${value}`.padEnd(width + 2)}  ${output.style('dim', at ? `${at.file}:${at.line}${why ? ` (${why})` : ''}` : why)}`)
    })
}

/** As allocated by the controller that was seen last; else as they would be. */
const overlaysOf = (fabric: Fabric | null): Overlays =>
  new Map(
    (fabric?.sites ?? []).flatMap(({ id, lans }) => lans.flatMap(({ prefix, local }) => (local === undefined ? [] : [[`${id}/${local}`, prefix]]))),
  )
