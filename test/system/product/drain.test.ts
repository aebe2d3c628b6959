/** A hub is taken out of service under traffic: nothing is lost on the way to the other one, nor on the way back. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openWorld, type SiteDetail, twoHubs, until, type World } from './world.ts'

let world: World
beforeAll(async () => {
  const edges = ['berlin', 'madrid']
  world = await openWorld(edges, twoHubs(edges))
  const applied = await world.cli('apply', '--yes')
  expect(applied.code, applied.stderr).toBe(0)
  await world.onboard('frankfurt', 'dublin', 'berlin', 'madrid')
  await until('the network is green', 60, () => world.isGreen())
}, 300_000)
afterAll(async () => world?.close())

interface Window extends SiteDetail {
  readonly drain: { readonly until: string; readonly drained: boolean; readonly packets: number } | null
}
const site = (name: string) => world.site<Window>(name)
/** Packets that a hub's kernel passed on from tunnel to tunnel. */
const passed = async (hub: string) => {
  const { stdout } = await world.lab.exec(hub, ['nft', 'list', 'counter', 'inet', 'causeway', 'transit'])
  return Number(/packets (\d+)/.exec(stdout)?.[1])
}
const passing = async (hub: string) => {
  const before = await passed(hub)
  await sleep(1_000)
  return (await passed(hub)) - before
}
/** From a host at berlin to one at madrid, a hundred a second; `ended` answers how many of those that came before the last reply were lost. */
async function startPings(): Promise<{ ended(): Promise<{ readonly sent: number; readonly lost: number }> }> {
  pings += 1
  const name = `pings-${pings}`
  await world.lab.start('berlin-inference', name, ['ping', '-i', '0.01', '-c', '40000', '10.2.10.10'])
  const log = () => readFileSync(join(world.lab.state, 'logs', `${name}.log`), 'utf8')
  return {
    async ended() {
      await world.lab.stop(name, 'SIGINT')
      await until('ping has told its sum', 5, () => log().includes('packets transmitted'))
      const replies = [...log().matchAll(/icmp_seq=(\d+) ttl/g)].map((match) => Number(match[1]))
      const sent = Math.max(0, ...replies)
      return { sent, lost: sent - new Set(replies).size }
    },
  }
}
let pings = 0

