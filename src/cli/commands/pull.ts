import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Command } from 'commander'
import { counted } from '#src/fabric/plural.ts'
import { type Fragment, identityOf, pulledFolder, renderPulled } from '#src/intent/fragments.ts'
import type { SourceFile } from '#src/intent/yaml.ts'
import { connection, request } from '../connection.ts'
import { findFolder, readFolder, readPulledFiles } from '../folder.ts'
import { exit, Stop } from '../output.ts'
import { fetchHead, refuseEdited } from '../plan.ts'
import { command } from '../program.ts'

interface Fragments {
  readonly generation: number
  readonly network: string
  readonly fragments: readonly Fragment[]
}

export function pull(program: Command): void {
  command(
    program,
    'pull [folder]',
    `what others own of the network, read-only into ${pulledFolder}/: check takes it into account, plan never sends it`,
  ).action(async ({ output, args: [given] }) => {
    const folder = findFolder(given)
    const identity = identityOf(readFolder(folder))
    if (!identity) throw new Stop(exit.refused, 'the folder does not say whose it is', 'see what is wrong with it: causeway check')
    const controller = connection()
    const { generation, network, fragments } = await request<Fragments>('/v1/generations/head/fragments', {}, controller)
    if (network !== identity.network)
      throw new Stop(
        exit.refused,
        `this controller is for network "${network}", not "${identity.network}"`,
        'causeway login, with the address of another',
      )
    const root = join(folder, pulledFolder)
    if (existsSync(root) && !statSync(root).isDirectory())
      throw new Stop(exit.conflict, `${root} is a file of yours`, 'give it another name: what others own is written there')
    const held = readPulledFiles(folder)
    refuseEdited(held, output)
    const foreign = fragments.filter(({ owner }) => owner !== identity.owner)
    const wanted = foreign.map(renderPulled)
    const changed = wanted.filter(({ path, text }) => held.find((file) => file.path === path)?.text !== text)
    const gone = held.filter(({ path }) => !wanted.some((file) => file.path === path))
    for (const file of changed) write(folder, file)
    for (const { path } of gone) remove(folder, path)
    await fetchHead(controller)
    const owners = [...new Set(foreign.map(({ owner }) => owner))].sort()
    const removed = gone.map(({ path }) => path)
    if (output.json)
      return output.document('Pull', {
        folder,
        generation,
        owner: identity.owner,
        owners,
        written: changed.map(({ path }) => path),
        removed,
        files: wanted.length,
      })
    for (const { path } of changed) output.line(`${held.some((file) => file.path === path) ? '~' : '+'} ${path}`)
    for (const path of removed) output.line(`- ${path}`)
    output.line(
      owners.length === 0
        ? `all of ${network} is owned by ${identity.owner}, as of generation ${generation}`
        : `${counted(wanted.length, 'file')} of ${owners.join(', ')}, as of generation ${generation}. Next: causeway check`,
    )
  })
}

/** At once or not at all; over what pull wrote before, which nobody may write to. */
function write(folder: string, { path, text }: SourceFile): void {
  const file = join(folder, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.new`, text)
  chmodSync(`${file}.new`, 0o444)
  renameSync(`${file}.new`, file)
}
/** With its folder, if it was the last. */
function remove(folder: string, path: string): void {
  rmSync(join(folder, path))
  for (let above = dirname(path); above !== '.' && readdirSync(join(folder, above)).length === 0; above = dirname(above))
    rmdirSync(join(folder, above))
}
