/** Drills: what must be proved before an uplink is cut, the signed order, and the signed evidence afterwards. */
import { createHash, randomBytes } from 'node:crypto'
import { loadSigner } from '#src/controller/pki/signer.ts'
import { commands, drillSchedules, drills, events, generations, network, operations, paths, sites } from '#src/controller/store/index.ts'
import type { Tx } from '#src/controller/store/index.ts'
import type { Fabric, Finding } from '#src/fabric/fabric.ts'
import { siteEnds } from '#src/fabric/ids.ts'
import { counted } from '#src/fabric/plural.ts'
import { sign } from '#src/wire/bundle.ts'
import { verdictOf } from '#src/wire/evidence.ts'
import type { DrillPayload, DrillReport, EvidencePayload } from '#src/wire/messages.ts'
import type { Command } from '../contract.ts'
import { carryOut, type Deps, finding, further, Refused } from './context.ts'
import { judge, moveOf } from './gate.ts'

/** Who commands what a schedule stands for, in the audit. */
const system = 'schedule'

export function drillActivities(deps: Deps) {
  const { store } = deps
  const subjectOf = (drill: string) => `drill/${drill}`
  const signer = async (id: string) => {
    if (deps.vault === undefined)
      throw new Refused(finding('C111', 'error', 'this worker has no vault, so it can sign nothing', "start it with the vault's key"))
    return await loadSigner(deps.vault, id)
  }

  return {
    /**
     * Null when it is refused: the operation has ended with the reason, and nothing was touched. Orders after the first
     * are of a drill whose command was carried out already.
     */
    async gateDrill({
      drill,
      command,
      patience,
      attempt = 1,
    }: Of & { readonly patience: number; readonly attempt?: number }): Promise<Ordered | null> {
      const commanded = { command, kind: 'drill', subject: subjectOf(drill) } as const
      const order = async (tx: Tx): Promise<Ordered> => {
        const row = await drills.get(tx, drill)
        if (row === undefined) throw new Refused(finding('C110', 'error', `there is no drill ${drill}`))
        const { site, own, fabric, networkId, device } = await atRest(tx, row)
        const gate = judge({ fabric, site: own, uplink: row.uplink, paths: await paths.around(tx, row.site), sites: await sites.list(tx) })
        const payload: DrillPayload = {
          kind: 'drill',
          network: networkId,
          site,
          device,
          drill,
          uplink: row.uplink,
          seconds: row.seconds,
          beginBefore: new Date(Date.now() + patience).toISOString(),
          attempt,
          moves: gate.moves.map(moveOf),
        }
        await drills.move(tx, drill, 'ORDERED', { gate, attempt, ordered: sign(payload, await signer('pki/bundle-signer')) })
        await tell(
          tx,
          command,
          drill,
          'drill.ordered',
          `${site}.${row.uplink} is to be cut for ${row.seconds} s; ${gate.moves.length === 0 ? 'no class uses it now' : `${gate.moves.length === 1 ? 'what uses it has' : `all ${gate.moves.length} that use it have`} another way that is UP`}`,
        )
        return { seconds: row.seconds }
      }
      try {
        return attempt === 1 ? await carryOut(deps, commanded, order) : await further(deps, commanded, `drill ${attempt}`, order)
      } catch (error) {
        if (error instanceof Refused) await store.transaction((tx) => operations.end(tx, command.operationId, 'failed', { findings: error.findings }))
        const refused = await operations.get(store.db, command.operationId)
        if (refused?.state !== 'failed') throw error
        await drills.move(store.db, drill, 'REFUSED')
        return null
      }
    },

    /**
     * The command that a schedule stands for, once a run. Null: nobody scheduled it, it is not due, or the site is gone; a
     * schedule's row is the order, and whoever reaches Temporal's port can't have more drills than it says.
     */
    async commandDrill({ site, uplink, run }: { readonly site: string; readonly uplink: string; readonly run: string }): Promise<Of | null> {
      const name = createHash('sha256').update(run).digest('hex').slice(0, 12)
      const [drill, command] = [`d-${name}`, { commandId: `c-${name}`, operationId: `op-${name}` }]
      return await store.transaction(async (tx) => {
        const schedule = await drillSchedules.lock(tx, site, uplink)
        if ((await drills.get(tx, drill)) !== undefined) return { drill, command }
        const state = (await sites.get(tx, site))?.state ?? 'RETIRED'
        if (schedule === undefined || state === 'RETIRED') return null
        const last = await drills.lastScheduled(tx, site, uplink)
        if (last !== undefined && Date.now() - last.created_at.getTime() < (schedule.every_seconds * 1000) / 2) return null
        const { seconds } = schedule
        await drills.insert(tx, { id: drill, site, uplink, seconds, operationId: command.operationId, createdBy: system, scheduled: true })
        await commands.record(tx, {
          id: command.commandId,
          operationId: command.operationId,
          kind: 'drill',
          subject: subjectOf(drill),
          args: { site, uplink, seconds, drill },
          actor: system,
        })
        return { drill, command }
      })
    },

    /** Also when the box found its order out of date: then it is to be given anew. */
    async isDrillOver({ drill }: { readonly drill: string }): Promise<boolean> {
      const row = await drills.get(store.db, drill)
      return row === undefined || row.state === 'HEALED' || row.state === 'FAILED' || row.state === 'REFUSED' || row.state === 'GATED'
    },

    /** `again`: the order was out of date, nothing was cut, and another one may be given. */
    async concludeDrill({ drill, command, last = true }: Of & { readonly last?: boolean }): Promise<{ readonly again: boolean }> {
      if (!last && (await drills.get(store.db, drill))?.state === 'GATED') return { again: true }
      return await further(deps, { command, kind: 'drill', subject: subjectOf(drill) }, 'conclude', async (tx) => {
        const row = await drills.get(tx, drill)
        const at = await network.get(tx)
        if (row === undefined || at === undefined) return { again: false }
        const measured = row.measured as DrillReport | null
        if (row.state !== 'HEALED' || measured === null) {
          const restless = row.state === 'GATED'
          const why = measured?.why ? measured.why : `${row.site} did not tell what it saw`
          await drills.move(tx, drill, restless ? 'REFUSED' : 'FAILED')
          await operations.end(tx, command.operationId, 'failed', {
            findings: [
              restless
                ? finding(
                    'C116',
                    'error',
                    `traffic moved before each of ${row.attempt} cuts, so that nothing was cut: ${why}`,
                    `wait until ${row.site} is at rest: causeway path watch ${row.site}`,
                  )
                : finding('C113', 'error', why, 'the uplink heals by itself: the kernel of the box keeps the time'),
            ],
          })
          return { again: false }
        }
        const verdict = verdictOf(measured)
        const fabric = (await generations.head(tx))?.fabric
        const promises = fabric ? promisesOf(fabric, row, measured) : []
        const late = promises.filter(({ withinMs, gapMs }) => gapMs > withinMs)
        const held = (verdict === 'moved' && late.length === 0) || verdict === 'standby'
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
          verdict,
          ...(promises.length > 0 ? { promises: [...promises] } : {}),
          held,
          signedAt: new Date().toISOString(),
        }
        await drills.keep(tx, evidence, subjectOf(drill), sign(payload, await signer('pki/evidence-signer')))
        await drills.move(tx, drill, 'HEALED', { evidence })
        const slowest = Math.max(0, ...measured.classes.map(({ movedAfterMs }) => movedAfterMs ?? 0))
        await tell(
          tx,
          command,
          drill,
          held ? 'drill.held' : 'drill.failed',
          `${row.site}.${row.uplink} was cut: ${outcomeText(measured)}; evidence ${evidence}`,
        )
        await operations.end(tx, command.operationId, held ? 'succeeded' : 'failed', {
          result: { evidence, verdict, classes: measured.classes.length, slowestMs: slowest },
          findings: [...complaints(row, measured), ...late.map(tooLate)],
        })
        return { again: false }
      })
    },
  }

  /** Of the classes that went another way, those that the intent promises to go on within a time. */
  function promisesOf(fabric: Fabric, { site }: drills.DrillRow, { classes }: DrillReport): readonly Promised[] {
    const moved = classes.flatMap(({ trafficClass, remote, movedAfterMs, gapMs }) =>
      remote === undefined || movedAfterMs === null ? [] : [{ trafficClass, remote, gapMs: gapMs ?? movedAfterMs }],
    )
    const limits = deps.model.promisedWithin(fabric, site, moved)
    return moved.flatMap((one, i) => (typeof limits[i] === 'number' ? [{ ...one, withinMs: limits[i] }] : []))
  }

  /** The site of a drill, at rest and alone: nothing is cut while it changes, or while a neighbour is cut. */
  async function atRest(tx: Tx, { id, site, uplink }: drills.DrillRow) {
    const row = await sites.lock(tx, site)
    const fabric = (await generations.head(tx))?.fabric
    const at = await network.get(tx)
    const own = fabric?.sites.find((each) => each.id === site)
    if (row === undefined || own === undefined || fabric === undefined || at === undefined)
      throw new Refused(finding('C110', 'error', `there is no site "${site}"`))
    const look = `causeway site status ${site}`
    if (row.state !== 'ACTIVE' || row.device === null)
      throw new Refused(finding('C112', 'error', `${site} is ${row.state}: a drill needs a site at rest`, look))
    if (!sites.isOnline(row, new Date()))
      throw new Refused(finding('C112', 'error', `${site} does not report, so nobody would know what the drill did`, look))
    // A drill at the other hub leaves the edges this one alone, and a drill at an edge its other uplink alone.
    const near = new Set(
      fabric.tunnels
        .map((tunnel) => siteEnds(tunnel).map((end) => end.site as string))
        .filter((ends) => ends.includes(site))
        .flat(),
    )
    const busy = (await drills.runningAt(tx, [site, ...near])).find((other) => other.id !== id)
    if (busy !== undefined)
      throw new Refused(
        finding(
          'C112',
          'error',
          `drill ${busy.id} cuts ${busy.site}.${busy.uplink}, so ${site}.${uplink} must stay`,
          'wait for its end: causeway drill list',
        ),
      )
    return { site, own, fabric, networkId: at.id, device: row.device }
  }

  async function tell(tx: Tx, command: Command, drill: string, kind: string, text: string): Promise<void> {
    await events.emit(tx, { operationId: command.operationId, subject: subjectOf(drill), kind, text })
  }
}

