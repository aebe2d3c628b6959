/** The CLI against a running controller, in the order in which an engineer meets its verbs. */
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openWorld, pointerOf, type SiteDetail, until, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld(['berlin'])
})
afterAll(async () => world?.close())

const edit = (file: string, change: (text: string) => string) => {
  const path = join(world.sites, file)
  const before = readFileSync(path, 'utf8')
  const after = change(before)
  expect(after, 'the edit changes something').not.toBe(before)
  writeFileSync(path, after)
}
const lines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

describe('an empty controller', () => {
  it('says what comes next, in words and as JSON', async () => {
    expect(await world.cli('status')).toMatchObject({ code: 0, stdout: 'no network yet. Next: causeway apply\n' })
    expect(await world.cli('site', 'list')).toMatchObject({ code: 0, stdout: 'no site yet. Next: causeway apply\n' })
    expect(await world.cli('path', 'list')).toMatchObject({ code: 0, stdout: 'no tunnel yet. Next: causeway apply\n' })
    expect(await world.cli('generation', 'list')).toMatchObject({ code: 0, stdout: 'no generation yet. Next: causeway apply\n' })
    expect(await world.cli('rollout', 'list')).toMatchObject({ code: 0, stdout: 'nothing was changed yet. Next: causeway apply\n' })
    expect(await world.read('status')).toMatchObject({ verdict: 'empty', generation: 0 })
  })
  it('gives no token before a generation names the site', async () => {
    const ran = await world.cli('site', 'token', 'berlin')
    expect(ran.code).toBe(2)
    expect(ran.stderr).toContain('there is no site "berlin"')
    expect(ran.stderr).toContain('apply')
  })
})

describe('plan and apply', () => {
  let stale = ''
  it('plans with an id, and only --exit-code makes pending changes a failure', async () => {
    const ran = await world.cli('plan')
    expect(ran).toMatchObject({ code: 0 })
    expect(ran.stdout).toMatch(/\+ site {2}berlin/)
    expect(ran.stdout).toMatch(/plan (p-[0-9a-z]+) on generation 0\. Run it: causeway apply \1/)
    expect((await world.cli('plan', '--exit-code')).code).toBe(4)
    const planned = await world.read<{ id: string; base: number }>('plan')
    expect(planned).toMatchObject({ base: 0, id: expect.stringMatching(/^p-/) })
    stale = planned.id
  })
  it('asks; with nobody to ask, it says what to write', async () => {
    const ran = await world.cli('apply')
    expect(ran).toMatchObject({ code: 2, stdout: '' })
    expect(ran.stderr).toContain('add --yes')
    expect((await world.read<{ generation: number }>('status')).generation).toBe(0)
  })
  it('applies with --yes, and follows to the end', async () => {
    const ran = await world.cli('apply', '--yes')
    expect(ran, ran.stderr).toMatchObject({ code: 0 })
    expect(ran.stdout).toContain('apply succeeded. Look: causeway status')
  })
  it('refuses a stale plan as a conflict, and a plan that never was as a mistake', async () => {
    const ran = await world.cli('apply', stale)
    expect(ran.code, ran.stdout + ran.stderr).toBe(5)
    expect(ran.stderr).toContain('generation 1')
    expect((await world.cli('apply', 'p-nosuch')).code).toBe(2)
  })
  it('refuses what verification refuses, at its line, and touches nothing', async () => {
    edit('network.yaml', (text) => text.replace('  - edge/inference -> model-api\nexpect', '  - core/inference -> core/inference\nexpect'))
    const ran = await world.cli('apply', '--yes')
    expect(ran.code, ran.stdout + ran.stderr).toBe(3)
    expect(ran.stdout).toContain('network.yaml:')
    const asJson = await world.cli('plan', '--json')
    expect(asJson.code).toBe(3)
    expect(JSON.parse(asJson.stdout)).toMatchObject({ kind: 'Plan', data: { verdict: 'refused' }, findings: [{ severity: 'error' }] })
    edit('network.yaml', (text) => text.replace('  - core/inference -> core/inference\nexpect', '  - edge/inference -> model-api\nexpect'))
    expect((await world.read<unknown[]>('generation', 'list')).length).toBe(1)
  })
  it('has nothing to do the second time', async () => {
    expect(await world.cli('apply', '--yes')).toMatchObject({ code: 0 })
    expect((await world.read<unknown[]>('generation', 'list')).length).toBe(1)
  })
})

