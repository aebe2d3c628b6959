/** Drills: what must be proved before an uplink is cut, the signed order, and the signed evidence afterwards. */
import { randomBytes } from 'node:crypto'
import { loadSigner } from '#src/controller/pki/signer.ts'
import { drills, events, generations, network, operations, paths, sites } from '#src/controller/store/index.ts'
import type { Tx } from '#src/controller/store/index.ts'
import type { PathRow } from '#src/controller/store/paths.ts'
import type { Fabric, Finding, Site } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { sign } from '#src/wire/bundle.ts'
import type { DrillPayload, DrillReport, EvidencePayload } from '#src/wire/messages.ts'
import type { Command } from '../contract.ts'
import { carryOut, type Deps, finding, further, Refused } from './context.ts'

export interface Gate {
  /** Classes that use the uplink now, each with the way that is UP and takes it. */
  readonly moves: readonly { readonly trafficClass: string; readonly remote: string; readonly from: string; readonly to: string }[]
  /** bit/s that the classes are guaranteed together, and what each standby has; 0: not stated. */
  readonly capacity: readonly { readonly uplink: string; readonly needs: number; readonly has: number }[]
}

export function drillActivities(deps: Deps) {
  const { store } = deps
  const subjectOf = (drill: string) => `drill/${drill}`
  const signer = async (id: string) => {
    if (deps.vault === undefined)
      throw new Refused(finding('C111', 'error', 'this worker has no vault, so it can sign nothing', "start it with the vault's key"))
    return await loadSigner(deps.vault, id)
  }

  return {
    /** Null when it is refused: the operation has ended with the reason, and nothing was touched. */
    async gateDrill({ drill, command, patience }: Of & { readonly patience: number }): Promise<{ readonly seconds: number } | null> {
      try {
        return await carryOut(deps, { command, kind: 'drill', subject: subjectOf(drill) }, async (tx) => {
          const row = await drills.get(tx, drill)
          if (row === undefined) throw new Refused(finding('C110', 'error', `there is no drill ${drill}`))
          const site = await sites.lock(tx, row.site)
          const fabric = (await generations.head(tx))?.fabric
          const at = await network.get(tx)
          const own = fabric?.sites.find(({ id }) => id === row.site)
          if (site === undefined || own === undefined || fabric === undefined || at === undefined)
            throw new Refused(finding('C110', 'error', `there is no site "${row.site}"`))
          if (site.state !== 'ACTIVE' || site.device === null)
            throw new Refused(
              finding('C112', 'error', `${row.site} is ${site.state}: a drill needs a site at rest`, `causeway site status ${row.site}`),
            )
          if (!sites.isOnline(site, new Date()))
            throw new Refused(
              finding('C112', 'error', `${row.site} does not report, so nobody would know what the drill did`, `causeway site status ${row.site}`),
            )
          const busy = await drills.orderFor(tx, row.site)
          if (busy !== undefined && busy.id !== drill)
            throw new Refused(finding('C112', 'error', `drill ${busy.id} runs at ${row.site}`, 'wait for its end'))
          const gate = judge(fabric, own, row.uplink, await paths.ofSite(tx, row.site))
          const payload: DrillPayload = {
            kind: 'drill',
            network: at.id,
            site: row.site,
            device: site.device,
            drill,
            uplink: row.uplink,
            seconds: row.seconds,
            beginBefore: new Date(Date.now() + patience).toISOString(),
          }
          await drills.move(tx, drill, 'ORDERED', { gate, ordered: sign(payload, await signer('pki/bundle-signer')) })
          await tell(
            tx,
            command,
            drill,
            'drill.ordered',
            `${row.site}.${row.uplink} is to be cut for ${row.seconds} s; ${gate.moves.length} ${gate.moves.length === 1 ? 'class has' : 'classes have'} another way that is UP`,
          )
          return { seconds: row.seconds }
        })
      } catch (error) {
        const refused = await operations.get(store.db, command.operationId)
        if (refused?.state !== 'failed') throw error
        await drills.move(store.db, drill, 'REFUSED')
        return null
      }
    },

    async isDrillOver({ drill }: { readonly drill: string }): Promise<boolean> {
      const row = await drills.get(store.db, drill)
      return row === undefined || row.state === 'HEALED' || row.state === 'FAILED' || row.state === 'REFUSED'
    },

    async concludeDrill({ drill, command }: Of): Promise<void> {
      await further(deps, { command, kind: 'drill', subject: subjectOf(drill) }, 'conclude', async (tx) => {
        const row = await drills.get(tx, drill)
        const at = await network.get(tx)
        if (row === undefined || at === undefined) return null
        const measured = row.measured as DrillReport | null
        if (row.state !== 'HEALED' || measured === null) {
          const why = measured?.why ? measured.why : `${row.site} did not tell what it saw`
          await drills.move(tx, drill, 'FAILED')
          await operations.end(tx, command.operationId, 'failed', {
            findings: [finding('C113', 'error', why, 'the uplink heals by itself: the kernel of the box keeps the time')],
          })
          return null
        }
        const slow = measured.classes.filter(({ movedAfterMs }) => movedAfterMs === null)
        const evidence = `ev-${randomBytes(5).toString('hex')}`
        const payload: EvidencePayload = {
          kind: 'evidence',
          network: at.id,
          evidence,
          drill,
          site: row.site,
          uplink: row.uplink,
          seconds: row.seconds,
          generation: at.head,
          gate: row.gate,
          measured,
          held: slow.length === 0,
          signedAt: new Date().toISOString(),
        }
        await drills.keep(tx, evidence, subjectOf(drill), sign(payload, await signer('pki/evidence-signer')))
        await drills.move(tx, drill, 'HEALED', { evidence })
        const findings: readonly Finding[] = slow.map(({ trafficClass, from }) =>
          finding('C114', 'error', `class ${trafficClass} stayed on ${from} for all of the ${row.seconds} s`, `causeway path list ${row.site}`),
        )
        const slowest = Math.max(0, ...measured.classes.map(({ movedAfterMs }) => movedAfterMs ?? 0))
        const text =
          slow.length > 0
            ? `${slow.length} classes did not move`
            : measured.classes.length === 0
              ? 'no class used it'
              : `all ${measured.classes.length} classes moved, the slowest in ${slowest} ms`
        await tell(
          tx,
          command,
          drill,
          slow.length === 0 ? 'drill.held' : 'drill.failed',
          `${row.site}.${row.uplink} was cut: ${text}; evidence ${evidence}`,
        )
        await operations.end(tx, command.operationId, slow.length === 0 ? 'succeeded' : 'failed', {
          result: { evidence, classes: measured.classes.length, slowestMs: slowest },
          findings,
        })
        return null
      })
    },
  }

  async function tell(tx: Tx, command: Command, drill: string, kind: string, text: string): Promise<void> {
    await events.emit(tx, { operationId: command.operationId, subject: subjectOf(drill), kind, text })
  }
}

