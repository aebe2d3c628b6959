/** What Temporal has kept: fetched whole, and searched for what must never be in it. */
import { Client, Connection } from '@temporalio/client'
import type { temporal } from '@temporalio/proto'

export interface History {
  readonly workflowId: string
  readonly type: string
  readonly runId: string
  readonly history: temporal.api.history.v1.IHistory
}

export async function fetchHistories(address: string): Promise<readonly History[]> {
  const connection = await Connection.connect({ address })
  const client = new Client({ connection })
  const found: History[] = []
  for await (const { workflowId, runId, type } of client.workflow.list()) {
    found.push({ workflowId, runId, type, history: await client.workflow.getHandle(workflowId, runId).fetchHistory() })
  }
  await connection.close()
  return found
}

/** The activity types that a workflow type's histories have scheduled: `site readSite`. */
export const activitiesOf = ({ type, history }: Pick<History, 'type' | 'history'>): readonly string[] =>
  (history.events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) =>
    scheduled?.activityType?.name ? [`${type} ${scheduled.activityType.name}`] : [],
  )

/** Every byte string of a history, payloads decoded. */
function bytesOf(value: unknown, into: Buffer[] = []): readonly Buffer[] {
  if (value instanceof Uint8Array) into.push(Buffer.from(value))
  else if (typeof value === 'string') into.push(Buffer.from(value))
  else if (value !== null && typeof value === 'object')
    for (const [name, member] of Object.entries(value)) bytesOf(member, (into.push(Buffer.from(name)), into))
  return into
}

/** Which secrets occur in any of these: as they are, as base64, base64url or hex, and as the bytes that they encode. */
export function leaks(where: readonly unknown[], secrets: readonly string[]): readonly string[] {
  const hay = Buffer.concat(where.flatMap((value) => bytesOf(value).flatMap((bytes) => [bytes, Buffer.from('\n')])))
  const forms = (secret: string): readonly Buffer[] => {
    const raw = Buffer.from(secret)
    const decoded = [Buffer.from(secret, 'base64'), Buffer.from(secret, 'base64url')].filter((bytes) => bytes.length >= 16)
    const texts = [raw, ...decoded].flatMap((bytes) => [
      bytes.toString('base64').replace(/=+$/, ''),
      bytes.toString('base64url'),
      bytes.toString('hex'),
    ])
    return [raw, ...decoded, ...texts.map((text) => Buffer.from(text))]
  }
  return secrets.filter((secret) => forms(secret).some((form) => hay.includes(form)))
}
