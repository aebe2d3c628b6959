/** How EC2 says no. Codes and messages are EC2's own (Amazon EC2 API Reference, "Error codes for the Amazon EC2 API"). */

export class Refusal extends Error {
  readonly code: string
  /** HTTP. */
  readonly status: number
  constructor(code: string, message: string, status = 400) {
    super(message)
    this.code = code
    this.status = status
  }
}

export const invalidValue = (value: string, parameter: string, why: string): Refusal =>
  new Refusal('InvalidParameterValue', `Value (${value}) for parameter ${parameter} is invalid. ${why}`)
export const missing = (parameter: string): Refusal => new Refusal('MissingParameter', `The request must contain the parameter ${parameter}`)
export const incorrectState = (says: string): Refusal => new Refusal('IncorrectState', says)