describe('onboarding', () => {
  it('is not green while sites wait', async () => {
    const ran = await world.cli('status')
    expect(ran.code, ran.stdout).toBe(9)
    expect(ran.stdout).toContain('0/2 sites')
    expect(ran.stdout).toMatch(/next: causeway/)
    expect((await world.cli('site', 'status', 'berlin')).code).toBe(9)
  })
  it('suggests the name that was meant, everywhere', async () => {
    for (const args of [
      ['site', 'status', 'berln'],
      ['site', 'token', 'berln'],
      ['site', 'wait', 'berln'],
      ['site', 'drain', 'berln'],
      ['site', 'undrain', 'berln'],
      ['site', 'decommission', 'berln', '--yes'],
      ['site', 'approve', 'berln', 'abcdef0123456789'],
    ]) {
      const ran = await world.cli(...args)
      expect(ran.code, args.join(' ')).toBe(2)
      expect(ran.stderr, args.join(' ')).toContain('did you mean "berlin"?')
    }
    const typo = await world.cli('sit', 'list')
    expect(typo).toMatchObject({ code: 2 })
    expect(typo.stderr).toContain('site')
  })
  it('prints a token with its line on stdout, or into a file', async () => {
    const ran = await world.cli('site', 'token', 'berlin')
    expect(ran.code).toBe(0)
    expect(ran.stdout).toMatch(/^echo cw1_\S+ \| causeway-agent up\n$/)
    expect(ran.stderr).toContain('One use, this site only')
    const file = join(world.folder, 'berlin.token')
    expect(await world.cli('site', 'token', 'berlin', '--out', file, '--hours', '1')).toMatchObject({
      code: 0,
      stdout: `causeway-agent up --token-file ${file}\n`,
    })
    expect(readFileSync(file, 'utf8')).toMatch(/^cw1_\S+\n$/)
    expect((await world.cli('site', 'token', 'berlin', '--hours', '100')).code).toBe(2)
  })
  it('waits; when the time is up the work goes on', async () => {
    const ran = await world.cli('site', 'wait', 'berlin', '--timeout', '1')
    expect(ran.code).toBe(8)
    expect(ran.stderr).toContain('the work goes on')
  })
  it('shows the core that waits, lets an operator approve it, and waits until both are active', async () => {
    await world.agent('frankfurt', { token: await world.token('frankfurt') })
    await world.agent('berlin', { token: await world.token('berlin') })
    const berlin = world.launch(['site', 'wait', 'berlin', '--timeout', '90', '--json'])
    await until('frankfurt is claimed', 30, async () => (await world.site('frankfurt')).state === 'CLAIMED')
    const shown = await world.cli('site', 'status', 'frankfurt')
    const { claims } = await world.read<SiteDetail>('site', 'status', 'frankfurt')
    expect(claims).toHaveLength(1)
    const { fingerprint, confirmationCode } = claims[0]!
    expect(shown).toMatchObject({ code: 9 })
    expect(shown.stdout).toContain(`causeway site approve frankfurt ${fingerprint.slice(0, 16)}`)
    await until('the installer sees the same code', 10, () => world.logOf('frankfurt').includes(confirmationCode))
    const wrong = await world.cli('site', 'approve', 'frankfurt', '0123456789abcdef')
    expect(wrong).toMatchObject({ code: 5 })
    expect(wrong.stderr).toContain(fingerprint.slice(0, 16))
    expect((await world.cli('site', 'approve', 'frankfurt', fingerprint.slice(0, 16))).code).toBe(0)
    const waited = await world.cli('site', 'wait', 'frankfurt', '--timeout', '60')
    expect(waited, waited.stderr).toMatchObject({ code: 0 })
    expect(waited.stdout).toContain(`confirmation code ${confirmationCode}`)
    const told = await berlin.ended
    expect(told.code, told.stderr).toBe(0)
    expect(lines(told.stdout).at(-1)).toEqual({ type: 'result', exit: 0 })
  })
})

