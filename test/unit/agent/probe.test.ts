/** Two ends and a network made of timers: what the probers say to one another, and where they steer. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { configure } from '#src/compile/configure.ts'
import type { Choice, Leaving } from '#providers/device.ts'
import type { Fact, SiteConfig, SiteId, TunnelId, UplinkId } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { createChooser } from '#src/agent/choices.ts'
import { createProber, type Prober } from '#src/agent/probe.ts'
import type { OpenSocket } from '#src/agent/sockets.ts'
import { configOf, smallFabric } from './networks.ts'

const facts: Fact[] = ['berlin', 'frankfurt'].flatMap((site) =>
  configOf(site).interfaces.map(
    (one) => ({ kind: 'key', site: site as SiteId, interface: one.id, linkEpoch: one.linkEpoch, publicKey: 'x'.repeat(44) }) as const,
  ),
)
const configs = { berlin: configure(smallFabric(), facts, 'berlin' as SiteId), frankfurt: configure(smallFabric(), facts, 'frankfurt' as SiteId) }
type Site = keyof typeof configs

/** 20 ms a way. `cut` holds tunnels that carry nothing; `deaf` names an end that receives nothing on a tunnel. */
function network() {
  const receivers = new Map<string, (packet: Buffer, from: string) => void>()
  const cut = new Set<string>()
  /** Tunnels that lose what is longer than 1,300 bytes. */
  const narrow = new Set<string>()
  const padded: { at: number; tunnel: string }[] = []
  const tunnelOf = new Map(Object.values(configs).flatMap((config) => config.tunnels.map((one) => [one.inside as string, one.id])))
  const open: OpenSocket = (local, onPacket) => {
    receivers.set(local, onPacket)
    return {
      send(packet, length, to) {
        const copy = Buffer.from(packet.subarray(0, length))
        if (length > 1_000) padded.push({ at: performance.now(), tunnel: tunnelOf.get(local)! })
        if (narrow.has(tunnelOf.get(local)!) && length > 1_300 - 48) return
        if (cut.has(tunnelOf.get(local)!) || cut.has(`${tunnelOf.get(local)} from ${local}`)) return
        setTimeout(() => {
          if (!cut.has(tunnelOf.get(local)!)) receivers.get(to)?.(copy, local)
        }, 20)
      },
      close: () => void receivers.delete(local),
    }
  }
  return {
    open,
    cut,
    narrow,
    padded,
    silence: (tunnel: string, site: Site) => cut.add(`${tunnel} from ${configs[site].tunnels.find((one) => one.id === tunnel)!.inside}`),
  }
}

/** The same numbers in each run (Numerical Recipes' LCG). */
let seed = 1
const random = () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}

interface End {
  readonly prober: Prober
  readonly config: SiteConfig
  readonly steered: { at: number; choices: readonly Choice[] }[]
  readonly rehandshakes: string[]
  /** Where hosts were sent to the internet. */
  readonly left: Leaving[]
  readonly reasons: string[]
  /** Remote and reason. */
  readonly moves: string[]
  readonly choices: Map<string, Choice['hop']>
}
function end(site: Site, open: OpenSocket, config: SiteConfig = configs[site]): End {
  const self = {
    config,
    steered: [] as End['steered'],
    rehandshakes: [] as string[],
    left: [] as Leaving[],
    reasons: [] as string[],
    moves: [] as string[],
    choices: new Map<string, Choice['hop']>(),
  }
  const prober = createProber({
    tick: () => performance.now(),
    wall: () => Date.now(),
    random,
    open,
    echo: () => ({ close() {}, retire() {} }),
    leave: async (now) => void self.left.push(now),
    steer: async (choices) => {
      self.steered.push({ at: performance.now(), choices })
      for (const choice of choices) self.choices.set(choice.trafficClass, choice.hop)
    },
    rehandshake: async (tunnel: TunnelId) => void self.rehandshakes.push(tunnel),
    event: (_event, _text, data) => {
      self.reasons.push(String(data?.['reason'] ?? ''))
      self.moves.push(`${String(data?.['remote'] ?? '')} ${String(data?.['reason'] ?? '')}`)
    },
    changed() {},
  })
  const choices = prober.choicesFor(config)
  for (const choice of choices) self.choices.set(choice.trafficClass, choice.hop)
  prober.load(config, 1, choices)
  return { ...self, prober }
}
const used = ({ config, choices }: End, trafficClass = 'business') => {
  const hop = choices.get(trafficClass)
  const group = groupsOf(config).find((one) => one.trafficClass === trafficClass)!
  return hop === undefined || hop === 'unreachable' ? hop : group.via[hop]!.tunnel
}
const states = (of: End) => of.prober.paths().map((path) => path.state)

