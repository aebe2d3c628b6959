/**
 * The agent's side of the controller's listener: JSON over TLS 1.3 with the box's client certificate. Tries the way
 * that worked last, then the operating system's choice, then each uplink by its own address (ip rule 15).
 */
import { Agent, request as send } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import { X509Certificate } from 'node:crypto'
import { checkController, findPinnedCa } from '#src/wire/identity.ts'
import { AgentError, errno, why } from './trouble.ts'

/** A way out: an uplink by its address, or whatever the operating system chooses. */
export interface Way {
  /** For people, e.g. `fiber (eth0)`. */
  readonly name: string
  readonly localAddress: string | undefined
  /** No path over this uplink is up: tried last. */
  readonly doubtful: boolean
}
export const anyWay: Way = { name: 'this box', localAddress: undefined, doubtful: false }

export interface Credentials {
  readonly certificate: string
  readonly privateKey: string
}
export interface Target {
  readonly host: string
  readonly port: number
  /** PEM. */
  readonly ca: readonly string[]
  /** null at enrolment, when only the CA is known. */
  readonly network: string | null
  readonly credentials: Credentials | null
}
export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly problem: Problem | null
}
/** RFC 9457, with our code. */
export interface Problem {
  readonly code: string
  readonly detail: string
  readonly instead: string
}
export interface Call {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: unknown
  /** A new TCP and TLS connection, no resumption: what a permit needs. */
  readonly fresh?: boolean
  readonly signal?: AbortSignal
}
export interface Controller {
  call(call: Call): Promise<Answer>
  /** Server-sent events until the stream ends, in which case it resolves, or breaks. */
  stream(path: string, onEvent: (data: string) => void, signal: AbortSignal): Promise<void>
  /** New certificate or CA; used from the next connection on. */
  retarget(target: Target): void
  setWays(ways: readonly Way[]): void
  close(): void
}

const connectTimeoutMs = 4_000
const answerTimeoutMs = 20_000
/** The controller sends a comment at least every 25 s. */
const streamSilenceMs = 75_000
const bodyLimit = 8 * 1024 * 1024

/** `host:port` or `[v6]:port`, as a token has it. */
export function splitHost(text: string): { readonly host: string; readonly port: number } {
  const at = text.lastIndexOf(':')
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) }
}

/** From an address of one family, to one of the same: of a name, too. */
const from = ({ localAddress }: Way) => (localAddress === undefined ? {} : { localAddress, family: isIP(localAddress) })
/** Where the controller is known by an address, no way of the other family leads there. */
const waysTo = (host: string, ways: readonly Way[]): readonly Way[] =>
  ways.filter(({ localAddress }) => localAddress === undefined || isIP(host) === 0 || isIP(host) === isIP(localAddress))

const options = (target: Target, way: Way) => ({
  host: target.host,
  port: target.port,
  servername: '',
  ...from(way),
  minVersion: 'TLSv1.3' as const,
  ca: [...target.ca],
  checkServerIdentity: checkController(target.network),
  ...(target.credentials ? { cert: target.credentials.certificate, key: target.credentials.privateKey } : {}),
})

/** Certificate trouble is nobody's flaky line: it gets its own sentence and is not one way's fault. */
function certificateTrouble(error: unknown, socket: TLSSocket | null, target: Target): AgentError | null {
  const code = errno(error)
  if (code === 'CERT_NOT_YET_VALID') {
    return new AgentError(
      'A04',
      `This box thinks it is ${new Date().toUTCString()}, and the controller's certificate is not valid yet`,
      'Set the clock (sudo date -s "…"), then run the line again',
      true,
    )
  }
  if (code === 'CERT_HAS_EXPIRED')
    return new AgentError(
      'A04',
      `The controller's certificate has expired by this box's clock (${new Date().toUTCString()})`,
      'If the clock is wrong, set it (sudo date -s "…"); if not, tell the engineer',
      true,
    )
  if (
    /^(SELF_SIGNED|DEPTH_ZERO|UNABLE_TO|CERT_|ERR_TLS_CERT)/.test(code) ||
    (error instanceof Error && /Causeway controller|is for network/.test(error.message))
  ) {
    const issuer = String(socket?.getPeerCertificate().issuer?.CN ?? 'unknown')
    return new AgentError(
      'A06',
      `Something between this box and ${target.host} replaces its certificate (issuer "${issuer}"). I will not continue`,
      `Ask for an exception for ${target.host}:${target.port}, without inspection`,
      true,
    )
  }
  return null
}

