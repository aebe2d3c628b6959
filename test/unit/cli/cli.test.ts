import { execFileSync, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const main = resolve('bin/causeway.js')
const demo = resolve('test/networks/branches')

describe('the CLI, offline', () => {
  const work = mkdtempSync(join(tmpdir(), 'cw-cli-'))
  afterAll(() => rmSync(work, { recursive: true, force: true }))

  /** As a shell would run it, in a folder of its own, without a controller. */
  function causeway(
    args: readonly string[],
    options: { readonly cwd?: string; readonly stdin?: string; readonly env?: Record<string, string> } = {},
  ): Promise<{ code: number | null; stdout: string; stderr: string }> {
    return new Promise((done) => {
      const child = spawn(process.execPath, [main, ...args], {
        cwd: options.cwd ?? work,
        env: { PATH: process.env['PATH'], HOME: work, ...options.env },
      })
      const out = { stdout: '', stderr: '' }
      child.stdout.on('data', (text: Buffer) => (out.stdout += text.toString()))
      child.stderr.on('data', (text: Buffer) => (out.stderr += text.toString()))
      child.stdin.on('error', () => {})
      child.stdin.end(options.stdin ?? '')
      child.on('close', (code) => done({ code, ...out }))
    })
  }
  const copy = (name: string, change: (text: string) => string, file = 'network.yaml'): string => {
    const folder = join(work, name)
    cpSync(demo, folder, { recursive: true })
    writeFileSync(join(folder, file), change(readFileSync(join(folder, file), 'utf8')))
    return folder
  }

  describe('check', () => {
    it('proves the demo network, cloud and all, and says what only waits for a return route', async () => {
      const ran = await causeway(['check', resolve('sites/demo')])
      expect(ran).toMatchObject({ code: 0, stderr: '' })
      expect(ran.stdout).toContain('warning[V005] network.yaml:')
      expect(ran.stdout).toContain('proved: 5 of 5 expectations, each under all of the 52 single failures that it must survive\n')
    })
    it('proves a network without a word when there is nothing to warn of', async () => {
      const ran = await causeway(['check', demo])
      expect(ran).toMatchObject({ code: 0, stderr: '' })
      expect(ran.stdout).toBe(
        'demo: 5 sites, 28 tunnels, 3 segments\n' +
          'proved: 3 of 3 expectations, each under all of the 40 single failures that it must survive\n' +
          'no controller was seen yet: addresses and ports are placeholders. Next: causeway plan\n',
      )
    })
    it('counts one of a thing as one', async () => {
      const alone = await causeway(['check', resolve('test/cases/single-site')])
      expect(alone.stdout).toContain(
        'start: 1 site, 0 tunnels, 1 segment\nnothing is expected yet: a line under `expect:` is proven before every push\n',
      )
      const pair = await causeway(['check', resolve('test/cases/pair')])
      expect(pair.stdout).toMatch(/^acme: 4 sites, 5 gateways, \d+ tunnels, \d+ segments?\nproved: /m)
      const folder = join(work, 'two')
      mkdirSync(folder)
      const file = (name: string, ...lines: readonly string[]) => writeFileSync(join(folder, name), lines.join('\n'))
      const office = (prefix: string) => `segments: { office: { interface: eth1, prefixes: ${prefix} } }`
      file(
        'network.yaml',
        'network: two',
        'segments: office',
        'hubs: oslo',
        'allow: office -> office',
        'expect: { reach: paris/office -> oslo/office }',
      )
      file(
        'oslo.yaml',
        'site: oslo',
        'role: core',
        'uplinks: { isp: { interface: eth0, address: 192.0.2.2/24, router: 192.0.2.1 } }',
        office('10.1.0.0/24'),
      )
      file('paris.yaml', 'site: paris', 'uplinks: { isp: { interface: eth0 } }', office('10.2.0.0/24'))
      const joined = await causeway(['check', folder])
      expect(joined.stdout).toMatch(/^two: 2 sites, 1 tunnel, 1 segment\nproved: 1 of 1 expectation, under all of the 4 single failures /m)
    })
    it('takes the folder it stands in, or the only network under sites/', async () => {
      expect((await causeway(['check'], { cwd: demo, env: { CAUSEWAY_STATE: work } })).code).toBe(0)
      const above = join(work, 'above')
      mkdirSync(join(above, 'sites'), { recursive: true })
      cpSync(demo, join(above, 'sites', 'demo'), { recursive: true })
      expect((await causeway(['check'], { cwd: above })).code).toBe(0)
      cpSync(demo, join(above, 'sites', 'second'), { recursive: true })
      expect(await causeway(['check'], { cwd: above })).toMatchObject({
        code: 2,
        stderr: 'error  there are several networks here\n       name one: sites/demo, sites/second\n',
      })
    })
    it('refuses with file, line, column and caret, and exit 3', async () => {
      const folder = copy('host-bits', (text) => text.replace('10.1.10.0/24', '10.1.10.4/24'), 'berlin.yaml')
      const ran = await causeway(['check', folder])
      expect(ran.code).toBe(3)
      expect(ran.stdout).toMatch(/^error\[I031\] berlin\.yaml:\d+:\d+ {2}prefix 10\.1\.10\.4\/24 has host bits set\n/)
      expect(ran.stdout).toContain('^ write 10.1.10.0/24, and address: 10.1.10.4 if the gateway has that one')
      expect(ran.stderr).toBe('')
    })
    it('gives editors and CI one document with places', async () => {
      const folder = copy('json', (text) => text.replace('hubs: [frankfurt, dublin]', 'hubs: [frankfurt, dubln]'))
      const ran = await causeway(['check', folder, '--json'])
      expect(ran.code).toBe(3)
      const { v, kind, data, findings } = JSON.parse(ran.stdout) as { v: number; kind: string; data: { ok: boolean }; findings: object[] }
      expect({ v, kind, ok: data.ok }).toEqual({ v: 1, kind: 'Check', ok: false })
      expect(findings[0]).toMatchObject({ code: 'I012', file: 'network.yaml', says: expect.stringContaining('dubln') })
    })
    it('takes into account what others own, as it was pulled, and refuses an edit of it', async () => {
      const folder = join(work, 'cloud')
      cpSync(resolve('test/cases/second-folder'), folder, { recursive: true })
      expect(await causeway(['check', folder])).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('with 3 pulled files of others; no controller was seen yet'),
      })
      const planned = await causeway(['plan', folder, '--offline'])
      expect(planned.stdout).toMatch(/^\+ site {2}berlin .*new {2}of folder:acme$/m)
      expect(planned.stdout).toMatch(/^\+ region aws-eu-west-1 .*prices of \S+$/m)
      expect(planned.stdout).toContain('as folder:cloud; what folder:acme declared stays\n')
      const edited = join(folder, 'pulled/folder-acme/berlin.yaml')
      writeFileSync(edited, readFileSync(edited, 'utf8').replace('10.1.10.0', '10.1.11.0'))
      const refused = await causeway(['check', folder])
      expect(refused).toMatchObject({ code: 3, stdout: expect.stringContaining('error[I152] pulled/folder-acme/berlin.yaml:1:1') })
      // A plan would not send it: it is refused too, before anybody is asked.
      const env = { CAUSEWAY_URL: 'http://127.0.0.1:9', CAUSEWAY_TOKEN: 'x' }
      expect(await causeway(['plan', folder], { env })).toMatchObject({ code: 3, stdout: expect.stringContaining('error[I152]') })
      expect(await causeway(['plan', folder, '--take', 'berlin'], { env })).toMatchObject({
        code: 2,
        stderr: 'error  "berlin" is nothing that has an owner\n       write it like region/aws-eu-west-1 or site/berlin\n',
      })
      expect(await causeway(['plan', folder, '--offline', '--take', 'site/berlin'])).toMatchObject({
        code: 6,
        stderr: expect.stringContaining('only a controller can hand things over'),
      })
    })
    it('says what is missing when there is nothing to check', async () => {
      expect(await causeway(['check'])).toMatchObject({
        code: 2,
        stderr: 'error  there is no network.yaml here\n       go to its folder, name it, or start one: causeway init\n',
      })
      expect(await causeway(['check', 'nowhere'])).toMatchObject({
        code: 2,
        stderr: 'error  there is no folder nowhere\n       name the folder that holds network.yaml\n',
      })
      expect(await causeway(['check', join(demo, 'berlin.yaml')])).toMatchObject({ code: 2, stderr: expect.stringContaining('is a file\n') })
      mkdirSync(join(work, 'empty'))
      expect(await causeway(['check', 'empty'])).toMatchObject({
        code: 2,
        stderr: 'error  empty holds no network.yaml\n       write one: causeway init empty\n',
      })
      writeFileSync(join(work, 'empty', 'network.yml'), 'network: empty\n')
      expect((await causeway(['check', 'empty'])).stderr).toContain('       rename its network.yml to network.yaml\n')
    })
    it('says of each thing that is called like a file and is none what it is, and waits for nobody', async () => {
      const said = async (name: string, made: (path: string) => void, file = 'zurich.yaml') => {
        const folder = copy(name, (text) => text)
        rmSync(join(folder, file), { force: true })
        made(join(folder, file))
        const ran = await causeway(['check', folder])
        return { code: ran.code, stderr: ran.stderr.replaceAll(`${folder}/`, '') }
      }
      const is = (what: string, file = 'zurich.yaml') => ({
        code: 3,
        stderr: `error  ${file} is ${what}, not a file\n       remove it, or name it otherwise\n`,
      })
      expect(await said('folder', (path) => mkdirSync(path))).toEqual(is('a folder'))
      expect(await said('network', (path) => mkdirSync(path), 'network.yaml')).toEqual(is('a folder', 'network.yaml'))
      expect(await said('pipe', (path) => execFileSync('mkfifo', [path]))).toEqual(is('a pipe'))
      expect(await said('loop', (path) => symlinkSync('zurich.yaml', path))).toEqual(is('a link that leads back to itself'))
      expect(await said('nowhere-link', (path) => symlinkSync('nowhere.yaml', path))).toEqual(is('a link that leads nowhere'))
    })
    it('reads links to files and extensions in capitals, and not what editors and systems keep beside a file', async () => {
      const folder = copy('beside', (text) => text)
      renameSync(join(folder, 'madrid.yaml'), join(folder, 'MADRID.YAML'))
      renameSync(join(folder, 'oslo.yaml'), join(work, 'oslo-elsewhere.yaml'))
      symlinkSync(join(work, 'oslo-elsewhere.yaml'), join(folder, 'oslo.yaml'))
      symlinkSync('me@host.123', join(folder, '.#berlin.yaml'))
      writeFileSync(join(folder, '._berlin.yaml'), Buffer.from([0, 5, 22, 7]))
      expect(await causeway(['check', folder])).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('demo: 5 sites') })
    })
    it('shows what it warns of and what it refuses together, in the order of the lines', async () => {
      const folder = copy('both', (text) =>
        text
          .replace('allow:', 'deny: cameras -> training\nallow:\n  - inference -> training tcp/22')
          .replace('isolate: cameras', 'isolate: inference'),
      )
      const ran = await causeway(['check', folder])
      expect(ran.code).toBe(3)
      expect(ran.stdout.match(/^(?:error|warning)\[\w+\]|^\d+ error.*$/gm)).toEqual(['warning[I102]', 'error[V011]', '1 error, 1 warning'])
      const { findings } = JSON.parse((await causeway(['check', folder, '--json'])).stdout) as { findings: { code: string }[] }
      expect(findings.map(({ code }) => code)).toEqual(['I102', 'V011'])
    })
    it('warnings are told by check and plan; trace answers, and what export writes is files', async () => {
      const folder = copy('warned', (text) => text.replace('allow:', 'deny: cameras -> training\nallow:'))
      expect((await causeway(['check', folder])).stdout).toMatch(/^warning\[I102\]/)
      expect((await causeway(['plan', folder, '--offline'])).stdout).toMatch(/^warning\[I102\]/)
      const planned = JSON.parse((await causeway(['plan', folder, '--offline', '--json'])).stdout) as { findings: object[] }
      expect(planned.findings).toEqual([expect.objectContaining({ code: 'I102', file: 'network.yaml', line: 24 })])
      expect((await causeway(['trace', 'berlin/cameras', 'training', '--folder', folder])).stdout).toMatch(/^BLOCKED/)
      const exported = await causeway(['export', 'files', folder])
      expect(exported.stdout).toMatch(/^# ── /)
      expect(exported.stderr).toMatch(/^warning\[I102\]/)
      const { findings } = JSON.parse((await causeway(['export', 'files', folder, '--json'])).stdout) as { findings: { code: string }[] }
      expect(findings).toEqual([expect.objectContaining({ code: 'I102', file: 'network.yaml' })])
    })
    it('refuses a file that is not text', async () => {
      const folder = copy('latin1', (text) => text)
      writeFileSync(join(folder, 'oslo.yaml'), Buffer.from('site: oslo\nplace: K\xf8benhavn\n', 'latin1'))
      expect(await causeway(['check', folder])).toMatchObject({
        code: 3,
        stderr: `error  ${join(folder, 'oslo.yaml')}:2:9 is not UTF-8 text: byte 0xf8\n       save it as UTF-8\n`,
      })
    })
  })

  describe('plan', () => {
    it('offline compares with nothing, has no id, and says so', async () => {
      const ran = await causeway(['plan', demo, '--offline'])
      expect(ran.code).toBe(0)
      expect(ran.stdout).toContain('+ site  berlin')
      expect(ran.stdout).toContain(
        "no controller asked: compared with an empty network, no controller was seen yet: addresses and ports are placeholders. Such a plan has no id and can't be applied\n",
      )
      expect((await causeway(['plan', demo, '--offline', '--exit-code'])).code).toBe(4)
    })
    it('is not applied without a controller, nor without somebody to agree', async () => {
      expect(await causeway(['apply', demo])).toMatchObject({
        code: 2,
        stderr: 'error  nobody is there to agree to the plan\n       apply a plan by its id, or add --yes\n',
      })
      expect(await causeway(['apply', demo, '--yes'])).toMatchObject({
        code: 6,
        stderr:
          'error  no controller is known here, so nothing can be applied\n       start one: causeway serve, or name one: causeway login https://…\n',
      })
    })
  })

  it('trace names the line that decides', async () => {
    expect(await causeway(['trace', 'berlin/cameras', 'training', '--folder', demo])).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(
        /^BLOCKED at berlin, before encryption\n {2}no `allow` lets cameras reach training, and network\.yaml:\d+ expects exactly that\n$/,
      ),
    })
    expect(await causeway(['trace', 'berlin/inference', 'model-api', '--folder', demo])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('PASSES'),
    })
    expect(await causeway(['trace', 'berlin/inference', 'model-api', '--folder', demo, '--without', 'frankfurt,berlin.fiber'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('lte'),
    })
    expect(await causeway(['trace', 'berlin/inference', 'model-api', '--folder', demo, '--without', 'paris'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"paris" is not a hub, an uplink or a tunnel of this network'),
    })
    expect(await causeway(['trace', 'berlin/inference', 'model-api', '--folder', demo, '--port', 'sctp/9'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"sctp/9" is not a port'),
    })
  })

  it('explain tells codes and values', async () => {
    expect(await causeway(['explain', 'I031'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^I031 {2}/) })
    expect(await causeway(['explain', 'Z999'])).toMatchObject({ code: 2, stderr: expect.stringContaining('there is no code Z999') })
    expect(await causeway(['explain', 'sites.berlin.uplinks.lte.metered', '--folder', demo])).toMatchObject({
      code: 0,
      stdout: 'sites.berlin.uplinks.lte.metered: true  default of medium lte\n',
    })
    expect(await causeway(['explain', 'sites.berlin.uplink', '--folder', demo])).toMatchObject({
      code: 2,
      stderr: 'error  there is no "uplink" under sites.berlin; did you mean "uplinks"?\n',
    })
  })

  it('export writes files and never a key', async () => {
    const out = join(work, 'exported')
    expect((await causeway(['export', 'files', demo, '-o', out])).code).toBe(0)
    const listed = JSON.parse((await causeway(['export', 'files', demo, '--json'])).stdout) as { data: { files: { path: string; text: string }[] } }
    expect(listed.data.files.length).toBeGreaterThan(20)
    for (const { path, text } of listed.data.files) expect(readFileSync(join(out, path), 'utf8')).toBe(text)
    expect(await causeway(['export', 'visio', demo])).toMatchObject({
      code: 2,
      stderr: 'error  "visio" is not an export format\n       write one of: files\n',
    })
  })

  it('init starts a network that check can read, and overwrites nothing', async () => {
    const fresh = join(work, 'Fresh--Net ')
    expect((await causeway(['init', fresh])).code).toBe(0)
    expect(existsSync(join(fresh, 'causeway.schema.json'))).toBe(true)
    const checked = await causeway(['check', fresh])
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringContaining('fresh-net: 0 sites'), stderr: '' })
    expect(await causeway(['init', fresh])).toMatchObject({ code: 5, stderr: expect.stringContaining('exists already') })
  })

  it('init --of starts a part of a network that others have begun', async () => {
    const folder = join(work, 'cloud-team')
    expect(await causeway(['init', folder, '--of', 'acme'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('folder cloud-team of network acme: wrote'),
    })
    expect(await causeway(['check', folder])).toMatchObject({
      code: 3,
      stdout: expect.stringContaining('error[I003] folder.yaml:2:1  nothing is known here of network "acme"'),
    })
    expect(await causeway(['init', folder, '--of', 'acme'])).toMatchObject({ code: 5, stderr: expect.stringContaining('folder.yaml exists already') })
    expect(await causeway(['init', folder, '--of', 'Acme'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"Acme" is not the name of a network'),
    })
    expect(await causeway(['pull', folder])).toMatchObject({ code: 6 })
  })
  describe('without a controller', () => {
    beforeAll(() => rmSync(join(work, '.causeway'), { recursive: true, force: true }))
    it.each([['status'], ['site', 'list'], ['path', 'list'], ['generation', 'list'], ['rollout', 'list'], ['site', 'token', 'berlin']])(
      '%s %s says how to find one, exit 6',
      async (...args) => {
        expect(await causeway(args.filter(Boolean))).toMatchObject({
          code: 6,
          stderr: 'error  no controller is known here\n       start one: causeway serve, or name one: causeway login https://…\n',
        })
      },
    )
    it('says when nothing listens', async () => {
      expect(await causeway(['status'], { env: { CAUSEWAY_URL: 'http://127.0.0.1:9', CAUSEWAY_TOKEN: 'x' } })).toMatchObject({
        code: 6,
        stderr: expect.stringMatching(/^error {2}the controller at http:\/\/127\.0\.0\.1:9 can't be reached: /),
      })
    })
    it('login wants https, a token on stdin, and an address', async () => {
      expect(await causeway(['login', 'http://ctl.acme.net'])).toMatchObject({
        code: 2,
        stderr: 'error  an access token is sent over https only\n       write https://ctl.acme.net\n',
      })
      expect(await causeway(['login', 'ctl.acme.net'])).toMatchObject({
        code: 2,
        stderr: 'error  "ctl.acme.net" is not an address\n       write it like https://ctl.acme.net\n',
      })
      expect(await causeway(['login', 'https://127.0.0.1:9'])).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('there was no token on stdin'),
      })
    })
    it('the lab says that none runs', async () => {
      expect(await causeway(['lab', 'break', 'berlin.fiber'])).toMatchObject({
        code: 6,
        stderr: 'error  no lab runs here\n       start one: causeway lab up\n',
      })
      expect(await causeway(['lab', 'break', 'berlin.fiber', '--loss', 'much'])).toMatchObject({
        code: 2,
        stderr: 'error  "much" is not a share\n       write per cent like 8%, or a number from 0 to 1\n',
      })
      expect(await causeway(['lab', 'break', 'berlin.fiber', '--delay', 'long'])).toMatchObject({
        code: 2,
        stderr: 'error  "long" is not a delay\n       write milliseconds like 120ms\n',
      })
    })
  })

  it('a typo gets one suggestion and exit 2', async () => {
    const ran = await causeway(['chek'])
    expect(ran.code).toBe(2)
    expect(ran.stderr).toContain('Did you mean check?')
    expect((await causeway(['site', 'tokn', 'berlin'])).stderr).toContain('Did you mean token?')
    expect((await causeway(['check', '--jsn'])).stderr).toContain('Did you mean --json?')
  })
})
