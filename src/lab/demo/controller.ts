/** The demo's controller: the product's own `serve`, as a process that can be killed, and its API over HTTP. */
import { type ChildProcess, spawn } from 'node:child_process'
import { openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export interface Controller {
  readonly url: () => string
  /** One request; the body of a refusal is the error's message. */
  api<T>(path: string, body?: unknown): Promise<T>
  /** SIGKILL, and wait until it is gone. */
  kill(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

const root = fileURLToPath(new URL('../../../', import.meta.url))

export function createController(options: {
  readonly data: string
  readonly agentsSocket: string
  readonly agentsPublic: string
  readonly log: string
  readonly env: Readonly<Record<string, string>>
}): Controller {
  let child: ChildProcess | undefined
  let url = ''
  const ended = async (signal: 'SIGKILL' | 'SIGTERM') => {
    const running = child
    child = undefined
    if (!running || running.exitCode !== null || running.signalCode !== null) return
    const gone = new Promise((resolve) => running.once('exit', resolve))
    running.kill(signal)
    await gone
  }
  const api = async <T>(path: string, body?: unknown): Promise<T> => {
    const token = readFileSync(join(options.data, 'admin.token'), 'utf8').trim()
    const response = await fetch(new URL(path, url), {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(15_000),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${path}: ${problemText(text)}`)
    return (text === '' ? undefined : JSON.parse(text)) as T
  }
  return {
    url: () => url,
    api,
    kill: () => ended('SIGKILL'),
    stop: () => ended('SIGTERM'),
    start: async () => {
      const log = openSync(options.log, 'a')
      const args = ['serve', '--data', options.data, '--agents-socket', options.agentsSocket, '--agents-public', options.agentsPublic]
      // Goes with the demo, also when that is killed; and gives way to the boxes, with which it shares no cores elsewhere.
      child = spawn('setpriv', ['--pdeathsig', 'KILL', 'nice', '-n', '5', process.execPath, join(root, 'bin', 'causeway.js'), ...args], {
        cwd: root,
        stdio: ['ignore', log, log],
        env: { ...process.env, ...options.env },
      })
      const started = child
      for (let tries = 0; tries < 600; tries++) {
        if (started.exitCode !== null) throw new Error(`the controller ended with ${started.exitCode}; read ${options.log}`)
        try {
          const run = JSON.parse(readFileSync(join(options.data, 'run.json'), 'utf8')) as { url: string; pid: number }
          if (run.pid === started.pid) {
            url = run.url
            await api('/v1/status')
            return
          }
        } catch {
          // not up yet
        }
        await sleep(50)
      }
      throw new Error(`the controller did not answer in 30 s; read ${options.log}`)
    },
  }
}

/** RFC 9457 in a person's words. */
function problemText(text: string): string {
  try {
    const { code, detail, instead } = JSON.parse(text) as { code: string; detail: string; instead?: string }
    return `[${code}] ${detail}${instead ? `; ${instead}` : ''}`
  } catch {
    return text.slice(0, 200)
  }
}

/** Retries what a killed controller refuses, until it answers; anything it *says* is an answer. */
export async function patiently<T>(work: () => Promise<T>, seconds = 30): Promise<T> {
  const until = Date.now() + seconds * 1000
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (Date.now() > until || (error as Error).message.startsWith('/v1')) throw error
      await sleep(100)
    }
  }
}