describe('a network that runs', () => {
  it('is green in one screen', async () => {
    await until('status is green', 30, () => world.isGreen())
    const ran = await world.cli('status')
    expect(ran.stdout).toMatch(/small {2}generation 1 {2}2\/2 sites {2}4\/4 tunnels up +GREEN/)
    expect(ran.stdout).toContain('proven for this generation: 1 of 1 expectation under')
    expect(await world.read('status')).toMatchObject({ verdict: 'green', network: 'small', problems: [] })
  })
  it('lists sites, paths, rollouts and generations', async () => {
    const sites = await world.cli('site', 'list')
    expect(sites.stdout).toMatch(/berlin +edge +ACTIVE +4\/4 tunnels/)
    expect(await world.read('site', 'list')).toMatchObject([
      { id: 'berlin', state: 'ACTIVE' },
      { id: 'frankfurt', state: 'ACTIVE' },
    ])
    expect((await world.cli('site', 'status', 'berlin')).code).toBe(0)
    const paths = await world.cli('path', 'list', 'berlin')
    expect(paths.stdout.trim().split('\n')).toHaveLength(4)
    expect(paths.stdout).toMatch(/berlin\.fiber.*UP.*carries .*business/)
    expect(await world.read<unknown[]>('path', 'list')).toHaveLength(4)
    expect((await world.cli('path', 'list', 'berln')).stderr).toContain('did you mean "berlin"?')
    expect((await world.cli('generation', 'list')).stdout).toMatch(/^1 .*proved 1 of 1.* first administrator +\d{4}-/)
    expect((await world.cli('rollout', 'list')).stdout).toMatch(/apply/)
  })
  it('tests paths with a burst from the box that decides them', async () => {
    const ran = await world.cli('path', 'test', 'berlin.fiber', '--count', '50')
    expect(ran.code, ran.stdout + ran.stderr).toBe(0)
    const [first, second, ...more] = ran.stdout.trim().split('\n')
    expect(more).toEqual([])
    const line =
      /^berlin\.fiber--frankfurt\.isp-(a|b) +0\.0 % lost +of 50 +round trip [\d.]+ to [\d.]+ ms, median [\d.]+ ms +jitter [\d.]+ ms +\d+ bytes pass$/
    for (const one of [first, second]) expect(one).toMatch(line)
    const all = await world.read<{ paths: readonly { received: number; fullPackets: boolean }[]; missing: readonly string[] }>(
      'path',
      'test',
      'berlin',
      '--count',
      '10',
    )
    expect(all.paths.map(({ received, fullPackets }) => ({ received, fullPackets }))).toEqual(
      Array.from({ length: 4 }, () => ({ received: 10, fullPackets: true })),
    )
    expect(all.missing).toEqual([])
    const hub = await world.cli('path', 'test', 'frankfurt')
    expect(hub).toMatchObject({ code: 5, stderr: expect.stringContaining('[C150] frankfurt only answers the probes of its 4 paths') })
    expect(hub.stderr).toContain('causeway path test berlin')
    for (const [target, says] of [
      ['berln', 'did you mean "berlin"?'],
      ['berlin.fibre', 'it has fiber, lte'],
      ['.fiber', 'causeway path test berlin.fiber'],
    ] as const)
      expect(await world.cli('path', 'test', target)).toMatchObject({ code: 2, stderr: expect.stringContaining(says) })
    expect((await world.cli('path', 'test', 'berlin', '--count', '1000')).stderr).toContain('from 1 to 500')
  })
  it('lists keys: what is public of them, since when, and the last handshake', async () => {
    await until('berlin reported its handshakes', 15, async () => (await world.cli('key', 'list', 'berlin')).stdout.includes('handshake '))
    const ran = await world.cli('key', 'list', 'berlin')
    expect(ran.stdout).toMatch(/^berlin +tls +device +[0-9a-f]{16} +since \d{4}-\S+ \S+ \(\d+ \w+\) +certificate until \d{4}-/m)
    expect(ran.stdout).toMatch(/^berlin +wireguard +\S+ +epoch 0 +[A-Za-z0-9+/]{43}= +since .* handshake \d+ s ago$/m)
    const keys = await world.read<readonly { site: string; kind: string; key: string }[]>('key', 'list')
    expect(new Set(keys.map(({ site, kind }) => `${site} ${kind}`))).toEqual(
      new Set(['berlin', 'frankfurt'].flatMap((site) => ['tls', 'sealing', 'wireguard'].map((kind) => `${site} ${kind}`))),
    )
    const peers = (await world.lab.exec('frankfurt', ['wg', 'show', 'all', 'peers'])).stdout
    expect(keys.filter(({ site, kind, key }) => site === 'berlin' && kind === 'wireguard' && peers.includes(key)).length).toBeGreaterThan(0)
    expect((await world.cli('key', 'list', 'berln')).stderr).toContain('did you mean "berlin"?')
  })
  it('traces a question', async () => {
    expect(await world.cli('trace', 'berlin/inference', 'model-api')).toMatchObject({ code: 0, stdout: expect.stringContaining('PASS') })
    expect((await world.cli('trace', 'berlin/inference', 'model-api', '--port', 'tcp/22')).code).toBe(1)
    const nothing = await world.cli('trace', 'berln/inference', 'model-api')
    expect(nothing).toMatchObject({ code: 2 })
    expect(nothing.stderr).toContain('"berln/inference" is nothing in this network')
  })
  it('breaks and heals a line of the lab, and shows what it did', async () => {
    expect(await world.cli('lab', 'status')).toMatchObject({ code: 0, stdout: expect.stringContaining('berlin.fiber') })
    expect(await world.cli('lab', 'break', 'berlin.fiber')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Undo: causeway lab heal berlin.fiber'),
    })
    await until('status says so', 30, async () => {
      const ran = await world.cli('status')
      return ran.code === 9 && /! .*berlin\.fiber/.test(ran.stdout)
    })
    expect(await world.cli('lab', 'heal')).toMatchObject({ code: 0 })
    const wrong = await world.cli('lab', 'break', 'berlin.fibre')
    expect(wrong.code).toBe(2)
    expect(wrong.stderr).toContain('berlin.fiber')
    const shell = await world.cli('lab', 'shell', 'berlin', 'ip', '-brief', 'link')
    expect(shell.code, shell.stderr).toBe(0)
    expect(shell.stdout).toContain('wwan0')
    expect((await world.cli('lab', 'shell', 'nowhere', 'true')).code).toBe(2)
  })
  it('says how the machine is', async () => {
    const ran = await world.cli('doctor')
    expect(ran.code, ran.stdout).toBe(0)
    expect(ran.stdout).toContain('network small')
    expect(await world.read<unknown[]>('doctor')).toContainEqual(expect.objectContaining({ what: 'controller', ok: true }))
    expect(ran.stdout).toMatch(/ipsec .*strongSwan, (kernel|userspace) ESP/)
  })
})

