import { type FSWatcher, watch } from 'node:fs'
import type { Command } from 'commander'
import { counted, plural } from '#src/fabric/plural.ts'
import { isPulled } from '#src/intent/fragments.ts'
import { findFolder, pulledFolders } from '../folder.ts'
import { createReaders, loadFabric, locate, numberedBy, prove, refuseOnErrors } from '../load.ts'
import { type Output, Stop } from '../output.ts'
import { command } from '../program.ts'
import { clock } from '../table.ts'

function checkOnce(folder: string | undefined, output: Output, readers = createReaders()): void {
  const loaded = loadFabric(folder, output, 'Check', readers)
  const { findings, proof } = prove(loaded.fabric)
  refuseOnErrors(loaded, findings, output, 'Check')
  const { fabric } = loaded
  if (output.json) {
    output.document(
      'Check',
      { ok: true, folder: loaded.folder, sites: fabric.sites.length, tunnels: fabric.tunnels.length, proof },
      locate([...loaded.findings, ...findings], loaded.origins),
    )
    return
  }
  output.line(
    `${fabric.network.id}: ${counted(fabric.sites.length, 'site')}, ${counted(fabric.tunnels.length, 'tunnel')}, ${counted(fabric.segments.length, 'segment')}`,
  )
  output.line(
    output.style(
      'green',
      `proved: ${proof.held} of ${counted(proof.expects, 'expectation')}, ${proof.expects === 1 ? '' : 'each '}under ${proof.failures === 1 ? 'the' : `all of the ${proof.failures}`} single ${plural(proof.failures, 'failure')} that it must survive`,
    ),
  )
  const pulled = loaded.files.filter(({ path }) => isPulled(path)).length
  const others = pulled === 0 ? '' : `with ${counted(pulled, 'pulled file')} of others; `
  output.line(output.style('dim', `${others}${numberedBy(loaded.head)}. Next: causeway plan`))
}

/** Errors are shown and waited over; only Ctrl-C ends it. */
async function checkForever(folder: string | undefined, output: Output): Promise<void> {
  const readers = createReaders()
  const once = () => {
    try {
      checkOnce(folder, output, readers)
    } catch (error) {
      if (!(error instanceof Stop)) throw error
      if (!error.printed) output.line(error.message)
    }
  }
  const root = findFolder(folder)
  const watchers = new Map<string, FSWatcher>()
  let timer: NodeJS.Timeout | undefined
  const changed = () => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      output.line(`\n${clock()}  changed`)
      follow()
      once()
    }, 100)
  }
  /** Folders come and go as others own something, or nothing any more. */
  function follow(): void {
    const folders = new Set([root, ...pulledFolders(root)])
    for (const [one, watcher] of watchers)
      if (!folders.has(one)) {
        watcher.close()
        watchers.delete(one)
      }
    for (const one of folders) if (!watchers.has(one)) watchers.set(one, watch(one, changed))
  }
  // What is saved while the first check goes on is checked after it.
  follow()
  once()
  await new Promise((resolve) => process.once('SIGINT', resolve))
  clearTimeout(timer)
  for (const watcher of watchers.values()) watcher.close()
}

export function check(program: Command): void {
  command(program, 'check [folder]', 'parse, compile and prove the network, every single failure included; offline, touches nothing')
    .option('--watch', 'again at every change of the folder')
    .action(async ({ output, args: [folder], options }) => {
      if (options['watch']) await checkForever(folder, output)
      else checkOnce(folder, output)
    })
}