interface Of {
  readonly drill: string
  readonly command: Command
}
interface Ordered {
  readonly seconds: number
}

type Promised = NonNullable<EvidencePayload['promises']>[number]
const tooLate = ({ trafficClass, remote, withinMs, gapMs }: Promised): Finding =>
  finding(
    'C118',
    'error',
    `class ${trafficClass} to ${remote} was silent for ${gapMs} ms, and the intent promises ${withinMs} ms`,
    'look for what delayed it: causeway event list; or promise less: within',
  )

function outcomeText(measured: DrillReport): string {
  const { classes, disturbed = [] } = measured
  switch (verdictOf(measured)) {
    case 'moved': {
      const all = classes.length === 1 ? 'the class that used it moved' : `all ${classes.length} classes that used it moved, the slowest`
      return `${all} after ${Math.max(...classes.map(({ movedAfterMs }) => movedAfterMs ?? 0))} ms`
    }
    case 'stayed':
      return `${classes.filter(({ movedAfterMs }) => movedAfterMs === null).length} of ${counted(classes.length, 'class')} that used it did not move`
    case 'standby':
      return 'no class used it, and none moved'
    case 'disturbed':
      return `no class used it, and ${disturbed.length} moved all the same`
    default:
      throw new TypeError('no such verdict')
  }
}

function complaints({ site, seconds }: drills.DrillRow, measured: DrillReport): readonly Finding[] {
  const look = `causeway path list ${site}`
  const verdict = verdictOf(measured)
  if (verdict === 'stayed')
    return measured.classes
      .filter(({ movedAfterMs }) => movedAfterMs === null)
      .map(({ trafficClass, from }) => finding('C114', 'error', `class ${trafficClass} stayed on ${from} for all of the ${seconds} s`, look))
  if (verdict !== 'disturbed') return []
  return (measured.disturbed ?? []).map(({ trafficClass, remote, from, to }) =>
    finding('C115', 'error', `class ${trafficClass} to ${remote} went from ${from} to ${to ?? 'no way at all'}, and used another uplink`, look),
  )
}