describe('a change', () => {
  it('is detached from by Ctrl-C with 130, and goes on', async () => {
    edit('network.yaml', (text) => text.replace('[tcp/8443, icmp]', '[tcp/8443, tcp/8444, icmp]'))
    const apply = world.launch(['apply', '--yes'])
    await until('it follows', 30, () => apply.said().includes('Ctrl-C leaves it running'))
    apply.child.kill('SIGINT')
    const ran = await apply.ended
    expect(ran.code, ran.stdout + ran.stderr).toBe(130)
    const operation = /causeway rollout watch (\S+)/.exec(ran.stderr)?.[1] ?? ''
    const watch = world.launch(['rollout', 'watch'])
    await until('it is followed', 30, () => watch.said().includes(operation))
    watch.child.kill('SIGINT')
    expect((await watch.ended).code).toBe(130)
    const watched = await world.cli('rollout', 'watch', operation)
    expect(watched, watched.stderr).toMatchObject({ code: 0 })
    expect((await world.read<{ generation: number }>('status')).generation).toBe(2)
    const again = await world.cli('rollout', 'watch', operation, '--json')
    expect(lines(again.stdout).at(-1)).toMatchObject({ type: 'result', exit: 0, state: 'succeeded' })
    expect((await world.cli('rollout', 'watch', 'op-nosuch')).code).toBe(2)
  })
  it('is held before its next wave until somebody lets it go on', async () => {
    const nothing = await world.cli('rollout', 'pause')
    expect(nothing, nothing.stderr).toMatchObject({ code: 5, stderr: expect.stringContaining('no rollout runs that one could pause') })
    edit('network.yaml', (text) => text.replace('tcp/8444', 'tcp/8445'))
    const apply = world.launch(['apply', '--yes'])
    await until('it follows', 30, () => apply.said().includes('Ctrl-C leaves it running'))
    const paused = await world.cli('rollout', 'pause')
    expect(paused, paused.stderr).toMatchObject({ code: 0, stderr: expect.stringContaining('causeway rollout abort op-') })
    const operation = /op-[0-9a-f]+/.exec(paused.stdout)?.[0] ?? ''
    await until('it holds', 30, () => /holds before (hub|canary) \((frankfurt|berlin)\), paused by first administrator/.test(apply.said()))
    apply.child.kill('SIGINT')
    expect((await apply.ended).stderr).toMatch(new RegExp(`detached; it is paused by first administrator for .*abort ${operation}`))
    expect((await world.cli('rollout', 'list')).stdout).toMatch(
      new RegExp(`${operation} +apply +network/small +paused by first administrator for \\d+ s`),
    )
    const status = await world.cli('status')
    expect(status).toMatchObject({ code: 9, stdout: expect.stringContaining('~ apply of small is paused by first administrator for ') })
    expect(status.stdout).toContain(`next: causeway rollout resume ${operation}`)
    const twice = await world.cli('rollout', 'pause', operation)
    expect(twice.code).toBe(5)
    expect(twice.stderr).toMatch(/\[C123\] rollout op-\w+ is paused already, by first administrator, since \d{4}-/)
    expect(await world.read('rollout', 'resume')).toMatchObject({ rollout: operation, state: 'succeeded' })
    const watched = await world.cli('rollout', 'watch', operation)
    expect(watched, watched.stderr).toMatchObject({ code: 0, stderr: expect.stringContaining('let go on by first administrator') })
    expect((await world.cli('rollout', 'resume', operation)).stderr).toContain('[C121]')
  })
  it('goes back when it is aborted, as a new generation', async () => {
    const before = await world.read<{ generation: number }>('status')
    edit('network.yaml', (text) => text.replace('tcp/8445', 'tcp/8446'))
    const apply = world.launch(['apply', '--yes'])
    await until('it follows', 30, () => apply.said().includes('Ctrl-C leaves it running'))
    expect((await world.cli('rollout', 'resume')).stderr).toContain('[C124]')
    expect(await world.cli('rollout', 'abort')).toMatchObject({ code: 0, stdout: expect.stringContaining('goes back') })
    const ran = await apply.ended
    expect(ran).toMatchObject({ code: 1, stdout: expect.stringContaining('apply rolled-back') })
    expect(ran.stderr).toContain('C125  aborted by first administrator')
    expect((await world.read<{ generation: number }>('status')).generation).toBe(before.generation + 2)
    expect(await world.cli('generation', 'diff', String(before.generation))).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('are the same'),
    })
    expect((await world.cli('rollout', 'pause', 'op-nosuch')).code).toBe(2)
  })
})

