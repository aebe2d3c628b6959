/**
 * What all expectations of bandwidth together ask of each uplink, with everything up and after each failure that one of
 * them survives: hubs carry what their edges were promised, and the rest of them what a failure sends there.
 *
 * A caller asks its places one at a time, so of several the one that asks most of an uplink counts; callers add up. Sites
 * of one shape are followed once: what is asked of a hub counts as often as there are such sites, what is asked of their own
 * uplinks once. Whoever answers keeps a shape of its own, so that nobody's uplink is asked by callers and as a place.
 */
import type { ClassId, Failure, Finding, NodeId, Place } from '#src/fabric/fabric.ts'
import { lossOf, pairOf, settledOn } from './flows.ts'
import { namesOf } from './reach.ts'
import { siteOfGateway } from '#src/fabric/ids.ts'
import { type Break, type Breaks, nameOf, nothingDown } from './failures.ts'
import type { Model } from './model.ts'
import type { Shapes } from './shapes.ts'
import { bothWays, classOn, firstWays, linesOf, linesUnder, type PathExpect, states } from './ways.ts'
import { bitsText, lineOf } from './words.ts'

export interface Capacity {
  readonly findings: readonly Finding[]
  /** Ids of the expectations that together ask too much. */
  readonly faulty: ReadonlySet<string>
  /** Questions answered: one (caller, expectation, failure) each. */
  readonly checks: number
}
/** bit/s by `berlin.fiber up realtime`. */
type Load = ReadonlyMap<string, number>
interface Asker {
  readonly expect: PathExpect
  readonly from: Place
  /** Of its shape, itself first; and without it. */
  readonly sites: readonly NodeId[]
  readonly others: readonly NodeId[]
  readonly unbroken: Load
  /** By the failures' names, where it differs or might. */
  readonly broken: ReadonlyMap<string, Load>
}

export function proveCapacity(model: Model, breaks: Breaks, { alike }: Shapes): Capacity {
  const asking = model.fabric.expects.filter((one): one is PathExpect => one.kind === 'path' && one.bandwidth.up + one.bandwidth.down > 0)
  if (asking.length === 0) return { findings: [], faulty: new Set(), checks: 0 }
  const lines = linesOf(model)
  const rates = new Map<string, number>()
  const all = new Map<string, Break>()
  const askers = asking.flatMap((expect) =>
    expect.from.flatMap((from): Asker[] => {
      const sites = alike(from.node)
      if (sites.length === 0) return []
      const pairs = expect.to.flatMap((to) => (to.node === from.node ? [] : [pairOf(model, from, to, expect)]))
      const loadWith = (broken: Break | null): Load => {
        const load = new Map<string, number>()
        if (broken?.dead === from.node) return load
        for (const pair of pairs) {
          if (lossOf(pair, broken, 'settled')) continue
          const { flows, down } = settledOn(pair, broken?.down ?? nothingDown)
          for (const flow of flows) {
            for (const [way, entry] of bothWays(flow)) {
              const asked = way === 'there' ? expect.bandwidth.up : expect.bandwidth.down
              for (const path of firstWays(entry, down)) {
                let at = entry.node
                for (const hop of path) {
                  for (const line of linesUnder(model, lines, at, hop)) {
                    const key = `${line.name} ${line.direction} ${classOn(model, flow, entry)}`
                    rates.set(key, line.rate)
                    load.set(key, Math.max(load.get(key) ?? 0, asked))
                  }
                  at = hop.next
                }
              }
            }
          }
        }
        return load
      }
      const broken = new Map<string, Load>()
      for (const pair of pairs) {
        for (const one of states(breaks, pair, { survives: surviving(asking) })) {
          const key = one === null ? '' : keyOf(one)
          if (one === null || broken.has(key)) continue
          all.set(key, one)
          broken.set(key, loadWith(one))
        }
      }
      return [{ expect, from, sites, others: sites.slice(1), unbroken: loadWith(null), broken }]
    }),
  )
  return judge(model, askers, rates, all)
}
const keyOf = ({ failures }: Pick<Break, 'failures'>): string => failures.map(nameOf).sort().join(' ')
const surviving = (asking: readonly PathExpect[]): PathExpect['survives'] => [...new Set(asking.flatMap((one) => one.survives))]

/** What an asker asks under a failure; of two at a time it may feel one alone. */
function loadOf({ unbroken, broken }: Asker, key: string): Load {
  const exact = broken.get(key)
  if (exact) return exact
  const felt = key.split(' ').find((part) => broken.has(part))
  return felt === undefined ? unbroken : broken.get(felt)!
}
/** A failure at one of the sites of a shape is felt by that one alone, any other by all. */
const feels = (asker: Asker, broken: Break | null): boolean => asker.sites.length === 1 || !broken?.failures.some((failure) => isAt(asker, failure))
const isAt = ({ from }: Asker, failure: Failure): boolean =>
  ((failure.kind === 'uplink' || failure.kind === 'gateway') && siteOfGateway(failure.site) === from.node) ||
  (failure.kind === 'tunnel' && failure.tunnel.startsWith(`${from.node}.`))

