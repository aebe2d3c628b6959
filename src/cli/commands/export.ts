import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Command } from 'commander'
import { counted } from '#src/fabric/plural.ts'
import { exportFiles } from '#providers/export/files.ts'
import { loadFabric, locate, prove, refuseOnErrors, rendered } from '../load.ts'
import { exit, Stop } from '../output.ts'
import { command } from '../program.ts'

const formats = ['files'] as const

export function exportCommand(program: Command): void {
  command(program, 'export <format> [folder]', `render the network for other tools (${formats.join(', ')}), offline`)
    .option('-o, --out <dir>', 'folder to write into; without it the files are printed')
    .action(({ output, args: [format = '', folder], options }) => {
      if (!(formats as readonly string[]).includes(format))
        throw new Stop(exit.usage, `"${format}" is not an export format`, `write one of: ${formats.join(', ')}`)
      const loaded = loadFabric(folder, output, 'Export')
      const findings = [...loaded.findings, ...prove(loaded.fabric).findings]
      refuseOnErrors(loaded, findings, output, 'Export')
      if (findings.length > 0 && !output.json) output.progress(rendered(loaded, findings, output))
      const files = exportFiles(loaded.fabric)
      const out = options['out'] as string | undefined
      if (out !== undefined) {
        for (const file of files) {
          mkdirSync(dirname(join(out, file.path)), { recursive: true })
          writeFileSync(join(out, file.path), file.text)
        }
      }
      if (output.json)
        output.document('Export', { format, files: out === undefined ? files : files.map((file) => file.path) }, locate(findings, loaded.origins))
      else if (out === undefined) for (const file of files) output.line(`# ── ${file.path}\n${file.text}`)
      else output.line(`wrote ${counted(files.length, 'file')} below ${out}. Keys are not in them: they never leave the boxes`)
    })
}
