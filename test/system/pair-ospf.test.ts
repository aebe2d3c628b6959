/** OSPF, v2 and v3, at two gateways of one site: routers send to the one that has the LAN, and to the other as soon as it takes it. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { virtualLinkLocal } from '#providers/linux/vrrp.ts'
import { berlin, frankfurt, network, type PairLab, sites, startPairLab } from './pair-lab.ts'
import { until } from './until.ts'

const ospf = 'ospf: { neighbor: [10.1.10.254, "fe80::fe"], prefixes: [10.5.0.0/16, "fd01:5::/48"], hello: 1s, dead: 8s }'
/** Well before the dead interval is over: it is no hello that they miss. On an idle machine it is a second. */
const soonMs = 5_000
const files = (more: string) => [network, frankfurt, berlin(more)]
const gateways = ['berlin', 'berlin.b'] as const
/** The routers, and who is asked from behind each. */
const [four, six] = ['berlin-inference.r1', 'berlin-inference.r2'] as const
const asked = [
  [four, '10.10.0.10', '-I', '10.5.0.10'],
  [six, 'fd10::a', '-I', 'fd01:5::a'],
] as const

let pair: PairLab
const said = async (box: string, command: string): Promise<string> => (await pair.exec(box, 'sh', '-c', command)).stdout
const ownAddress = { berlin: '10.1.10.2', 'berlin.b': '10.1.10.3' } as const
const linkLocal = async (site: (typeof gateways)[number]): Promise<string> => {
  const device = site === 'berlin' ? 'eth1' : 'ens4'
  return /inet6 (fe80::(?!200:5eff:fe00:243)\S+)\/64/.exec(await said(site, `ip -6 addr show dev ${device} scope link`))?.[1] ?? 'none'
}
/** By whom routers reach the hub's LAN. */
const ways = async (): Promise<string> =>
  [await said(four, 'ip route show 10.10.0.0/16 proto ospf'), await said(six, 'ip -6 route show fd10::/64 proto ospf')]
    .map((text) => [...text.matchAll(/via (\S+)/g)].map(([, via]) => via).join('+'))
    .join()
/** ospf6d speaks from the newest link-local address that it has: of who has the LAN, the shared one. */
const leadTo = async (site: (typeof gateways)[number]): Promise<boolean> => {
  const [two, three] = (await ways()).split(',')
  return two === ownAddress[site] && (three === virtualLinkLocal || three === (await linkLocal(site)))
}
const learned = async (site: string): Promise<string> =>
  (await said(site, '(ip route show proto ospf; ip -6 route show proto ospf) | cut -d" " -f1')).trim().split('\n').join()
const carries = async (site: (typeof gateways)[number]) => (await pair.holders()) === site && (await leadTo(site))

beforeAll(async () => {
  pair = await startPairLab(files(`, ${ospf}`))
})
afterAll(() => pair?.stop())

it('both are neighbors of the routers and learn what is behind them, which send to the one that has the LAN', async () => {
  await until('all green', 90, () => sites.every((site) => pair.status(site).light === 'GREEN' && pair.status(site).paths.length > 0))
  await until('the first carries', 60, () => carries('berlin'))
  for (const site of gateways) await until(`${site} has learned`, 30, async () => (await learned(site)) === '10.5.0.0/16,fd01:5::/48')
  for (const [box, to, ...from] of asked)
    await until(`${box} is answered`, 20, async () => (await pair.exec(box, 'ping', '-c', '1', '-W', '1', ...from, to)).code === 0)
  await until('and asked', 20, async () => (await pair.exec('frankfurt-inference', 'ping', '-c', '1', '-W', '1', '10.5.0.10')).code === 0)
})

it('what is learned is announced by neither, and what either announces is learned by none', async () => {
  const vtysh = 'vtysh --config_dir /run/router --vty_socket /run/router -c'
  const external = await said(four, `${vtysh} "show ip ospf database external json"`)
  const { asExternalLinkStates = [] } = JSON.parse(external) as {
    readonly asExternalLinkStates?: readonly { readonly linkStateId: string; readonly advertisingRouter: string }[]
  }
  const told = asExternalLinkStates.map(({ linkStateId, advertisingRouter }) => `${advertisingRouter} ${linkStateId}`)
  expect(told.sort()).toEqual(['10.1.10.2 10.10.0.0', '10.1.10.254 10.5.0.0', '10.1.10.3 10.10.0.0'])
  for (const site of gateways)
    expect(await said(site, 'ip route show 10.10.0.0/16 table main')).toMatch(/^10\.10\.0\.0\/16 dev lo proto 67 scope link *\n$/)
})

it('the one on duty dies, and routers follow to the other long before they miss it', async () => {
  const pids = 'cat S/vrrp/keepalived.pid S/vrrp/vrrp.pid S/frr/*.pid'.replaceAll('S', pair.stateOf('berlin'))
  const gaps = await pair.gapWhile(
    asked,
    async () => {
      await said('berlin', `kill -KILL ${pair.status('berlin').pid} $(${pids}); ip link set eth1 down`)
      await pair.lab.line('berlin.fiber', { cut: 'all' })
    },
    () => carries('berlin.b'),
  )
  console.log(`the first died: ${gaps.join(', ')} ms without an answer`)
  expect(Math.max(...gaps)).toBeLessThan(soonMs)
})

it('that comes back hears the routers before it takes the LAN, and they follow', async () => {
  let deaf = false
  const gaps = await pair.gapWhile(
    asked,
    async () => {
      await said('berlin', 'ip link set eth1 up')
      await pair.lab.heal('berlin.fiber')
      await pair.startAgent('berlin')
    },
    async () => {
      if ((await pair.holders()) === 'berlin' && (await learned('berlin')) !== '10.5.0.0/16,fd01:5::/48') deaf = true
      return carries('berlin')
    },
  )
  console.log(`the first is back: ${gaps.join(', ')} ms without an answer`)
  expect(deaf).toBe(false)
  expect(Math.max(...gaps)).toBeLessThan(soonMs)
})

it('routers follow as well when all tunnels of the one on duty are down, and when they are back', async () => {
  const taken = await pair.gapWhile(
    asked,
    () => pair.lab.line('berlin.fiber', { cut: 'all' }),
    () => carries('berlin.b'),
  )
  const back = await pair.gapWhile(
    asked,
    () => pair.lab.heal('berlin.fiber'),
    () => carries('berlin'),
  )
  console.log(`all lines lost: ${taken.join(', ')} ms without an answer, and ${back.join(', ')} ms when they are back`)
  expect(Math.max(...taken)).toBeLessThan(soonMs)
  expect(Math.max(...back)).toBeLessThan(soonMs)
})

it('without OSPF any more leaves nothing: no daemon, no route, nothing that is run when the LAN moves', async () => {
  pair.follow(files(''), 2)
  const left = (site: (typeof gateways)[number]) =>
    said(
      site,
      `ls -d ${pair.stateOf(site)}/frr ${pair.stateOf(site)}/vrrp/duty.sh; ip route show dev lo proto 67; ip route show proto ospf; ip -6 route show proto ospf`,
    )
  for (const site of gateways) await until(`nothing is left at ${site}`, 30, async () => (await left(site)) === '')
  expect(await ways()).toBe(',')
  await until('the first has the LAN', 20, async () => (await pair.holders()) === 'berlin')
})
