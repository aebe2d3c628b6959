/**
 * A strict cloud in memory, served over HTTP so that workers which are killed share it: no client tokens (a create makes a
 * second one), states that take time, what was made is seen late, duplicates and orphans are kept, quotas, throttling,
 * refusals, and answers that are lost after it acted. It keeps a record of every call.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface CloudObject {
  readonly cloudId: string
  readonly id: string
  readonly type: string
  properties: Readonly<Record<string, unknown>>
  readonly madeAt: number
  deletedAt: number | null
}
export interface FakeCloud {
  readonly url: string
  /** Everything that was ever made, the deleted ones too. */
  readonly all: readonly CloudObject[]
  living(): readonly CloudObject[]
  /** `create vpn-connection`, in order. */
  readonly calls: readonly string[]
  /** The next calls that match answer with this instead of acting, `times` often, or until the answer is called. */
  refuse(call: string, code: string, times?: number): () => void
  /** The next call that matches acts, and its answer is lost. */
  lose(call: string): void
  /** Tunnels whose name has this in it are down in its own telemetry; null: all are up. */
  dark(part: string | null): void
  /** Pre-shared keys that it was given. */
  readonly keys: readonly string[]
  stop(): Promise<void>
}
export interface FakeCloudOptions {
  /** How long a create takes from pending to ready, and how long it is not listed at all, milliseconds. */
  readonly makeMs?: number
  readonly blindMs?: number
}

/** What must be there before, by type; and what must be gone before a deletion. */
const needs: Readonly<Record<string, readonly string[]>> = { connection: ['gateway'], route: ['connection'] }

export async function startFakeCloud({ makeMs = 60, blindMs = 40 }: FakeCloudOptions = {}): Promise<FakeCloud> {
  const all: CloudObject[] = []
  const calls: string[] = []
  const keys: string[] = []
  const refusals: { call: string; code: string; left: number }[] = []
  const losses: string[] = []
  let darkness: string | null = null
  const living = () => all.filter((of) => of.deletedAt === null)

  const act = (op: string, body: Request): { readonly status: number; readonly answer: unknown } => {
    const refused = (code: string) => ({ status: 400, answer: { code } })
    if (op === 'list')
      return {
        status: 200,
        answer: living()
          .filter((of) => Date.now() - of.madeAt >= blindMs)
          .map((of) => ({ ...of, state: Date.now() - of.madeAt < makeMs ? 'pending' : 'ready' })),
      }
    if (op === 'tunnels')
      return {
        status: 200,
        answer: living().flatMap(({ properties }) =>
          ((properties['tunnels'] ?? []) as readonly string[]).map((tunnel) => ({
            tunnel,
            state: darkness !== null && tunnel.includes(darkness) ? 'down' : 'up',
          })),
        ),
      }
    if (op === 'create') {
      if (body.psks !== undefined) keys.push(...body.psks)
      for (const type of needs[body.type] ?? []) if (!living().some((of) => of.type === type)) return refused('Dependency')
      const made: CloudObject = {
        cloudId: `${body.type}-${all.length + 1}`,
        id: body.id,
        type: body.type,
        properties: body.properties,
        madeAt: Date.now(),
        deletedAt: null,
      }
      all.push(made)
      return { status: 200, answer: made }
    }
    const found = living().find((of) => of.cloudId === body.cloudId)
    if (found === undefined) return refused('NotFound')
    if (op === 'update') {
      found.properties = body.properties
      return { status: 200, answer: found }
    }
    const held = Object.entries(needs).some(([type, on]) => on.includes(found.type) && living().some((of) => of.type === type))
    if (held && living().filter((of) => of.type === found.type).length === 1) return refused('DependencyViolation')
    found.deletedAt = Date.now()
    return { status: 200, answer: found }
  }

  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const op = (request.url ?? '/').slice(1)
    const body = chunks.length > 0 ? (JSON.parse(Buffer.concat(chunks).toString()) as Request) : ({} as Request)
    const call = body.type === undefined ? op : `${op} ${body.type}`
    calls.push(call)
    const refusal = refusals.find((of) => of.call === call && of.left > 0)
    if (refusal !== undefined) {
      refusal.left -= 1
      response.writeHead(400).end(JSON.stringify({ code: refusal.code }))
      return
    }
    await sleep(5)
    const { status, answer } = act(op, body)
    const lost = losses.indexOf(call)
    if (lost >= 0 && status === 200) {
      losses.splice(lost, 1)
      request.socket.destroy()
      return
    }
    response.writeHead(status).end(JSON.stringify(answer))
  }
  const server = createServer((request, response) => void respond(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    all,
    living,
    calls,
    keys,
    refuse: (call, code, times = 1) => {
      const refusal = { call, code, left: times }
      refusals.push(refusal)
      return () => {
        refusal.left = 0
      }
    },
    lose: (call) => void losses.push(call),
    dark: (part) => {
      darkness = part
    },
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface Request {
  readonly id: string
  readonly type: string
  readonly cloudId: string
  readonly properties: Readonly<Record<string, unknown>>
  readonly psks?: readonly string[]
}
