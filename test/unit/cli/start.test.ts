import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import { afterAll, describe, expect, it } from 'vitest'
import { parts } from '#src/cli/parts.ts'

describe('parts of the CLI', () => {
  it.each(parts.filter(({ names }) => names.length > 0))('$names are what it declares', async ({ names, load }) => {
    const program = new Command()
    ;(await load())(program)
    expect(program.commands.map((one) => one.name())).toEqual(names)
  })
})

describe('a start', () => {
  const root = mkdtempSync(join(tmpdir(), 'cw-start-'))
  afterAll(() => rmSync(root, { recursive: true, force: true }))
  cpSync('bin', join(root, 'bin'), { recursive: true })
  for (const name of ['src', 'providers', 'workflows', 'package.json']) symlinkSync(resolve(name), join(root, name))
  const causeway = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'bin', 'causeway.js'), ...args], { encoding: 'utf8' })
    return { status, stdout, stderr }
  }
  const check = () => causeway('check', resolve('test/networks/branches'))
  const kept = () => readdirSync(join(root, '.causeway', 'cache')).filter((name) => name.endsWith('.code'))
  const contentOf = (name: string) => readFileSync(join(root, '.causeway', 'cache', name))

  it('without packages says how to get them', () => {
    expect(causeway('check')).toMatchObject({ status: 10, stdout: '', stderr: expect.stringContaining('npm install') })
    symlinkSync(resolve('node_modules'), join(root, 'node_modules'))
  })
  it('keeps no code of a mistake or of a help, that would be little', () => {
    expect([causeway('chek').status, causeway('check', '--help').status, causeway('--version').status]).toEqual([2, 0, 0])
    expect(kept()).toEqual([])
  })
  it('uses the code of the first run of a command', () => {
    const first = check()
    expect(first).toMatchObject({ status: 0, stderr: '' })
    const [name = '', ...others] = kept()
    expect(others).toEqual([])
    expect(name).toMatch(/^causeway\.cjs\.[\d.]+\.check\.code$/)
    const code = contentOf(name)
    expect(check()).toEqual(first)
    expect(kept()).toEqual([name])
    expect(contentOf(name).equals(code)).toBe(true)
  })
  it.each(['--help', 'check'])('of %s ends quietly when nobody reads on', (what) => {
    const piped = `${process.execPath} bin/causeway.js ${what} ${what === 'check' ? resolve('test/networks/branches') : ''} | true; echo "\${PIPESTATUS[0]}"`
    expect(spawnSync('bash', ['-c', piped], { cwd: root, encoding: 'utf8' })).toMatchObject({ stdout: '0\n', stderr: '' })
  })
  it('makes code again that V8 refuses', () => {
    const first = check()
    const [name = ''] = kept()
    writeFileSync(join(root, '.causeway', 'cache', name), 'not code')
    expect(check()).toEqual(first)
    expect(contentOf(name).length).toBeGreaterThan(100_000)
  })
})
