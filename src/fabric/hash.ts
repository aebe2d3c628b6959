import { createHash } from 'node:crypto'
import type { Fabric } from './fabric.ts'

/** JSON with sorted keys and no spaces (the idea of RFC 8785): the same value gives the same bytes on any machine. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).filter(([, member]) => member !== undefined)
    entries.sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${entries.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`
  }
  if (typeof value === 'bigint') throw new TypeError('a bigint has no canonical JSON form')
  return JSON.stringify(value)
}

/** SHA-256 of the canonical JSON, hex. */
export const contentHash = (value: unknown): string => createHash('sha256').update(canonicalJson(value)).digest('hex')
/** SHA-256 of the whole Fabric, hex: what a generation is known by. */
export const fabricHash = (fabric: Fabric): string => contentHash(fabric)