interface Of {
  readonly drill: string
  readonly command: Command
}

/** Every class that would move has another way that is UP now, and the lines that take them are wide enough; else Refused. */
export function judge(fabric: Fabric, site: Site, uplink: string, reported: readonly PathRow[]): Gate {
  const cut = site.uplinks.find(({ id }) => id === uplink)
  if (cut === undefined)
    throw new Refused(finding('C110', 'error', `${site.id} has no uplink "${uplink}"`, `it has ${site.uplinks.map(({ id }) => id).join(', ')}`))
  const ends = new Map(fabric.tunnels.map((tunnel) => [tunnel.id, tunnel.ends.find((end) => 'uplink' in end && end.site === site.id)]))
  const uplinkOf = (tunnel: string): string | undefined => {
    const end = ends.get(tunnel as never)
    return end !== undefined && 'uplink' in end ? end.uplink : undefined
  }
  const state = new Map(reported.map((path) => [path.tunnel, path]))
  const moves = groupsOf(site).flatMap((group) => {
    const from = group.via.find(({ tunnel }) => uplinkOf(tunnel) === uplink && state.get(tunnel)?.active_classes.includes(group.trafficClass))
    if (from === undefined) return []
    const to = group.via.find(({ tunnel }) => uplinkOf(tunnel) !== uplink && state.get(tunnel)?.state === 'UP')
    if (to === undefined)
      throw new Refused(
        finding(
          'C112',
          'error',
          `class ${group.trafficClass} has no other way to ${group.remote} that is UP: the drill would be an outage`,
          `causeway path list ${site.id}`,
        ),
      )
    return [{ trafficClass: group.trafficClass, remote: group.remote, from: from.tunnel, to: to.tunnel }]
  })
  const shares = new Map(fabric.classes.map(({ id, share }) => [id as string, share]))
  const capacity = [...new Set(moves.map(({ to }) => uplinkOf(to)))].map((id) => {
    const standby = site.uplinks.find((of) => of.id === id)
    const carried = new Set(moves.filter(({ to }) => uplinkOf(to) === id).map(({ trafficClass }) => trafficClass))
    const needs = [...carried].reduce((sum, of) => sum + ((shares.get(of) ?? 0) / 100) * cut.up, 0)
    return { uplink: id ?? '', needs: Math.round(needs), has: standby?.up ?? 0 }
  })
  for (const { uplink: to, needs, has } of capacity) {
    if (has > 0 && needs > has)
      throw new Refused(
        finding(
          'C112',
          'error',
          `${to} has ${mbit(has)}, and the classes that would move to it are guaranteed ${mbit(needs)}: ${mbit(needs - has)} are short`,
          'change the shares, or drill when another uplink is up',
        ),
      )
  }
  return { moves, capacity }
}

const mbit = (bits: number): string => `${Number((bits / 1e6).toFixed(1))} Mbit/s`
