/** Classes: what is written over what exists by default. */
import type { ClassId, SiteClass } from '#src/fabric/fabric.ts'
import { type ClassDefaults, classDefaults, defaultClass } from './defaults.ts'
import type { IntentClass, Preference, UplinkSelector } from './intent.ts'
import type { UplinkWords } from './names.ts'
import type { NamedSite, Raw } from './raw.ts'
import { noteFields } from './places.ts'
import type { Report } from './report.ts'
import type { RawClass, RawSiteClass } from './schema.ts'
import type { Located } from './spec.ts'
import { oneOf } from './suggest.ts'

/** Marks and tables are few: three bits of them are classes. */
const maxClasses = 8

export function readClasses(raw: Raw, words: UplinkWords, report: Report): readonly IntentClass[] {
  const entries = raw.network?.fields.classes ?? []
  const written = new Map(entries.map((entry) => [entry.key.value, entry]))
  const ids = [...new Set([...Object.keys(classDefaults), ...written.keys()])].sort()
  const ninth = entries.filter((entry) => !Object.hasOwn(classDefaults, entry.key.value))[maxClasses - Object.keys(classDefaults).length]
  if (ninth)
    report.error('I054', ninth.key.at, `there are ${ids.length} classes`, `write at most ${maxClasses}, with realtime, business, bulk and default`)
  const classes = ids.map((id) => readClass(id as ClassId, written.get(id), words, report))
  if (!ninth) checkMarks(classes, written, report)
  return withShares(classes, written, report)
}

type Written<T = RawClass> = ReadonlyMap<string, { readonly key: Located<string>; readonly value: T | undefined }>

function readClass(id: ClassId, entry: ReturnType<Written['get']>, words: UplinkWords, report: Report): IntentClass {
  const base = `class/${id}`
  const fields = entry?.value?.fields
  if (entry) report.origins.set(base, entry.key.at)
  if (fields) noteFields(base, fields, report.origins, entry?.value?.wrote)
  if (fields?.sla) noteFields(`${base}/sla`, fields.sla.fields, report.origins)
  const known: ClassDefaults | undefined = Object.hasOwn(classDefaults, id) ? classDefaults[id as keyof typeof classDefaults] : undefined
  if (entry?.value && !known) {
    for (const key of ['dscp', 'share'] as const) {
      if (!entry.value.wrote.has(key))
        report.error(
          'I006',
          entry.key.at,
          `class "${id}" has no "${key}"`,
          `add ${key}: ${key === 'dscp' ? 'AF31' : '10%'}; only realtime, business, bulk and default have one by themselves`,
        )
    }
  }
  const sla = fields?.sla?.fields
  const prefer = readWords(fields?.prefer, words, report)
  const avoid = readWords(fields?.avoid, words, report)
  const never = readWords(fields?.never, words, report)
  checkOpposites(id, { prefer: fields?.prefer, avoid: fields?.avoid, never: fields?.never }, report)
  return {
    id,
    dscp: fields?.dscp?.value ?? known?.dscp ?? 0,
    share: fields?.share?.value ?? known?.share ?? 0,
    sla: {
      loss: sla?.loss?.value ?? known?.sla.loss ?? 0,
      latencyMs: sla?.latency?.value ?? known?.sla.latencyMs ?? 0,
      jitterMs: sla?.jitter?.value ?? known?.sla.jitterMs ?? 0,
    },
    prefer,
    // Their order means nothing.
    avoid: [...avoid].sort(byValue),
    never: [...never].sort(byValue),
  }
}
const byValue = (a: UplinkSelector, b: UplinkSelector): number => (a.value < b.value ? -1 : 1)

function readWords(written: readonly Located<string>[] | undefined, words: UplinkWords, report: Report): readonly UplinkSelector[] {
  const out = new Map<string, UplinkSelector>()
  for (const { value, at } of written ?? []) {
    const kind = words.get(value)
    if (kind === undefined) {
      const meant = report.meant(value, words.keys())
      report.error(
        'I051',
        at,
        `"${value}" is no medium, transport or tag of an uplink${meant}`,
        meant === '' ? `write one of ${oneOf(words.keys())}` : '',
      )
    } else out.set(value, { kind, value })
  }
  return [...out.values()]
}

function checkOpposites(
  id: ClassId,
  written: Readonly<Record<'prefer' | 'avoid' | 'never', readonly Located<string>[] | undefined>>,
  report: Report,
): void {
  const said = new Map<string, { readonly verb: string; readonly word: Located<string> }>()
  for (const [verb, list] of Object.entries(written)) {
    for (const word of list ?? []) {
      const other = said.get(word.value)
      if (!other) said.set(word.value, { verb, word })
      else if (other.verb !== verb)
        report.error(
          'I052',
          [word.at, other.word.at],
          `class "${id}" has ${word.value} under both ${other.verb} and ${verb}`,
          'keep one: never is hard, avoid is a last choice, prefer is a first',
        )
    }
  }
}

