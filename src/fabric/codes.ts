/** One page of `causeway explain CODE`. Each area keeps its own table: intent I, verify V, plan P, controller C, agent A, lab L, device D. */
export interface CodePage {
  /** A letter and digits, e.g. `I031`. */
  readonly code: string
  /** What it is, a few words, no full stop. */
  readonly title: string
  /** Why it is an error and what to do about it, full sentences. */
  readonly text: string
  /** The smallest piece of input (or situation) that causes it; '' when there is nothing to show. */
  readonly wrong: string
  /** The same, put right. */
  readonly right: string
}
