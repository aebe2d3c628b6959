/** The verbs of clouds and drills that need no controller, and what they refuse. */
import { execFile, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { keyIdOf, sign } from '#src/wire/bundle.ts'

const work = mkdtempSync(join(tmpdir(), 'cw-cli-cloud-'))
afterAll(() => rmSync(work, { recursive: true, force: true }))
const causeway = (...args: readonly string[]): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> =>
  new Promise((done) => {
    const child = execFile(
      process.execPath,
      [resolve('bin/causeway.js'), ...args],
      { cwd: work, env: { PATH: process.env['PATH'], HOME: work } },
      (_, stdout, stderr) => done({ code: child.exitCode ?? -1, stdout, stderr }),
    )
  })

test('region add writes a file that compiles with the rest', async () => {
  const folder = join(work, 'demo')
  cpSync(resolve('test/networks/branches'), folder, { recursive: true })
  rmSync(join(folder, 'aws-eu-central-1.yaml'), { force: true })
  const made = await causeway(
    'region',
    'add',
    'aws-eu-central-1',
    '--vpc',
    'vpc-0a1b2c3d4e5f60718',
    '--cidr',
    '10.77.0.0/16',
    '--segment',
    'inference',
    '--folder',
    folder,
  )
  expect(made).toMatchObject({ code: 0, stderr: '' })
  expect(readFileSync(join(folder, 'aws-eu-central-1.yaml'), 'utf8')).toBe(
    'region: aws-eu-central-1\nprovider: aws\nsegments:\n  inference: { vpcs: vpc-0a1b2c3d4e5f60718, prefixes: 10.77.0.0/16 }\n',
  )
  const checked = await causeway('check', folder)
  expect(checked.stdout).not.toMatch(/^error\[/m)
  expect(checked.code).toBe(0)
  expect(
    await causeway(
      'region',
      'add',
      'aws-eu-central-1',
      '--vpc',
      'vpc-0a1b2c3d4e5f60718',
      '--cidr',
      '10.77.0.0/16',
      '--segment',
      'inference',
      '--folder',
      folder,
    ),
  ).toMatchObject({ code: 5, stderr: `error  ${folder}/aws-eu-central-1.yaml is there already\n       edit it, then: causeway plan\n` })
})

test.each([
  [
    ['region', 'add', 'azure-westeurope'],
    '"azure-westeurope" is not a cloud and its region',
    'write it like aws-eu-west-1; other clouds are not supported yet',
  ],
  [['region', 'add', 'aws-eu-west-1'], '--vpc is missing', 'write --vpc vpc-0a1b2c3d4e5f60718'],
  [['region', 'add', 'aws-eu-west-1', '--vpc', 'mine'], '"mine" is not the id of a VPC', 'the cloud shows it, like vpc-0a1b2c3d4e5f60718'],
  [['region', 'add', 'aws-eu-west-1', '--vpc', 'vpc-0a1b2c3d', '--cidr', '10.0.0.1/8'], '--cidr 10.0.0.1/8: ', 'write it like 10.50.0.0/16'],
  [['region', 'add', 'aws-eu-west-1', '--vpc', 'vpc-0a1b2c3d', '--cidr', '10.0.0.0/8'], '--segment is missing', 'write --segment inference'],
  [['region', 'wait', 'aws-eu-west-1', '--timeout', 'soon'], '"soon" is not a number of seconds', 'write --timeout 600'],
  [
    ['region', 'decommission', 'aws-eu-west-1'],
    'this deletes the gateways of the region, and nobody is there to ask',
    'say so: causeway region decommission aws-eu-west-1 --yes',
  ],
  [['drill', 'run', 'berlin'], 'which uplink is not said', 'write --break fiber: causeway drill run berlin --break fiber'],
  [['drill', 'run', 'berlin', '--break', 'fiber', '--seconds', '900'], '"900" is not a number of seconds from 1 to 60', 'write --seconds 5'],
  [['drill', 'schedule', 'berlin', '--every', '7d'], 'which uplink is not said', 'causeway drill schedule berlin --break fiber'],
  [['drill', 'schedule', 'berlin', '--break', 'fiber'], 'how often is not said', 'write --every 7d, or --every 12h'],
  [
    ['drill', 'schedule', 'add', 'berlin', '--break', 'fiber', '--every', 'weekly'],
    '"weekly" is not an interval',
    'write --every 7d, or --every 12h',
  ],
  [['drill', 'schedule', 'remove', 'berlin'], 'which uplink is not said', 'causeway drill schedule remove berlin --break fiber'],
  [['drill', 'verify', 'ev.json'], 'no trust document is named', 'write --trust trust.json: causeway drill verify ev.json --trust trust.json'],
  [['generation', 'rollback', 'last', '--yes'], '"last" is not the number of a generation', 'causeway generation list has them'],
  [['generation', 'rollback', '3'], 'nobody is there to agree to the plan', 'say so: causeway generation rollback 3 --yes'],
  [['event', 'list', '--count', 'all'], '"all" is not a number of lines', 'write --count 50'],
  [['completion', 'tcsh'], '"tcsh" is not a shell that is known here', 'write one of: bash, zsh, fish; for bash: source <(causeway completion bash)'],
])('%j is refused', async (args, says, instead) => {
  const ran = await causeway(...args)
  expect(ran.code).toBe(2)
  expect(ran.stderr).toContain(`error  ${says}`)
  expect(ran.stderr).toContain(instead)
})

test('evidence is checked without a controller; a changed figure is noticed', async () => {
  const pair = () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const keyId = keyIdOf(publicKey)
    return { signer: { keyId, privateKey }, shown: { keyId, publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() } }
  }
  const [root, key] = [pair(), pair()]
  const trust = sign(
    { kind: 'trust', network: 'acme', version: 1, ca: [], bundleSigners: [], evidenceSigners: [key.shown], root: root.shown, minimumAgent: '0.1.0' },
    root.signer,
  )
  const measured = {
    drill: 'd-1',
    state: 'healed',
    brokenAt: null,
    healedAt: null,
    classes: [{ trafficClass: 'realtime', from: 'a', to: 'b', movedAfterMs: 143, gapMs: 171, probes: { sent: 96, lost: 3 } }],
    why: '',
  }
  const evidenceOf = (more: object) => sign({ ...plain, ...more }, key.signer)
  const plain = {
    kind: 'evidence',
    network: 'acme',
    evidence: 'ev-1',
    drill: 'd-1',
    site: 'berlin',
    uplink: 'fiber',
    seconds: 5,
    generation: 7,
    gate: {},
    measured,
    held: true,
    signedAt: '2026-11-23T11:00:00.000Z',
  }
  const evidence = evidenceOf({})
  const write = (name: string, content: unknown) => writeFileSync(join(work, name), JSON.stringify(content))
  write('trust.json', trust)
  write('ev.json', evidence)
  const good = await causeway('drill', 'verify', 'ev.json', '--trust', 'trust.json')
  expect(good.code).toBe(0)
  expect(good.stdout).toContain('berlin.fiber was cut for 5 s at generation 7: every class that used it moved')
  expect(good.stdout).toContain('a → b  after 143 ms  gap 171 ms  lost 3 of 96 probes')
  expect(good.stdout).toContain('lost 3 of 96 probe packets in all classes; largest gap 171 ms')
  write('standby.json', evidenceOf({ verdict: 'standby', measured: { ...measured, classes: [] } }))
  const standby = await causeway('drill', 'verify', 'standby.json', '--trust', 'trust.json')
  expect(standby).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('no class used it, and none moved: it says nothing of a failover') as string,
  })
  const elsewhere = { trafficClass: 'bulk', remote: 'dublin', from: 'c', to: null }
  write('disturbed.json', evidenceOf({ verdict: 'disturbed', held: false, measured: { ...measured, classes: [], disturbed: [elsewhere] } }))
  const disturbed = await causeway('drill', 'verify', 'disturbed.json', '--trust', 'trust.json')
  expect(disturbed).toMatchObject({ code: 9, stdout: expect.stringContaining('class bulk to dublin went from c to no way at all') as string })
  const [counted] = measured.classes
  write(
    'part.json',
    evidenceOf({ measured: { ...measured, classes: [counted, { ...counted, movedAfterMs: null, to: null, gapMs: 5_000, probes: null }] } }),
  )
  const part = await causeway('drill', 'verify', 'part.json', '--trust', 'trust.json')
  expect(part.stdout).toContain('NOT every class that used it moved')
  expect(part.stdout).toContain('lost 3 of 96 probe packets on 1 of 2 ways, which berlin probes itself; largest gap 5000 ms')
  write('bad.json', {
    ...evidence,
    payload: Buffer.from(Buffer.from(evidence.payload, 'base64url').toString().replace('143', '14')).toString('base64url'),
  })
  expect(await causeway('drill', 'verify', 'bad.json', '--trust', 'trust.json')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('The evidence is not signed by a key of this trust document') as string,
  })
  writeFileSync(join(work, 'no.json'), 'no')
  expect(await causeway('drill', 'verify', 'no.json', '--trust', 'trust.json')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no.json is not a signed document') as string,
  })
})