/** Transit nodes know a packet's class by its mark alone. */
function checkMarks(classes: readonly IntentClass[], written: Written, report: Report): void {
  const stated = classes.filter((each) => Object.hasOwn(classDefaults, each.id) || written.get(each.id)?.value?.fields.dscp)
  for (const [i, one] of stated.entries()) {
    const twin = stated.slice(0, i).find((other) => other.dscp === one.dscp)
    const at = written.get(one.id)?.value?.fields.dscp?.at ?? (twin && written.get(twin.id)?.value?.fields.dscp?.at)
    if (twin && at)
      report.error('I056', at, `classes "${twin.id}" and "${one.id}" have the same DSCP ${one.dscp}`, 'write another: hubs tell classes apart by it')
  }
}

/** What a site says of classes, over what the network says of them. */
export function readSiteClasses({ name, fields }: NamedSite, network: readonly IntentClass[], report: Report): readonly SiteClass[] {
  const [base, entries] = [`site/${name.value}`, fields.classes ?? []]
  const ids = network.map(({ id }) => id)
  for (const { key, value } of entries) {
    const own = `${base}/class/${key.value}`
    report.origins.set(own, key.at)
    if (value) noteFields(own, { ...value.fields, sla: undefined }, report.origins, value.wrote)
    if (value?.fields.sla) noteFields(`${own}/sla`, value.fields.sla.fields, report.origins)
    if (ids.some((id) => id === key.value)) continue
    const meant = report.meant(key.value, ids)
    report.error(
      'I015',
      key.at,
      `class "${key.value}" does not exist${meant}`,
      meant === '' ? `write one of ${oneOf(ids)}, or add it to \`classes:\` of the network` : '',
    )
  }
  const written = new Map(entries.filter(({ key }) => ids.some((id) => id === key.value)).map((entry) => [entry.key.value, entry]))
  const here = network.map((one): IntentClass => {
    const fields = written.get(one.id)?.value?.fields
    const sla = fields?.sla?.fields
    return {
      ...one,
      share: fields?.share?.value ?? one.share,
      sla: {
        loss: sla?.loss?.value ?? one.sla.loss,
        latencyMs: sla?.latency?.value ?? one.sla.latencyMs,
        jitterMs: sla?.jitter?.value ?? one.sla.jitterMs,
      },
    }
  })
  const shared = entries.some(({ value }) => value?.wrote.has('share')) ? withShares(here, written, report) : here
  return shared
    .filter((one, i) => one.share !== network[i]!.share || JSON.stringify(one.sla) !== JSON.stringify(network[i]!.sla))
    .map(({ id, share, sla }) => ({ id, share, sla }))
}

const verbs = ['prefer', 'avoid', 'never'] as const
/** Which uplinks the classes of a site take, where it says so itself; what it says of a word counts, whatever the network says of it. */
export const readPreferences = ({ fields }: NamedSite, network: readonly IntentClass[], words: UplinkWords, report: Report): readonly Preference[] =>
  network.flatMap((one): readonly Preference[] => {
    const said = fields.classes?.find(({ key }) => key.value === one.id)?.value?.fields
    if (!said || verbs.every((verb) => said[verb] === undefined)) return []
    checkOpposites(one.id, { prefer: said.prefer, avoid: said.avoid, never: said.never }, report)
    const read = {
      prefer: readWords(said.prefer, words, report),
      avoid: readWords(said.avoid, words, report),
      never: readWords(said.never, words, report),
    }
    const named = new Set(verbs.flatMap((verb) => read[verb].map(({ value }) => value)))
    const here = (verb: (typeof verbs)[number]) => (said[verb] ? read[verb] : one[verb].filter(({ value }) => !named.has(value)))
    return [{ id: one.id, prefer: here('prefer'), avoid: [...here('avoid')].sort(byValue), never: [...here('never')].sort(byValue) }]
  })

/** `default` absorbs what the others leave, unless its own share is written. */
function withShares(classes: readonly IntentClass[], written: Written<RawClass | RawSiteClass>, report: Report): readonly IntentClass[] {
  const unread = [...written.values()].some(({ value }) => !value || (value.wrote.has('share') && !value.fields.share))
  if (unread) return classes
  const shareAt = (id: string) => written.get(id)?.value?.fields.share?.at
  const others = classes.filter((each) => each.id !== defaultClass).reduce((sum, each) => sum + each.share, 0)
  const own = shareAt(defaultClass)
  const at = own ?? [...written.keys()].map(shareAt).findLast((each) => each !== undefined)
  const sums = classes.filter((each) => each.id !== defaultClass).map((each) => `${each.id} ${each.share}`)
  const ownShare = classes.find((each) => each.id === defaultClass)!.share
  if (own && others + ownShare !== 100)
    report.error(
      'I050',
      own,
      `the shares of all classes make ${others + ownShare}, not 100: ${sums.join(', ')}, default ${ownShare}`,
      others < 100 ? `write ${100 - others}, or leave it out: default takes what the others leave` : 'lower the others',
    )
  else if (!own && others > 99 && at)
    report.error('I050', at, `the shares leave nothing for default: ${sums.join(', ')}`, 'lower them to 99 together')
  return own ? classes : classes.map((each) => (each.id === defaultClass ? { ...each, share: Math.max(0, 100 - others) } : each))
}
