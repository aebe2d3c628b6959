/**
 * WAN impairment where the kernel has no netem: the one process through which every frame of the lab's links passes.
 * Each end of a link is a TAP device whose frames a socat carries in UDP datagrams on loopback; between the two sockets
 * this process adds delay, jitter, loss, rate and cuts, per direction, in order.
 * Speaks by process messages: {links}, then {set: {id, line}}; answers {ready: true}.
 */
import { createSocket, type Socket } from 'node:dgram'
import type { Line } from './underlay.ts'

export interface RelayLink {
  readonly id: string
  /** Loopback ports: [this process, the socat] at the site's end and at the internet's. */
  readonly site: readonly [number, number]
  readonly internet: readonly [number, number]
  readonly line: Line
}
export type RelayRequest = { readonly links: readonly RelayLink[] } | { readonly set: { readonly id: string; readonly line: Line } }

/** A line that is fuller than this drops, as a router's buffer does. */
const maxQueueMs = 200

interface Direction {
  line: Line
  rate: number
  /** Frames in flight, in order of delivery. */
  readonly queue: { frame: Buffer; at: number }[]
  free: number
  last: number
  timer: NodeJS.Timeout | undefined
  readonly out: Socket
  readonly port: number
}

const lines = new Map<string, { up: Direction; down: Direction }>()

function isUdp(frame: Buffer): boolean {
  const type = frame.readUInt16BE(12)
  return (type === 0x0800 && frame[23] === 17) || (type === 0x86dd && frame[20] === 17)
}

function deliver(direction: Direction): void {
  direction.timer = undefined
  const now = performance.now()
  let next = direction.queue[0]
  while (next && next.at <= now) {
    direction.out.send(next.frame, direction.port, '127.0.0.1')
    direction.queue.shift()
    next = direction.queue[0]
  }
  if (next) direction.timer = setTimeout(deliver, Math.max(1, next.at - now), direction)
}

function take(direction: Direction, frame: Buffer): void {
  const { line } = direction
  if (line.cut === 'all' || (line.cut === 'udp' && frame.length > 34 && isUdp(frame))) return
  if (line.loss > 0 && Math.random() < line.loss) return
  const now = performance.now()
  const start = Math.max(now, direction.free)
  if (start - now > maxQueueMs) return
  direction.free = direction.rate > 0 ? start + (frame.length * 8000) / direction.rate : now
  // In order: a later frame never overtakes, whatever its jitter.
  const at = Math.max(direction.last, direction.free + line.delayMs + (Math.random() * 2 - 1) * line.jitterMs)
  direction.last = at
  direction.queue.push({ frame, at })
  direction.timer ??= setTimeout(deliver, Math.max(1, at - now), direction)
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 })
    socket.once('error', reject)
    // A socat that is not up yet refuses; the frame is lost, as on a line without a carrier.
    socket.bind(port, '127.0.0.1', () => {
      socket.removeListener('error', reject)
      socket.on('error', () => {})
      resolve(socket)
    })
  })
}

async function start(links: readonly RelayLink[]): Promise<void> {
  for (const link of links) {
    const site = await open(link.site[0])
    const internet = await open(link.internet[0])
    const direction = (rate: number, out: Socket, port: number): Direction => ({
      line: link.line,
      rate,
      queue: [],
      free: 0,
      last: 0,
      timer: undefined,
      out,
      port,
    })
    const up = direction(link.line.up, internet, link.internet[1])
    const down = direction(link.line.down, site, link.site[1])
    site.on('message', (frame) => take(up, frame))
    internet.on('message', (frame) => take(down, frame))
    lines.set(link.id, { up, down })
  }
  process.send?.({ ready: true })
}

process.on('message', (request: RelayRequest) => {
  if ('links' in request) void start(request.links)
  else {
    const both = lines.get(request.set.id)
    if (!both) return
    for (const direction of [both.up, both.down]) {
      direction.line = request.set.line
      // What was in flight is lost with the line.
      if (request.set.line.cut === 'all') direction.queue.length = 0
    }
    both.up.rate = request.set.line.up
    both.down.rate = request.set.line.down
  }
})
process.on('disconnect', () => process.exit(0))
