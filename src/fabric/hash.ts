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

/** SHA-256 of the canonical JSON, hex. */
export const contentHash = (value: unknown): string => createHash('sha256').update(canonicalJson(value)).digest('hex')
/** SHA-256 of the whole Fabric, hex: what a generation is known by. */
export const fabricHash = (fabric: Fabric): string => contentHash(fabric)
