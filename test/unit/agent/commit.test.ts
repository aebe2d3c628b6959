import { describe, expect, test } from 'vitest'
import { commit, type CommitDeps, type PermitAnswer, restore } from '#src/agent/commit.ts'
import type { Clock } from '#src/agent/clock.ts'
import { type Disk, openDisk, settle } from '#src/agent/disk.ts'
import { readArguments } from '#src/agent/options.ts'
import type { Prober } from '#src/agent/probe.ts'
import type { SiteConfig, Triple } from '#src/fabric/fabric.ts'
import { fakeDevice, interfaceNamed, memoryFiles, PowerCut } from './fake-device.ts'
import { configOf } from './networks.ts'

const triple = (revision: number): Triple => ({ term: 1, generation: 1, revision })
const signed = (revision: number) => ({ payload: String(revision), signatures: [] })
const config = configOf('berlin')
/** The same site with its MTU changed: another config, nothing else. */
const other: SiteConfig = { ...config, network: { ...config.network, mtu: 1300 } }
const configs = new Map([
  [0, config],
  [1, other],
])
const interfaces = ['eth0', 'wwan0', 'eth1'].map((name, i) => ({ ...interfaceNamed(name, `100.64.${i}.2/24`) }))
const idleProber: Prober = {
  choicesFor: () => [],
  load() {},
  hold() {},
  unload() {},
  paths: () => [],
  uses: () => [],
  heard: () => undefined,
  burst: async () => undefined,
  isUp: () => false,
  isDown: () => false,
  isHeard: () => false,
  findings: () => [],
  close() {},
}

/** Time passes only when somebody waits. */
function clockOf(): Clock {
  let boot = 1000
  return { now: () => boot * 1000, boot: () => boot, tick: () => boot * 1000, atLeast() {}, wait: async (ms) => void (boot += ms / 1000) }
}

function box(disk: Disk, change: Partial<CommitDeps> & { permits?: readonly PermitAnswer[] } = {}) {
  const clock = clockOf()
  const device = fakeDevice(interfaces)
  const guards: { nonce: string; armed: boolean }[] = []
  const events: string[] = []
  const permits = [...(change.permits ?? [{ kind: 'granted' }])] as PermitAnswer[]
  const deps: CommitDeps = {
    disk,
    driver: device,
    keys: { privateKey: async () => '', secret: () => Promise.reject(new Error('no IPsec here')) },
    prober: idleProber,
    clock,
    arm(nonce) {
      const guard = { nonce, armed: true }
      guards.push(guard)
      return { disarm: () => void (guard.armed = false) }
    },
    permit: async () => (permits.length > 1 ? permits.shift()! : permits[0]!),
    event: (_, text) => events.push(text),
    changed() {},
    deadlineSeconds: 30,
    ...change,
  }
  return { deps, device, guards, events }
}
const away: PermitAnswer = { kind: 'unreachable', trouble: { code: 'A05', says: 'no answer', instead: '' } }

async function freshDisk(running: number | null): Promise<{ disk: Disk; content: Map<string, string> }> {
  const content = new Map<string, string>()
  const disk = await openDisk(memoryFiles(content))
  if (running !== null) {
    await disk.staged(triple(running), signed(running))
    await disk.confirmed(triple(running))
  }
  return { disk, content }
}