describe('a second owner', () => {
  let cloud = ''
  const site =
    'site: malmo\nuplinks: { fiber: { interface: eth0 }, lte: { interface: wwan0 } }\nsegments: { inference: { interface: eth1, prefixes: 10.1.77.0/24 } }\n'
  it('begins a folder of the same network, and pulls what the first declared, read-only', async () => {
    cloud = join(world.folder, 'cloud')
    // As it runs: the change that was aborted is taken back here too.
    const written = readFileSync(join(world.sites, 'network.yaml'), 'utf8').replace('tcp/8446', 'tcp/8445')
    writeFileSync(join(world.sites, 'network.yaml'), written)
    expect(await world.cli('init', cloud, '--of', 'small')).toMatchObject({ code: 0 })
    const pulled = await world.cli('pull', cloud)
    expect(pulled, pulled.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining('+ pulled/folder-small/network.yaml\n') })
    const network = join(cloud, 'pulled/folder-small/network.yaml')
    expect(statSync(network).mode & 0o777).toBe(0o444)
    expect(readFileSync(network, 'utf8').replace(/^.*\n/, '')).toBe(written)
    expect(await world.cli('check', cloud)).toMatchObject({ code: 0, stdout: expect.stringContaining('pulled files of others; generation') })
    // Again: nothing to write. Edited: refused, and not overwritten.
    expect(await world.read('pull', cloud)).toMatchObject({ owner: 'folder:cloud', owners: ['folder:small'], written: [], removed: [] })
    const before = readFileSync(network, 'utf8')
    chmodSync(network, 0o644)
    writeFileSync(network, `${before}mtu: 1400\n`)
    expect(await world.cli('pull', cloud)).toMatchObject({ code: 3, stdout: expect.stringContaining('error[I152] pulled/folder-small/network.yaml') })
    expect(readFileSync(network, 'utf8')).toBe(`${before}mtu: 1400\n`)
    rmSync(network)
    expect(await world.read('pull', cloud)).toMatchObject({ written: ['pulled/folder-small/network.yaml'] })
  })
  it('adds a site of its own, whichever of the two plans next', async () => {
    writeFileSync(join(cloud, 'malmo.yaml'), site)
    const planned = await world.cli('plan', cloud)
    expect(planned.stdout, planned.stderr).toMatch(/^\+ site {2}malmo .* new$/m)
    expect(planned.stdout).toMatch(/^~ site {2}frankfurt .* of folder:small$/m)
    expect(planned.stdout).toContain('as folder:cloud; what folder:small declared stays\n')
    const ran = await world.cli('apply', cloud, '--yes')
    expect(ran, ran.stdout + ran.stderr).toMatchObject({ code: 0 })
    const first = await world.cli('plan')
    expect(first.stdout, first.stderr).toContain('nothing to change')
    expect(await world.cli('pull')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('+ pulled/folder-cloud/malmo.yaml\n1 file of folder:cloud'),
    })
    expect((await world.cli('generation', 'list')).stdout).toMatch(/first administrator +folder:cloud/)
  })
  it('loses it to the first only when that takes it over, and says so as a conflict', async () => {
    const [own, pulled] = [join(world.sites, 'malmo.yaml'), join(world.sites, 'pulled/folder-cloud/malmo.yaml')]
    writeFileSync(own, site)
    rmSync(pulled)
    const refused = await world.cli('plan')
    expect(refused.code, refused.stderr).toBe(5)
    expect(refused.stdout).toContain('error[I150] malmo.yaml:1:7  site "malmo" belongs to folder:cloud')
    expect(await world.cli('check')).toMatchObject({ code: 0 })
    const taken = await world.cli('apply', '--take', 'site/malmo', '--yes')
    expect(taken, taken.stdout + taken.stderr).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('> site malmo  from folder:cloud to folder:small\n'),
    })
    expect((await world.cli('event', 'list', 'network/small')).stdout).toContain('site/malmo goes from folder:cloud to folder:small')
    expect((await world.cli('plan', cloud)).code).toBe(5)
    rmSync(join(cloud, 'malmo.yaml'))
    expect((await world.cli('plan', cloud)).stdout).toContain('nothing to change')
    rmSync(own)
    expect(await world.cli('apply', '--yes')).toMatchObject({ code: 0 })
    expect(await world.cli('pull')).toMatchObject({ code: 0, stdout: expect.stringContaining('all of small is owned by folder:small') })
  })
})

