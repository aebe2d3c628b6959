/** The data folder: made, written to by one controller at a time, and where others read how to reach it. */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { alive, startTime } from './children.ts'
import { ServeFailed } from './trouble.ts'

/** Not by `recursive`: Node 24 loops for ever where a parent can't hold folders, as in /proc. */
export function makeFolder(data: string): void {
  if (!existsSync(data)) {
    if (dirname(data) !== data) makeParent(dirname(data))
    mkdirSync(data, { mode: 0o700 })
  }
  // It holds the administrator's token and the sockets' pointers, so it is nobody else's.
  chmodSync(data, 0o700)
  writeFileSync(join(data, '.writable'), '')
  rmSync(join(data, '.writable'))
}

function makeParent(folder: string): void {
  if (existsSync(folder)) return
  makeParent(dirname(folder))
  mkdirSync(folder)
}

/** One controller a folder; the file of a killed one is taken over, for its start time tells it from whoever has its id now. */
export function lockFolder(data: string): () => void {
  const file = join(data, 'serve.pid')
  const [pid, start] = existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ') : []
  if (pid && start && alive({ pid: Number(pid), start }) && Number(pid) !== process.pid)
    throw new ServeFailed(
      'C041',
      5,
      `another controller runs on ${data} (process ${pid})`,
      `stop it, or use another folder: causeway serve --data DIR`,
    )
  writeFileSync(file, `${process.pid} ${startTime(process.pid) ?? ''}\n`, { mode: 0o600 })
  return () => rmSync(file, { force: true })
}

/** In place at once or not at all: the CLI may read it at any moment. */
export function writePointer(data: string, content: object): void {
  const file = join(data, 'run.json')
  writeFileSync(`${file}.new`, `${JSON.stringify(content)}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

export const removePointer = (data: string): void => rmSync(join(data, 'run.json'), { force: true })
