/** Expectations: what must be reached, what must not, and by which ways. */
import { failures, waysText } from '#src/fabric/expects.ts'
import type { Waypoint } from '#src/fabric/fabric.ts'
import type { IntentExpect, IntentWays } from './intent.ts'
import type { Waypoints } from './names.ts'
import type { Raw } from './raw.ts'
import { inOrder, type Placed } from './read-traffic.ts'
import type { Report } from './report.ts'
import type { RawExpect } from './schema.ts'
import { type Names, readArrow } from './selector.ts'
import type { Located } from './spec.ts'
import { oneOf } from './suggest.ts'

const verbs = ['reach', 'reach-all', 'path', 'isolate'] as const
const ofWays = ['via', 'not', 'symmetric', 'within', 'bandwidth'] as const
const nouns: Readonly<Record<Waypoint['kind'], string>> = {
  medium: 'medium',
  transport: 'transport',
  tag: 'tag',
  metered: 'word of the language',
  uplink: 'uplink',
  hub: 'hub',
}

export function readExpects(raw: Raw, names: Names, waypoints: () => Waypoints, report: Report): readonly IntentExpect[] {
  const placed: Placed<IntentExpect>[] = []
  for (const expect of raw.network?.fields.expect ?? []) {
    const read = readExpect(expect, names, waypoints, report)
    if (read) placed.push(read)
  }
  return inOrder('expect', placed, report)
}

function readExpect({ at, fields, wrote }: RawExpect, names: Names, waypoints: () => Waypoints, report: Report): Placed<IntentExpect> | undefined {
  const kinds = verbs.filter((kind) => wrote.has(kind))
  const [kind, second] = kinds
  if (kind === undefined || second !== undefined) {
    report.error(
      'I070',
      second === undefined ? at : (fields[second]?.at ?? at),
      second === undefined ? `the expectation says none of ${oneOf(verbs)}` : `the expectation says ${kinds.join(' and ')}`,
      second === undefined ? 'write one of them, like reach: from -> to' : 'write one a list item',
    )
    return undefined
  }
  const line = fields[kind]
  const arrow = line && readArrow(line, names, 'expectation', report)
  const isInternet = arrow?.to.selector.what.kind === 'internet'
  const placeOf = (key: (typeof ofWays)[number] | 'survives') => [fields[key] ?? []].flat()[0]?.at ?? at
  if (kind === 'isolate') {
    const [extra] = (['survives', ...ofWays] as const).filter((key) => wrote.has(key))
    if (extra !== undefined) {
      report.error('I070', placeOf(extra), 'isolate holds under every failure and on every way anyway', `remove ${extra}`)
      return undefined
    }
    if (!arrow || !line) return undefined
    const ends = { from: arrow.from.selector, to: arrow.to.selector }
    const value: IntentExpect = isInternet ? { kind: 'internet', ...ends, reachable: false, survives: [] } : { kind, ...ends }
    return { value, arrow, text: `isolate ${arrow.text}`, at: line.at }
  }
  const ways: IntentWays = {
    via: readWords(fields.via, waypoints, report),
    not: readWords(fields.not, waypoints, report),
    symmetric: fields.symmetric?.value ?? false,
    bandwidth: fields.bandwidth ? { up: fields.bandwidth.value.up, down: fields.bandwidth.value.down } : { up: 0, down: 0 },
    withinMs: fields.within?.value ?? 0,
  }
  const both = ways.via.find(({ value }) => ways.not.some((other) => other.value === value))
  const wrong: readonly (readonly [boolean, Parameters<typeof placeOf>[0], string, string])[] = [
    [
      kind === 'path' && !ofWays.some((key) => wrote.has(key) && (key !== 'symmetric' || fields.symmetric?.value !== false)),
      'survives',
      'the path expectation says nothing of the path',
      'add via, not, symmetric: true or bandwidth, or write reach',
    ],
    [kind === 'path' && wrote.has('within'), 'within', 'within belongs to reach: it is about being reached again', 'write it at a line with reach'],
    [fields.within !== undefined && ways.withinMs === 0, 'within', 'within: none promises nothing', 'write a time like 1s, or remove within'],
    [
      ways.withinMs > 0 && (fields.survives?.length === 0 || !wrote.has('survives')),
      'within',
      'within says how soon after a failure, and none is named',
      'add survives: uplink',
    ],
    [both !== undefined, 'not', `the way is to pass ${both?.value ?? ''} and not to pass it`, 'remove one'],
  ]
  const fault = wrong.find(([is]) => is)
  if (fault) {
    report.error('I070', placeOf(fault[1]), fault[2], fault[3])
    return undefined
  }
  if (!arrow || !line) return undefined
  const [ofWay] = isInternet ? ofWays.filter((key) => wrote.has(key)) : []
  if (isInternet && (kind !== 'reach' || ofWay !== undefined)) {
    const says = ofWay === undefined ? `${kind} has no meaning for the internet` : `${ofWay} is not known of ways to the internet`
    report.error('I070', ofWay === undefined ? line.at : placeOf(ofWay), says, ofWay === undefined ? 'write reach or isolate' : `remove ${ofWay}`)
    return undefined
  }
  const written = new Set(fields.survives?.map((each) => each.value))
  const survives = failures.filter((each) => written.has(each))
  const text = `${kind} ${arrow.text}${survives.length > 0 ? ` survives ${survives.join(', ')}` : ''}${waysText(ways)}`
  const ends = { from: arrow.from.selector, to: arrow.to.selector, survives }
  if (isInternet) return { value: { kind: 'internet', ...ends, reachable: true }, arrow, text, at: line.at }
  const asked = ofWays.some((key) => wrote.has(key)) ? { ways } : {}
  const value: IntentExpect = kind === 'path' ? { kind, ...ends, ways } : { kind: 'reach', mode: kind === 'reach' ? 'any' : 'all', ...ends, ...asked }
  return { value, arrow, text, at: line.at }
}

/** Their order means nothing. */
function readWords(written: readonly Located<string>[] | undefined, waypoints: () => Waypoints, report: Report): readonly Waypoint[] {
  const out = new Map<string, Waypoint>()
  for (const { value, at } of written ?? []) {
    const known = waypoints().get(value)
    if (known === undefined) {
      const meant = report.meant(value, waypoints().keys())
      report.error(
        'I073',
        at,
        `"${value}" is nothing that a way passes${meant}`,
        meant === '' ? 'write a medium, transport, tag, metered, a hub, or an uplink like fiber or berlin.fiber' : '',
      )
    } else if (known.twice !== null)
      report.error(
        'I073',
        at,
        `"${value}" is a hub, and the name of ${known.twice === 'uplink' ? 'an' : 'a'} ${nouns[known.twice]} too`,
        'rename one',
      )
    else out.set(value, { kind: known.kind, value })
  }
  return [...out.values()].sort((a, b) => (a.value < b.value ? -1 : 1))
}