describe('a hub under traffic', () => {
  // Edges that went to the other hub for want of CPU are home again after five clean minutes.
  beforeAll(async () => {
    const stream = await startPings()
    await until('frankfurt passes it on', 330, async () => (await passing('frankfurt')) > 100)
    await stream.ended()
  }, 400_000)
  it('is drained: what it passed on goes through the other one, without a packet lost', async () => {
    const stream = await startPings()
    await until('frankfurt passes it on', 10, async () => (await passing('frankfurt')) > 100)
    const drained = await world.cli('site', 'drain', 'frankfurt', '--for', '10m', '--json')
    expect(drained.code, drained.stdout + drained.stderr).toBe(0)
    expect(await passing('frankfurt')).toBe(0)
    expect(await passing('dublin')).toBeGreaterThan(100)
    const { sent, lost } = await stream.ended()
    console.log(`drain: ${lost} of ${sent} lost`)
    // It takes ten quiet seconds to be drained.
    expect(sent).toBeGreaterThan(1_000)
    expect(lost).toBeLessThanOrEqual(2)
    expect(await site('frankfurt')).toMatchObject({ state: 'MAINTENANCE', drain: { drained: true } })
    const kinds = drained.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; kind?: string; exit?: number })
    expect(kinds.map(({ type, kind }) => kind ?? type)).toEqual(['site.draining', 'site.assigned', 'site.maintenance', 'result'])
    const shown = await world.cli('site', 'status', 'frankfurt')
    expect(shown.stdout).toMatch(/MAINTENANCE for .*\n.*\n.*\n {2}window {4}until .*, drained: \d+ packets/)
    expect(world.status('frankfurt')).toMatchObject({ light: 'YELLOW', says: expect.stringMatching(/^drains until /) as string })
  })

  it('keeps its own LAN reachable, over its own tunnels', async () => {
    const dublin = await passed('dublin')
    const ping = await world.lab.exec('berlin-inference', ['ping', '-c', '20', '-i', '0.05', '10.10.0.10'])
    expect(ping.code, ping.stdout).toBe(0)
    expect((await passed('dublin')) - dublin).toBe(0)
  })

  it('is not followed by the other one: the CLI says what that would cost, and nothing changes', async () => {
    const refused = await world.cli('site', 'drain', 'dublin')
    expect(refused.code, refused.stdout + refused.stderr).toBe(5)
    expect(refused.stderr).toMatch(/with dublin out of service this would be lost: every way of berlin, madrid; /)
    expect(refused.stderr).toContain('causeway site drain dublin --force')
    expect(await site('dublin')).toMatchObject({ state: 'ACTIVE', drain: null })
  })

  it('is put back: then the other one can be drained, and the way back costs no packet either', async () => {
    const stream = await startPings()
    await sleep(500)
    const back = await world.cli('site', 'undrain', 'frankfurt')
    expect(back.code, back.stdout + back.stderr).toBe(0)
    expect(await site('frankfurt')).toMatchObject({ state: 'ACTIVE', drain: null })
    // By itself traffic goes home only after five clean minutes, which a busy machine may not give it.
    const drained = await world.cli('site', 'drain', 'dublin')
    expect(drained.code, drained.stdout + drained.stderr).toBe(0)
    expect(await passing('dublin')).toBe(0)
    expect(await passing('frankfurt')).toBeGreaterThan(50)
    const { sent, lost } = await stream.ended()
    console.log(`back: ${lost} of ${sent} lost`)
    expect(sent).toBeGreaterThan(1_000)
    expect(lost).toBeLessThanOrEqual(2)
    expect((await world.cli('site', 'undrain', 'dublin')).code).toBe(0)
    await until('the network is green', 40, () => world.isGreen())
  })

  it('stays drained without its controller, also when its agent starts again, and comes back when its time is over', async () => {
    const ran = await world.cli('site', 'drain', 'frankfurt', '--for', '30s')
    expect(ran.code, ran.stdout + ran.stderr).toBe(0)
    await world.controller.stop()
    const { pid } = world.status('frankfurt')
    await world.lab.stop('agent-frankfurt', 'SIGKILL')
    await world.agent('frankfurt')
    await until(
      'its paths are up again',
      40,
      () => world.status('frankfurt').pid !== pid && world.status('frankfurt').paths.every((path) => path.state === 'UP'),
    )
    expect(world.status('frankfurt').says).toMatch(/^drains until /)
    const stream = await startPings()
    expect(await passing('frankfurt')).toBe(0)
    await until('its agent knows that its time is over', 35, () => !world.status('frankfurt').says.startsWith('drains'))
    expect((await stream.ended()).lost).toBeLessThanOrEqual(2)
    await world.controller.start()
    await until('frankfurt is ACTIVE', 120, async () => {
      const now = await site('frankfurt')
      if (now.state === 'ACTIVE') return true
      throw new Error(JSON.stringify(now))
    })
    expect(await site('frankfurt')).toMatchObject({ drain: null, finding: null })
  })
})

describe('bad input', () => {
  it.each([
    [['site', 'drain', 'frankfurt', '--for', 'later'], 2, '"later" is not a length of time'],
    [['site', 'drain', 'frankfurt', '--for', '90d'], 2, "a window can't last 7776000 seconds"],
    [['site', 'drain', 'frankfrt'], 2, 'did you mean "frankfurt"?'],
    [['site', 'undrain', 'berlin'], 5, 'berlin is ACTIVE: it is not drained'],
  ] as const)('%j', async (args, code, says) => {
    const ran = await world.cli(...args)
    expect(ran.code, ran.stdout + ran.stderr).toBe(code)
    expect(ran.stderr).toContain(says)
  })
})
