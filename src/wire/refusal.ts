/** Why something that came over the wire, or was pasted, is not accepted: for people, so in the terms of what to do. */
export interface Refusal {
  readonly ok: false
  readonly code: string
  /** One sentence, no full stop. */
  readonly says: string
  /** What to do instead; '' when the other end has to act. */
  readonly instead: string
}
export const refuse = (code: string, says: string, instead: string): Refusal => ({ ok: false, code, says, instead })
