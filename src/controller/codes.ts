import type { CodePage } from '#src/fabric/codes.ts'
import { agentCodes } from './codes-agent.ts'
import { drillCodes } from './codes-drill.ts'
import { operationCodes } from './codes-operation.ts'
import { planCodes } from './codes-plan.ts'
import { regionCodes } from './codes-region.ts'
import { requestCodes } from './codes-request.ts'
import { serveCodes } from './codes-serve.ts'
import { siteCodes } from './codes-site.ts'

/** `causeway explain C001` …: what the controller may say to people, programs and agents. */
export const controllerCodes = [
  ...requestCodes,
  ...planCodes,
  ...siteCodes,
  ...agentCodes,
  ...serveCodes,
  ...operationCodes,
  ...regionCodes,
  ...drillCodes,
] as const satisfies readonly CodePage[]
export type ControllerCode = (typeof controllerCodes)[number]['code']
const titles: ReadonlyMap<string, string> = new Map(controllerCodes.map(({ code, title }) => [code, title]))
const elsewhere: Readonly<Record<string, string>> = { A02: 'the token has expired', A03: 'the token was used by another box' }
export const titleOf = (code: string): string => titles.get(code) ?? elsewhere[code] ?? 'refused'