test('bash completes nouns, verbs and options', async () => {
  const { stdout: script } = await causeway('completion', 'bash')
  const complete = (line: string) =>
    spawnSync(
      'bash',
      ['-c', `${script}\nCOMP_WORDS=(${line.replace(/ $/, ' ""')}); COMP_CWORD=$((\${#COMP_WORDS[@]}-1)); _causeway; echo "\${COMPREPLY[*]}"`],
      { encoding: 'utf8' },
    ).stdout.trim()
  expect(complete('causeway reg')).toBe('region')
  expect(complete('causeway rollout ')).toBe('list watch pause resume abort')
  expect(complete('causeway region dec')).toBe('decommission')
  expect(complete('causeway region decommission --y')).toBe('--yes')
  expect(complete('causeway drill run berlin --b')).toBe('--break')
  expect(complete('causeway drill schedule ')).toBe('add list remove')
  expect(complete('causeway drill schedule remove --b')).toBe('--break')
  expect(complete('causeway status --w')).toBe('--watch')
  // The noun of that name is another command.
  expect(complete('causeway site status --w')).toBe('')
  expect(complete('causeway completion ')).toMatch(/^bash zsh fish /)
  expect(complete('causeway nothing ')).toBe('')
})

test('zsh and fish complete the same, with what each does', async () => {
  const [bash, zsh, fish] = await Promise.all(['bash', 'zsh', 'fish'].map(async (shell) => (await causeway('completion', shell)).stdout))
  const found = [...bash!.matchAll(/^ {4}'([a-z ]*)'.* list=\((.*)\) ;;$/gm)].map(([, after = '', words = '']) => ({
    after,
    words: words.split(' '),
  }))
  expect(found.length).toBeGreaterThan(50)
  for (const { after, words } of found) {
    const ofZsh = zsh!.split('\n').find((line) => line.startsWith(`    '${after}'`)) ?? ''
    const below = !ofZsh.includes('--help')
    for (const word of words) {
      expect(ofZsh).toContain(`'${word}:`)
      const place = `${below ? '__causeway_at' : '__causeway_after'} ${after}`.trim()
      expect(fish).toContain(`complete -c causeway -n '${place}' ${word.startsWith('--') ? `-l ${word.slice(2)}` : `-f -a ${word}`} `)
    }
  }
  expect(fish).toContain(`-l out -r -d`)
})
