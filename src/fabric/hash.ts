import { createHash } from 'node:crypto'
import type { Fabric } from './fabric.ts'

/** JSON with sorted keys and no spaces (the idea of RFC 8785): the same value gives the same bytes on any machine. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) {
    let text = '['
    for (let n = 0; n < value.length; n++) text += n === 0 ? canonicalJson(value[n]) : `,${canonicalJson(value[n])}`
    return `${text}]`
  }
  if (value !== null && typeof value === 'object') {
    let text = ''
    for (const key of Object.keys(value).sort()) {
      const member = (value as Readonly<Record<string, unknown>>)[key]
      if (member !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(member)}`
    }
    return `{${text}}`
  }
  if (typeof value === 'bigint') throw new TypeError('a bigint has no canonical JSON form')
  return JSON.stringify(value)
}

/** Whether the canonical JSON of two values is the same, at the cost of what is not one and the same object. */
export function sameContent(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false
  if (Array.isArray(a)) return a.length === (b as unknown[]).length && a.every((one, n) => sameContent(one, (b as unknown[])[n]))
  const [these, those] = [a, b] as readonly Readonly<Record<string, unknown>>[]
  const keys = Object.keys(these!)
  return (
    keys.every((key) => sameContent(these![key], those![key])) &&
    Object.keys(those!).every((key) => those![key] === undefined || Object.hasOwn(these!, key))
  )
}

/** SHA-256 of the canonical JSON, hex. */
export const contentHash = (value: unknown): string => createHash('sha256').update(canonicalJson(value)).digest('hex')
/** SHA-256 of the whole Fabric, hex: what a generation is known by. */
export const fabricHash = (fabric: Fabric): string => contentHash(fabric)