describe('a confirmed commit', () => {
  test('with a permit is confirmed, then pruned, and the guard goes', async () => {
    const { disk } = await freshDisk(0)
    const { deps, device, guards } = box(disk)
    await disk.staged(triple(1), signed(1))
    expect(await commit(deps, { triple: triple(1), config: other }, { triple: triple(0), config })).toEqual({ kind: 'confirmed' })
    expect(disk.state()).toMatchObject({ commit: { state: 'confirmed', triple: triple(1) }, confirmed: triple(1), previous: triple(0) })
    expect(device.calls).toEqual(['set 4 prune=false', 'set 4 prune=true'])
    expect(guards).toEqual([{ nonce: expect.any(String), armed: false }])
  })

  test('waits for a controller that comes back before the deadline', async () => {
    const { disk } = await freshDisk(0)
    const { deps } = box(disk, { permits: [away, away, { kind: 'granted' }] })
    expect(await commit(deps, { triple: triple(1), config: other }, { triple: triple(0), config })).toEqual({ kind: 'confirmed' })
  })

  test.each<[string, Partial<CommitDeps> & { permits?: readonly PermitAnswer[] }, string]>([
    ['no permit comes before the deadline', { permits: [away] }, 'A32'],
    ['something else is assigned meanwhile', { permits: [{ kind: 'withdrawn', says: '1/1/2 is assigned' }] }, 'A36'],
    ['the permit is forged', { permits: [{ kind: 'wrong', trouble: { code: 'A20', says: 'It is not signed', instead: '' } }] }, 'A20'],
  ])('goes back when %s', async (_, change, code) => {
    const { disk } = await freshDisk(0)
    const { deps, device, guards } = box(disk, change)
    const outcome = await commit(deps, { triple: triple(1), config: other }, { triple: triple(0), config })
    expect(outcome).toMatchObject({ kind: 'rolled-back', trouble: { code } })
    expect(disk.state()).toMatchObject({ commit: { state: 'rolled-back', code }, confirmed: triple(0) })
    expect(device.running).toBe(config)
    expect(guards[0]!.armed).toBe(false)
  })

  test('goes back when a command fails in the middle', async () => {
    const { disk } = await freshDisk(0)
    const { deps, device } = box(disk)
    device.breaks = (of) => of === other
    expect(await commit(deps, { triple: triple(1), config: other }, { triple: triple(0), config })).toMatchObject({
      kind: 'rolled-back',
      trouble: { code: 'A34', says: 'ip: no such device' },
    })
    expect(device.running).toBe(config)
  })

  test('goes back when a path was up before and none is after', async () => {
    const { disk } = await freshDisk(0)
    const tunnel = { id: 'berlin.fiber--frankfurt.isp-a', peer: { kind: 'wireguard' } }
    const withTunnel = { ...other, tunnels: [tunnel] } as unknown as SiteConfig
    let loaded = false
    const prober: Prober = { ...idleProber, isUp: () => !loaded, load: () => void (loaded = true) }
    const { deps, device } = box(disk, { prober })
    const outcome = commit(
      deps,
      { triple: triple(1), config: withTunnel },
      { triple: triple(0), config: { ...config, tunnels: [tunnel] } as unknown as SiteConfig },
    )
    expect(await outcome).toMatchObject({ kind: 'rolled-back', trouble: { code: 'A33' } })
    expect(device.running?.network.mtu).toBe(config.network.mtu)
  })

  test('stays where all paths have another pre-shared key, which their far ends have to learn first', async () => {
    const { disk } = await freshDisk(0)
    const keyed = (version: number): SiteConfig =>
      ({
        ...config,
        tunnels: [{ id: 'berlin.fiber--partner.0', peer: { kind: 'ipsec', psk: { id: 'psk/peer/partner', version } } }],
      }) as unknown as SiteConfig
    let up = true
    const { deps } = box(disk, { prober: { ...idleProber, isUp: () => up, load: () => void (up = false) } })
    expect(await commit(deps, { triple: triple(1), config: keyed(2) }, { triple: triple(0), config: keyed(1) })).toEqual({ kind: 'confirmed' })
    up = true
    expect(await commit(deps, { triple: triple(2), config: keyed(2) }, { triple: triple(1), config: keyed(2) })).toMatchObject({
      trouble: { code: 'A33' },
    })
  })

  test('arms a guard that understands what it is told', async () => {
    for (let revision = 1; revision <= 300; revision++) {
      const { disk } = await freshDisk(0)
      const { deps, guards } = box(disk)
      await commit(deps, { triple: triple(revision), config: other }, { triple: triple(0), config })
      expect(readArguments(['guard', '--nonce', guards[0]!.nonce])).toMatchObject({ command: 'guard', nonce: guards[0]!.nonce })
    }
  })

  test('of the very first bundle goes back to an empty box', async () => {
    const { disk } = await freshDisk(null)
    const { deps, device } = box(disk, { permits: [away] })
    expect((await commit(deps, { triple: triple(0), config }, null)).kind).toBe('rolled-back')
    expect(device.running).toBeNull()
    expect(disk.state().confirmed).toBeNull()
  })

  test('that does not fit the box is refused before anything is touched', async () => {
    const { disk } = await freshDisk(null)
    const { deps, device, guards } = box(disk)
    device.interfaces = [interfaceNamed('enp1s0', '203.0.113.7/24')]
    expect(await commit(deps, { triple: triple(0), config }, null)).toMatchObject({ kind: 'refused', trouble: { code: 'A07' } })
    expect([device.calls, guards]).toEqual([[], []])
  })

  test('is not decided twice: a guard that was faster wins', async () => {
    const { disk, content } = await freshDisk(0)
    const { deps, device } = box(disk)
    const guard = await openDisk(memoryFiles(content))
    const permit: CommitDeps['permit'] = async (_, nonce) => {
      await guard.decide(nonce, 'rolled-back')
      return { kind: 'granted' }
    }
    expect(await commit({ ...deps, permit }, { triple: triple(1), config: other }, { triple: triple(0), config })).toMatchObject({
      kind: 'rolled-back',
      trouble: { code: 'A35' },
    })
    expect(device.running).toBe(config)
  })
})

