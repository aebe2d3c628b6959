import { createHash } from 'node:crypto'
import type { Fabric } from './fabric.ts'

/** JSON with sorted keys and no spaces (the idea of RFC 8785): the same value gives the same bytes on any machine. */
export function canonicalJson(value: unknown): string {
  let text = ''
  write(value, (piece) => {
    text += piece.toString()
  })
  return text
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
export function contentHash(value: unknown): string {
  const hash = createHash('sha256')
  write(value, (piece) => hash.update(piece))
  return hash.digest('hex')
}
/** SHA-256 of the whole Fabric, hex: what a generation is known by. */
export const fabricHash = (fabric: Fabric): string => contentHash(fabric)

/** UTF-8, cut between characters; overwritten as soon as it is taken. */
type Take = (piece: Buffer) => void

/** What is written of a value and not yet taken. One for all, since nothing else runs while a value is written. */
const page = Buffer.allocUnsafe(65_536)
let written = 0

/**
 * As bytes, which leave nothing to be collected, and in pieces: the parts of 10,000 sites are 300 MB, of some hubs 30 MB alone.
 */
function write(value: unknown, take: Take): void {
  written = 0
  put(value, take)
  turn(take)
}
function turn(take: Take): void {
  take(page.subarray(0, written))
  written = 0
}

function put(value: unknown, take: Take): void {
  if (typeof value === 'string') putString(value, take)
  else if (typeof value === 'number' && Number.isFinite(value)) putAscii(`${value}`, take)
  else if (Array.isArray(value)) {
    putAscii('[', take)
    for (let n = 0; n < value.length; n++) {
      if (n > 0) putAscii(',', take)
      put(value[n], take)
    }
    putAscii(']', take)
  } else if (value !== null && typeof value === 'object') {
    let before = '{'
    for (const key of sorted(Object.keys(value))) {
      const member = (value as Readonly<Record<string, unknown>>)[key]
      if (member === undefined) continue
      putAscii(before, take)
      putString(key, take)
      putAscii(':', take)
      put(member, take)
      before = ','
    }
    putAscii(before === '{' ? '{}' : '}', take)
  } else if (typeof value === 'bigint') throw new TypeError('a bigint has no canonical JSON form')
  else putAscii(typeof value === 'boolean' || value === undefined ? `${value}` : 'null', take)
}

const [quote, backslash] = [0x22, 0x5c]
/** Nearly all are short and nothing in them is escaped. */
function putString(text: string, take: Take): void {
  const { length } = text
  if (length > 1_000) return putText(JSON.stringify(text), take)
  if (written + length + 2 > page.length) turn(take)
  let at = written
  page[at++] = quote
  for (let n = 0; n < length; n++) {
    const code = text.charCodeAt(n)
    if (code < 0x20 || code > 0x7e || code === quote || code === backslash) return putText(JSON.stringify(text), take)
    page[at++] = code
  }
  page[at++] = quote
  written = at
}
function putAscii(text: string, take: Take): void {
  if (written + text.length > page.length) turn(take)
  for (let n = 0; n < text.length; n++) page[written++] = text.charCodeAt(n)
}
function putText(text: string, take: Take): void {
  const most = 3 * text.length
  if (written + most > page.length) turn(take)
  if (most > page.length) take(Buffer.from(text))
  else written += page.write(text, written)
}

/** In place. Most objects have few keys: for these it is five times as fast as `sort`. */
function sorted(keys: string[]): readonly string[] {
  if (keys.length > 20) return keys.sort()
  for (let n = 1; n < keys.length; n++) {
    const key = keys[n]!
    let at = n
    for (; at > 0 && keys[at - 1]! > key; at--) keys[at] = keys[at - 1]!
    keys[at] = key
  }
  return keys
}
