/** Paths to a cloud: a hub that decides alone, and a `ping` made of timers. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Choice } from '#providers/device.ts'
import { type OpenEcho, readEcho, unwrap } from '#src/agent/echo.ts'
import { createProber, type Prober } from '#src/agent/probe.ts'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { configOf } from './networks.ts'

describe('a line of ping', () => {
  test.each([
    ['64 bytes from 169.254.10.1: icmp_seq=7 ttl=64 time=0.123 ms', { kind: 'reply', sequence: 7, rttMs: 0.123 }],
    ['64 bytes from 169.254.10.1: icmp_seq=65535 ttl=254 time=21 ms', { kind: 'reply', sequence: 65_535, rttMs: 21 }],
    ['no answer yet for icmp_seq=3', { kind: 'unanswered', sequence: 3 }],
    ['From 169.254.10.2 icmp_seq=1 Destination Host Unreachable', undefined],
    ['PING 169.254.10.1 (169.254.10.1) from 169.254.10.2 : 56(84) bytes of data.', undefined],
    ['64 bytes from 169.254.10.1: icmp_seq=7 ttl=64 (truncated)', undefined],
    ['', undefined],
  ])('%j', (line, read) => expect(readEcho(line)).toEqual(read))

  test('its numbers go on where 16 bits end', () => {
    expect([unwrap(65_535, 0), unwrap(65_536, 65_535), unwrap(70_000, 4_465), unwrap(0, 1), unwrap(131_071, 0)]).toEqual([
      65_536, 65_535, 70_001, 1, 131_072,
    ])
  })
})

const tunnelTo = (member: 0 | 1) => ({
  id: `frankfurt.isp-a--aws.${member}`,
  index: 90 + member,
  role: 'cloud',
  probe: 'icmp',
  interface: `cloud:isp-a/aws.${member}`,
  linkEpoch: 0,
  uplink: 'isp-a',
  metered: false,
  decides: true,
  initiates: true,
  remote: 'aws',
  connection: 'frankfurt.isp-a',
  member,
  inside: `169.254.10.${2 + 4 * member}`,
  farInside: `169.254.10.${1 + 4 * member}`,
  peer: { kind: 'ipsec' },
})
function cloudConfig(): SiteConfig {
  const base = configOf('frankfurt')
  const hops = ([0, 1] as const).map((member) => ({ tunnel: tunnelTo(member).id, next: 'aws', stage: 0, cost: 10 + member, returnAfter: 0 }))
  const groups = base.classes.map((one) => ({ remotes: ['aws'], trafficClass: one.id, arrived: 'anywhere', via: hops }))
  return { ...base, tunnels: [tunnelTo(0), tunnelTo(1)], groups } as unknown as SiteConfig
}

describe('a hub and the two tunnels of a connection', () => {
  let prober: Prober
  let dead: Set<string>
  /** A ping that hangs says nothing; one that is broken ends at once. */
  let hangs: boolean
  let broken: boolean
  let running: Map<string, number>
  let started: { from: string; to: string; device: string | null; intervalMs: number }[]
  let steered: { at: number; choices: readonly Choice[] }[]
  let changed: number[]
  let refuse: boolean
  const roundTrip = 20

  const echo: OpenEcho = ({ from, to, device, intervalMs }, heard, ended) => {
    started.push({ from, to, device, intervalMs })
    let closed = false
    if (broken) {
      setTimeout(() => !closed && ended('ping: socket: Operation not permitted'), 5)
      return { close: () => void (closed = true), retire: () => void (closed = true) }
    }
    running.set(to, (running.get(to) ?? 0) + 1)
    let sequence = 0
    let answered = 0
    const send = () => {
      if (hangs) return
      if (sequence > 0 && answered < sequence) heard({ kind: 'unanswered', sequence })
      const own = ++sequence
      if (dead.has(to)) return
      setTimeout(() => {
        if (closed || dead.has(to)) return
        answered = own
        heard({ kind: 'reply', sequence: own, rttMs: roundTrip })
      }, roundTrip)
    }
    const timer = setInterval(send, intervalMs)
    setTimeout(send, 0)
    const close = () => {
      clearInterval(timer)
      running.set(to, running.get(to)! - 1)
    }
    return {
      close() {
        closed = true
        close()
      },
      retire: () => void setTimeout(close, 1_000),
    }
  }
  const states = () => prober.paths().map((one) => one.state)
  const chosen = () =>
    steered
      .flatMap(({ choices }) => choices)
      .filter((one) => one.trafficClass === 'business')
      .at(-1)?.hop

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance', 'Date'] })
    dead = new Set()
    hangs = broken = refuse = false
    running = new Map()
    started = []
    steered = []
    changed = []
    prober = createProber({
      tick: () => performance.now(),
      wall: () => Date.now(),
      random: () => 0.5,
      open: () => {
        throw new Error('a cloud reflects no STAMP')
      },
      echo,
      leave: async () => {},
      steer: async (choices) => void steered.push({ at: performance.now(), choices }),
      rehandshake: async (tunnel) => {
        if (refuse)
          throw Object.assign(new Error('no'), {
            finding: { code: 'D044', says: `the IPsec tunnel of ${tunnel} does not come up: AUTHENTICATION_FAILED`, instead: 'compare the keys' },
          })
      },
      event() {},
      changed: () => void changed.push(performance.now()),
    })
    const config = cloudConfig()
    prober.load(config, 1, prober.choicesFor(config))
    await vi.advanceTimersByTimeAsync(5_000)
  })
  afterEach(() => {
    prober.close()
    vi.useRealTimers()
  })

  test('are both up, the one in use asked every 50 ms and the other every 500', async () => {
    expect(states()).toEqual(['UP', 'UP'])
    expect(prober.paths()[0]).toMatchObject({ rttMs: 20, loss: 0, classes: expect.arrayContaining(['business']) as string[] })
    expect(prober.paths()[1]!.classes).toEqual([])
    expect(started.filter((one) => one.to === '169.254.10.1').at(-1)!.intervalMs).toBe(50)
    expect(started.filter((one) => one.to === '169.254.10.5').at(-1)!.intervalMs).toBe(500)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(states()).toEqual(['UP', 'UP'])
    expect(prober.paths().map((one) => one.loss)).toEqual([0, 0])
    expect([...running.values()], 'one ping a tunnel').toEqual([1, 1])
  })

  test('leave a dead one within 250 ms, and report it at once', async () => {
    dead.add('169.254.10.1')
    const at = performance.now()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(states()).toEqual(['DOWN', 'UP'])
    expect(chosen()).toBe(1)
    expect(steered.find((one) => one.at >= at)!.at - at).toBeLessThanOrEqual(250)
    expect(changed.find((one) => one >= at)! - at).toBeLessThanOrEqual(250)
  })

  test('of a peer that states what answers: asked through each tunnel’s own device, anew when it is another', async () => {
    const config = cloudConfig()
    const device = (member: number) => `cwi7u0m${member}p0`
    const withProbe = (probed: string) =>
      ({
        ...config,
        tunnels: config.tunnels.map((one) => ({ ...one, role: 'peer', probed })),
        interfaces: config.tunnels.map((one, member) => ({ id: one.interface, linkEpoch: 0, device: device(member) })),
      }) as unknown as SiteConfig
    expect(started.every((one) => one.device === null)).toBe(true)
    for (const probed of ['172.20.0.1', '172.20.0.9']) {
      started = []
      prober.load(withProbe(probed), 2, prober.choicesFor(withProbe(probed)))
      await vi.advanceTimersByTimeAsync(5_000)
      expect(new Set(started.map((one) => `${one.to} ${one.device}`))).toEqual(new Set([0, 1].map((member) => `${probed} ${device(member)}`)))
      expect(states()).toEqual(['UP', 'UP'])
    }
  })

  test('of a peer with IPv6 inside: a host is asked from the address of its family, anew when that is another', async () => {
    const config = cloudConfig()
    const six = (n: number, own: number) => ({ inside: `fd5c:${n}::${2 + own}`, farInside: `fd5c:${n}::${1 + own}` })
    const load = async (of: (member: number) => object) => {
      started = []
      const next = {
        ...config,
        tunnels: config.tunnels.map((one, member) => ({ ...one, role: 'peer', ...of(member) })),
        interfaces: config.tunnels.map((one, member) => ({ id: one.interface, linkEpoch: 0, device: `cwi7u0m${member}p0` })),
      } as unknown as SiteConfig
      prober.load(next, 2, prober.choicesFor(next))
      await vi.advanceTimersByTimeAsync(5_000)
      expect(states()).toEqual(['UP', 'UP'])
      return [...new Set(started.map((one) => `${one.from} ${one.to} ${one.device}`))].sort()
    }
    const both = (n: number) => (member: number) => ({ alsoInside: six(n, 4 * member), probed: 'fd20::10' })
    expect(await load(both(1))).toEqual(['fd5c:1::2 fd20::10 cwi7u0m0p0', 'fd5c:1::6 fd20::10 cwi7u0m1p0'])
    expect(await load(both(2))).toEqual(['fd5c:2::2 fd20::10 cwi7u0m0p0', 'fd5c:2::6 fd20::10 cwi7u0m1p0'])
    expect(await load((member) => ({ ...both(2)(member), probed: '172.20.0.1' }))).toEqual([
      '169.254.10.2 172.20.0.1 cwi7u0m0p0',
      '169.254.10.6 172.20.0.1 cwi7u0m1p0',
    ])
    expect(await load((member) => six(3, 4 * member))).toEqual(['fd5c:3::2 fd5c:3::1 null', 'fd5c:3::6 fd5c:3::5 null'])
  })

  test('come back when the cloud answers again', async () => {
    dead.add('169.254.10.1')
    await vi.advanceTimersByTimeAsync(90_000)
    dead.clear()
    await vi.advanceTimersByTimeAsync(20_000)
    expect(states()).toEqual(['UP', 'UP'])
    expect(prober.paths().map((one) => one.loss!)).toEqual([expect.closeTo(0, 1), 0])
  })

  test('all dead are unreachable, and said so', async () => {
    dead.add('169.254.10.1').add('169.254.10.5')
    await vi.advanceTimersByTimeAsync(15_000)
    expect(states()).toEqual(['DOWN', 'DOWN'])
    expect(chosen()).toBe('unreachable')
  })

  test('a ping that hangs, or that can not run, is no sign of life', async () => {
    hangs = true
    await vi.advanceTimersByTimeAsync(5_000)
    expect(states()).toEqual(['DOWN', 'DOWN'])
    expect([...running.values()]).toEqual([1, 1])
    hangs = false
    await vi.advanceTimersByTimeAsync(5_000)
    expect(states()).toEqual(['UP', 'UP'])
  })

  test('a ping that can not run answers nobody, and is tried again once a second', async () => {
    prober.close()
    broken = true
    started = []
    const config = cloudConfig()
    prober.load(config, 1, prober.choicesFor(config))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(states()).toEqual(['DOWN', 'DOWN'])
    expect(started.length).toBeLessThanOrEqual(22)
  })

  test('why a tunnel does not come up stands in the findings, until it is up', async () => {
    refuse = true
    dead.add('169.254.10.1')
    await vi.advanceTimersByTimeAsync(3_000)
    expect(prober.findings()).toEqual([
      { code: 'D044', says: 'the IPsec tunnel of frankfurt.isp-a--aws.0 does not come up: AUTHENTICATION_FAILED', instead: 'compare the keys' },
    ])
    refuse = false
    dead.clear()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(prober.findings()).toEqual([])
  })

  test('unloaded, no ping runs on', async () => {
    prober.unload()
    await vi.advanceTimersByTimeAsync(2_000)
    expect([...running.values()]).toEqual([0, 0])
  })
})
