/** `check --watch`: what is saved is checked again, what others own too. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { renderPulled } from '#src/intent/fragments.ts'

const folder = mkdtempSync(join(tmpdir(), 'cww-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('a saved file is checked at once, one that was pulled, and one in a folder that comes later', async () => {
  const network = join(folder, 'branches')
  cpSync('test/networks/branches', network, { recursive: true })
  const child = spawn(process.execPath, [resolve('bin/causeway.js'), 'check', network, '--watch'], { env: { ...process.env, NO_COLOR: '1' } })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (said += text.toString()))
  /** What is said until `text` is; then all of it is forgotten. */
  async function until(text: string): Promise<string> {
    for (let tries = 0; !said.includes(text); tries++) {
      if (tries > 400) throw new Error(`"${text}" was not said: ${said}`)
      await sleep(50)
    }
    const all = said
    said = ''
    return all
  }
  try {
    await until('proved')
    writeFileSync(join(network, 'paris.yaml'), 'site: paris\n')
    expect(await until('nothing verified')).toContain('paris.yaml:1')
    rmSync(join(network, 'paris.yaml'))
    await until('proved')

    // What can't be read is told and waited over, with what to do.
    symlinkSync('nowhere.yaml', join(network, 'paris.yaml'))
    expect(await until('name it otherwise')).toContain('paris.yaml is a link that leads nowhere')
    rmSync(join(network, 'paris.yaml'))
    await until('proved')

    const lisbon = (prefix: string) =>
      renderPulled({
        owner: 'folder:west',
        path: 'lisbon.yaml',
        since: 3,
        text: `site: lisbon\nuplinks: { fiber: { interface: eth0 }, lte: { interface: wwan0 } }\nsegments: { inference: { interface: eth1, prefixes: ${prefix} } }\n`,
      })
    const { path, text } = lisbon('10.77.0.0/24')
    mkdirSync(join(network, path, '..'), { recursive: true })
    writeFileSync(join(network, path), text)
    expect(await until('with 1 pulled file of others')).toContain('changed')
    writeFileSync(join(network, path), lisbon('10.1.10.0/24').text)
    expect(await until('nothing verified')).toContain(path)
    rmSync(join(network, 'pulled'), { recursive: true })
    await until('proved')

    // Another folder in its place, as a deployment puts it there.
    renameSync(network, `${network}-before`)
    await until('there is no folder')
    cpSync('test/networks/branches', network, { recursive: true })
    await until('proved')
    writeFileSync(join(network, 'paris.yaml'), 'site: paris\n')
    expect(await until('nothing verified')).toContain('paris.yaml:1')
    const ended = once(child, 'exit')
    child.kill('SIGINT')
    expect(await ended).toEqual([0, null])
  } finally {
    child.kill('SIGKILL')
  }
}, 60_000)
