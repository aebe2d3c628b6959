/** For programs, the CLI and the page: the API's types, and a client of what a cloud team automates. No code of the server. */
import type { Finding } from '#src/fabric/fabric.ts'
import { renderPlan } from '#src/plan/render.ts'
import type { LocatedFinding, Proposed } from '../generations.ts'
import type { ProblemDocument } from '../problem.ts'

export type { App } from './app.ts'
export type { LocatedFinding, Proposed } from '../generations.ts'
export type { ProblemDocument } from '../problem.ts'

/** What a region's file says besides its name; the same in JSON. */
export interface RegionIntent {
  readonly provider: 'aws'
  readonly attach?: 'transit-gateway'
  readonly routing?: 'static'
  readonly in?: string
  readonly hubs?: string | readonly string[]
  readonly asn?: number
  readonly segments: Readonly<
    Record<
      string,
      {
        readonly vpcs: string | readonly string[] | Readonly<Record<string, string | readonly string[]>>
        readonly prefixes?: string | readonly string[]
      }
    >
  >
}
export interface ClientPlan extends Proposed {
  readonly ok: boolean
  /** As `causeway plan` prints it; when it was refused, its findings. */
  readonly text: string
}
export interface Operation {
  readonly id: string
  readonly state: 'running' | 'succeeded' | 'failed' | 'rolled-back' | 'cancelled'
  readonly findings: readonly Finding[]
}

/** Problem+json (RFC 9457) as it was answered: what is wrong, what to do instead, and a code that `causeway explain` knows. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly problem: ProblemDocument
  constructor(problem: ProblemDocument) {
    super(`[${problem.code}] ${problem.detail}: ${problem.instead}`)
    this.problem = problem
  }
}

export interface ClientOptions {
  readonly url: string
  /** `cwa_…`; its name says whose what is planned here is: `api:NAME`. */
  readonly token: string
}
export function connect({ url, token }: ClientOptions) {
  async function ask<T>(
    method: string,
    path: string,
    { body, headers = {} }: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> } = {},
  ): Promise<T> {
    const answer = await fetch(new URL(path, url), {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!answer.ok) throw new ApiError((await answer.json()) as ProblemDocument)
    return (await answer.json()) as T
  }
  const at = (region: string): string => `/v1/regions/${encodeURIComponent(region)}`
  const planned = async (asked: Promise<Proposed>): Promise<ClientPlan> => {
    const view = await asked
    const ok = view.plan !== null && view.proof !== null
    return { ...view, ok, text: ok ? renderPlan(view.plan, view.proof, Date.now(), view) : view.findings.map(findingLine).join('\n') }
  }
  return {
    regions: {
      /** What would change if the region were so; changes nothing. Throws ApiError C160 when it is another's and not taken. */
      plan: (region: string, intent: RegionIntent, { take = false }: { readonly take?: boolean } = {}): Promise<ClientPlan> =>
        planned(ask('PUT', `${at(region)}${take ? '?take=true' : ''}`, { body: intent })),
      /** What would change without it. */
      planRemoval: (region: string): Promise<ClientPlan> => planned(ask('DELETE', at(region))),
    },
    plans: {
      /** Runs exactly this plan; the same key runs it once. Throws ApiError C020 when the network has moved on. */
      async apply(id: string, { idempotencyKey = `apply-${id}` }: { readonly idempotencyKey?: string } = {}) {
        const { operation } = await ask<{ operation: string }>('POST', `/v1/plans/${encodeURIComponent(id)}/apply`, {
          headers: { 'idempotency-key': idempotencyKey },
        })
        const read = () => ask<Operation>('GET', `/v1/operations/${encodeURIComponent(operation)}`)
        return {
          id: operation,
          read,
          /** As it ended, or `running` after `timeoutMs`: the operation goes on. */
          async done({
            timeoutMs = 90 * 60_000,
            everyMs = 1_000,
          }: {
            readonly timeoutMs?: number
            readonly everyMs?: number
          } = {}): Promise<Operation> {
            const end = Date.now() + timeoutMs
            for (;;) {
              const now = await read()
              if (now.state !== 'running' || Date.now() >= end) return now
              await new Promise((resolve) => setTimeout(resolve, everyMs))
            }
          },
        }
      },
    },
  }
}

const findingLine = ({ severity, code, where, says, instead }: LocatedFinding): string =>
  `${severity}[${code}] ${where ? `${where.file}:${where.line}:${where.column}  ` : ''}${says}${instead === '' ? '' : `: ${instead}`}`
