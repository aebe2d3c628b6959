/** The controller a command talks to: CAUSEWAY_URL and CAUSEWAY_TOKEN, else `causeway login`, else the one that runs here. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Finding } from '#src/fabric/fabric.ts'
import { stateFolder } from './folder.ts'
import { exit, type ExitCode, Stop } from './output.ts'

export interface Connection {
  readonly url: string
  readonly token: string
}
export interface Problem {
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly instead?: string
  readonly findings?: readonly Finding[]
}

/** Where `causeway serve` and the demo keep their state. */
const localData = () => [join(stateFolder(), 'data'), join(stateFolder(), 'demo', 'data')]

const loginFile = () => join(stateFolder(), 'login.json')

export function connection(): Connection {
  const { CAUSEWAY_URL: url, CAUSEWAY_TOKEN: token } = process.env
  if (url) return { url, token: token ?? '' }
  const read = (path: string) => {
    try {
      return readFileSync(path, 'utf8')
    } catch {
      return undefined
    }
  }
  const login = read(loginFile())
  if (login) return JSON.parse(login) as Connection
  for (const data of process.env['CAUSEWAY_DATA'] ? [process.env['CAUSEWAY_DATA']] : localData()) {
    const running = read(join(data, 'run.json'))
    const admin = read(join(data, 'admin.token'))
    if (running && admin) return { url: (JSON.parse(running) as { url: string }).url, token: admin.trim() }
  }
  throw new Stop(exit.unreachable, 'no controller is known here', 'start one: causeway serve, or name one: causeway login https://…')
}

export function remember(login: Connection): void {
  mkdirSync(dirname(loginFile()), { recursive: true })
  writeFileSync(loginFile(), JSON.stringify(login), { mode: 0o600 })
}

const exitOf = (status: number): ExitCode => {
  if (status === 401 || status === 403) return exit.forbidden
  if (status === 409 || status === 412) return exit.conflict
  if (status === 422) return exit.refused
  if (status === 400 || status === 404) return exit.usage
  if (status === 502 || status === 503) return exit.unreachable
  return exit.failed
}

export interface Call {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

async function send(to: Connection, path: string, call: Call): Promise<Response> {
  try {
    return await fetch(new URL(path, to.url), {
      method: call.method ?? 'GET',
      headers: {
        authorization: `Bearer ${to.token}`,
        ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...call.headers,
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      ...(call.signal ? { signal: call.signal } : {}),
    })
  } catch (error) {
    if (call.signal?.aborted) throw error
    const cause = (error as { cause?: { code?: string; message?: string } }).cause
    const why = cause?.code === 'ECONNREFUSED' ? 'nothing listens there' : (cause?.message ?? (error as Error).message)
    throw new Stop(
      exit.unreachable,
      `the controller at ${to.url} can't be reached: ${why}`,
      'start it: causeway serve, or name another: causeway login https://…',
    )
  }
}

/** One request; a problem (RFC 9457) becomes a Stop with its own words. */
export async function request<T>(path: string, call: Call = {}, to: Connection = connection()): Promise<T> {
  const response = await send(to, path, call)
  const text = await response.text()
  if (response.ok) return (text === '' ? undefined : JSON.parse(text)) as T
  let problem: Problem
  try {
    problem = JSON.parse(text) as Problem
  } catch {
    throw new Stop(
      exit.failed,
      `${to.url} answered ${response.status}, and not as a Causeway controller does`,
      'check the address: causeway login https://…',
    )
  }
  throw new Stop(exitOf(response.status), `${problem.code ? `[${problem.code}] ` : ''}${problem.detail ?? problem.title}`, problem.instead ?? '', {
    findings: problem.findings ?? [],
  })
}

/** Server-sent events (HTML living standard, section 9.2), resumed after a lost connection by Last-Event-ID. */
export interface ServerEvent {
  readonly event: string
  readonly data: unknown
}
export async function* follow(path: string, signal: AbortSignal, to: Connection = connection()): AsyncGenerator<ServerEvent> {
  let lastId = ''
  for (let tries = 0; tries < 600 && !signal.aborted; ) {
    try {
      const response = await send(to, path, { headers: { accept: 'text/event-stream', ...(lastId ? { 'last-event-id': lastId } : {}) }, signal })
      if (!response.ok || !response.body) throw new Stop(exitOf(response.status), `events of ${path} are refused (${response.status})`)
      tries = 0
      let buffer = ''
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        buffer += chunk
        for (let end = buffer.indexOf('\n\n'); end >= 0; end = buffer.indexOf('\n\n')) {
          const block = buffer.slice(0, end)
          buffer = buffer.slice(end + 2)
          const fields = block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trimStart()] as const)
          lastId = fields.find(([name]) => name === 'id')?.[1] ?? lastId
          const data = fields
            .filter(([name]) => name === 'data')
            .map(([, value]) => value)
            .join('\n')
          if (data) yield { event: fields.find(([name]) => name === 'event')?.[1] ?? 'message', data: JSON.parse(data) as unknown }
        }
      }
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof Stop && error.code !== exit.unreachable) throw error
      tries++
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(5000, 250 * 2 ** Math.min(tries, 5))))
  }
}
