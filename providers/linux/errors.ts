import type { Finding } from '#src/fabric/fabric.ts'

/** What the driver throws: a finding that a person can act on. */
export class DeviceError extends Error {
  readonly finding: Finding
  constructor(finding: Finding) {
    super(`${finding.code} ${finding.says}; ${finding.instead}`)
    this.name = 'DeviceError'
    this.finding = finding
  }
}
export const finding = (
  code: string,
  at: readonly string[],
  says: string,
  instead: string,
  more: { readonly severity?: Finding['severity']; readonly witness?: readonly string[] } = {},
): Finding => ({
  code,
  severity: more.severity ?? 'error',
  at,
  says,
  instead,
  witness: more.witness ?? [],
})
