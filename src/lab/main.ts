/**
 * The lab, inside its own user, network, mount and pid namespaces (see client.ts for how it gets there). It builds the
 * world of an intent folder, answers on a control socket, and ends when its parent does: the inherited pipe reads EOF.
 *
 * Arguments: one JSON document { sites, controllerSocket, control, state }. Prints one line {"ready":true} when built.
 */
import { type ChildProcess } from 'node:child_process'
import { createReadStream, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Intent } from '#src/intent/intent.ts'
import { isSourceName } from '#src/intent/fragments.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { renderFindings } from '#src/intent/render.ts'
import { enter, run, start } from './box.ts'
import type { Answer, Request } from './control.ts'
import { addPeers, type Peers } from './peer.ts'
import { addRegions } from './region.ts'
import { buildWorld, type World } from './world.ts'

export interface LabArguments {
  readonly sites: string
  readonly controllerSocket: string
  readonly control: string
  readonly state: string
  /** File descriptor whose EOF ends the lab; −1: none (a detached lab, ended by `lab down`). */
  readonly lifeline: number
  /** Emulated AWS regions beside the intent's sites. */
  readonly aws?: AwsPart
}
export interface AwsPart {
  /** Path of the emulator's seed. */
  readonly seed: string
  /** UNIX sockets of the EC2 endpoint and of the emulator's control path. */
  readonly socket: string
  readonly control: string
  /** Of the times that the cloud's changes of state take. */
  readonly timeScale: number
}

function readIntent(folder: string): Intent {
  const files = readdirSync(folder)
    .filter(isSourceName)
    .sort()
    .map((name) => ({ path: name, text: readFileSync(join(folder, name), 'utf8') }))
  const { intent, findings, origins } = parseIntent(files)
  if (!intent) throw new Error(renderFindings(findings, origins, files, { colour: false }))
  return intent
}

interface Process {
  readonly box: string
  readonly child: ChildProcess
}

async function handle(
  request: Request,
  world: World,
  peers: Peers,
  processes: Map<string, Process>,
  original: ReadonlyMap<string, ReturnType<World['line']>>,
  logs: string,
): Promise<Answer> {
  const refuse = (code: string, says: string, instead: string): Answer => ({ ok: false, code, says, instead })
  const noBox = (name: string) => refuse('L002', `there is no box "${name}" in the lab`, `write one of: ${[...world.boxes.keys()].join(', ')}`)
  const noLink = (id: string) => refuse('L003', `there is no link "${id}" in the lab`, `write one of: ${[...world.links.keys()].join(', ')}`)
  switch (request.op) {
    case 'status':
      return {
        ok: true,
        status: {
          impairment: world.impairment,
          boxes: [...world.boxes.values()],
          links: [...world.links.values()].map((link) => ({
            id: link.id,
            interface: link.interface,
            address: link.address,
            six: link.six?.address ?? null,
            nat: link.nat,
            line: world.line(link.id),
            healthy: world.line(link.id) === original.get(link.id),
          })),
          processes: [...processes].map(([name, { box, child }]) => ({
            name,
            box,
            pid: child.pid ?? 0,
            running: child.exitCode === null && child.signalCode === null,
          })),
        },
      }
    case 'exec': {
      const box = world.boxes.get(request.box)
      if (!box) return noBox(request.box)
      const ran = await run(enter(box, request.argv), {
        ...(request.stdin === undefined ? {} : { stdin: request.stdin }),
        timeoutMs: request.timeoutMs ?? 30_000,
      })
      return { ok: true, ran }
    }
    case 'start': {
      const box = world.boxes.get(request.box)
      if (!box) return noBox(request.box)
      const before = processes.get(request.name)
      if (before && before.child.exitCode === null && before.child.signalCode === null)
        return refuse('L004', `"${request.name}" runs already in the lab`, 'stop it first, or choose another name')
      const child = start(enter(box, request.argv), {
        log: join(logs, `${request.name}.log`),
        ...(request.stdin === undefined ? {} : { stdin: request.stdin }),
        ...(request.env ? { env: request.env } : {}),
      })
      processes.set(request.name, { box: request.box, child })
      return { ok: true, pid: child.pid ?? 0 }
    }
    case 'stop': {
      const found = processes.get(request.name)
      if (!found)
        return refuse(
          'L005',
          `nothing called "${request.name}" was started in the lab`,
          `write one of: ${[...processes.keys()].join(', ') || '(nothing runs)'}`,
        )
      if (found.child.exitCode === null && found.child.signalCode === null) {
        const ended = new Promise((resolve) => found.child.once('exit', resolve))
        found.child.kill(request.signal)
        await ended
      }
      processes.delete(request.name)
      return { ok: true }
    }
    case 'peer': {
      if (!peers.names.includes(request.peer))
        return refuse(
          'L008',
          `there is no peer "${request.peer}" in the lab`,
          `write one of: ${peers.names.join(', ') || '(the network has no peer)'}`,
        )
      try {
        return { ok: true, told: await peers.tell(request.peer, request.text) }
      } catch (error) {
        return refuse(
          'L009',
          `that is no configuration for ${request.peer}: ${(error as Error).message}`,
          `give it what this prints: causeway peer config ${request.peer} --secret`,
        )
      }
    }
    case 'line': {
      if (!world.links.has(request.link)) return noLink(request.link)
      const line = { ...world.line(request.link), ...request.change }
      await world.setLine(request.link, line)
      return { ok: true, line }
    }
    case 'heal': {
      if (request.link !== 'all' && !world.links.has(request.link)) return noLink(request.link)
      for (const id of request.link === 'all' ? world.links.keys() : [request.link]) await world.setLine(id, original.get(id)!)
      return { ok: true }
    }
    default:
      return refuse('L001', `the lab does not know "${(request satisfies never as { op: string }).op}"`, 'use the causeway of the same version')
  }
}

async function main(): Promise<void> {
  const options = JSON.parse(process.argv[2] ?? '{}') as LabArguments
  const logs = join(options.state, 'logs')
  mkdirSync(logs, { recursive: true })
  const intent = readIntent(options.sites)
  await run(['ip', 'link', 'set', 'lo', 'up'])
  const world = await buildWorld(intent, { controllerSocket: options.controllerSocket, logs })
  const cloud =
    options.aws && (await addRegions(world, { ...options.aws, seed: JSON.parse(readFileSync(options.aws.seed, 'utf8')) as unknown, logs }))
  const peers = await addPeers(world, intent, logs)
  const processes = new Map<string, Process>()
  const original = new Map([...world.links.keys()].map((id) => [id, world.line(id)]))

  const end = async () => {
    for (const { child } of processes.values()) child.kill('SIGTERM')
    peers.close()
    await cloud?.close()
    await world.close()
    rmSync(options.control, { force: true })
    process.exit(0)
  }
  if (options.lifeline >= 0)
    createReadStream('', { fd: options.lifeline })
      .on('error', () => void end())
      .on('close', () => void end())
      .on('end', () => void end())
      .resume()
  process.on('SIGTERM', () => void end())

  const serve = (socket: Socket) => {
    socket.on('error', () => {})
    createInterface({ input: socket }).on('line', (text) => {
      const reply = (answer: Answer) => socket.write(`${JSON.stringify(answer)}\n`)
      handle(JSON.parse(text) as Request, world, peers, processes, original, logs).then(reply, (error: unknown) =>
        reply({ ok: false, code: 'L006', says: (error as Error).message, instead: '' }),
      )
    })
  }
  createServer(serve).listen(options.control, () => process.stdout.write('{"ready":true}\n'))
}

main().catch((error: unknown) => {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exit(1)
})
