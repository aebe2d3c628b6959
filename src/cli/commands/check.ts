import { type FSWatcher, statSync, watch } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import type { Command } from 'commander'
import { isSecondGateway } from '#src/fabric/ids.ts'
import { counted, plural } from '#src/fabric/plural.ts'
import { isPulled } from '#src/intent/fragments.ts'
import type { Proof } from '#src/plan/render.ts'
import { findFolder, pulledFolders } from '../folder.ts'
import { createReaders, loadFabric, locate, numberedBy, prove, refuseOnErrors, rendered } from '../load.ts'
import type { Output } from '../output.ts'
import { command, tell } from '../program.ts'
import { clock } from '../table.ts'

function checkOnce(folder: string | undefined, output: Output, readers = createReaders()): void {
  const loaded = loadFabric(folder, output, 'Check', readers)
  const { fabric } = loaded
  const { findings: verdicts, proof } = prove(fabric)
  const findings = [...loaded.findings, ...verdicts]
  refuseOnErrors(loaded, findings, output, 'Check')
  const sites = fabric.sites.filter(({ id }) => !isSecondGateway(id))
  if (output.json) {
    output.document(
      'Check',
      { ok: true, folder: loaded.folder, sites: sites.length, tunnels: fabric.tunnels.length, proof },
      locate(findings, loaded.origins),
    )
    return
  }
  if (findings.length > 0) output.line(rendered(loaded, findings, output))
  output.line(
    `${fabric.network.id}: ${counted(sites.length, 'site')}${sites.length < fabric.sites.length ? `, ${counted(fabric.sites.length, 'gateway')}` : ''}, ${counted(fabric.tunnels.length, 'tunnel')}, ${counted(fabric.segments.length, 'segment')}`,
  )
  output.line(
    proof.expects === 0 ? 'nothing is expected yet: a line under `expect:` is proven before every push' : output.style('green', proved(proof)),
  )
  const pulled = loaded.files.filter(({ path }) => isPulled(path)).length
  const others = pulled === 0 ? '' : `with ${counted(pulled, 'pulled file')} of others; `
  output.line(output.style('dim', `${others}${numberedBy(loaded.head)}. Next: causeway plan`))
}

const proved = ({ expects, held, failures }: Proof): string =>
  `proved: ${held} of ${counted(expects, 'expectation')}, ${expects === 1 ? '' : 'each '}under ${failures === 1 ? 'the' : `all of the ${failures}`} single ${plural(failures, 'failure')} that it must survive`

/** Whoever watches a folder hears nothing of the one that takes its place. undefined: the folder around it can't be read. */
function watchPlaceOf(folder: string, changed: () => void): FSWatcher | undefined {
  try {
    return watch(dirname(folder), (_, name) => {
      if (name === basename(folder)) changed()
    })
  } catch {
    return undefined
  }
}

/** Errors are shown and waited over, also those of the folder itself; only Ctrl-C ends it. */
async function checkForever(folder: string | undefined, output: Output): Promise<void> {
  const readers = createReaders()
  const again = (work: () => void) => {
    try {
      work()
    } catch (error) {
      tell(error, output)
    }
  }
  const root = findFolder(folder)
  const watchers = new Map<string, { readonly ino: number; readonly watcher: FSWatcher }>()
  let timer: NodeJS.Timeout | undefined
  const changed = () => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      if (!output.json) output.line(`\n${clock()}  changed`)
      again(() => {
        follow()
        checkOnce(folder, output, readers)
      })
    }, 100)
  }
  /** Folders come and go as others own something, or nothing any more, and one may be put in another's place. */
  function follow(): void {
    const inodeOf = (one: string) => statSync(one, { throwIfNoEntry: false })?.ino
    const folders = new Map([root, ...pulledFolders(root)].map((one) => [one, inodeOf(one)] as const))
    for (const [one, { ino, watcher }] of watchers)
      if (folders.get(one) !== ino) {
        watcher.close()
        watchers.delete(one)
      }
    for (const [one, ino] of folders) if (ino !== undefined && !watchers.has(one)) watchers.set(one, { ino, watcher: watch(one, changed) })
  }
  const above = watchPlaceOf(resolve(root), changed)
  // What is saved while the first check goes on is checked after it.
  follow()
  again(() => checkOnce(folder, output, readers))
  await new Promise((ended) => process.once('SIGINT', ended))
  clearTimeout(timer)
  for (const { watcher } of watchers.values()) watcher.close()
  above?.close()
}

export function check(program: Command): void {
  command(program, 'check [folder]', 'parse, compile and prove the network, every single failure included; offline, touches nothing')
    .option('--watch', 'again at every change of the folder')
    .action(async ({ output, args: [folder], options }) => {
      if (options['watch']) await checkForever(folder, output)
      else checkOnce(folder, output)
    })
}
