/** The effectful shell around the core: HTTP, timers, faults, the journal, and the tunnels that must run. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import { advance, call, nextChange, report } from './core.ts'
import { regionOf } from './credentials.ts'
import { type Fault, faultSchema, takeFault } from './faults.ts'
import { withoutSecrets } from './query.ts'
import { Refusal } from './refusal.ts'
import { parseSeed, type RegionSeed, type Seed } from './seed.ts'
import { type TunnelOptions, tunnelsOf } from './view.ts'
import { type Context, type Negotiated, type World, worldOf } from './world.ts'
import { answerXml, refusalXml } from './xml.ts'

export interface RunningTunnel {
  stop(): Promise<void>
}
/** Starts a responder; `changed` is told when its security association comes or goes. */
export type StartTunnel = (options: TunnelOptions, changed: (up: boolean, negotiated: Negotiated | null) => void) => Promise<RunningTunnel>
export interface JournalEntry {
  readonly at: string
  readonly region: string
  readonly action: string
  /** Without pre-shared keys. */
  readonly parameters: Readonly<Record<string, string>>
  /** `ok`, or the code of the refusal; what the cloud did, not what the caller learnt. */
  readonly outcome: string
  readonly fault?: Fault['kind']
  readonly requestId: string
}
export interface EmulatorOptions {
  readonly seed: unknown
  /** Without it, tunnels stay down unless told otherwise through the control path. */
  readonly startTunnel?: StartTunnel
  /** Of the seed's times; 0 makes every state change at once. */
  readonly timeScale?: number
  /** File that receives the journal, one JSON document a line. */
  readonly log?: string
  /** Told after each change of a region. */
  readonly changed?: (region: string, world: World) => void
  /** Told when a tunnel can't be started or stopped. */
  readonly trouble?: (says: string) => void
}
export interface Emulator {
  handle(request: IncomingMessage, response: ServerResponse): void
  /** GET /journal, /world/<region> (without keys), POST /faults, /tunnels, DELETE /faults. */
  control(request: IncomingMessage, response: ServerResponse): void
  journal(): readonly JournalEntry[]
  fault(fault: z.input<typeof faultSchema>): void
  world(region: string): World | undefined
  close(): Promise<void>
}

const largestBody = 256 * 1024
const scaled = (seed: Seed, factor: number): Seed => ({
  ...seed,
  regions: seed.regions.map((region) => ({
    ...region,
    times: Object.fromEntries(
      Object.entries(region.times).map(([name, ms]) => [name, name === 'deleted' ? ms : Math.round(ms * factor)]),
    ) as RegionSeed['times'],
  })),
})
const tunnelReport = z.strictObject({ region: z.string(), outside: z.string(), up: z.boolean() })

