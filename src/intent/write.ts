/** The other way round: a value as a program sends it → the text of a file, to be read like any other. */
import { stringify } from 'yaml'
import * as z from 'zod'
import { regionBody } from './schema-region.ts'

/** The file of a region. What the body says is judged when the file is read, key by key and with positions. */
export const writeRegion = (name: string, body: Readonly<Record<string, unknown>>): string =>
  stringify({ region: name, ...body }, { aliasDuplicateObjects: false, lineWidth: 0 })

/** JSON Schema (2020-12) of what a region's file says besides its name, from the zod types that read the file. */
export function regionJsonSchema(): Readonly<Record<string, unknown>> {
  const { $schema: _, ...schema } = z.toJSONSchema(regionBody.schema(), { io: 'input' })
  return schema
}
