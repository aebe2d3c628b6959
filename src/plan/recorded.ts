/** What a change says that no box and no cloud notices: promises, maintenance windows, what fails together. */
import type { Expect, Fabric, SiteId } from '#src/fabric/fabric.ts'
import { type Asked, askedText, nothingAsked } from '#src/fabric/expects.ts'
import { compareText, siteOfGateway } from '#src/fabric/ids.ts'
import { formatMaintenance } from '#src/fabric/windows.ts'

export interface Recorded {
  readonly kind: 'expects' | 'drops' | 'window' | 'risk'
  /** `isolate cameras -> training`, `madrid: sun 02:00-04:00 UTC`, `duct-7: berlin.fiber, berlin.mpls`. */
  readonly text: string
}

/** Sites that come or go bring and take their own with them: what is told is of those that stay. */
export function recordedOf(before: Fabric | null, after: Fabric): readonly Recorded[] {
  if (!before) return []
  const ids = (fabric: Fabric) => new Set(fabric.sites.map(({ id }) => siteOfGateway(id)))
  const [was, is] = [ids(before), ids(after)]
  const stays = (site: SiteId): boolean => was.has(siteOfGateway(site)) && is.has(siteOfGateway(site))
  const [old, now] = [promisesOf(before), promisesOf(after)]
  return [
    ...now.filter((text) => !old.includes(text)).map((text): Recorded => ({ kind: 'expects', text })),
    ...old.filter((text) => !now.includes(text)).map((text): Recorded => ({ kind: 'drops', text })),
    ...differing('window', windowsOf(before, stays), windowsOf(after, stays), 'any time'),
    ...differing('risk', risksOf(before, stays), risksOf(after, stays), 'nothing fails together'),
  ]
}

function differing(kind: Recorded['kind'], was: ReadonlyMap<string, string>, is: ReadonlyMap<string, string>, none: string): readonly Recorded[] {
  const names = [...new Set([...was.keys(), ...is.keys()])].sort(compareText)
  return names.flatMap((name) => (was.get(name) === is.get(name) ? [] : [{ kind, text: `${name}: ${is.get(name) ?? none}` }]))
}

/** Each line as one would write it, whoever it is about: sites come and go under it. */
function promisesOf({ expects }: Fabric): readonly string[] {
  const lines = Map.groupBy(expects.filter(isWritten), ({ id }) => id.replace(/#.*$| @.*$/, ''))
  return [...lines].map(([line, own]) => `${verb.exec(line)![0]}${own[0]!.text}${askedText(own.map(asked).reduce(both))}`).sort(compareText)
}
const verb = /^(?:reach|reach-all|isolate|path) /
/** A relay implies one of its own. */
const isWritten = ({ id }: Expect): boolean => verb.test(id)
const asked = (expect: Expect): Asked => ({ ...nothingAsked, ...expect })
/** The parts of a line: whether it reaches, and by which ways. */
const both = (a: Asked, b: Asked): Asked =>
  a.via.length + a.not.length + a.withinMs + a.bandwidth.up > 0 || a.symmetric ? a : { ...b, survives: a.survives }

const windowsOf = ({ maintenance = [] }: Fabric, stays: (site: SiteId) => boolean): ReadonlyMap<string, string> =>
  new Map(maintenance.filter(({ site }) => stays(site)).map((one) => [siteOfGateway(one.site), formatMaintenance(one)]))
const risksOf = ({ risks }: Fabric, stays: (site: SiteId) => boolean): ReadonlyMap<string, string> =>
  new Map(
    risks.flatMap(({ id, uplinks }) => {
      const own = uplinks.filter(({ site }) => stays(site)).map(({ site, uplink }) => `${site}.${uplink}`)
      return own.length > 0 ? [[id, own.join(', ')] as const] : []
    }),
  )