export function createEmulator(options: EmulatorOptions): Emulator {
  const seed = scaled(parseSeed(options.seed), options.timeScale ?? 1)
  const context = (): Context => ({
    now: Date.now(),
    hex: (n) =>
      randomBytes(Math.ceil(n / 2))
        .toString('hex')
        .slice(0, n),
  })
  const worlds = new Map<string, World>(seed.regions.map(({ name }) => [name, worldOf(seed, name, context())!]))
  const journal: JournalEntry[] = []
  const timers = new Map<string, NodeJS.Timeout>()
  const tunnels = new Map<string, { readonly key: string; readonly end: AbortController; done: Promise<void> }>()
  let faults: readonly Fault[] = []
  let closed = false

  function commit(region: string, world: World): void {
    if (closed) return
    const before = worlds.get(region)
    worlds.set(region, world)
    clearTimeout(timers.get(region))
    const due = Math.min(
      nextChange(world) ?? Infinity,
      ...Object.values(world.vpnConnections).flatMap((row) => row.tunnels.map((tunnel) => (tunnel.readyAt > Date.now() ? tunnel.readyAt : Infinity))),
    )
    // Timers of more than 2³¹ ms fire at once.
    if (due !== Infinity)
      timers.set(
        region,
        setTimeout(() => commit(region, advance(worlds.get(region)!, Date.now())), Math.min(2 ** 31 - 1, Math.max(1, due - Date.now()))).unref(),
      )
    syncTunnels(region, world)
    if (before !== world) options.changed?.(region, world)
  }
  function syncTunnels(region: string, world: World): void {
    const { startTunnel } = options
    if (!startTunnel) return
    const wanted = new Map(tunnelsOf(world, Date.now()).map((one) => [`${region} ${one.outside}`, one]))
    const keyOf = (one: TunnelOptions): string => createHash('sha256').update(JSON.stringify(one)).digest('hex')
    for (const [name, running] of tunnels) {
      const one = wanted.get(name)
      if (!one || keyOf(one) !== running.key) running.end.abort()
    }
    for (const [name, one] of wanted) {
      const before = tunnels.get(name)
      const key = keyOf(one)
      if (before?.key === key && !before.end.signal.aborted) continue
      const end = new AbortController()
      tunnels.set(name, { key, end, done: runTunnel(startTunnel, one, end.signal, before?.done) })
    }
  }
  async function runTunnel(startTunnel: StartTunnel, one: TunnelOptions, signal: AbortSignal, before: Promise<void> | undefined): Promise<void> {
    const tell = (up: boolean, negotiated: Negotiated | null): void => {
      const world = worlds.get(one.region)!
      commit(one.region, report(advance(world, Date.now()), { outside: one.outside, up, negotiated }, Date.now()))
    }
    const trouble = (error: unknown): void => options.trouble?.(`tunnel ${one.outside} of ${one.connection}: ${(error as Error).message}`)
    await before
    if (signal.aborted) return
    try {
      const running = await startTunnel(one, (up, negotiated) => {
        if (!signal.aborted) tell(up, negotiated)
      })
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      await running.stop()
    } catch (error) {
      trouble(error)
    }
    tell(false, null)
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = randomUUID()
    const send = (status: number, xml: string): void => {
      response.writeHead(status, { 'content-type': 'text/xml;charset=UTF-8', 'x-amzn-requestid': requestId }).end(xml)
    }
    const refuse = ({ code, message, status }: Refusal): void => send(status, refusalXml(code, message, requestId))
    const internal = new Refusal('InternalError', 'An internal error has occurred', 500)
    const body = await readBody(request)
    if (request.method !== 'POST' || !(request.headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded'))
      return refuse(new Refusal('UnsupportedProtocol', 'The emulator takes form-encoded POST requests'))
    const parameters = [...new URLSearchParams(body)]
    const action = parameters.find(([name]) => name === 'Action')?.[1] ?? ''
    const taken = takeFault(faults, action)
    faults = taken.left
    const kind = taken.fault?.kind
    const note = (region: string, outcome: string): void => {
      const entry: JournalEntry = {
        at: new Date().toISOString(),
        region,
        action,
        parameters: withoutSecrets(parameters),
        outcome,
        ...(kind && { fault: kind }),
        requestId,
      }
      journal.push(entry)
      if (options.log !== undefined) appendFileSync(options.log, `${JSON.stringify(entry)}\n`)
    }
    const refuseBefore = (refusal: Refusal): void => {
      note('', refusal.code)
      refuse(refusal)
    }
    if (kind === 'cut' || kind === 'hang') {
      note('', kind)
      if (kind === 'cut') request.socket.destroy()
      return
    }
    if (kind === 'throttle') return refuseBefore(new Refusal('RequestLimitExceeded', 'Request limit exceeded.', 503))
    if (kind === 'error')
      return refuseBefore(taken.fault?.code === undefined ? internal : new Refusal(taken.fault.code, `${taken.fault.code} on demand`))
    if (kind === 'delay') await sleep(taken.fault!.ms)
    let region: string
    try {
      region = regionOf(request.headers.authorization, request.headers['x-amz-date'] as string | undefined, seed.accessKeys)
      if (!worlds.has(region)) throw new Refusal('AuthFailure', `Credential should be scoped to a valid region, not '${region}'.`, 401)
    } catch (error) {
      if (error instanceof Refusal) return refuseBefore(error)
      throw error
    }
    const outcome = call(worlds.get(region)!, parameters, seed.denied, context())
    note(region, outcome.ok ? 'ok' : outcome.refusal.code)
    if (outcome.ok) commit(region, outcome.world)
    if (kind === 'lose') return void request.socket.destroy()
    if (kind === 'hang-after') return
    if (kind === 'error-after') return refuse(internal)
    if (outcome.ok) send(200, answerXml(action, requestId, outcome.result))
    else refuse(outcome.refusal)
  }

  async function controlled(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const send = (status: number, value: unknown): void =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(value)}\n`)
    const path = new URL(request.url ?? '/', 'http://emulator').pathname
    const route = `${request.method} ${path}`
    try {
      if (route === 'GET /journal') return send(200, journal)
      if (route === 'POST /faults') {
        faults = [...faults, faultSchema.parse(JSON.parse(await readBody(request)))]
        return send(200, faults)
      }
      if (route === 'DELETE /faults') {
        faults = []
        return send(200, faults)
      }
      if (route === 'POST /tunnels') {
        const { region, outside, up } = tunnelReport.parse(JSON.parse(await readBody(request)))
        const world = worlds.get(region)
        if (!world) return send(404, { error: `there is no region ${region}` })
        commit(region, report(world, { outside, up, negotiated: null }, Date.now()))
        return send(200, {})
      }
      const world = request.method === 'GET' ? worlds.get(/^\/world\/([^/]+)$/.exec(path)?.[1] ?? '') : undefined
      if (world)
        return send(
          200,
          JSON.parse(JSON.stringify(advance(world, Date.now()), (key, value: unknown) => (key === 'preSharedKey' ? undefined : value))),
        )
      send(404, { error: `there is no ${route}: use GET /journal, GET /world/<region>, POST or DELETE /faults, POST /tunnels` })
    } catch (error) {
      send(400, { error: error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message })
    }
  }

  const broken = (response: ServerResponse) => (error: unknown) => {
    options.trouble?.((error as Error).message)
    response.destroy()
  }
  return {
    handle: (request, response) => void answer(request, response).catch(broken(response)),
    control: (request, response) => void controlled(request, response).catch(broken(response)),
    journal: () => journal,
    fault: (fault) => {
      faults = [...faults, faultSchema.parse(fault)]
    },
    world: (region) => {
      const world = worlds.get(region)
      return world && advance(world, Date.now())
    },
    async close() {
      closed = true
      for (const timer of timers.values()) clearTimeout(timer)
      for (const { end } of tunnels.values()) end.abort()
      await Promise.all([...tunnels.values()].map(({ done }) => done))
    },
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > largestBody) throw new Error(`a request is longer than ${largestBody} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
