/** `[where/]what`, and `from -> to`, with the position of every part. */
import type { NodeId, Origin, Role, SegmentId } from '#src/fabric/fabric.ts'
import { formatPortRange, parsePortRange, type PortRange } from '#src/net/ports.ts'
import type { Selector } from './intent.ts'
import type { Report } from './report.ts'
import type { Located } from './spec.ts'
import { oneOf } from './suggest.ts'
import { strangeIn } from './values.ts'

/** Every name that a selector may use. A name is in one of them only. */
export interface Names {
  readonly sites: ReadonlySet<string>
  readonly labels: ReadonlySet<string>
  readonly segments: ReadonlySet<string>
  readonly groups: ReadonlySet<string>
  readonly services: ReadonlySet<string>
  readonly regions: ReadonlySet<string>
  readonly peers: ReadonlySet<string>
  /** Some declaration could not be read: an unknown name may stand there, so it is not reported. */
  readonly partial: boolean
}
const isNode = (text: string, { sites, regions, peers }: Names): boolean => sites.has(text) || regions.has(text) || peers.has(text)
export const roles: readonly Role[] = ['edge', 'core']
export const reservedWords = ['edge', 'core', 'region', 'peer', 'same', 'any', 'internet'] as const

/** A piece of a located text. */
interface Piece {
  readonly text: string
  readonly offset: number
}
export interface PlacedSelector {
  readonly selector: Selector
  readonly at: Origin
}

/** What a selector may be where it stands. */
export interface SelectorRules {
  readonly same: boolean
  readonly services: boolean
  /** What is outside of the network. Absent: it may not. */
  readonly internet?: boolean
}

/** undefined: reported already. */
export function readSelector(
  whole: Located<string>,
  { text, offset }: Piece,
  names: Names,
  rules: SelectorRules,
  report: Report,
): PlacedSelector | undefined {
  const at = whole.within(offset, text.length)
  const parts = text.split('/')
  const [first = '', second] = parts
  if (parts.length > 2 || parts.includes('') || /\s/.test(text)) {
    report.error('I017', at, `"${text}" is not a place`, 'write [where/]what, like inference, edge/inference or berlin/cameras')
    return undefined
  }
  const whereText = second === undefined ? undefined : first
  const whatText = second ?? first
  const whatAt = whole.within(offset + text.length - whatText.length, whatText.length)
  const where =
    whereText === undefined ? ({ kind: 'any' } as const) : readWhere(whole.within(offset, whereText.length), whereText, names, rules, report)
  const what = readWhat(whatAt, whatText, whereText, names, rules, report)
  return where && what ? { selector: { where, what, text: whereText === undefined ? whatText : `${whereText}/${whatText}` }, at } : undefined
}

function readWhere(at: Origin, text: string, names: Names, rules: SelectorRules, report: Report): Selector['where'] | undefined {
  if (text === 'same') {
    if (rules.same) return { kind: 'same' }
    report.error('I018', at, '"same" has no meaning here', 'write it behind the arrow, where it is the site of the caller')
    return undefined
  }
  const role = roles.find((each) => each === text)
  if (role) return { kind: 'role', role }
  if (text === 'region' || text === 'peer') return { kind: 'role', role: text }
  if (isNode(text, names)) return { kind: 'site', site: text as NodeId }
  if (names.labels.has(text)) return { kind: 'label', label: text }
  const kind = names.segments.has(text) ? 'segment' : names.groups.has(text) ? 'group' : names.services.has(text) ? 'service' : undefined
  if (kind !== undefined) report.error('I018', at, `"${text}" is a ${kind}, not a place`, 'write [where/]what: the site, role or label comes first')
  else if (!names.partial) {
    const known = [
      ...names.sites,
      ...names.regions,
      ...names.peers,
      ...names.labels,
      ...roles,
      ...(names.regions.size > 0 ? ['region'] : []),
      ...(names.peers.size > 0 ? ['peer'] : []),
      ...(rules.same ? ['same'] : []),
    ]
    const meant = report.meant(text, known)
    report.error(
      'I014',
      at,
      `"${text}" is no site, region, peer, role or label${strangeIn(text)}${meant}`,
      meant === '' ? `write one of ${oneOf(known)}` : '',
    )
  }
  return undefined
}