function readBody(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    let size = 0
    response.on('data', (part: Buffer) => {
      size += part.length
      if (size > bodyLimit)
        response.destroy(new AgentError('A16', `The controller's answer is over ${bodyLimit / 1024 / 1024} MB`, 'Tell the engineer'))
      else parts.push(part)
    })
    response.on('end', () => resolve(Buffer.concat(parts).toString('utf8')))
    response.on('error', reject)
    response.on('aborted', () => reject(Object.assign(new Error('the connection was cut'), { code: 'ECONNRESET' })))
  })
}

function problemOf(status: number, body: unknown): Problem | null {
  if (status < 400) return null
  const of = (body !== null && typeof body === 'object' ? body : {}) as Record<string, unknown>
  const text = (name: string): string => (typeof of[name] === 'string' ? of[name] : '')
  return { code: text('code'), detail: text('detail') || text('title') || `The controller answered ${status}`, instead: text('instead') }
}

export function createController(initial: Target): Controller {
  let target = initial
  let ways: readonly Way[] = [anyWay]
  let good: Way = anyWay
  /** The local address of the last answer. */
  let goodAddress = ''
  let kept: { way: Way; agent: Agent } | null = null

  const agentFor = (way: Way, fresh: boolean): Agent => {
    if (fresh) return new Agent({ keepAlive: false, maxCachedSessions: 0 })
    if (kept?.way !== way) {
      kept?.agent.destroy()
      kept = { way, agent: new Agent({ keepAlive: true, maxSockets: 4, maxCachedSessions: 0 }) }
    }
    return kept.agent
  }
  const isDoubtful = (address: string): boolean => ways.some((way) => way.doubtful && way.localAddress === address)
  const drop = () => {
    kept?.agent.destroy()
    kept = null
  }

  function open(
    call: Call,
    way: Way,
    onSocket: (socket: TLSSocket) => void,
    onResponse: (response: IncomingMessage) => Promise<void>,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      let socket: TLSSocket | null = null
      const body = call.body === undefined ? undefined : JSON.stringify(call.body)
      const request = send({
        ...options(target, way),
        agent: agentFor(way, call.fresh ?? false),
        method: call.method,
        path: call.path,
        headers: {
          host: isIP(target.host) === 6 ? `[${target.host}]` : target.host,
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        },
        ...(call.signal ? { signal: call.signal } : {}),
      })
      // A dead uplink says nothing at all, so waiting is bounded by ourselves and another way is tried.
      const slow = () => request.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }))
      let timer = setTimeout(slow, connectTimeoutMs)
      const patience = (ms: number) => {
        clearTimeout(timer)
        timer = setTimeout(slow, ms)
      }
      request.on('socket', (of) => {
        socket = of as TLSSocket
        onSocket(socket)
        if (request.reusedSocket) patience(connectTimeoutMs)
        else of.once('secureConnect', () => patience(answerTimeoutMs))
      })
      request.on('error', (error) => {
        clearTimeout(timer)
        reject(certificateTrouble(error, socket, target) ?? error)
      })
      request.on('response', (response) => {
        clearTimeout(timer)
        onResponse(response).then(resolve, reject)
      })
      request.end(body)
    })
  }

  /** The way that worked last first; each of the others once. Asked again after each: by then a line may be known to be dead. */
  function nextWay(tried: ReadonlySet<string | undefined>): Way | undefined {
    const sure = [anyWay, ...ways].filter((way) => !way.doubtful)
    const all = [good, ...(isDoubtful(goodAddress) ? sure.toReversed() : sure), ...ways]
    return waysTo(target.host, all).find((way) => !tried.has(way.localAddress))
  }
  async function overAnyWay(call: Call, onResponse: (response: IncomingMessage) => Promise<void>): Promise<void> {
    const tried = new Set<string | undefined>()
    const reasons: string[] = []
    for (let way = nextWay(tried); way; way = nextWay(tried)) {
      const used = way
      tried.add(used.localAddress)
      try {
        let socket: TLSSocket | null = null
        await open(
          call,
          used,
          (opened) => (socket = opened),
          (response) => {
            good = used
            goodAddress = socket?.localAddress ?? ''
            return onResponse(response)
          },
        )
        return
      } catch (error) {
        if (error instanceof AgentError || call.signal?.aborted) throw error
        if (!call.fresh) drop()
        reasons.push(`${used.name}: ${why(error)}`)
      }
    }
    good = anyWay
    throw unreachable(target, reasons)
  }

  return {
    async call(call) {
      let answer: Answer | undefined
      await overAnyWay(call, async (response) => {
        const text = await readBody(response)
        const status = response.statusCode ?? 0
        let body: unknown = null
        if (text !== '') {
          try {
            body = JSON.parse(text)
          } catch {
            throw new AgentError(
              'A16',
              `${target.host} answered ${status} with something that is not the controller's`,
              'A proxy may stand between; ask for an exception',
              true,
            )
          }
        }
        answer = { status, body, problem: problemOf(status, body) }
      })
      return answer!
    },
    stream(path, onEvent, signal) {
      // Asynchronous, so that what it throws is this call's and not an event's, which would end the agent.
      return overAnyWay({ method: 'GET', path, fresh: true, signal }, async (response) => {
        if (response.statusCode !== 200) {
          response.destroy()
          throw new AgentError('A16', `${target.host} answered ${response.statusCode} to ${path}`, '', true)
        }
        return new Promise((resolve, reject) => {
          let text = ''
          const silence = () => response.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }))
          let timer = setTimeout(silence, streamSilenceMs)
          response.setEncoding('utf8')
          response.on('data', (part: string) => {
            clearTimeout(timer)
            timer = setTimeout(silence, streamSilenceMs)
            const events = (text + part).replaceAll('\r\n', '\n').split('\n\n')
            text = events.pop()!.slice(-65_536)
            for (const event of events) {
              const data = event.split('\n').flatMap((one) => (one.startsWith('data:') ? [one.slice(5).trimStart()] : []))
              if (data.length > 0) onEvent(data.join('\n'))
            }
          })
          response.on('close', () => {
            clearTimeout(timer)
            resolve()
          })
          response.on('error', reject)
        })
      })
    },
    retarget(next) {
      target = next
      drop()
    },
    setWays(next) {
      ways = next
      if (good !== anyWay) good = next.find((way) => way.localAddress === good.localAddress) ?? anyWay
      if (!isDoubtful(goodAddress)) return
      // What waits for an answer over a dead line asks again over another one at once.
      drop()
      good = next.find((way) => !way.doubtful) ?? good
    },
    close: drop,
  }
}

