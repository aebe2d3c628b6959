/** The verbs of peers, against a controller that answers what it is told. */
import { spawn } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { allow, network, partner } from '../compile/networks.ts'

const work = mkdtempSync(join(tmpdir(), 'cw-cli-peer-'))
const { fabric } = compile(network({ peers: [partner], allow: [allow('edge/inference -> partner/inference', 'tcp/5432')], expect: [] }), [])
const view = {
  id: 'partner',
  addresses: ['203.0.113.200', '203.0.113.201'],
  prefixes: ['172.20.0.0/16'],
  tunnels: [
    { id: 'frankfurt.isp-a--partner.0', hub: 'frankfurt', uplink: 'isp-a', address: '203.0.113.200', inside: ['169.254.128.0/30'], state: 'UP' },
    {
      id: 'frankfurt.isp-a--partner.1',
      hub: 'frankfurt',
      uplink: 'isp-a',
      address: '203.0.113.201',
      inside: ['169.254.128.4/30', 'fd5c::4/126'],
      state: 'DOWN',
    },
  ],
  secret: { version: 1, origin: 'made', createdAt: '2026-11-26T09:00:00Z', createdBy: 'anna', shownAt: null, shownBy: null },
}
const ours = 'aKeyThatWasMadeHere.0123456789_aKeyThatWasMadeHe'
let server: Server
let asked: { readonly line: string; readonly body: string }[]

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = ''
    request
      .on('data', (part: Buffer) => (body += part.toString()))
      .on('end', () => {
        const line = `${request.method} ${request.url}`
        asked.push({ line, body })
        const known: Readonly<Record<string, unknown>> = {
          'GET /v1/peers': { peers: [view] },
          'GET /v1/peers/partner': view,
          'GET /v1/generations/head': { fabric },
          'POST /v1/peers/partner/secret/show': { secret: ours, version: 1 },
          'PUT /v1/peers/partner/secret': { version: 2 },
        }
        response.writeHead(known[line] ? 200 : 404, { 'content-type': 'application/json' })
        response.end(JSON.stringify(known[line] ?? { code: 'C007', detail: 'there is no peer "partne"', instead: 'did you mean "partner"?' }))
      })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
})
beforeEach(() => void (asked = []))
afterAll(async () => {
  await new Promise((done) => server.close(done))
  rmSync(work, { recursive: true, force: true })
})

const causeway = (args: readonly string[], input = ''): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> =>
  new Promise((done) => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const env = { PATH: process.env['PATH'], HOME: work, CAUSEWAY_URL: url, CAUSEWAY_TOKEN: 'cwa_test' }
    const child = spawn(process.execPath, [resolve('bin/causeway.js'), 'peer', ...args], { cwd: work, env })
    const said = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (text: string) => (said[name] += text))
    child.on('close', (code) => done({ code: code ?? -1, ...said }))
    child.stdin.end(input)
  })

test('lists them, and one with its tunnels, not green when one is down', async () => {
  expect((await causeway(['list'])).stdout).toContain('partner  203.0.113.200, 203.0.113.201  1/2 tunnels  pre-shared key version 1, not shown yet')
  const one = await causeway(['status', 'partner'])
  expect(one.code).toBe(9)
  expect(one.stdout).toMatch(/frankfurt\.isp-a--partner\.1 +to 203\.0\.113\.201 +inside 169\.254\.128\.4\/30, fd5c::4\/126 +DOWN/)
  expect(one.stdout).toContain('what its owner sets: causeway peer config partner')
})

test('prints the other end’s configuration, with the key only when it is asked for', async () => {
  const plain = await causeway(['config', 'partner'])
  expect(plain).toMatchObject({ code: 0, stderr: '' })
  expect(plain.stdout).toContain('remote_addrs = 192.0.2.10')
  expect(plain.stdout).toContain('<pre-shared key: causeway peer config partner --secret>')
  expect(asked.map(({ line }) => line)).toEqual(['GET /v1/peers/partner', 'GET /v1/generations/head'])
  expect((await causeway(['config', 'partner', '--secret'])).stdout).toContain(`secret = "${ours}"`)
  expect(asked.at(-1)!.line).toBe('POST /v1/peers/partner/secret/show')
  expect(await causeway(['config', 'partne'])).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean "partner"?') as string })
})

test('takes the owner’s key from stdin or a file, and has a new one made', async () => {
  const key = 'what-the-owner-gave-0123456789'
  const file = join(work, 'psk')
  writeFileSync(file, `${key}\r\n`)
  for (const [args, input] of [
    [['secret', 'partner'], `${key}\n`],
    [['secret', 'partner', '--file', file], ''],
  ] as const) {
    asked = []
    expect(await causeway(args, input)).toMatchObject({
      code: 0,
      stdout: 'partner has pre-shared key version 2; its tunnels are down until both ends have it. Next: causeway peer status partner\n',
    })
    expect(asked.at(-1)).toEqual({ line: 'PUT /v1/peers/partner/secret', body: JSON.stringify({ secret: key }) })
  }
  expect((await causeway(['secret', 'partner', '--new'])).stdout).toContain('Next: show it to its owner: causeway peer config partner --secret')
  expect(asked.at(-1)!.body).toBe('{}')
})

test.each([
  [['secret', 'partner'], '', 'the pre-shared key has 0 characters, not 20 to 128'],
  [['secret', 'partner'], 'secret123\n', 'the pre-shared key has 9 characters, not 20 to 128'],
  [['secret', 'partner'], 'with a space in the middle of it\n', 'a space, a quote or a backslash'],
  [['secret', 'partner', '--file', '/nowhere/psk'], '', "/nowhere/psk can't be read"],
])('refuses %j < %j before anything is sent: %s', async (args, input, says) => {
  const refused = await causeway(args, input)
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining(says) as string })
  expect(asked.filter(({ line }) => !line.startsWith('GET'))).toEqual([])
  if (input.trim() !== '') expect(refused.stdout + refused.stderr).not.toContain(input.trim())
})
