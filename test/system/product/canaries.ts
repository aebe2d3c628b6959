/** Secrets of a world, in every form in which they could have been written somewhere. */
import { createPrivateKey } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeToken } from '#src/wire/token.ts'
import { filesUnder, type World } from './world.ts'

export interface Canary {
  readonly what: string
  /** Where it belongs; '' = nowhere on a disk. */
  readonly file: string
  readonly forms: readonly string[]
}

/** As it may be written: raw, hex, and base64 in all its kinds and at each of the three offsets inside other bytes. */
function forms(secret: Buffer): readonly string[] {
  const offsets = [0, 1, 2].map((n) => {
    const [skip, text] = [n === 0 ? 0 : 4, Buffer.concat([Buffer.alloc(n), secret]).toString('base64')]
    // What shares a character with its neighbours is left out.
    return text.replace(/=+$/, '').slice(skip, -1)
  })
  const all = [
    secret.toString('hex'),
    secret.toString('hex').toUpperCase(),
    secret.toString('base64'),
    secret.toString('base64url'),
    ...offsets,
    ...offsets.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
  ]
  return [...new Set([...all, secret.toString('latin1')])]
}
const ofText = (what: string, text: string, file = ''): Canary => ({ what, file, forms: [...new Set([text, ...forms(Buffer.from(text))])] })
const ofBytes = (what: string, bytes: Buffer, file = ''): Canary => ({ what, file, forms: forms(bytes) })

export function canariesOf(world: World): readonly Canary[] {
  const tokens = world.tokens.flatMap((text, index) => {
    const token = decodeToken(text)
    if (!token.ok) throw new Error(token.says)
    return [ofText(`token ${index}`, text), ofBytes(`secret of token ${index}`, token.secret)]
  })
  const keys = filesUnder(join(world.folder, 'boxes'))
    .filter((file) => /(\.key|-keys\.json)$/.test(file))
    .flatMap((file): readonly Canary[] => {
      const text = readFileSync(file, 'utf8')
      const pem = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/.exec(text)?.[0]
      if (pem) return [ofBytes(file, Buffer.from((createPrivateKey(pem).export({ format: 'jwk' }) as { readonly d: string }).d, 'base64url'), file)]
      return [...text.matchAll(/"privateKey":"([A-Za-z0-9+/]{43}=)"/g)].map(([, key], index) =>
        ofBytes(`${file} ${index}`, Buffer.from(key!, 'base64'), file),
      )
    })
  const { data } = world.controller
  return [
    ...tokens,
    ...keys,
    ofBytes('the vault key', Buffer.from(readFileSync(`${data}.vault-key`, 'utf8').trim(), 'hex'), `${data}.vault-key`),
    ofText('the admin token', readFileSync(join(data, 'admin.token'), 'utf8').trim(), join(data, 'admin.token')),
  ]
}

/** Which canaries stand in a haystack, by name only: a failed test must not print them. */
export const found = (haystack: string, of: readonly Canary[]) =>
  of.filter(({ forms: all }) => all.some((form) => haystack.includes(form))).map(({ what }) => what)
export const read = (file: string) => readFileSync(file, 'latin1')

/** Every command line that any process has meanwhile. */
export function watchCommandLines(): { readonly seen: ReadonlySet<string>; stop(): void } {
  const seen = new Set<string>()
  const look = () => {
    for (const pid of readdirSync('/proc')) {
      if (!/^\d+$/.test(pid)) continue
      try {
        seen.add(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
      } catch {
        // It has ended.
      }
    }
  }
  const timer = setInterval(look, 100)
  return { seen, stop: () => clearInterval(timer) }
}
