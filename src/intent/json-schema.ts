import * as z from 'zod'
import { networkFile, siteFile } from './schema.ts'
import { folderFile } from './schema-folder.ts'
import { peerFile } from './schema-peer.ts'
import { regionFile } from './schema-region.ts'

/**
 * JSON Schema (2020-12) of one file, for editors: completion, hints and the first mistakes while typing. Made of the same
 * zod types that read the files; what keys mean together only `causeway check` knows.
 */
export function jsonSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...schema } = z.toJSONSchema(z.union([networkFile, siteFile, regionFile, peerFile, folderFile].map(({ schema }) => schema())), {
    io: 'input',
    reused: 'ref',
  })
  return {
    $schema,
    title: 'Causeway intent',
    description: 'A file of a Causeway network: network.yaml, one file a site, cloud region or IPsec peer, or what names the folder.',
    ...schema,
  }
}
