/** A planned failure of a hub's uplink, and evidence that the product's own command verifies offline. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { counted } from '#src/fabric/plural.ts'
import { patiently } from './controller.ts'
import type { Stream } from './rows.ts'
import type { Claim } from './screen.ts'
import { claim, type Figures, type PathView, program, type Story } from './story.ts'

interface DrillView {
  readonly state: string
  readonly evidence: string | null
  readonly measured: {
    readonly classes: readonly {
      readonly trafficClass: string
      readonly movedAfterMs: number | null
      readonly gapMs: number
      readonly probes: { readonly sent: number; readonly lost: number } | null
    }[]
  } | null
}
interface OperationView {
  readonly state: string
  readonly result: { readonly verdict: string } | null
  readonly findings: readonly { readonly says: string; readonly instead: string }[]
}

const site = 'frankfurt'
const seconds = 4
/** So long nothing may have moved before an operator would begin. */
const restMs = 5_000

/** Until every path is UP and no class has changed its way for `restMs`. Bounded: the row says what was met then. */
async function atRest({ controller }: Story): Promise<readonly PathView[]> {
  let before = ''
  let since = performance.now()
  for (const limit = performance.now() + 90_000; ; await sleep(250)) {
    const { paths } = await patiently(() => controller.api<{ paths: readonly PathView[] }>('/v1/paths'))
    const now = JSON.stringify(paths.map(({ tunnel, ends }) => [tunnel, ends.map(({ state, classes }) => [state, classes])]))
    const up = paths.every(({ ends }) => ends.every(({ state }) => state === 'UP'))
    if (now !== before || !up) since = performance.now()
    before = now
    if (performance.now() - since >= restMs || performance.now() > limit) return paths
  }
}

/** The uplink of the site under the stream, which berlin sends in class realtime. */
const underStream = (paths: readonly PathView[]): string | undefined =>
  paths
    .filter(({ ends }) => ends.some((end) => end.site === 'berlin' && end.classes.includes('realtime')))
    .flatMap(({ ends }) => ends.filter((end) => end.site === site))[0]?.uplink

export async function drill(story: Story, stream: Stream, figures: Figures): Promise<readonly Claim[]> {
  const { screen, controller, state } = story
  const uplink = underStream(await atRest(story)) ?? 'isp-a'
  screen.heading(`9  A drill: ${site}.${uplink} breaks for ${seconds} s, on purpose, and heals by itself`)
  const attempt = async () => {
    const before = await stream.summary()
    const { drill: id, operation } = await controller.api<{ drill: string; operation: string }>('/v1/drills', { site, uplink, seconds })
    let ended: OperationView
    do {
      await sleep(200)
      ended = await controller.api<OperationView>(`/v1/operations/${operation}`)
    } while (ended.state === 'running')
    return { before, ended, after: await stream.summary(), of: await controller.api<DrillView>(`/v1/drills/${id}`) }
  }
  let tried = await attempt()
  // Where a standby is not good enough nothing is cut, as it should be: an operator waits, and asks once more.
  for (let again = 0; again < 2 && tried.of.measured === null; again++) {
    screen.row('refused, asked once more', tried.ended.findings[0]?.says ?? tried.of.state)
    await atRest(story)
    tried = await attempt()
  }
  const { before, ended, after } = tried
  const { evidence, measured, state: drilled } = tried.of

  const classes = measured?.classes ?? []
  for (const [trafficClass, ways] of Map.groupBy(classes, (one) => one.trafficClass)) {
    const slowest = Math.max(...ways.map(({ movedAfterMs }) => movedAfterMs ?? Number.POSITIVE_INFINITY))
    const probes = ways.flatMap((way) => way.probes ?? [])
    const lost = `${probes.reduce((sum, one) => sum + one.lost, 0)} of ${probes.reduce((sum, one) => sum + one.sent, 0)} probes lost`
    screen.row(
      `${trafficClass} to ${counted(ways.length, 'remote')}`,
      `moved after ${slowest} ms, largest gap ${Math.max(...ways.map(({ gapMs }) => gapMs))} ms${probes.length > 0 ? `, ${lost}` : ''}`,
    )
  }
  const gaps = after.gaps.filter(({ to }) => to > before.lastSequence)
  const gap = Math.round(gaps[0]?.ms ?? 0)
  const lost = gaps.reduce((sum, one) => sum + one.lost, 0)
  const moved = ended.result?.verdict === 'moved'
  const ok = moved && gap > 0 && gap <= 1000
  const why = ended.findings.map(({ says, instead }) => `${says} (${instead})`).join('; ')
  screen.row(
    'the stream moved to the other line',
    ok ? screen.good(`gap ${gap} ms, ${lost} packets lost`) : screen.bad(`${drilled}: ${why}; gap ${gap} ms`),
  )
  const answer = evidence === null ? null : await verify(story, evidence, join(state, 'evidence.json'), join(state, 'trust.json'))
  const verified = answer === 0 || answer === genuine
  screen.row(
    evidence === null ? 'evidence' : `evidence ${evidence}`,
    verified ? screen.good('verified offline') : screen.bad(evidence === null ? 'none: nothing was cut' : 'does not verify'),
  )
  figures['drill_gap_ms'] = gap
  return [
    claim('drill_gap_ms', 'drill: longest silence of the stream', gap, 1000, 'ms', ok),
    claim('drill_verified', 'drill: evidence verified offline', verified ? 1 : 0, 1, 'of 1', verified),
  ]
}

/** What `drill verify` ends with where the signature is right and the drill did not go as it was meant to: the row above tells that. */
const genuine = 9
/** How `drill verify` ended. */
async function verify({ controller }: Story, evidence: string, file: string, trust: string): Promise<number | null> {
  writeFileSync(file, JSON.stringify(await controller.api(`/v1/evidence/${evidence}`)))
  writeFileSync(trust, JSON.stringify(await controller.api('/v1/trust')))
  return spawnSync(process.execPath, [program('bin/causeway.js'), 'drill', 'verify', file, '--trust', trust], { encoding: 'utf8' }).status
}
