/** A failure of keys, certificates or the vault, in words for the operator. C060–C079. */
export class PkiError extends Error {
  readonly code: string
  /** What to do instead. */
  readonly instead: string
  constructor(code: string, says: string, instead: string) {
    super(says)
    this.name = 'PkiError'
    this.code = code
    this.instead = instead
  }
}