function readWhat(
  at: Origin,
  text: string,
  where: string | undefined,
  names: Names,
  rules: SelectorRules,
  report: Report,
): Selector['what'] | undefined {
  if (names.segments.has(text)) return { kind: 'segment', segment: text as SegmentId }
  if (names.groups.has(text)) return { kind: 'group', group: text }
  if (text === 'internet') {
    if (rules.internet && where === undefined) return { kind: 'internet' }
    report.error(
      'I018',
      at,
      where === undefined ? '"internet" has no meaning here' : '"internet" is at no site',
      where === undefined ? 'say under `internet:` who leaves and where; an expectation may have it behind the arrow' : 'write internet alone',
    )
    return undefined
  }
  if (names.services.has(text)) {
    if (rules.services) return { kind: 'service', service: text }
    report.error(
      'I018',
      at,
      `"${text}" is a service; here only a segment or a group of hosts can stand`,
      'write the segment, like inference or edge/inference',
    )
    return undefined
  }
  const isPlace = isNode(text, names) || names.labels.has(text) || reservedWords.some((each) => each === text)
  if (isPlace && where === undefined)
    report.error(
      'I018',
      at,
      `"${text}" says where, but not what`,
      `write ${text}/ and a segment${rules.services ? ' or service' : ''}, like ${text}/${[...names.segments][0] ?? 'inference'}`,
    )
  else if (!names.partial) {
    const known = [...names.segments, ...names.groups, ...(rules.services ? names.services : [])]
    const kinds = ['segment', ...(names.groups.size > 0 ? ['group'] : []), ...(rules.services ? ['service'] : [])]
    const meant = report.meant(text, known)
    report.error(
      'I013',
      at,
      `"${text}" is no ${oneOf(kinds)}${strangeIn(text)}${meant}`,
      meant === '' && known.length > 0 ? `write one of ${oneOf(known)}` : '',
    )
  }
  return undefined
}

export interface Arrow {
  readonly from: PlacedSelector
  readonly to: PlacedSelector
  readonly ports: readonly PortRange[]
  /** Canonical. */
  readonly text: string
  readonly at: Origin
}

/** `from -> to`, or `from -> to tcp/22 udp/53` where ports may follow a segment. undefined: reported already. */
export function readArrow(line: Located<string>, names: Names, kind: 'rule' | 'expectation', report: Report): Arrow | undefined {
  const withPorts = kind === 'rule'
  const pieces = [...line.value.matchAll(/\S+/g)].map((match): Piece => ({ text: match[0], offset: match.index }))
  const arrow = pieces.findIndex((piece) => piece.text === '->')
  const [from, to] = [pieces[0], pieces[2]]
  if (arrow !== 1 || !from || !to || (!withPorts && pieces.length > 3)) {
    // `a->b`: the arrow is there, but nothing around it says where the names end to people who read it.
    const glued = /^\s*(\S+?)\s*(?:[-–—−=]+>|→|⇒)\s*(\S.*?)\s*$/u.exec(line.value)
    const extra = arrow === 1 && pieces[3] && !withPorts ? pieces[3] : undefined
    const at = extra ? line.within(extra.offset, extra.text.length) : line.at
    const says = extra ? `"${extra.text}" is too much here` : `"${line.value}" is not from -> to`
    report.error(
      'I017',
      at,
      says,
      extra
        ? 'write from -> to; a service says its ports'
        : glued
          ? `write ${glued[1]} -> ${glued[2]!.replaceAll(/\s+/g, ' ')}`
          : 'write from -> to, like edge/inference -> model-api',
    )
    return undefined
  }
  const a = readSelector(line, from, names, { same: false, services: false }, report)
  const b = readSelector(line, to, names, { same: true, services: true, internet: kind === 'expectation' }, report)
  const ports = pieces.slice(3).map((piece) => {
    const parsed = parsePortRange(piece.text)
    const at = line.within(piece.offset, piece.text.length)
    if (!parsed.ok) report.error('I048', at, parsed.says, parsed.instead)
    else if (b?.selector.what.kind === 'service')
      report.error(
        'I048',
        at,
        `the ports of service "${b.selector.what.service}" are stated where it is declared`,
        'remove them here, or write the segment',
      )
    return parsed.ok ? parsed.value : undefined
  })
  if (!a || !b || ports.includes(undefined)) return undefined
  const read = ports as readonly PortRange[]
  const words = [...new Set(read.map(formatPortRange))].sort()
  return { from: a, to: b, ports: read, text: [a.selector.text, '->', b.selector.text, ...words].join(' '), at: line.at }
}
