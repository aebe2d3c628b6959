/** Another box takes a site over under traffic: how long that stands still, what becomes of the box before, and of its copy. */
import { cpSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pingCommand, readPings } from '../ping.ts'
import { agentCommand, networkFiles, openWorld, type SiteDetail, until, type World } from './world.ts'

let world: World
beforeAll(async () => {
  // Madrid is never enrolled: its box and its LAN stand for the ones that come to berlin.
  const edges = ['berlin', 'madrid']
  const files = networkFiles(edges)
  const text = files['network.yaml']!.replace(/services:\n/, 'services:\n  branch: { at: edge/inference, ports: icmp, class: business }\n').replace(
    /allow:\n/,
    'allow:\n  - core/inference -> branch\n',
  )
  world = await openWorld(edges, { ...files, 'network.yaml': text })
  const applied = await world.cli('apply', '--yes')
  expect(applied.code, applied.stderr).toBe(0)
  await world.onboard('frankfurt', 'berlin')
  const moved = await world.lab.exec('madrid-inference', [
    'sh',
    '-c',
    'ip addr flush dev eth0 && ip addr add 10.1.10.10/24 dev eth0 && ip route replace default via 10.1.10.1',
  ])
  expect(moved.code, moved.stderr).toBe(0)
})
afterAll(async () => world?.close())

interface Replaced extends SiteDetail {
  readonly device: string
  readonly replacement: { readonly device: string | null; readonly failed: string } | null
}
const site = () => world.site<Replaced>('berlin')
/**
 * From a host at frankfurt to the one at berlin, fifty a second: how many came back, and the longest time between two that
 * did. WireGuard keeps packets for a peer that it has yet to shake hands with: they are late, not lost.
 */
const everyMs = 20
async function stream(count: number): Promise<{ readonly received: number; readonly gapMs: number }> {
  const argv = ['sh', '-c', pingCommand('10.1.10.10', { count, seconds: everyMs / 1_000, more: '-D' })]
  const { stdout } = await world.lab.exec('frankfurt-inference', argv, { timeoutMs: count * everyMs + 30_000 })
  const at = [...stdout.matchAll(/^\[(\d+\.\d+)\] \d+ bytes from/gm)].map((match) => Number(match[1]) * 1_000)
  const gapMs = Math.max(...at.slice(1).map((ms, index) => ms - at[index]!))
  return { received: readPings(stdout, count).received, gapMs: Math.round(gapMs) }
}

describe('another box', () => {
  let token = ''
  let operation = ''
  let before: Replaced
  it('gets a token while the one that runs goes on', async () => {
    before = await site()
    const made = await world.read<{ token: string; operation: string }>('site', 'replace', 'berlin')
    token = made.token
    operation = made.operation
    await world.agent('madrid', { name: 'second', token, serial: 'LAB-SECOND' })
    await until('it waits', 30, async () => (await site()).claims[0]?.serial === 'LAB-SECOND')
    expect(await site()).toMatchObject({ state: 'REPLACING', device: before.device, replacement: { device: null, failed: '' } })
    const shown = await world.cli('site', 'status', 'berlin')
    expect(shown.stdout).toContain('new box   none is approved yet')
    expect(shown.stdout).toMatch(/its new box has fingerprint [0-9a-f]{16}, code .*causeway site approve berlin [0-9a-f]{16}/)
    expect((await stream(20)).received).toBe(20)
  })

  it('A03: a third one with its token is turned away', async () => {
    const { code, stderr } = await world.lab.exec(
      'madrid',
      ['env', 'CAUSEWAY_SERIAL=LAB-THIEF', ...agentCommand('enrol', '--state', world.stateOf('thief'))],
      { stdin: token },
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(/^\[A03\] .*serial LAB-SECOND\. This one is LAB-THIEF.*causeway site replace berlin/m)
    expect(await site()).toMatchObject({ state: 'REPLACING', device: before.device })
  })

  it('takes over: traffic stands still for a handshake, and the one before removes itself', async () => {
    // What an image of the old box would be, put back later.
    cpSync(world.stateOf('berlin'), world.stateOf('copy'), { recursive: true })
    const count = 1_000
    const pings = stream(count)
    const waiting = (await site()).claims.find(({ state }) => state === 'claimed')!
    const approved = await world.cli('site', 'approve', 'berlin', waiting.fingerprint)
    expect(approved.code, approved.stderr).toBe(0)
    const followed = await world.cli('rollout', 'watch', operation)
    expect(followed.code, followed.stdout + followed.stderr).toBe(0)
    expect(followed.stderr).toMatch(/new box of berlin is to run .*: 0 tunnels[^]*takes over its tunnels[^]*berlin is ACTIVE/)
    const { received, gapMs } = await pings
    console.log(`replacement: ${count - received} of ${count} lost, ${gapMs} ms without a reply`)
    expect(gapMs).toBeLessThan(6_000)
    expect(count - received).toBeLessThan(200)
    expect(await site()).toMatchObject({ state: 'ACTIVE', device: waiting.fingerprint, replacement: null })
    expect((await stream(20)).received).toBe(20)
    expect((await world.lab.exec('madrid', ['wg', 'show', 'interfaces'])).stdout.trim()).not.toBe('')
    await until('the box before is gone', 30, () => world.logOf('berlin').includes('this box is out of service: tunnels, rules and keys are gone'))
    expect(world.logOf('berlin')).toContain('another box is the one of berlin now: removing tunnels, rules and keys')
    expect(existsSync(join(world.stateOf('berlin'), 'identity.json'))).toBe(false)
    expect((await world.lab.exec('berlin', ['ip', '-br', 'link'])).stdout).not.toMatch(/^cw/m)
    expect((await world.lab.exec('berlin', ['ip', 'addr', 'show', 'dev', 'eth1'])).stdout).not.toContain('10.1.10.1/')
  })

  it('is not disturbed by a copy of the one before: that is told so, and removes itself too', async () => {
    const pings = stream(500)
    await world.agent('berlin', { name: 'copy' })
    await until('the copy is gone', 30, () => world.logOf('copy').includes('this box is out of service: tunnels, rules and keys are gone'))
    expect(world.logOf('copy')).toContain('another box is the one of berlin now')
    expect(500 - (await pings).received).toBeLessThanOrEqual(5)
    expect((await world.lab.exec('berlin', ['ip', '-br', 'link'])).stdout).not.toMatch(/^cw/m)
    expect((await site()).state).toBe('ACTIVE')
  })
})

describe('bad input', () => {
  it.each([
    [['site', 'replace', 'berln'], 2, 'did you mean "berlin"?'],
    [['site', 'replace', 'madrid'], 5, 'madrid has no box that could be replaced: it is DECLARED'],
    [['site', 'replace', 'berlin', '--hours', '100'], 2, 'a token lives up to 72 hours, not "100"'],
    [['site', 'token', 'berlin'], 5, 'causeway site replace berlin'],
  ] as const)('%j', async (args, code, says) => {
    const ran = await world.cli(...args)
    expect(ran.code, ran.stdout + ran.stderr).toBe(code)
    expect(ran.stderr).toContain(says)
  })
})
