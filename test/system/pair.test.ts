/** Two gateways at one site: real agents, real VRRP, DHCP and WireGuard; the LAN's traffic goes by one of the two, whatever fails. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { takeoverMs } from '#src/path/timing.ts'
import { berlin, frankfurt, network, type PairLab, sites, startPairLab } from './pair-lab.ts'
import { until } from './until.ts'

const files = [network, frankfurt, berlin(', dhcp: true, ra: true')]

describe('a pair of gateways in the lab', () => {
  let pair: PairLab

  beforeAll(async () => {
    pair = await startPairLab(files)
  })
  afterAll(() => pair?.stop())

  it('have the LAN once: the first carries its traffic, the second says that it stands by', async () => {
    await until('all green', 90, () => sites.every((site) => pair.status(site).light === 'GREEN' && pair.status(site).paths.length > 0))
    await until(
      'the first has the address',
      30,
      async () => (await pair.holders()) === 'berlin' && pair.standsBy('berlin.b') && !pair.standsBy('berlin'),
    )
    const used = () =>
      pair
        .status('frankfurt')
        .paths.filter((path) => path.classes.length > 0)
        .map((path) => path.tunnel)
    await until('the hub sends to it', 20, () => used().join() === 'berlin.fiber--frankfurt.isp-a')
    for (const [from, to] of [
      ['berlin-inference', '10.10.0.10'],
      ['frankfurt-inference', '10.1.10.10'],
      ['berlin-inference', 'fd10::a'],
    ] as const)
      await until(`${from} is answered`, 20, async () => (await pair.exec(from, 'ping', '-c', '1', '-W', '1', to)).code === 0)
  })

  it('that loses its LAN gives the traffic to the other, whoever opened it, and takes it back', async () => {
    const [taken] = await pair.gapWhile(
      [['berlin-inference', '10.10.0.10']],
      () => pair.exec('berlin', 'ip', 'link', 'set', 'eth1', 'down'),
      async () => (await pair.holders()) === 'berlin.b',
    )
    const [back] = await pair.gapWhile(
      [['frankfurt-inference', 'fd01:10::a']],
      () => pair.exec('berlin', 'ip', 'link', 'set', 'eth1', 'up'),
      async () => (await pair.holders()) === 'berlin' && pair.standsBy('berlin.b'),
    )
    console.log(`LAN link lost: ${taken} ms without an answer, and ${back} ms when it is back`)
    expect(taken).toBeLessThan(2 * takeoverMs)
    expect(back).toBeLessThan(2 * takeoverMs)
  })

  it('that loses all its lines does so too, and a stream from the hub follows', async () => {
    const [taken] = await pair.gapWhile(
      [['frankfurt-inference', '10.1.10.10']],
      () => pair.lab.line('berlin.fiber', { cut: 'all' }),
      async () => (await pair.holders()) === 'berlin.b',
    )
    const [back] = await pair.gapWhile(
      [['berlin-inference', 'fd10::a']],
      () => pair.lab.heal('berlin.fiber'),
      async () => (await pair.holders()) === 'berlin' && pair.standsBy('berlin.b'),
    )
    console.log(`all lines lost: ${taken} ms without an answer, and ${back} ms when they are back`)
    expect(taken).toBeLessThan(2 * takeoverMs)
    expect(back).toBeLessThan(2 * takeoverMs)
  })

  it('both lease: the first is asked, and the second knows what to do when it is gone; both are one router of IPv6', async () => {
    const routers = async () =>
      (await pair.exec('berlin-inference', 'ip', '-6', 'route', 'show', 'default', 'proto', 'ra')).stdout.match(/via \S+/g)?.join()
    await until('the virtual router is advertised', 20, async () => (await routers()) === 'via fe80::200:5eff:fe00:243')
    const script = '/run/leased'
    const ask = async (...more: readonly string[]): Promise<string> => {
      await pair.exec('berlin-inference', 'sh', '-c', `udhcpc -i eth0 -n -q -f -s ${script} -t 8 -T 2 -A 1 ${more.join(' ')} && cat ${script}.got`)
      return (await pair.exec('berlin-inference', 'cat', `${script}.got`)).stdout.trim()
    }
    const put = `printf '#!/bin/sh\\n[ $1 != bound ] || echo $ip $router $serverid > ${script}.got\\n' > ${script}; chmod +x ${script}`
    await pair.exec('berlin-inference', 'sh', '-c', put)
    const [leased, router, by] = (await ask()).split(' ')
    expect([router, by]).toEqual(['10.1.10.1', '10.1.10.2'])
    expect(leased).toMatch(/^10\.1\.10\.(12[89]|1[3-9]\d|2\d\d)$/)
    await pair.exec('berlin', 'ip', 'link', 'set', 'eth1', 'down')
    await until('the other has taken over', 20, async () => (await pair.holders()) === 'berlin.b')
    // It never leased this one, and a host that comes back with it keeps it.
    expect(await ask('-r', leased!)).toBe(`${leased} 10.1.10.1 10.1.10.3`)
    const towards = ['-6', 'route', 'replace', 'fd10::/64', 'via', 'fe80::200:5eff:fe00:243', 'dev', 'eth0']
    await pair.exec('berlin-inference', 'ip', ...towards)
    expect((await pair.exec('berlin-inference', 'ping', '-c', '2', '-W', '2', 'fd10::a')).code).toBe(0)
    expect(await routers()).toBe('via fe80::200:5eff:fe00:243')
    await pair.exec('berlin', 'ip', 'link', 'set', 'eth1', 'up')
    await until('it is back', 30, async () => (await pair.holders()) === 'berlin' && pair.standsBy('berlin.b'))
  })

  it('whose agent hangs loses the LAN within seconds, for nobody tells its peers any more', async () => {
    const pid = String(pair.status('berlin').pid)
    await pair.exec('berlin', 'kill', '-STOP', pid)
    await until('the other has taken over', 20, async () => (await pair.holders()) === 'berlin.b')
    expect((await pair.exec('berlin-inference', 'ping', '-c', '3', '-i', '0.2', '-W', '1', '10.10.0.10')).code).toBe(0)
    await pair.exec('berlin', 'kill', '-CONT', pid)
    await until('it is back', 30, async () => (await pair.holders()) === 'berlin')
  })
})
