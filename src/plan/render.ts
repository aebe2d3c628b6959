/** A plan as people read it. Its id and how to run it are added by who knows them. */
import type { SiteMaintenance } from '#src/fabric/fabric.ts'
import { counted } from '#src/fabric/plural.ts'
import { formatMaintenance, isOpen, nextOpening } from '#src/fabric/windows.ts'
import { formatHosts } from '#src/net/address.ts'
import { formatPortRange } from '#src/net/ports.ts'
import { countChanges, type PeerChange, type Plan, type RegionChange, type SiteChange } from './plan.ts'
import type { Ownership } from './owners.ts'
import { pricesOf } from './prices.ts'
import type { Allowed, AllowedEnd } from './reachability.ts'

/** What `verify` says of the Fabric that the plan leads to. */
export interface Proof {
  readonly expects: number
  readonly held: number
  readonly failures: number
}

const sign = { add: '+', change: '~', remove: '-' } as const
const rating = ({ kind, hub, ...change }: SiteChange): string =>
  kind === 'add' ? 'new' : kind === 'remove' ? 'ends' : change.class !== 'disruptive' ? 'low' : hub ? 'high' : 'medium'
/** More differences than fit a screen are counted. */
const shown = 8

/** Whether applying it does anything: what nobody's box notices may still be recorded, such as a comment or an owner. */
export const isPending = (plan: Plan, { handed, rewritten }: Pick<Ownership, 'handed' | 'rewritten'>): boolean =>
  countChanges(plan) > 0 || (plan.recorded ?? []).length > 0 || handed.length > 0 || rewritten > 0
const alone: Ownership = { owner: null, others: [], owners: {}, handed: [], rewritten: 0 }

/** `now`: ms since 1970. */
export function renderPlan(plan: Plan, proof: Proof, now: number, ownership: Ownership = alone): string {
  const { owner, others, owners, handed, rewritten } = ownership
  const hands = handed.map(({ thing, from, to }) => `> ${thing.replace('/', ' ')}  from ${from} to ${to}`)
  const written = others.length > 0 ? [`as ${owner}; what ${others.join(', ')} declared stays`] : []
  const records = (plan.recorded ?? []).map(({ kind, text }) => `  ${kind.padEnd(7)} ${text}`)
  if (countChanges(plan) === 0) {
    const files = rewritten > 0 ? `; ${counted(rewritten, 'file')} ${rewritten === 1 ? 'reads' : 'read'} otherwise, to be recorded` : ''
    const nothing = isPending(plan, ownership) ? `no box and no cloud changes${files}` : 'nothing to change: the network is as it is written'
    return `${[...hands, nothing, ...records, ...written, provedLine(proof)].join('\n')}\n`
  }
  const whose = (kind: string, name: string): string => (owners[`${kind}/${name}`] === undefined ? '' : `  of ${owners[`${kind}/${name}`]}`)
  const rows = aligned([
    ...plan.changes.map((change) => ({
      what: `${sign[change.kind]} site  ${change.site}`,
      text: change.text,
      end: `${rating(change)}${whose('site', change.site)}`,
    })),
    ...plan.regions.map((change) => ({ ...regionRow(change), end: `${regionRow(change).end}${whose('region', change.region)}` })),
    ...plan.peers.map((change) => ({ ...peerRow(change), end: `${peerRow(change).end}${whose('peer', change.peer)}` })),
  ])
  // What a new site opens and a leaving one closes goes without saying; what a third party may reach never does.
  const moved = new Set<string>([
    ...plan.changes.filter((change) => change.kind !== 'change').map((change) => change.site),
    ...plan.regions.filter((change) => change.kind !== 'change').map((change) => change.region),
  ])
  const stays = (ends: readonly AllowedEnd[]) => ends.filter(({ node }) => !moved.has(node))
  const policy = (all: readonly Allowed[]) =>
    all.map((one) => ({ ...one, from: stays(one.from), to: stays(one.to) })).filter(({ from, to }) => from.length > 0 && to.length > 0)
  const { opened, closed, internet } = plan.reachability
  const out = (word: string, all: readonly AllowedEnd[]) =>
    few(
      word,
      stays(all).map((end) => `${place(end)} -> internet`),
    )
  const differences = [
    ...lines('opens ', policy(opened)),
    ...out('opens ', internet.opened),
    ...lines('closes', policy(closed)),
    ...out('closes', internet.closed),
  ]
  const { sites, of } = plan.blastRadius
  return `${[...rows, ...hands, ...waiting(plan.held ?? [], now), ...differences, ...records, ...written, `${provedLine(proof)} · blast radius ${sites.length} of ${counted(of, 'site')} · about ${plan.expectedSeconds} s`].join('\n')}\n`
}

