/** Where the things of a network are written, by key: what findings point to. */
import type { Origin, Origins } from '#src/fabric/fabric.ts'
import type { Located } from './spec.ts'

/** Keys of sites, `site/<id>/…`, that were written while it was read. */
export type Layer = ReadonlyMap<string, Origin>

/** What sites say is kept in layers, so that a site that reads the same brings its own along. */
export class Places implements Origins {
  private readonly own = new Map<string, Origin>()
  private readonly layers = new Map<string, Layer>()
  private open: Map<string, Origin> | undefined;

  *[Symbol.iterator](): Generator<readonly [string, Origin]> {
    yield* this.own
    for (const layer of new Set(this.layers.values())) yield* layer
  }
  get(key: string): Origin | undefined {
    return this.open?.get(key) ?? this.layers.get(siteOf(key) ?? '')?.get(key) ?? this.own.get(key)
  }
  has(key: string): boolean {
    return this.get(key) !== undefined
  }
  set(key: string, origin: Origin): void {
    const layer = siteOf(key) === undefined ? undefined : this.open
    ;(layer ?? this.own).set(key, origin)
  }
  /** What `read` writes of sites, apart. */
  apart<T>(read: () => T): { readonly value: T; readonly layer: Layer } {
    const layer = new Map<string, Origin>()
    this.open = layer
    try {
      return { value: read(), layer }
    } finally {
      this.open = undefined
    }
  }
  lay(ids: readonly string[], layer: Layer): void {
    for (const id of ids) this.layers.set(id, layer)
  }
}
function siteOf(key: string): string | undefined {
  if (!key.startsWith('site/')) return undefined
  const end = key.indexOf('/', 5)
  return key.slice(5, end < 0 ? undefined : end)
}

/** Origins of every key that was written: `base/key`. `wrote`: where each key stands, which is all there is of an empty list. */
export function noteFields(base: string, fields: Readonly<Record<string, unknown>>, origins: Places, wrote?: ReadonlyMap<string, Origin>): void {
  for (const [key, value] of Object.entries(fields)) {
    const first = Array.isArray(value) ? value[0] : value
    const at = (first as Partial<Located<unknown>> | undefined)?.at ?? (Array.isArray(value) ? wrote?.get(key) : undefined)
    if (at) origins.set(`${base}/${key}`, at)
  }
}