describe('two ends', () => {
  let net: ReturnType<typeof network>
  let berlin: End
  let frankfurt: End
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance', 'Date'] })
    net = network()
    frankfurt = end('frankfurt', net.open)
    berlin = end('berlin', net.open)
    await vi.advanceTimersByTimeAsync(5_000)
  })
  afterEach(() => {
    berlin.prober.close()
    frankfurt.prober.close()
    vi.useRealTimers()
  })

  test('find all paths up, and both use the one that the edge prefers', () => {
    expect(states(berlin)).toEqual(['UP', 'UP', 'UP', 'UP'])
    expect(states(frankfurt)).toEqual(['UP', 'UP', 'UP', 'UP'])
    expect(used(berlin)).toMatch(/^berlin\.fiber--/)
    expect(used(frankfurt)).toBe(used(berlin))
    expect(berlin.prober.paths()[0]).toMatchObject({ rttMs: 40, loss: 0 })
  })

  test('leave a cut uplink in one move, within 250 ms, and the hub follows within a round trip', async () => {
    for (const tunnel of berlin.config.tunnels) if (tunnel.uplink === 'fiber') net.cut.add(tunnel.id)
    const at = performance.now()
    const before = [berlin.steered.length, frankfurt.steered.length]
    await vi.advanceTimersByTimeAsync(1_000)
    const moves = berlin.steered.slice(before[0])
    expect(moves.length, 'one batch, not from one dead tunnel to the next').toBe(1)
    expect(moves[0]!.at - at).toBeLessThanOrEqual(250)
    expect(used(berlin)).toMatch(/^berlin\.lte--/)
    expect(used(frankfurt)).toBe(used(berlin))
    expect(frankfurt.steered.slice(before[1]).at(-1)!.at - moves[0]!.at).toBeLessThanOrEqual(40)
  })

  test('tell what each class takes, and how many of its probes were answered', async () => {
    const before = berlin.prober.uses()
    expect(before.map(({ trafficClass, remote, tunnel }) => `${trafficClass} ${remote} ${tunnel}`)).toEqual(
      ['bulk', 'business', 'default', 'realtime'].map((id) => `${id} frankfurt ${used(berlin)}`),
    )
    const tunnel = used(berlin) as TunnelId
    const path = berlin.prober.paths().find((one) => one.tunnel === tunnel)
    expect(path).toMatchObject({ classes: ['bulk', 'business', 'default', 'realtime'], uses: [{ remote: 'frankfurt', classes: path?.classes }] })
    const first = berlin.prober.heard(tunnel)?.next ?? 0
    await vi.advanceTimersByTimeAsync(1_000)
    const sent = (berlin.prober.heard(tunnel)?.next ?? 0) - first
    expect(sent, '50 ms apart, give or take a quarter').toBeGreaterThanOrEqual(16)
    expect(performance.now() - berlin.prober.heard(tunnel)!.at).toBeLessThanOrEqual(65)
    // The last one is still under way.
    expect(berlin.prober.heard(tunnel)!.lost(first, first + sent - 1)).toBe(0)
    net.cut.add(tunnel)
    await vi.advanceTimersByTimeAsync(500)
    const { next, lost } = berlin.prober.heard(tunnel)!
    expect(lost(first + sent, next ?? 0)).toBe((next ?? 0) - first - sent)
    // Who only follows hears what arrives, and can't know what does not.
    expect(frankfurt.prober.heard(tunnel)).toMatchObject({ next: null })
    expect(berlin.prober.heard('berlin.none--frankfurt.isp-a' as TunnelId)).toBeUndefined()
  })

  test('keep to a path whose twin on the same uplink dies with the remote uplink', async () => {
    const dead = used(berlin) as string
    net.cut.add(dead)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(used(berlin)).toMatch(/^berlin\.fiber--/)
    expect(used(berlin)).not.toBe(dead)
    expect(used(frankfurt)).toBe(used(berlin))
  })

  test('see a path that carries only one way as dead at both ends', async () => {
    const half = used(berlin) as string
    net.silence(half, 'frankfurt')
    await vi.advanceTimersByTimeAsync(1_000)
    expect(used(berlin)).not.toBe(half)
    expect(used(frankfurt)).toBe(used(berlin))
  })

  test('come back when the line does', async () => {
    for (const tunnel of berlin.config.tunnels) if (tunnel.uplink === 'fiber') net.cut.add(tunnel.id)
    await vi.advanceTimersByTimeAsync(2_000)
    net.cut.clear()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(used(berlin)).toMatch(/^berlin\.fiber--/)
    expect(used(frankfurt)).toBe(used(berlin))
  })

  test('the edge asks for a new handshake after 1 s, then ever more rarely; the hub never does', async () => {
    const tunnel = used(berlin) as string
    net.cut.add(tunnel)
    const of = () => berlin.rehandshakes.filter((one) => one === tunnel).length
    await vi.advanceTimersByTimeAsync(1_000)
    expect(of()).toBe(0)
    await vi.advanceTimersByTimeAsync(500)
    expect(of()).toBe(1)
    await vi.advanceTimersByTimeAsync(30_000)
    expect(of(), 'after 1, 3, 7, 15 and 31 s').toBe(5)
    expect(frankfurt.rehandshakes).toEqual([])
  })

  test('an edge that starts again leaves alone what answers already, though nothing is proved UP in the first second', async () => {
    berlin.prober.close()
    const tunnels = berlin.config.tunnels.map((one) => one.id)
    for (const one of tunnels) net.cut.add(one)
    berlin = end('berlin', net.open)
    await vi.advanceTimersByTimeAsync(500)
    net.cut.clear()
    await vi.advanceTimersByTimeAsync(400)
    expect(states(berlin)).toEqual(['INIT', 'INIT', 'INIT', 'INIT'])
    await vi.advanceTimersByTimeAsync(2_000)
    expect(states(berlin)).toEqual(['UP', 'UP', 'UP', 'UP'])
    expect(berlin.rehandshakes).toEqual([])
  })

  test('with no way left keep the last for 5 s, since a far agent may only be restarting, then say unreachable', async () => {
    berlin.prober.close()
    // A metered standby is heard every 15 s, so it counts as up for three times that.
    while (states(frankfurt).some((state) => state !== 'DOWN')) await vi.advanceTimersByTimeAsync(500)
    await vi.advanceTimersByTimeAsync(3_000)
    expect(used(frankfurt)).toMatch(/^berlin\.lte--/)
    await vi.advanceTimersByTimeAsync(3_000)
    expect(used(frankfurt)).toBe('unreachable')
  })

  test('an end that starts again is heard at once, though its numbers begin at 0', async () => {
    berlin.prober.close()
    await vi.advanceTimersByTimeAsync(2_000)
    berlin = end('berlin', net.open)
    await vi.advanceTimersByTimeAsync(3_000)
    expect(states(berlin)).toEqual(['UP', 'UP', 'UP', 'UP'])
    expect(states(frankfurt)).toEqual(['UP', 'UP', 'UP', 'UP'])
    expect(used(frankfurt)).toBe(used(berlin))
  })

  test('a hub that starts again is told of a metered standby faster than that is probed else', async () => {
    frankfurt.prober.close()
    frankfurt = end('frankfurt', net.open)
    await vi.advanceTimersByTimeAsync(22_000)
    expect(states(frankfurt)).toEqual(['UP', 'UP', 'UP', 'UP'])
  })

  test('prove by full packets that each path carries the MTU, often only where traffic flows', async () => {
    expect(new Set(net.padded.map((one) => one.tunnel)).size, 'each as it came up').toBe(4)
    expect(berlin.prober.findings()).toEqual([])
    const active = used(berlin) as string
    const metered = berlin.config.tunnels.find((one) => one.metered)!.id
    const before = net.padded.length
    await vi.advanceTimersByTimeAsync(60_000)
    const of = (tunnel: string) => net.padded.slice(before).filter((one) => one.tunnel === tunnel).length
    // A probe and its reply.
    expect(of(active)).toBeGreaterThanOrEqual(10)
    expect(of(active)).toBeLessThanOrEqual(14)
    expect(of(metered)).toBe(0)
    expect(berlin.prober.paths()[0]).toMatchObject({ loss: 0 })
  })

  test('leave a path that loses full packets, say so, and use it again when it carries them', async () => {
    const hole = used(berlin) as string
    net.narrow.add(hole)
    await vi.advanceTimersByTimeAsync(20_000)
    expect(berlin.prober.paths().find((one) => one.tunnel === hole)).toMatchObject({ state: 'DEGRADED', loss: 0 })
    expect(berlin.prober.findings()).toEqual([
      {
        code: 'A38',
        says: `${hole} answers small packets and loses those of 1360 bytes (an MTU black hole)`,
        instead: 'Have the provider let ICMP "packet too big" through, or set a lower mtu: in network.yaml',
      },
    ])
    expect(used(berlin)).not.toBe(hole)
    expect(used(frankfurt)).toBe(used(berlin))
    net.narrow.clear()
    await vi.advanceTimersByTimeAsync(20_000)
    expect(berlin.prober.paths().find((one) => one.tunnel === hole)).toMatchObject({ state: 'UP' })
    expect(berlin.prober.findings()).toEqual([])
  })

  test('a burst measures a path and judges it by nothing that it sends', async () => {
    const tunnel = used(berlin) as TunnelId
    const narrow = berlin.config.tunnels.find(({ id }) => id !== tunnel)!.id
    net.narrow.add(narrow)
    const first = berlin.prober.heard(tunnel)!.next!
    const bursts = Promise.all([tunnel, narrow].map((id) => berlin.prober.burst(id, { count: 50, intervalMs: 20 })))
    await vi.advanceTimersByTimeAsync(1_000)
    // As many ordinary probes as ever.
    expect(berlin.prober.heard(tunnel)!.next! - first).toBeLessThanOrEqual(28)
    await vi.advanceTimersByTimeAsync(1_500)
    const good = { sent: 50, received: 50, rttMs: { min: 40, median: 40, max: 40 }, jitterMs: 0, fullPackets: true }
    expect(await bursts).toEqual([good, { ...good, fullPackets: false }])
    expect(states(berlin).concat(states(frankfurt))).toEqual(Array.from({ length: 8 }, () => 'UP'))
    expect(berlin.prober.heard(tunnel)!.lost(first, berlin.prober.heard(tunnel)!.next! - 1)).toBe(0)

    net.cut.add(tunnel)
    const dead = berlin.prober.burst(tunnel, { count: 10, intervalMs: 20 })
    await vi.advanceTimersByTimeAsync(2_000)
    expect(await dead).toEqual({ sent: 10, received: 0, rttMs: null, jitterMs: null, fullPackets: false })
    expect(await berlin.prober.burst('berlin.none--frankfurt.isp-a' as TunnelId, { count: 1, intervalMs: 20 })).toBeUndefined()
  })

  test('a path that loses full packets is better than none', async () => {
    for (const tunnel of berlin.config.tunnels) net.narrow.add(tunnel.id)
    await vi.advanceTimersByTimeAsync(20_000)
    expect(used(berlin)).not.toBe('unreachable')
    expect(berlin.steered.flatMap(({ choices }) => choices).filter((choice) => choice.hop === 'unreachable')).toEqual([])
  })

  describe('a site that drains', () => {
    const drained = (ms: number) => ({ ...frankfurt.config, drainUntil: new Date(Date.now() + ms).toISOString() })
    /** berlin reaches madrid through frankfurt, too. */
    const through = () => {
      const more = groupsOf(berlin.config).map(({ trafficClass, arrived, via }) => ({ trafficClass, arrived, via, remotes: ['madrid' as SiteId] }))
      const config = { ...berlin.config, groups: [...berlin.config.groups, ...more] }
      berlin.prober.load(config, 2, berlin.prober.choicesFor(config))
    }
    const cutFiber = async () => {
      for (const tunnel of berlin.config.tunnels) if (tunnel.uplink === 'fiber') net.cut.add(tunnel.id)
      await vi.advanceTimersByTimeAsync(1_000)
    }
    test('says so: ways through it rank last, and stay in use where there is no other; what ends at it does not move', async () => {
      through()
      frankfurt.prober.load(drained(60_000), 2, frankfurt.prober.choicesFor(frankfurt.config))
      await vi.advanceTimersByTimeAsync(1_000)
      await cutFiber()
      expect(berlin.moves).toContain('madrid draining')
      expect(berlin.moves.filter((move) => move.startsWith('frankfurt'))).not.toContain('frankfurt draining')
      expect(used(berlin)).toMatch(/^berlin\.lte--/)
      net.cut.clear()
      frankfurt.prober.load(frankfurt.config, 3, frankfurt.prober.choicesFor(frankfurt.config))
      await vi.advanceTimersByTimeAsync(5_000)
      expect(used(berlin)).toMatch(/^berlin\.fiber--/)
      expect(berlin.reasons.at(-1)).not.toBe('draining')
    })
    test('says so no more once its window has ended, with nobody to tell it', async () => {
      through()
      frankfurt.prober.load(drained(2_000), 2, frankfurt.prober.choicesFor(frankfurt.config))
      await vi.advanceTimersByTimeAsync(3_000)
      const before = berlin.moves.length
      await cutFiber()
      expect(berlin.moves.slice(before)).toContain('madrid best')
      expect(berlin.moves.slice(before)).not.toContain('madrid draining')
    })
  })

  test('a config that changes nothing about the paths loses no history', async () => {
    const before = berlin.prober.paths()
    berlin.prober.load({ ...berlin.config, network: { ...berlin.config.network, mtu: 1300 } }, 2, berlin.prober.choicesFor(berlin.config))
    expect(berlin.prober.paths().map((path) => path.state)).toEqual(before.map((path) => path.state))
    await vi.advanceTimersByTimeAsync(1_000)
    expect(berlin.steered.filter(({ choices }) => choices.some((choice) => choice.hop === 'unreachable'))).toEqual([])
  })

  test('leave to the internet over the fiber, and over lte as soon as no hub answers behind the fiber', async () => {
    const exits = ['fiber', 'lte'] as UplinkId[]
    berlin.prober.load({ ...berlin.config, exits }, 2, berlin.prober.choicesFor(berlin.config))
    await vi.advanceTimersByTimeAsync(1_000)
    expect(berlin.left.at(-1)).toEqual({ by: 'fiber', open: exits })
    for (const tunnel of berlin.config.tunnels) if (tunnel.uplink === 'fiber') net.cut.add(tunnel.id)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(berlin.left.at(-1)).toEqual({ by: 'lte', open: ['lte'] })
    net.cut.clear()
    await vi.advanceTimersByTimeAsync(20_000)
    expect(berlin.left.at(-1)).toEqual({ by: 'fiber', open: exits })
    expect(frankfurt.left).toEqual([])
  })
})

test('what was said earlier and arrives later changes nothing, unless the far clock was set back', () => {
  const chooser = createChooser()
  const berlin = 'berlin' as SiteId
  expect(chooser.heard(berlin, [1], 100_000)).toBe(true)
  expect(chooser.heard(berlin, [2], 99_900)).toBe(false)
  expect(chooser.heard(berlin, [1], 100_100)).toBe(false)
  expect(chooser.heard(berlin, [2], 100_200)).toBe(true)
  expect(chooser.heard(berlin, [3], 1_000)).toBe(true)
})
