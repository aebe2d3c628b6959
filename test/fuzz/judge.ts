/** What a user gets for a folder: findings, a network, its proof, a plan, configs; and what is wrong with that as an answer. */
import { type Compiled, compile, createCompiler } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import type { Fabric, Finding, Origins } from '#src/fabric/fabric.ts'
import { canonicalJson, fabricHash } from '#src/fabric/hash.ts'
import { nodesOf, siteHash } from '#src/fabric/slice.ts'
import { explainAll } from '#src/intent/explain.ts'
import type { Intent } from '#src/intent/intent.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { renderFindings } from '#src/intent/render.ts'
import { plan } from '#src/plan/plan.ts'
import { renderPlan } from '#src/plan/render.ts'
import { renderTrace } from '#src/verify/render-trace.ts'
import { trace } from '#src/verify/trace.ts'
import { verify, verifyTransition } from '#src/verify/verify.ts'
import { exportFiles } from '#providers/export/files.ts'
import type { Network } from './corpus.ts'

/** How far a network comes. */
export type Stage = 'refused' | 'read' | 'compiled' | 'proven'
export interface Judgement {
  readonly stage: Stage
  readonly codes: readonly string[]
  readonly problems: readonly string[]
}

/** There is no place to point to where the file itself is missing. */
const placeless = new Set(['I003'])
/** What a program says when it has lost its thread; a frame of a stack begins a line, and an IPv6 address looks like its end. */
const lost = /undefined|\[object|NaN|^\s+at .*:\d+:\d+/m

export function judge(files: Network, from: Network): Judgement {
  const problems: string[] = []
  const codes = new Set<string>()
  const { intent, origins, findings } = parseIntent(files)
  const said = (what: string, all: readonly Finding[]): void => {
    for (const { code } of all) codes.add(code)
    problems.push(...misplaced(all, origins, files))
    const text = renderFindings(all, origins, files, { colour: false })
    if ((text === '') !== (all.length === 0)) problems.push(`${what}: findings that are not shown`)
    problems.push(...astray(what, all.flatMap(({ says, instead, witness }) => [says, instead, ...witness]).join('\n'), files))
  }
  said('parse', findings)
  if ((intent === null) !== hasErrors(findings)) problems.push('parse: an intent with errors, or none without')
  if (!intent) return { stage: 'refused', codes: [...codes], problems }

  canonicalJson(intent)
  problems.push(
    ...astray(
      'explain',
      explainAll(intent, origins)
        .map(({ path, value, why }) => `${path} = ${value} ${why}`)
        .join('\n'),
      files,
    ),
  )
  const compiled = compile(intent, [])
  said('compile', compiled.findings)
  if ((compiled.fabric === null) !== hasErrors(compiled.findings)) problems.push('compile: a Fabric with errors, or none without')
  const { fabric } = compiled
  if (!fabric) return { stage: 'read', codes: [...codes], problems }

  const before = knownAs(from)
  problems.push(...unstable(intent, compiled, before))
  const { findings: verdicts, proof } = verify(fabric)
  said('verify', verdicts)
  if (proof.held > proof.expects || (proof.held < proof.expects && !hasErrors(verdicts)))
    problems.push(`verify: ${proof.held} of ${proof.expects} hold`)
  problems.push(...untraced(fabric, origins, files))
  for (const base of before?.fabric ? [null, before.fabric] : [null]) {
    problems.push(...astray('plan', renderPlan(plan(base, fabric), proof, 0), files))
    if (base) for (const { says } of verifyTransition(base, fabric).findings) problems.push(...astray('transition', says, files))
  }
  for (const site of fabric.sites) canonicalJson(configure(fabric, [], site.id))
  problems.push(
    ...astray(
      'export',
      exportFiles(fabric)
        .map(({ text }) => text)
        .join('\n'),
      files,
    ),
  )
  return { stage: hasErrors(verdicts) ? 'compiled' : 'proven', codes: [...codes], problems }
}

const hasErrors = (findings: readonly Finding[]): boolean => findings.some((finding) => finding.severity === 'error')

function misplaced(findings: readonly Finding[], origins: Origins, files: Network): readonly string[] {
  const lines = new Map(files.map(({ path, text }) => [path, text.split('\n')]))
  return findings.flatMap(({ code, at, says }) => {
    if (says === '') return [`${code} says nothing`]
    const place = at.map((key) => origins.get(key)).find((found) => found !== undefined)
    if (!place) return placeless.has(code) ? [] : [`${code} points nowhere: ${at.join(', ')}`]
    const text = lines.get(place.file)?.[place.line - 1]
    return text === undefined || place.column < 1 || place.column > text.length + 1 || place.length < 1 ? [`${code} points outside of its file`] : []
  })
}
/** Words that nobody wrote. */
function astray(what: string, text: string, files: Network): readonly string[] {
  const [found] = lost.exec(text) ?? []
  return found === undefined || files.some((file) => file.text.includes(found))
    ? []
    : [`${what} says ${JSON.stringify(text.slice(Math.max(0, text.indexOf(found) - 60)).slice(0, 140))}`]
}

/** What is asked of a few pairs of places is answered. */
function untraced(fabric: Fabric, origins: Origins, files: Network): readonly string[] {
  const places = nodesOf(fabric).flatMap(({ id, lans }) => [...new Set(lans.map(({ segment }) => `${id}/${segment}`))])
  const step = Math.max(1, Math.floor(places.length ** 2 / 12))
  const pairs = places.flatMap((from) => places.map((to) => ({ from, to })))
  return pairs
    .filter((_, n) => n % step === 0)
    .flatMap(({ from, to }) => {
      const told = trace(fabric, { from, to, port: null, trafficClass: null, without: [] })
      return astray('trace', renderTrace(told, origins), files)
    })
}

/** A compiler that has seen the network as it was gives the same bytes, and so does one that is told its own numbers. */
function unstable(intent: Intent, { fabric, claims }: Compiled, before: Known | undefined): readonly string[] {
  const hash = fabricHash(fabric!)
  const told = compile(intent, claims)
  const problems = told.fabric && fabricHash(told.fabric) === hash && told.claims.length === 0 ? [] : ['compile: other bytes with its own numbers']
  if (!before) return problems
  const remembering = createCompiler()
  remembering(before.intent, [])
  const after = remembering(intent, []).fabric
  if (!after || fabricHash(after) !== hash) problems.push('compile: other bytes from a compiler that remembers')
  else if (fabric!.sites.some(({ id }) => siteHash(fabric!, id) !== siteHash(after, id))) problems.push('compile: another hash of a site')
  return problems
}

interface Known {
  readonly intent: Intent
  readonly fabric: Fabric | null
}
const known = new Map<Network, Known | undefined>()
function knownAs(from: Network): Known | undefined {
  if (!known.has(from)) {
    const { intent } = parseIntent(from)
    known.set(from, intent ? { intent, fabric: compile(intent, []).fabric } : undefined)
  }
  return known.get(from)
}