const unreachable = (target: { readonly host: string }, reasons: readonly string[]): AgentError =>
  new AgentError(
    'A05',
    `${target.host} can't be reached. ${reasons.join('; ')}`,
    'Check the router, or plug the cable into another port. Retrying',
    true,
  )

/** First contact: the CA that the token pins, found in the chain of a connection on which nothing is sent. */
export async function discoverCa(
  host: string,
  port: number,
  caPin: Buffer,
  ways: readonly Way[],
): Promise<{ readonly ca: string; readonly notBefore: number }> {
  const reasons: string[] = []
  for (const way of waysTo(host, [anyWay, ...ways])) {
    let chain: readonly Buffer[]
    try {
      chain = await presented(host, port, way)
    } catch (error) {
      reasons.push(`${way.name}: ${why(error)}`)
      continue
    }
    const found = findPinnedCa(chain, caPin, `${host}:${port}`)
    if (!found.ok) throw new AgentError(found.code, found.says, found.instead, true)
    // Only what the authority signed may move a clock.
    const [ca, leaf] = [new X509Certificate(found.ca), new X509Certificate(chain[0]!)]
    return { ca: found.ca, notBefore: Date.parse((leaf.verify(ca.publicKey) ? leaf : ca).validFrom) }
  }
  throw unreachable({ host }, reasons)
}

/** Whether somebody speaks TLS there, over this way. */
export const answers = (host: string, port: number, way: Way): Promise<boolean> =>
  presented(host, port, way).then(
    (chain) => chain.length > 0,
    () => false,
  )

function presented(host: string, port: number, way: Way): Promise<readonly Buffer[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      servername: '',
      rejectUnauthorized: false,
      ...from(way),
    })
    socket.setTimeout(connectTimeoutMs, () => socket.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })))
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      const chain: Buffer[] = []
      let one: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
      // A root names itself as its issuer: the chain's end is where nothing new comes.
      while (one?.raw && !chain.some((raw) => raw.equals(one!.raw))) {
        chain.push(one.raw)
        one = one.issuerCertificate
      }
      socket.destroy()
      resolve(chain)
    })
  })
}
