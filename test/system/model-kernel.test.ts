/** The model agrees with the kernel: random packets through `walk`, and through real namespaces. */
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Failure, SiteId, TunnelId, UplinkId } from '#src/fabric/fabric.ts'
import { settled } from './model-kernel/network.ts'
import { probesFor } from './model-kernel/probes.ts'
import { startWorld, type World } from './model-kernel/world.ts'

/** Printed with each disagreement; SEED=n repeats a run. */
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
let nextPort = 10_000
const uplink = (site: string, id: string): Failure => ({ kind: 'uplink', site: site as SiteId, uplink: id as UplinkId })
const hub = (site: string): Failure => ({ kind: 'hub', site: site as SiteId })
const tunnel = (id: string): Failure => ({ kind: 'tunnel', tunnel: id as TunnelId })

const agree = (differences: readonly string[]): void => expect(differences, `SEED=${seed}\n${differences.join('\n')}`).toEqual([])

describe.each([
  { folder: 'sites/demo', failures: [hub('frankfurt'), uplink('berlin', 'fiber'), tunnel('berlin.fiber--frankfurt.isp-a')] },
  { folder: 'test/system/model-kernel/odd', failures: [hub('north'), uplink('east', 'fiber'), tunnel('north.isp-b--south.isp')] },
])('in $folder', ({ folder, failures }) => {
  let world: World
  beforeAll(async () => {
    world = await startWorld(resolve(folder))
  })
  afterAll(() => world?.stop())
  const probes = (count: number) => {
    const made = probesFor(world.network.fabric, seed + nextPort, count, nextPort)
    nextPort += count
    return made
  }

  it('nothing broken', async () => {
    agree(await world.compare(world.normal, probes(250)))
  })
  it.each(failures)('$kind', async (failure) => {
    const situation = settled(world.network.fabric, JSON.stringify(failure), [failure])
    await world.become(situation)
    agree(await world.compare(situation, probes(120)))
    await world.become(world.normal)
  })
})