function waiting(held: readonly SiteMaintenance[], now: number): string[] {
  return [...Map.groupBy(held, formatMaintenance)].map(([text, sites]) => {
    const opening = nextOpening(sites[0]!, now)
    const some = sites.slice(0, shown).map(({ site }) => site)
    const names = [...some, ...(sites.length > shown ? [`${sites.length - shown} more`] : [])].join(', ')
    const when = opening === undefined ? 'never opens' : isOpen(opening, now) ? `open until ${utc(opening.closes)}` : `opens ${utc(opening.opens)}`
    return `  waits  ${names} for the window ${text}, ${when}`
  })
}
const utc = (instant: number): string => `${new Date(instant).toISOString().slice(0, 16).replace('T', ' ')} UTC`

interface Row {
  readonly what: string
  readonly text: string
  readonly end: string
}
function aligned(rows: readonly Row[]): readonly string[] {
  const [what, text] = [rows.map((row) => row.what.length), rows.map((row) => row.text.length)].map((widths) => Math.max(0, ...widths)) as [
    number,
    number,
  ]
  return rows.map((row) => `${row.what.padEnd(what)}  ${row.text.padEnd(text)}  ${row.end}`.trimEnd())
}
function regionRow({ kind, region, resources, costPerHour, text }: RegionChange): Row {
  const cost = `${kind === 'remove' ? 'saves ' : ''}$${costPerHour.toFixed(2)}/h`
  return { what: `${sign[kind]} region ${region}`, text, end: `${counted(resources, 'resource')}  ${cost} estimate, prices of ${pricesOf}` }
}
const peerRow = ({ kind, peer, text }: PeerChange): Row => ({
  what: `${sign[kind]} peer  ${peer}`,
  text,
  end: kind === 'remove' ? '' : `tell its owner: causeway peer config ${peer}`,
})
const provedLine = ({ expects, held, failures }: Proof): string =>
  `${held === expects ? 'proved' : 'refused'}: ${held} of ${counted(expects, 'expectation')} under ${counted(failures, 'single failure')}`

const lines = (word: string, all: readonly Allowed[]): string[] =>
  few(
    word,
    all.map(({ from, to, ports, except }) => {
      const but = except ? ` but ${except.map(formatPortRange).join(', ')}` : ''
      return `${places(from)} -> ${places(to)} ${formatPortRange(ports)}${but}`
    }),
  )
function few(word: string, all: readonly string[]): string[] {
  const told = all.slice(0, shown).map((text) => `  ${word} ${text}`)
  return all.length > shown ? [...told, `  ${word} ${all.length - shown} more`] : told
}
/** Lines of an intent speak of whole segments; a few of their LANs tell which. */
const places = (ends: readonly AllowedEnd[]): string =>
  ends.length <= 3 ? ends.map(place).join(', ') : `${ends.slice(0, 2).map(place).join(', ')} and ${ends.length - 2} more`
const place = ({ node, segment, prefix }: AllowedEnd): string => `${node}/${segment} (${formatHosts(prefix)})`
