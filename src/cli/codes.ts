/** Every page of `causeway explain CODE`, one table an area. */
import { agentCodes } from '#src/agent/codes.ts'
import { compileCodes } from '#src/compile/codes.ts'
import { controllerCodes } from '#src/controller/codes.ts'
import type { CodePage } from '#src/fabric/codes.ts'
import { intentCodes } from '#src/intent/codes.ts'
import { labCodes } from '#src/lab/codes.ts'
import { verifyCodes } from '#src/verify/codes.ts'
import { awsCodes } from '#providers/aws/codes.ts'
import { linuxCodes } from '#providers/linux/codes.ts'

export const codePages: readonly CodePage[] = [
  ...intentCodes,
  ...compileCodes,
  ...verifyCodes,
  ...controllerCodes,
  ...agentCodes,
  ...linuxCodes,
  ...awsCodes,
  ...labCodes,
]
