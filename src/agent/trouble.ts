/** What goes wrong at a box, as one sentence that says what, why and what your hands should do: never a stack or an errno. */
export interface Trouble {
  /** `A` and two or three digits; see codes.ts. */
  readonly code: string
  readonly says: string
  readonly instead: string
}

/** Thrown where work cannot go on; `again` = the same attempt may work later without anybody touching anything. */
export class AgentError extends Error {
  readonly trouble: Trouble
  readonly again: boolean
  constructor(code: string, says: string, instead: string, again = false) {
    super(says)
    this.name = 'AgentError'
    this.trouble = { code, says, instead }
    this.again = again
  }
}

export const line = (of: Trouble): string => `[${of.code}] ${of.says}${/[.!?]$/.test(of.says) ? '' : '.'}${of.instead === '' ? '' : ` ${of.instead}`}`

const errno = (error: unknown): string => (error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '')
export { errno }

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no route to it',
  ENETUNREACH: 'no route to it',
  ENETDOWN: 'the link is down',
  EADDRNOTAVAIL: 'the address is gone',
  ENOTFOUND: 'name lookup failed: no such name',
  EAI_AGAIN: 'name lookup failed: no answer',
  EACCES: 'not permitted',
  EPERM: 'not permitted',
  EROFS: 'the disk is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EEXIST: 'a part of the path is a file',
  EISDIR: 'there is a folder of that name',
  EIO: 'the disk reports an error',
  ENOTDIR: 'a part of the path is a file',
}
/** An error of the system in words for people. */
export const why = (error: unknown): string => words[errno(error)] ?? (error instanceof Error ? error.message : String(error))

/** What a device driver throws. */
const isFinding = (error: unknown): error is { readonly finding: Trouble } =>
  error instanceof Error && 'finding' in error && typeof error.finding === 'object' && error.finding !== null && 'says' in error.finding

/** Any error as a Trouble; what we didn't foresee keeps its first line. */
export function troubleOf(error: unknown, code = 'A40'): Trouble {
  if (error instanceof AgentError) return error.trouble
  if (isFinding(error)) return { code: error.finding.code, says: error.finding.says, instead: error.finding.instead }
  return { code, says: why(error).split('\n')[0]!, instead: '' }
}