describe('a power cut', () => {
  /** Stages and commits revision 1 over revision 0 with a disk that takes only so many writes. */
  async function cutAfter(writes: number, permits: readonly PermitAnswer[]) {
    const { content } = await freshDisk(0)
    const disk = await openDisk(memoryFiles(content, writes))
    const { deps } = box(disk, { permits })
    let finished = true
    try {
      await disk.staged(triple(1), signed(1))
      await commit(deps, { triple: triple(1), config: other }, { triple: triple(0), config })
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error
      finished = false
    }
    // The box starts again: what does it run?
    const after = await openDisk(memoryFiles(content))
    await settle(after)
    const { confirmed, commit: last } = after.state()
    const device = fakeDevice(interfaces)
    const bundle = confirmed === null ? null : await after.bundle(confirmed)
    await restore(
      { driver: device, prober: idleProber, keys: { privateKey: async () => '', secret: () => Promise.reject(new Error('no IPsec here')) } },
      confirmed === null ? null : { triple: confirmed, config: configs.get(Number(bundle?.payload))! },
    )
    return {
      finished,
      runs: device.running === config ? 0 : device.running === other ? 1 : null,
      last: last.state,
      confirmed: confirmed?.revision,
      decided: [...content.entries()].some(([name, text]) => name.startsWith('decisions/') && text === 'confirmed'),
    }
  }

  test.each([
    ['with a permit', [{ kind: 'granted' }]],
    ['without one', [away]],
  ] as const)('between any two writes, %s, boots what was confirmed last', async (_, permits) => {
    const seen = []
    for (let writes = 0; writes < 20; writes++) {
      const after = await cutAfter(writes, permits)
      seen.push(after)
      expect(after.last, `after ${writes} writes`).not.toBe('pending')
      expect(after.runs, `after ${writes} writes`).toBe(after.confirmed)
      // Exactly from the decision on, the new bundle is the last good one.
      expect(after.runs, `after ${writes} writes`).toBe(after.decided ? 1 : 0)
      if (after.finished) break
    }
    expect(seen.at(-1)).toMatchObject({ finished: true, runs: permits[0].kind === 'granted' ? 1 : 0 })
    expect(seen.length).toBeGreaterThan(5)
  })
})

test('a triple that keeps failing is counted, another one starts from zero', async () => {
  const { disk } = await freshDisk(0)
  for (let i = 0; i < 2; i++) {
    await disk.staged(triple(1), signed(1))
    await disk.pending(triple(1), `n${i}`, '', 0)
    await disk.rolledBack(triple(1), 'A34', 'x')
  }
  expect(disk.state().attempts).toBe(2)
  await disk.staged(triple(2), signed(2))
  expect(disk.state().attempts).toBe(0)
})

test('a damaged state file is a sentence', async () => {
  await expect(openDisk(memoryFiles(new Map([['state.json', '{"v":']])))).rejects.toMatchObject({
    trouble: { code: 'A12', says: 'state.json in the state folder is damaged' },
  })
})
