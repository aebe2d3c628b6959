/** The cloud's part of the story: a VPC that is asked, a return route that follows, and the end. */
import { setTimeout as sleep } from 'node:timers/promises'
import { patiently } from './controller.ts'
import type { Claim } from './screen.ts'
import { claim, type Figures, program, type RegionView, type Story } from './story.ts'

export const region = 'aws-eu-west-1'
/** Of aws-seed.json. */
export const vpcHost = '10.96.1.10'
const url = `http://${vpcHost}:8443/`

interface Swept {
  readonly resources: readonly { readonly id: string; readonly type: string; readonly known: boolean }[]
}
interface RegionDetail extends RegionView {
  readonly routes: readonly { readonly to: string; readonly via: string }[]
}

/** By tag, as the cloud itself tells it: a second resource of one id was made twice. */
export async function duplicatesInCloud({ controller }: Story): Promise<number> {
  const { resources } = await controller.api<Swept>('/v1/clouds/aws/sweep')
  return resources.length - new Set(resources.map((one) => one.id)).size
}

export async function askCloud({ screen, lab }: Story): Promise<readonly Claim[]> {
  const asked = await lab.exec('berlin-inference', [process.execPath, program('src/lab/ask.ts'), url])
  const answer = asked.code === 0 ? (JSON.parse(asked.stdout) as { status: number; ms: number }) : { status: 0, ms: 0 }
  screen.row(
    `${url} in the VPC, from a host in berlin`,
    answer.status === 200 ? screen.good(`HTTP 200 in ${answer.ms} ms`) : screen.bad(asked.stderr.trim() || `HTTP ${answer.status}`),
  )
  return [claim('http_cloud', 'berlin → model in the VPC answers', answer.status, 200, 'HTTP', answer.status === 200)]
}

/** Cuts a hub's uplink: its connection dies, and the cloud's routes back must take another. */
export async function cutHubUplink(story: Story, figures: Figures): Promise<readonly Claim[]> {
  const { screen, lab, controller } = story
  screen.heading('4b Uplink isp-a cut at frankfurt')
  const detail = () => controller.api<RegionDetail>(`/v1/regions/${region}`)
  const carrying = async () => (await detail()).routes.filter(({ via }) => via === 'frankfurt.isp-a').length
  await settled(story)
  const before = await carrying()
  const seconds = 20
  const asking = lab.exec('berlin-inference', [process.execPath, program('src/lab/outage.ts'), url, String(seconds)], { timeoutMs: 60_000 })
  await sleep(2000)
  await lab.line('frankfurt.isp-a', { cut: 'all' })
  const ran = await asking
  const seen =
    ran.code === 0
      ? (JSON.parse(ran.stdout) as { longestMs: number; answers: number; last: boolean })
      : { longestMs: seconds * 1000, answers: 0, last: false }
  const after = await carrying()
  const measured = Number((seen.longestMs / 1000).toFixed(1))
  const ok = before > 0 && after === 0 && seen.last && measured <= 10
  screen.row(
    'the return route followed',
    ok
      ? screen.good(`${measured} s without an answer from the VPC, ${before} routes moved`)
      : screen.bad(
          `${measured} s, ${after} of ${before} routes still at the dead connection, ${seen.last ? 'answers again' : 'no answer at the end'}`,
        ),
  )
  await lab.heal('frankfurt.isp-a')
  figures['return_route_s'] = measured
  return [claim('return_route_s', 'return traffic after a hub uplink cut', measured, 10, 's', ok)]
}

/** Until every tunnel is up again after what was healed, so that each row breaks one thing only. Bounded. */
export async function settled({ controller }: Story): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const { tunnels } = await patiently(() => controller.api<{ tunnels: { total: number; up: number } }>('/v1/status'))
    if (tunnels.up === tunnels.total) return
    await sleep(200)
  }
}

/** Everything that was made in the cloud goes, and a sweep by tag finds nothing. */
export async function decommission(story: Story, figures: Figures): Promise<readonly Claim[]> {
  const { screen, controller } = story
  screen.heading('10 The region is taken down')
  const { operation } = await controller.api<{ operation: string }>(`/v1/regions/${region}/decommission`, {})
  let ended = { state: 'running' }
  for (let tries = 0; tries < 300 && ended.state === 'running'; tries++) {
    await sleep(200)
    ended = await controller.api<{ state: string }>(`/v1/operations/${operation}`)
  }
  const { resources } = await controller.api<Swept>('/v1/clouds/aws/sweep?locations=eu-west-1')
  const ok = ended.state === 'succeeded' && resources.length === 0
  screen.row(
    'sweep of the cloud by tag',
    ok
      ? screen.good('nothing of ours is left')
      : screen.bad(`${resources.length} left (${resources.map((one) => one.id).join(', ')}), operation ${ended.state}`),
  )
  figures['leaked'] = resources.length
  return [claim('leaked', 'cloud resources left after the end', resources.length, 0, 'resources', ok)]
}
