/** Why `serve` can't start, as a sentence with an exit code: never a stack. */
import { ChildFailed } from './children.ts'
import type { ControllerCode } from './codes.ts'
import { Problem } from './problem.ts'
import { SchemaMismatch } from './store/index.ts'

export class ServeFailed extends Error {
  override readonly name = 'ServeFailed'
  readonly code: string
  readonly exit: number
  readonly instead: string
  constructor(code: ControllerCode, exit: number, says: string, instead: string) {
    super(says)
    this.code = code
    this.exit = exit
    this.instead = instead
  }
}

/** Exit 6: the server that was named does not answer; 10: this machine lacks something; 5: somebody else is there. */
export function toFailure(error: unknown): ServeFailed {
  if (error instanceof ServeFailed) return error
  if (error instanceof SchemaMismatch) return new ServeFailed('C044', 5, error.message, '')
  if (error instanceof Problem) return new ServeFailed(error.code as ControllerCode, 10, error.message, error.instead)
  const { code, message, path, instead, syscall } =
    error instanceof Error
      ? (error as Error & { readonly code?: string; readonly path?: string; readonly instead?: string; readonly syscall?: string })
      : { message: String(error), code: undefined, path: undefined, instead: undefined, syscall: undefined }
  const where = path ? ` (${path})` : ''
  if (code === 'ENOSPC' || /No space left on device/.test(message))
    return new ServeFailed(
      'C040',
      10,
      `the disk under the data folder is full${where}`,
      'free some space, or use another folder: causeway serve --data DIR',
    )
  if (
    (path !== undefined && syscall !== 'connect') ||
    code === 'EROFS' ||
    code === 'EACCES' ||
    code === 'EPERM' ||
    code === 'ENOTDIR' ||
    /Read-only file system/.test(message)
  )
    return new ServeFailed('C040', 10, `the data folder can't be written${where}`, 'causeway serve --data DIR, with a folder of your own')
  if (error instanceof ChildFailed) return new ServeFailed('C042', 10, message, '')
  if (instead !== undefined && code?.startsWith('C06')) return new ServeFailed(code as ControllerCode, 10, message, instead)
  if (
    code === 'ECONNREFUSED' ||
    code === 'ENOTFOUND' ||
    code === 'EAI_AGAIN' ||
    code === 'ETIMEDOUT' ||
    code === 'ENOENT' ||
    /timeout/i.test(message)
  )
    return new ServeFailed('C043', 6, 'the database does not answer', `see DATABASE_URL: ${message}`)
  // 28: wrong user or password, 3D: no such database, 42501: not allowed.
  if (typeof code === 'string' && /^(28|3D|42501)/.test(code))
    return new ServeFailed(
      'C043',
      6,
      `the database refuses: ${message}`,
      'see DATABASE_URL; the user has to be allowed to create tables and the extension btree_gist',
    )
  return new ServeFailed('C009', 1, message, "the controller's log has more: controller.log in the data folder")
}
