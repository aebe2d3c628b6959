/** Errors of the controller as people and programs get them: problem+json (RFC 9457) with a code and what to do instead. */
import { HTTPException } from 'hono/http-exception'
import type { Finding } from '#src/fabric/fabric.ts'
import { type ControllerCode, titleOf } from './codes.ts'

export class Problem extends Error {
  override readonly name = 'Problem'
  readonly status: number
  /** A controller's C code, or one that other areas own (A02, V011 …). */
  readonly code: string
  readonly instead: string
  readonly findings: readonly Finding[]
  readonly headers: Readonly<Record<string, string>>
  constructor(
    status: number,
    code: ControllerCode | `A${number}`,
    says: string,
    instead: string,
    more: { readonly findings?: readonly Finding[]; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(says)
    this.status = status
    this.code = code
    this.instead = instead
    this.findings = more.findings ?? []
    this.headers = more.headers ?? {}
  }
}

export interface ProblemDocument {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly instead: string
  readonly findings: readonly Finding[]
}
export const problemDocument = (of: Problem): ProblemDocument => ({
  type: `/v1/docs#${of.code}`,
  title: titleOf(of.code),
  status: of.status,
  code: of.code,
  detail: of.message,
  instead: of.instead,
  findings: of.findings,
})

/** PostgreSQL or Temporal can't be reached: the request may be repeated as it is. */
const unreachable = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', '57P01', '57P02', '57P03', '53300'])
/** PostgreSQL's own codes of a disk without space, and of a write that failed. */
const full = new Set(['53100', '58030'])

interface CodedError extends Error {
  readonly code?: unknown
  readonly instead?: unknown
}
/** Whatever was thrown, as a problem. What is not foreseen says no internals: they go to the log. */
export function problemOf(error: unknown, log: (error: unknown) => void): Problem {
  if (error instanceof Problem) return error
  // Hono's own word for a body that is not JSON.
  if (error instanceof HTTPException && error.status < 500) return new Problem(400, 'C005', "the request's body is not JSON", 'see /v1/docs')
  const { code, message, instead } = error instanceof Error ? (error as CodedError) : { code: undefined, message: '', instead: undefined }
  if (typeof code === 'string' && unreachable.has(code)) return storeAway()
  if ((typeof code === 'string' && full.has(code)) || /No space left on device/.test(message))
    return storeAway("the database can't write: its disk is full", 'free some space; the controller recovers by itself')
  if (
    /Connection terminated|timeout exceeded when trying to connect|timeout expired|Query read timeout|Client has encountered a connection error/.test(
      message,
    )
  )
    return storeAway()
  // PkiError and its like carry their own code and advice; a CSR that is none is the sender's mistake.
  if (typeof code === 'string' && /^C07[0-2]$/.test(code) && typeof instead === 'string')
    return new Problem(400, code as ControllerCode, message, instead)
  log(error)
  return new Problem(
    500,
    'C009',
    'something unforeseen went wrong in the controller',
    'its log has the details; send `causeway bundle` with a report',
  )
}
const storeAway = (says = 'the database does not answer', instead = 'the controller goes on trying; repeat the request in some seconds') =>
  new Problem(503, 'C010', says, instead, { headers: { 'retry-after': '2' } })