describe('what happened', () => {
  it('is listed for everything or one subject, in time that sorts', async () => {
    const all = await world.cli('event', 'list', '--count', '5')
    expect(all.stdout.trim().split('\n')).toHaveLength(5)
    expect(all.stdout).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}\S/)
    expect((await world.cli('event', 'list', 'site/berlin')).stdout).toContain('berlin is ACTIVE')
    expect((await world.cli('site', 'log', 'berlin', '--count', '1')).stdout.trim().split('\n')).toHaveLength(1)
    expect(await world.cli('event', 'list', 'site/oslo')).toMatchObject({ code: 0, stdout: 'nothing has happened to site/oslo yet\n' })
    expect(await world.cli('event', 'list', 'berlin')).toMatchObject({ code: 2, stderr: expect.stringContaining('site/berlin') })
    expect((await world.cli('event', 'list', '--count', 'few')).code).toBe(2)
    expect((await world.cli('site', 'log', 'berln')).stderr).toContain('did you mean "berlin"?')
    const watch = world.launch(['event', 'watch', '--count', '1'])
    await until('it shows the newest', 10, () => watch.said().trim().split('\n').length === 1)
    watch.child.kill('SIGINT')
    await watch.ended
  })
})

describe('access', () => {
  let viewer = ''
  const as = (token: string) => ({ env: { CAUSEWAY_URL: pointerOf(world.controller.data).url, CAUSEWAY_TOKEN: token } })
  beforeAll(async () => {
    const { url } = pointerOf(world.controller.data)
    const admin = readFileSync(join(world.controller.data, 'admin.token'), 'utf8').trim()
    const made = await fetch(new URL('/v1/access', url), {
      method: 'POST',
      headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'a guest', role: 'viewer' }),
    })
    viewer = ((await made.json()) as { token: string }).token
  })
  it('logs in with a token on stdin, for whichever folder that is', async () => {
    const { url } = pointerOf(world.controller.data)
    const elsewhere = { env: { CAUSEWAY_STATE: join(world.folder, 'guest'), CAUSEWAY_DATA: join(world.folder, 'nothing-here') } }
    const nobody = await world.launch(['status'], elsewhere).ended
    expect(nobody).toMatchObject({ code: 6 })
    expect(nobody.stderr).toContain('causeway login')
    expect((await world.launch(['login', url], { ...elsewhere, stdin: 'cwa_wrong\n' }).ended).code).toBe(7)
    expect(await world.launch(['login', url], { ...elsewhere, stdin: `${viewer}\n` }).ended).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('network small'),
    })
    expect((await world.launch(['site', 'list'], elsewhere).ended).stdout).toContain('berlin')
  })
  it('lets a viewer look, and change nothing', async () => {
    expect((await world.launch(['site', 'list'], as(viewer)).ended).code).toBe(0)
    for (const args of [
      ['apply', '--yes'],
      ['site', 'token', 'berlin'],
      ['site', 'decommission', 'berlin', '--yes'],
    ]) {
      const ran = await world.launch(args, as(viewer)).ended
      expect(ran.code, args.join(' ')).toBe(7)
      expect(ran.stderr).toContain('viewer')
    }
  })
  it('says that a controller is away', async () => {
    const ran = await world.launch(['status'], { env: { CAUSEWAY_URL: 'http://127.0.0.1:9', CAUSEWAY_TOKEN: 'x' } }).ended
    expect(ran.code).toBe(6)
    expect(ran.stderr).toContain("can't be reached")
  })
})

describe('the end of a site', () => {
  const peersAt = async (hub: string) => (await world.lab.exec(hub, ['sh', '-c', 'wg show all peers | grep -v none'])).stdout.trim()
  it('is not agreed to by nobody', async () => {
    expect((await world.cli('site', 'decommission', 'berlin')).code).toBe(2)
  })
  it('leaves the peers first, and last the keys on the box', async () => {
    const ran = await world.cli('site', 'decommission', 'berlin', '--yes')
    expect(ran.code, ran.stdout + ran.stderr).toBe(0)
    expect((await world.read<SiteDetail>('site', 'status', 'berlin')).state).toBe('RETIRED')
    const said = ran.stdout + ran.stderr
    expect((await world.lab.exec('berlin', ['wg', 'show', 'interfaces'])).stdout.trim(), said).toBe('')
    // A hub that did not report or could not take it for a moment is not waited for; the command says so and why.
    if (!said.includes('C088')) expect(await peersAt('frankfurt'), said).toBe('')
    await until('frankfurt has let go', 60, async () => (await peersAt('frankfurt')) === '')
    expect((await world.cli('site', 'decommission', 'berlin', '--yes')).code).toBe(5)
  })
})
