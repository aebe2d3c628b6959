/** Drills as an operator runs them: on real lines, with evidence that needs no controller. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { EvidencePayload } from '#src/wire/messages.ts'
import { openWorld, until, type World } from './world.ts'

interface PathView {
  readonly tunnel: string
  readonly ends: readonly { readonly site: string; readonly state: string; readonly classes: readonly string[]; readonly load: object | null }[]
}

let world: World
beforeAll(async () => {
  world = await openWorld(['berlin'])
  // On a busy machine every line would be DEGRADED most of the time, and a drill refused.
  const without = '{ sla: { latency: none, jitter: none, loss: none } }'
  appendFileSync(join(world.sites, 'network.yaml'), `classes:\n  realtime: ${without}\n  business: ${without}\n`)
  expect(await world.cli('apply', '--yes')).toMatchObject({ code: 0 })
  await world.onboard('frankfurt', 'berlin')
})
afterAll(() => world?.close())

/** Until every path is UP with a known load and the classes have taken the same ways for some seconds. */
async function atRest(): Promise<void> {
  let before = ''
  let since = Date.now()
  await until('the network is at rest', 90, async () => {
    const { paths } = await world.get<{ paths: readonly PathView[] }>('/v1/paths')
    const now = JSON.stringify(paths.map(({ ends }) => ends.map(({ site, state, classes }) => [site, state, classes])))
    if (now !== before || !paths.every(({ ends }) => ends.every(({ state, load }) => state === 'UP' && load !== null))) since = Date.now()
    before = now
    if (Date.now() - since <= 4_000) throw new Error(now)
    return true
  })
}
const evidenceOf = async (said: string): Promise<EvidencePayload> => {
  const drill = /drill (d-[0-9a-f]+)/.exec(said)?.[1] ?? ''
  const shown = await world.cli('drill', 'show', drill, '--out', join(world.folder, 'ev.json'), '--trust', join(world.folder, 'trust.json'))
  expect(shown, shown.stderr).toMatchObject({ code: 0 })
  return await world.read<EvidencePayload>('drill', 'verify', join(world.folder, 'ev.json'), '--trust', join(world.folder, 'trust.json'))
}

it('cuts the line that carries the traffic, and tells how each class fared', async () => {
  await atRest()
  const ran = await world.cli('drill', 'run', 'berlin', '--break', 'fiber', '--seconds', '3')
  expect(ran, ran.stdout + ran.stderr).toMatchObject({ code: 0 })
  expect(ran.stdout).toMatch(
    /business +frankfurt +berlin\.fiber--frankfurt\.isp-. → berlin\.lte--frankfurt\.isp-. +after \d+ ms +gap \d+ ms +lost \d+ of \d+ probes/,
  )
  expect(ran.stdout).toMatch(/^lost \d+ of \d+ probe packets in all classes; largest gap \d+ ms$/m)
  const { verdict, held, measured, gate } = await evidenceOf(ran.stdout + ran.stderr)
  expect({ verdict, held }).toEqual({ verdict: 'moved', held: true })
  expect(measured.classes.map(({ trafficClass }) => trafficClass).sort()).toEqual(['bulk', 'business', 'default', 'realtime'])
  for (const { movedAfterMs, gapMs = 0, probes } of measured.classes) {
    expect(movedAfterMs).toBeGreaterThan(0)
    expect(movedAfterMs).toBeLessThan(1_000)
    expect(gapMs).toBeGreaterThanOrEqual(movedAfterMs ?? 0)
    expect(probes?.lost).toBeGreaterThan(0)
    expect(probes?.lost).toBeLessThan(probes?.sent ?? 0)
  }
  // The gate knew the lines and what was under way.
  expect(gate).toMatchObject({ capacity: [{ uplink: 'lte', direction: 'up', line: 10_000_000, needs: expect.any(Number) as number }, {}] })
  expect((await world.cli('status')).stdout).toMatch(/oldest drill \d+ s ago \(berlin\)/)
})

it('a line that nothing uses is no failover, and is not called one', async () => {
  await atRest()
  const ran = await world.cli('drill', 'run', 'berlin', '--break', 'lte', '--seconds', '2')
  expect(ran, ran.stdout + ran.stderr).toMatchObject({ code: 0 })
  expect(ran.stderr).toContain('berlin.lte was cut: no class used it, and none moved; evidence ev-')
  expect(await evidenceOf(ran.stdout + ran.stderr)).toMatchObject({ verdict: 'standby', measured: { classes: [] } })
  const file = join(world.folder, 'ev.json')
  const said = await world.cli('drill', 'verify', file, '--trust', join(world.folder, 'trust.json'))
  expect(said.stdout).toContain('no class used it, and none moved: it says nothing of a failover')
  const evidence = JSON.parse(readFileSync(file, 'utf8')) as { payload: string }
  const forged = Buffer.from(evidence.payload, 'base64url').toString().replace('"standby"', '"moved"')
  writeFileSync(file, JSON.stringify({ ...evidence, payload: Buffer.from(forged).toString('base64url') }))
  expect(await world.cli('drill', 'verify', file, '--trust', join(world.folder, 'trust.json'))).toMatchObject({ code: 1 })
})

it('without its standby a line is not cut', async () => {
  await world.lab.line('berlin.lte', { cut: 'all' })
  await until('lte is down', 60, async () => {
    const { paths } = await world.get<{ paths: readonly PathView[] }>('/v1/paths?site=berlin')
    return paths.filter(({ tunnel, ends }) => tunnel.includes('.lte--') && ends.some(({ state }) => state === 'DOWN')).length === 2
  })
  const ran = await world.cli('drill', 'run', 'berlin', '--break', 'fiber')
  expect(ran.code).toBe(1)
  expect(ran.stderr).toMatch(/C112 {2}class \w+ has no other way to frankfurt that is UP: the drill would be an outage/)
  expect(ran.stderr).toContain('berlin.lte--frankfurt.isp-a is DOWN')
  const drill = /drill (d-[0-9a-f]+)/.exec(ran.stderr)?.[1] ?? ''
  expect((await world.cli('drill', 'show', drill)).stdout).toMatch(/berlin\.fiber for 5 s {2}REFUSED\nC112 {2}class /)
  await world.lab.heal('all')
})

it('is scheduled, listed and taken back', async () => {
  const at = ['--break', 'fiber']
  expect((await world.cli('drill', 'schedule', 'list')).stdout).toContain('nothing is scheduled')
  const made = await world.cli('drill', 'schedule', 'berlin', ...at, '--every', '7d', '--at', '02:10')
  expect(made, made.stderr).toMatchObject({ code: 0 })
  expect(made.stdout).toMatch(
    /^berlin\.fiber is drilled every 7d, next \d{4}-\d\d-\d\d 02:10 UTC\. Undo: causeway drill schedule remove berlin --break fiber$/m,
  )
  expect((await world.cli('drill', 'schedule', 'list')).stdout).toMatch(/berlin\.fiber +every 7d +for 5 s +next /)
  expect((await world.cli('status')).stdout).toMatch(/next \d{4}-\d\d-\d\d 02:10 UTC \(berlin\.fiber\)/)
  const wrong = await world.cli('drill', 'schedule', 'berlin', ...at, '--every', '36h', '--at', '02:10')
  expect(wrong.code).toBe(2)
  expect(wrong.stderr).toContain('a time of the day needs an interval of whole days')
  expect(await world.cli('drill', 'schedule', 'remove', 'berlin', ...at)).toMatchObject({ code: 0 })
  expect((await world.cli('drill', 'schedule', 'remove', 'berlin', ...at)).stderr).toContain('no schedule for berlin.fiber')
})
