/** A site's part of the Fabric in the words of its own hosts: there the Fabric speaks of the overlay, and no host does. */
import type { Deny, Flow, Translation } from './fabric.ts'
import type { SiteSlice } from './slice.ts'
import { comparePrefixes, contains, type Prefix, sortPrefixes } from '#src/net/address.ts'
import { subtractPrefixes } from '#src/net/sets.ts'
import { transplant } from '#src/net/translate.ts'

export interface SiteHome extends SiteSlice {
  readonly translations: readonly Translation[]
}
/**
 * A site's own addresses as its hosts know them, and those of others as the overlay does. Who has addresses of the site's
 * own hosts in the overlay can't be told from them: no rule speaks of it, and no route leads there.
 */
export function atHome(slice: SiteSlice): SiteHome {
  const translations = slice.site.lans.flatMap(({ prefix, local }) => (local === undefined ? [] : [{ local, overlay: prefix }]))
  if (translations.length === 0) return { ...slice, translations }
  const locals = sortPrefixes(translations.map(({ local }) => local))
  const named = (prefixes: readonly Prefix[]): readonly Prefix[] =>
    sortPrefixes(
      prefixes.flatMap((one) => {
        const own = translations.find(({ overlay }) => contains(overlay, one))
        return own ? [transplant(one, own.overlay, own.local)] : subtractPrefixes([one], locals)
      }),
    )
  const flow = ({ segment, prefixes }: Flow): Flow => ({ segment, prefixes: named(prefixes) })
  const lines = <T extends Deny>(of: readonly T[]): readonly T[] =>
    of
      .map((line) => ({ ...line, from: flow(line.from), to: flow(line.to) }))
      .filter(({ from, to }) => from.prefixes.length > 0 && to.prefixes.length > 0)
  const { site, routes } = slice
  return {
    ...slice,
    translations,
    routes: routes.filter(({ to }) => !locals.some((local) => contains(local, to))),
    site: {
      ...site,
      lans: site.lans
        .map(({ local, ...lan }) => (local === undefined ? lan : { ...lan, prefix: local }))
        .sort((a, b) => comparePrefixes(a.prefix, b.prefix)),
      rules: lines(site.rules),
      ...(site.denies ? { denies: lines(site.denies) } : {}),
    },
  }
}
