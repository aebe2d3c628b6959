import type { CodePage } from '#src/fabric/codes.ts'
import { folderCodes } from './codes-folder.ts'
import { languageCodes } from './codes-language.ts'
import { networkCodes } from './codes-network.ts'
import { peerCodes } from './codes-peer.ts'
import { regionCodes } from './codes-region.ts'
import { siteCodes } from './codes-site.ts'

/** Every finding of the language, by number. Examples name their file in a comment; the rest of the network is usual. */
export const intentCodes = [
  ...languageCodes,
  ...siteCodes,
  ...networkCodes,
  ...regionCodes,
  ...peerCodes,
  ...folderCodes,
] as const satisfies readonly CodePage[]
export type IntentCode = (typeof intentCodes)[number]['code']
