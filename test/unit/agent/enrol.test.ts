import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '#src/agent/clock.ts'
import { enrol, readIdentity } from '#src/agent/enrol.ts'
import { diskFiles, type Files } from '#src/agent/files.ts'
import { line, type Trouble } from '#src/agent/trouble.ts'
import { createTestController, type TestController } from './controller.ts'
import { fakeDevice, PowerCut } from './fake-device.ts'

let controller: TestController
let stranger: TestController
let state: string
beforeAll(async () => {
  controller = await createTestController('acme')
  stranger = await createTestController('firewall')
})
afterAll(async () => {
  await controller.stop()
  await stranger.stop()
})
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'cw-enrol-'))
})
afterEach(() => {
  controller.answer.clear()
  rmSync(state, { recursive: true, force: true })
})

/** Stops by itself as soon as it has said what `until` looks for. */
async function attempt(token: string | null, options: { files?: Files; until?: RegExp; device?: ReturnType<typeof fakeDevice> } = {}) {
  const said: string[] = []
  const stop = new AbortController()
  const say = (text: string) => {
    said.push(text)
    if (options.until?.test(text)) stop.abort()
  }
  try {
    const identity = await enrol({
      files: options.files ?? diskFiles(state),
      token,
      driver: options.device ?? fakeDevice(),
      clock: systemClock(),
      serial: 'XJ-1182',
      say,
      signal: stop.signal,
    })
    return { identity, said, trouble: null }
  } catch (error) {
    if (error instanceof PowerCut) throw error
    return { identity: null, said, trouble: (error as { trouble: Trouble }).trouble }
  }
}

describe('enrolment', () => {
  test('goes from a token to a certificate, step by step', async () => {
    const { identity, said } = await attempt(controller.token('berlin'))
    expect(identity).toMatchObject({ network: 'acme', site: 'berlin', device: controller.device('berlin') })
    expect(said.map((text) => text.slice(0, 18).trim())).toEqual([
      `Causeway  controll`,
      '[1/6] token',
      '[2/6] this box',
      '[3/6] cables',
      '[4/6] enrolled',
      `Confirmation code`,
    ])
    expect(said.at(-1)).toContain(identity!.confirmationCode)
  })

  test('over IPv6 goes the same way, by the address that the token has in brackets; IPv4 is no way there', async () => {
    const six = await createTestController('acme', { listens: '::1' })
    const device = fakeDevice([{ name: 'eth0', up: true, addresses: ['127.0.0.1/8', '::1/128'], router: 'fe80::1', mtu: 1500 }])
    const { identity } = await attempt(six.token('berlin'), { device })
    expect(identity).toMatchObject({ network: 'acme', host: '::1', port: six.port })
    await six.stop()
    rmSync(state, { recursive: true })
    const { said } = await attempt(six.token('berlin', { host: '[::1]:1' }), { until: /A05/, device })
    expect(said.at(-1)).toContain("[A05] ::1 can't be reached. this box: the connection was refused; eth0: the connection was refused. Check")
  })

  test('leaves only files that nobody else may read, and no token', async () => {
    await attempt(controller.token('berlin'))
    expect(readdirSync(state).sort()).toEqual(['device.key', 'identity.json', 'sealing.key'])
    for (const name of readdirSync(state)) expect(statSync(join(state, name)).mode & 0o077).toBe(0)
  })

  test('may be run again, with the token or without', async () => {
    const token = controller.token('berlin')
    const first = await attempt(token)
    for (const again of [await attempt(token), await attempt(null)]) {
      expect(again.identity).toEqual(first.identity)
      expect(again.said).toEqual([`This box is enrolled as site berlin. Confirmation code ${first.identity!.confirmationCode}.`])
    }
  })

  test('killed after any write goes on with the same key, and the token is still good', async () => {
    const token = controller.token('berlin')
    const devices = new Set<string>()
    for (let writes = 0; ; writes++) {
      const disk = diskFiles(state)
      let left = writes
      const spend = () => {
        if (left-- <= 0) throw new PowerCut('kill -9')
      }
      const files: Files = { ...disk, write: async (...of) => (spend(), disk.write(...of)), claim: async (...of) => (spend(), disk.claim(...of)) }
      let finished = false
      try {
        finished = (await attempt(token, { files })).identity !== null
      } catch (error) {
        if (!(error instanceof PowerCut)) throw error
      }
      if (controller.device('berlin') !== '') devices.add(controller.device('berlin'))
      if (finished) break
      expect(writes).toBeLessThan(20)
    }
    expect((await readIdentity(diskFiles(state)))?.device).toBe(controller.device('berlin'))
  })

  test('waits for the engineer where somebody has to approve', async () => {
    let asked = 0
    const token = controller.token('dublin')
    controller.answer.set('/v1/enrol', () =>
      asked++ > 0
        ? undefined
        : {
            status: 200,
            body: {
              network: 'acme',
              site: 'dublin',
              role: 'core',
              state: 'claimed',
              certificate: null,
              ca: [controller.ca.certificate],
              trust: { payload: '', signatures: [] },
              confirmationCode: 'K7-PINE-42',
              serverTime: new Date().toISOString(),
            },
          },
    )
    const { identity, said } = await attempt(token)
    expect(said).toContain('      waiting      for the engineer to approve this box for site dublin. Confirmation code K7-PINE-42')
    expect(identity?.site).toBe('dublin')
  })

  test('goes on by itself when the controller comes back', async () => {
    let cuts = 0
    controller.answer.set('/v1/enrol', () => (cuts++ < 2 ? 'cut' : undefined))
    const { identity, said } = await attempt(controller.token('berlin'))
    expect(identity?.site).toBe('berlin')
    expect(said.filter((text) => text.includes('A05'))).toEqual([
      `      [A05] 127.0.0.1 can't be reached. this box: the connection was cut. Check the router, or plug the cable into another port. Retrying`,
    ])
  })
})

