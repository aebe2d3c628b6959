/** Two gateways at one site: real agents, real VRRP, DHCP and WireGuard; the LAN's traffic goes by one of the two, whatever fails. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import type { Status } from '#src/agent/status.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { startLab } from '#src/lab/client.ts'
import { takeoverMs } from '#src/path/timing.ts'
import { createTestController, type TestController } from '../unit/agent/controller.ts'

const files = [
  {
    path: 'network.yaml',
    text: `network: small
hubs: [frankfurt]
segments: [inference]
allow:
  - edge/inference -> core/inference icmp
  - core/inference -> edge/inference icmp
`,
  },
  {
    path: 'frankfurt.yaml',
    text: `site: frankfurt
role: core
uplinks:
  isp-a: { interface: eth0, address: 192.0.2.10/28, router: 192.0.2.1 }
segments:
  inference: { interface: eth2, prefixes: [10.10.0.0/16, "fd10::/64"] }
`,
  },
  {
    path: 'berlin.yaml',
    text: `site: berlin
gateways:
  a:
    uplinks:
      fiber: { interface: eth0 }
  b:
    uplinks:
      cable: { interface: eth0 }
    interfaces: { eth1: ens4 }
segments:
  inference: { interface: eth1, prefixes: [10.1.10.0/24, "fd01:10::/64"], dhcp: true, ra: true }
`,
  },
] as const
const sites = ['frankfurt', 'berlin', 'berlin.b'] as const

const folder = mkdtempSync(join(tmpdir(), 'cwp-'))
const stateOf = (site: string) => join(folder, site)
const agent = (...args: string[]) => [resolve('node_modules/node/bin/node'), resolve('bin/causeway-agent.js'), ...args]
const status = (site: string) => JSON.parse(readFileSync(join(stateOf(site), 'status.json'), 'utf8')) as Status

async function until(what: string, seconds: number, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + seconds * 1000
  for (;;) {
    try {
      if (await isSo()) return
    } catch {
      // Not yet there.
    }
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`)
    await sleep(100)
  }
}

describe('a pair of gateways in the lab', () => {
  let controller: TestController
  let running: Awaited<ReturnType<typeof startLab>>
  const exec = (box: string, ...argv: string[]) => running.lab.exec(box, argv)
  const standsBy = (site: string) => status(site).says.includes('stands by')
  /** Who has the address that hosts know as their router. */
  const holders = async () => {
    const found = await Promise.all(
      (['berlin', 'berlin.b'] as const).map(async (site) =>
        (await exec(site, 'ip', 'addr')).stdout.match(/ (10\.1\.10\.1\/32|fd01:10::1\/128) /g)?.length === 2 ? [site] : [],
      ),
    )
    return found.flat().join()
  }
  /** Milliseconds between two answers, the longest while `change` was made and until what it leads to is true. */
  async function gapWhile(box: string, to: string, change: () => Promise<unknown>, settled: () => Promise<boolean>): Promise<number> {
    const name = `ping-${Date.now()}`
    await running.lab.start(box, name, ['ping', '-D', '-i', '0.05', to])
    const answers = () =>
      [...readFileSync(join(folder, 'lab', 'logs', `${name}.log`), 'utf8').matchAll(/^\[([\d.]+)\].*time=/gm)].map(([, at]) => Number(at))
    await until('it answers', 20, () => answers().length > 10)
    await change()
    await until('it has settled', 30, settled)
    const seen = answers().length
    await until('it answers again', 20, () => answers().length > seen + 20)
    await running.lab.stop(name, 'SIGINT')
    const all = answers()
    return Math.round(Math.max(...all.slice(1).map((at, n) => at - all[n]!)) * 1000)
  }

  beforeAll(async () => {
    mkdirSync(join(folder, 'sites'))
    for (const { path, text } of files) writeFileSync(join(folder, 'sites', path), text)
    const socket = join(folder, 'agents.sock')
    controller = await createTestController('small', { socket, host: '203.0.113.250:443' })
    running = await startLab({ sites: join(folder, 'sites'), controllerSocket: socket, state: join(folder, 'lab'), detached: false })
    controller.follow(compile(parseIntent(files).intent!, []).fabric!, 1)
    for (const site of sites) {
      writeFileSync(join(folder, `${site}.token`), controller.token(site), { mode: 0o600 })
      await running.lab.start(
        site,
        `agent-${site}`,
        agent('up', '--state', stateOf(site), '--deadline', '9', '--token-file', join(folder, `${site}.token`)),
      )
    }
  })
  afterAll(async () => {
    await running?.stop()
    await controller?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it('have the LAN once: the first carries its traffic, the second says that it stands by', async () => {
    await until('all green', 90, () => sites.every((site) => status(site).light === 'GREEN' && status(site).paths.length > 0))
    await until('the first has the address', 30, async () => (await holders()) === 'berlin' && standsBy('berlin.b') && !standsBy('berlin'))
    const used = () =>
      status('frankfurt')
        .paths.filter((path) => path.classes.length > 0)
        .map((path) => path.tunnel)
    await until('the hub sends to it', 20, () => used().join() === 'berlin.fiber--frankfurt.isp-a')
    for (const [from, to] of [
      ['berlin-inference', '10.10.0.10'],
      ['frankfurt-inference', '10.1.10.10'],
      ['berlin-inference', 'fd10::a'],
    ] as const)
      await until(`${from} is answered`, 20, async () => (await exec(from, 'ping', '-c', '1', '-W', '1', to)).code === 0)
  })

  it('that loses its LAN gives the traffic to the other, whoever opened it, and takes it back', async () => {
    const taken = await gapWhile(
      'berlin-inference',
      '10.10.0.10',
      () => exec('berlin', 'ip', 'link', 'set', 'eth1', 'down'),
      async () => (await holders()) === 'berlin.b',
    )
    const back = await gapWhile(
      'frankfurt-inference',
      'fd01:10::a',
      () => exec('berlin', 'ip', 'link', 'set', 'eth1', 'up'),
      async () => (await holders()) === 'berlin' && standsBy('berlin.b'),
    )
    console.log(`LAN link lost: ${taken} ms without an answer, and ${back} ms when it is back`)
    expect(taken).toBeLessThan(2 * takeoverMs)
    expect(back).toBeLessThan(2 * takeoverMs)
  })

  it('that loses all its lines does so too, and a stream from the hub follows', async () => {
    const taken = await gapWhile(
      'frankfurt-inference',
      '10.1.10.10',
      () => running.lab.line('berlin.fiber', { cut: 'all' }),
      async () => (await holders()) === 'berlin.b',
    )
    const back = await gapWhile(
      'berlin-inference',
      'fd10::a',
      () => running.lab.heal('berlin.fiber'),
      async () => (await holders()) === 'berlin' && standsBy('berlin.b'),
    )
    console.log(`all lines lost: ${taken} ms without an answer, and ${back} ms when they are back`)
    expect(taken).toBeLessThan(2 * takeoverMs)
    expect(back).toBeLessThan(2 * takeoverMs)
  })

  it('both lease: the first is asked, and the second knows what to do when it is gone; both are one router of IPv6', async () => {
    const routers = async () =>
      (await exec('berlin-inference', 'ip', '-6', 'route', 'show', 'default', 'proto', 'ra')).stdout.match(/via \S+/g)?.join()
    await until('the virtual router is advertised', 20, async () => (await routers()) === 'via fe80::200:5eff:fe00:243')
    const script = '/run/leased'
    const ask = async (...more: readonly string[]): Promise<string> => {
      await exec('berlin-inference', 'sh', '-c', `udhcpc -i eth0 -n -q -f -s ${script} -t 8 -T 2 -A 1 ${more.join(' ')} && cat ${script}.got`)
      return (await exec('berlin-inference', 'cat', `${script}.got`)).stdout.trim()
    }
    const put = `printf '#!/bin/sh\\n[ $1 != bound ] || echo $ip $router $serverid > ${script}.got\\n' > ${script}; chmod +x ${script}`
    await exec('berlin-inference', 'sh', '-c', put)
    const [leased, router, by] = (await ask()).split(' ')
    expect([router, by]).toEqual(['10.1.10.1', '10.1.10.2'])
    expect(leased).toMatch(/^10\.1\.10\.(1[3-9]\d|2\d\d)$/)
    await exec('berlin', 'ip', 'link', 'set', 'eth1', 'down')
    await until('the other has taken over', 20, async () => (await holders()) === 'berlin.b')
    // It never leased this one, and a host that comes back with it keeps it.
    expect(await ask('-r', leased!)).toBe(`${leased} 10.1.10.1 10.1.10.3`)
    const towards = ['-6', 'route', 'replace', 'fd10::/64', 'via', 'fe80::200:5eff:fe00:243', 'dev', 'eth0']
    await exec('berlin-inference', 'ip', ...towards)
    expect((await exec('berlin-inference', 'ping', '-c', '2', '-W', '2', 'fd10::a')).code).toBe(0)
    expect(await routers()).toBe('via fe80::200:5eff:fe00:243')
    await exec('berlin', 'ip', 'link', 'set', 'eth1', 'up')
    await until('it is back', 30, async () => (await holders()) === 'berlin' && standsBy('berlin.b'))
  })

  it('whose agent hangs loses the LAN within seconds, for nobody tells its peers any more', async () => {
    const pid = String(status('berlin').pid)
    await exec('berlin', 'kill', '-STOP', pid)
    await until('the other has taken over', 20, async () => (await holders()) === 'berlin.b')
    expect((await exec('berlin-inference', 'ping', '-c', '3', '-i', '0.2', '-W', '1', '10.10.0.10')).code).toBe(0)
    await exec('berlin', 'kill', '-CONT', pid)
    await until('it is back', 30, async () => (await holders()) === 'berlin')
  })
})
