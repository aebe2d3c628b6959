/** The recorded histories, by the version that made them; added to, never edited. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js'
import type { temporal } from '@temporalio/proto'

export interface Recorded {
  readonly name: string
  readonly workflowId: string
  readonly type: string
  readonly history: temporal.api.history.v1.IHistory
}

const folder = join(import.meta.dirname, 'histories')

export function recorded(): readonly Recorded[] {
  return readdirSync(folder).flatMap((version) =>
    readdirSync(join(folder, version))
      .filter((file) => file.endsWith('.json'))
      .sort()
      .map((file): Recorded => {
        const { workflowId, type, history } = JSON.parse(readFileSync(join(folder, version, file), 'utf8')) as {
          workflowId: string
          type: string
          history: unknown
        }
        return { name: `${version}/${file}`, workflowId, type, history: historyFromJSON(history) }
      }),
  )
}