/** Callers that ask the same of a line for one expectation. */
interface Asked {
  readonly expect: PathExpect
  readonly each: number
  readonly count: number
  /** Names are made only for a finding. */
  readonly callers: readonly { readonly from: Place; readonly nodes: readonly NodeId[] }[]
}

function judge(model: Model, askers: readonly Asker[], rates: ReadonlyMap<string, number>, all: ReadonlyMap<string, Break>): Capacity {
  const shares = new Map<ClassId, number>(model.fabric.classes.map(({ id, share }) => [id, share]))
  interface Excess {
    readonly broken: Break | null
    readonly needs: number
    readonly kept: number
    readonly by: readonly Asked[]
  }
  const worst = new Map<string, Excess>()
  // What a caller asks with everything up and after each failure that it feels; as often as there are such callers.
  const checks = askers.reduce((sum, { sites, broken }) => sum + sites.length * (1 + broken.size), 0)
  for (const [key, broken] of [['', null] as const, ...[...all].sort(([a], [b]) => (a < b ? -1 : 1))]) {
    const needs = new Map<string, Asked[]>()
    for (const asker of askers) {
      const { expect, from, sites } = asker
      const isFeltByAll = feels(asker, broken)
      const note = (load: Load, own: readonly NodeId[], ofHubs: readonly NodeId[]): void => {
        for (const [line, each] of load) {
          const nodes = line.startsWith(`${from.node}.`) ? own : ofHubs
          if (nodes.length === 0) continue
          const all = needs.get(line) ?? []
          const same = all.findIndex((one) => one.expect === expect && one.each === each)
          const before = all[same] ?? { count: 0, callers: [] }
          const asked = { expect, each, count: before.count + nodes.length, callers: [...before.callers, { from, nodes }] }
          needs.set(line, same < 0 ? [...all, asked] : all.with(same, asked))
        }
      }
      // Nobody else's traffic is on the uplinks of one that has others like it.
      note(loadOf(asker, key), sites.slice(0, 1), isFeltByAll ? sites : sites.slice(0, 1))
      // Of two failures the others of its shape feel the one that is not at it.
      const rest = broken?.failures.filter((failure) => !isAt(asker, failure)) ?? []
      if (!isFeltByAll) note(loadOf(asker, keyOf({ failures: rest })), [], asker.others)
    }
    for (const [line, by] of needs) {
      const [, , trafficClass = ''] = line.split(' ')
      const kept = (rates.get(line)! * (shares.get(trafficClass as ClassId) ?? 0)) / 100
      const sum = by.reduce((total, one) => total + one.count * one.each, 0)
      // A rate that is not stated, and one that is too low for a single caller, have been told of already.
      if (kept === 0 || sum <= kept || by.some((one) => one.each > kept)) continue
      const before = worst.get(line)
      if (!before || (before.broken !== null && sum > before.needs)) worst.set(line, { broken, needs: sum, kept, by })
    }
  }
  const faulty = new Set([...worst.values()].flatMap(({ by }) => by.map(({ expect }) => expect.id)))
  const findings = [...worst]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([line, { broken, needs, kept, by }]): Finding => {
      const [name = '', direction = '', trafficClass = ''] = line.split(' ')
      const start = broken === null ? 'with everything up' : `if ${namesOf(broken)}`
      return {
        code: 'V036',
        severity: 'error',
        at: [...new Set(by.map(({ expect }) => lineOf(expect.id)))],
        says: `${name} is to carry ${bitsText(needs)} ${direction} of class ${trafficClass}${broken === null ? '' : ` ${start}`}, and keeps ${bitsText(kept)} for it`,
        instead: `raise the rate of ${name} or the share of class ${trafficClass}, ask for less, or spread the callers over more hubs`,
        witness: [
          `${start}: class ${trafficClass} has ${shares.get(trafficClass as ClassId) ?? 0} % of the ${bitsText(rates.get(line)!)} ${direction} of ${name}: ${bitsText(kept)}`,
          ...by.slice(0, 5).map(({ expect, callers, each }) => `  ${bitsText(each)} for ${callersText(callers)}: ${expect.text}`),
          ...(by.length > 5 ? [`  and ${by.length - 5} more`] : []),
        ],
      }
    })
  return { findings, faulty, checks }
}
function callersText(of: Asked['callers']): string {
  const callers = of.flatMap(({ from, nodes }) => nodes.map((node) => `${node}/${from.segment}`))
  return callers.length === 1
    ? callers[0]!
    : `each of ${callers.length} callers, ${callers.sort().slice(0, 3).join(', ')}${callers.length > 3 ? ', …' : ''}`
}
