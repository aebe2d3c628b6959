/**
 * The bootstrap token: `cw1_` + base64url(version 1, length 1, secret 16, CA pin 20, expiry 4, host, checksum 4).
 * The length counts every byte of the decoded form, so that a cut paste is detected offline, with how much is missing.
 */
import { createHash } from 'node:crypto'
import { refuse, type Refusal } from './refusal.ts'

export interface Token {
  /** 16 bytes; the controller keeps only their hash. */
  readonly secret: Buffer
  /** First 20 bytes of the SHA-256 of the CA's SPKI. */
  readonly caPin: Buffer
  /** Seconds since 1970; the controller judges it, because a box may have no clock. */
  readonly expiresAt: number
  /** `name:port`, `192.0.2.1:443` or `[2001:db8::1]:443`. */
  readonly host: string
}
export type DecodedToken = ({ readonly ok: true } & Token) | Refusal

const prefix = 'cw1_'
const version = 1
const at = { length: 1, secret: 2, caPin: 18, expiresAt: 38, host: 42 } as const
const checksumLength = 4
const againInFull = 'Paste the whole line again; long lines break in some consoles. The token is not used up'

const checksum = (body: Buffer): Buffer => createHash('sha256').update(body).digest().subarray(0, checksumLength)
const charactersOf = (bytes: number): number => prefix.length + Math.ceil((bytes * 4) / 3)

/** Whether `host` is something that can be dialled: a name or literal address, and a port 1–65535. */
function isHost(host: string): boolean {
  const parts = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/.exec(host)
  const port = Number(parts?.[1])
  return parts !== null && port >= 1 && port <= 65535
}

/** Throws RangeError when a part has the wrong size: tokens are made by the controller, never from a person's input. */
export function encodeToken(token: Token): string {
  const host = Buffer.from(token.host, 'ascii')
  const total = at.host + host.length + checksumLength
  if (token.secret.length !== 16 || token.caPin.length !== 20) throw new RangeError('a token has a secret of 16 bytes and a CA pin of 20')
  if (!isHost(token.host) || total > 255)
    throw new RangeError(`"${token.host}" is not host:port of at most ${255 - at.host - checksumLength} characters`)
  if (!Number.isInteger(token.expiresAt) || token.expiresAt < 0 || token.expiresAt > 0xffffffff)
    throw new RangeError('a token ends at a whole second before 2106')
  const body = Buffer.alloc(total - checksumLength)
  body[0] = version
  body[at.length] = total
  token.secret.copy(body, at.secret)
  token.caPin.copy(body, at.caPin)
  body.writeUInt32BE(token.expiresAt, at.expiresAt)
  host.copy(body, at.host)
  return prefix + Buffer.concat([body, checksum(body)]).toString('base64url')
}

/**
 * Reads what a person pasted: words before the token, line breaks inside it, quotes and anything after it do no harm,
 * because the checksum decides. Never repeats the secret in a refusal.
 */
export function decodeToken(text: string): DecodedToken {
  const packed = text.replace(/[\s\u200b\ufeff]/g, '')
  if (packed === '') return refuse('A01', 'No token was given', 'Paste the token, one line that begins with cw1_')
  const start = packed.indexOf(prefix)
  if (start < 0) {
    const other = /cw(\d+)_/.exec(packed)
    if (other)
      return refuse(
        'A01',
        `This token is of kind cw${other[1]}_, which this agent does not know`,
        'Take the agent from the controller that made the token',
      )
    return refuse('A01', 'This is not a token: it has no cw1_ at its beginning', againInFull)
  }
  const rest = packed.slice(start + prefix.length)
  const code = /^[A-Za-z0-9_-]*/.exec(rest)![0]
  const bytes = Buffer.from(code, 'base64url')
  const total = bytes[at.length]
  if (bytes.length < 2 || total === undefined)
    return refuse('A01', `The token is incomplete (only ${prefix.length + code.length} characters)`, againInFull)
  if (bytes[0] !== version || total <= at.host + checksumLength) return damaged()
  const characters = charactersOf(total)
  if (prefix.length + code.length < characters) {
    return refuse('A01', `The token is incomplete (${prefix.length + code.length} of ${characters} characters)`, againInFull)
  }
  const used = bytes.subarray(0, total)
  const body = used.subarray(0, total - checksumLength)
  // The re-encoding must agree too: the unused bits of the last character are covered by no checksum.
  if (!checksum(body).equals(used.subarray(total - checksumLength)) || used.toString('base64url') !== code.slice(0, characters - prefix.length))
    return damaged()
  const second = rest.indexOf(prefix)
  if (second >= 0 && !rest.slice(second + prefix.length).startsWith(used.toString('base64url'))) {
    return refuse('A01', 'There are two different tokens in what was pasted', 'Paste only the token of this site')
  }
  const host = body.subarray(at.host).toString('latin1')
  if (!isHost(host)) return damaged()
  return {
    ok: true,
    secret: Buffer.from(body.subarray(at.secret, at.caPin)),
    caPin: Buffer.from(body.subarray(at.caPin, at.expiresAt)),
    expiresAt: body.readUInt32BE(at.expiresAt),
    host,
  }
}

const damaged = (): Refusal => refuse('A01', 'The token is damaged: some of its characters were changed', againInFull)