describe('enrolment is refused with a sentence', () => {
  test('A01: the paste was cut', async () => {
    const token = controller.token('berlin')
    const { trouble } = await attempt(token.slice(0, 61))
    expect(line(trouble!)).toBe(
      `[A01] The token is incomplete (61 of ${token.length} characters). Paste the whole line again; long lines break in some consoles. The token is not used up`,
    )
  })
  test('A02: expired', async () => {
    controller.answer.set('/v1/enrol', () => ({
      status: 410,
      body: {
        code: 'A02',
        detail: 'This token ended Tue 14:05 (it is Wed 09:12)',
        instead: 'Ask for a new one: causeway site token berlin. Nothing else has to be redone',
      },
    }))
    expect(line((await attempt(controller.token('berlin'))).trouble!)).toBe(
      '[A02] This token ended Tue 14:05 (it is Wed 09:12). Ask for a new one: causeway site token berlin. Nothing else has to be redone',
    )
  })
  test('A03: another box used it', async () => {
    const token = controller.token('berlin')
    await attempt(token)
    rmSync(state, { recursive: true })
    expect((await attempt(token)).trouble).toMatchObject({ code: 'A03', says: 'This token was already used by another box' })
  })
  test("A05: no way out, with each uplink's reason; it goes on trying", async () => {
    const device = fakeDevice([{ name: 'eth0', up: true, addresses: ['127.0.0.1/8'], router: '127.0.0.254', mtu: 1500 }])
    const { said } = await attempt(controller.token('berlin', { host: '127.0.0.1:1' }), { until: /A05/, device })
    expect(said.at(-1)).toContain("[A05] 127.0.0.1 can't be reached. this box: the connection was refused; eth0: the connection was refused.")
  })
  test('A06: something replaces the certificate, and the secret is not sent', async () => {
    let heard = 0
    stranger.answer.set('/v1/enrol', () => {
      heard++
      return undefined
    })
    const { said } = await attempt(controller.token('berlin', { host: `127.0.0.1:${stranger.port}` }), { until: /A06/ })
    expect(said.at(-1)).toContain(
      `[A06] Something between this box and 127.0.0.1:${stranger.port} replaces its certificate (issuer "Causeway firewall CA"). I will not continue.`,
    )
    expect(heard).toBe(0)
  })
  test('A10: no right to make interfaces, before anything is sent', async () => {
    const device = { ...fakeDevice(), features: async () => ({ wireguard: 'none', nftables: true, nexthops: true, ipsec: 'none' }) as const }
    expect((await attempt(controller.token('berlin'), { device })).trouble).toMatchObject({ code: 'A10' })
  })
  test("A12: a folder that can't be used", async () => {
    writeFileSync(join(state, 'file'), '')
    const { trouble } = await attempt(controller.token('berlin'), { files: diskFiles(join(state, 'file')) })
    expect(trouble).toMatchObject({ code: 'A12', says: `${state}/file/identity.json can't be read: a part of the path is a file` })
    const readOnly: Files = { ...diskFiles(state), read: async () => null, write: diskFiles(join(state, 'file')).write }
    expect((await attempt(controller.token('berlin'), { files: readOnly })).trouble).toMatchObject({
      code: 'A12',
      says: `${state}/file/token can't be written: a part of the path is a file`,
      instead: 'Give the agent a folder on a disk with room that it may write (--state DIR)',
    })
  })
  test('A13: no token was ever given', async () => {
    expect((await attempt(null)).trouble).toMatchObject({ code: 'A13' })
  })
  test('A15: the box belongs to another network', async () => {
    await attempt(controller.token('berlin'))
    expect((await attempt(stranger.token('berlin'))).trouble).toMatchObject({
      code: 'A15',
      says: 'This box is enrolled as site berlin of network acme, and the token is for another network',
    })
  })
  test('A16: a proxy answers with a page', async () => {
    controller.answer.set('/v1/enrol', () => ({ status: 200, body: '<html>' }))
    expect((await attempt(controller.token('berlin'), { until: /A16/ })).said.at(-1)).toContain(
      '[A16] 127.0.0.1 answered, but not as a controller that this agent knows',
    )
  })
})

test('no message and no file repeats the secret', async () => {
  const token = controller.token('berlin')
  const { said } = await attempt(token)
  const secret = token.slice(4, 40)
  const everything = [...said, ...readdirSync(state).map((name) => readFileSync(join(state, name), 'utf8'))].join('\n')
  expect(everything).not.toContain(secret)
})
