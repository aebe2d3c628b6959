/**
 * A host on a LAN: it answers UDP and TCP on every address and port of its prefix (the box's nft leads them all to port 9)
 * and sends what it is told to, from any source. `host.ts SOCKET [ADDRESS]`: the address of IPv6 that it answers from.
 */
import { execFile } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { connect, createServer, isIPv6, type Socket } from 'node:net'
import type { Probe } from './probes.ts'
import { otherProtocol } from './witness.ts'
import { serve } from './line.ts'

const [path = '', six = '::'] = process.argv.slice(2)
/** How long an answer may take before the probe counts as silent in this attempt, ms. */
const patience = 700

const socketFor = (address: string) => (isIPv6(address) ? createSocket({ type: 'udp6', ipv6Only: true }) : createSocket('udp4'))
for (const any of ['0.0.0.0', six]) {
  const udp = socketFor(any)
  udp.on('message', (text, from) => udp.send(text, from.port, from.address))
  udp.on('error', () => {})
  udp.bind(9, any)
}
createServer((socket) => {
  socket.on('error', () => {})
  socket.pipe(socket)
}).listen(9)

const run = (file: string, args: readonly string[], input = ''): Promise<void> =>
  new Promise((resolve) => {
    const child = execFile(file, [...args], () => resolve())
    child.stdin!.on('error', () => {})
    child.stdin!.end(input)
  })

const own = new Set<string>()
/** Of IPv6 also what it answers as: a neighbour is asked for each address, and a local route is no answer. */
async function adopt(addresses: readonly string[]): Promise<void> {
  const missing = [...new Set(addresses)].filter((address) => !own.has(address))
  for (const address of missing) own.add(address)
  const line = (address: string): string => (isIPv6(address) ? `addr add ${address}/128 dev eth0 nodad\n` : `addr add ${address}/32 dev lo\n`)
  await run('ip', ['-force', '-batch', '-'], missing.map(line).join(''))
}

const send: Readonly<Record<Probe['protocol'], (probe: Probe) => Promise<void>>> = {
  udp: (probe) =>
    new Promise((resolve) => {
      const socket = socketFor(probe.source)
      const end = (): void => {
        clearTimeout(timer)
        socket.close(() => resolve())
      }
      const timer = setTimeout(end, patience)
      socket.on('message', end)
      socket.on('error', () => {})
      socket.bind(probe.sourcePort, probe.source, () => socket.send('probe', probe.port, probe.destination, () => {}))
    }),
  tcp: (probe) =>
    new Promise((resolve) => {
      const socket = connect({ host: probe.destination, port: probe.port, localAddress: probe.source, localPort: probe.sourcePort })
      const timer = setTimeout(() => socket.destroy(), patience)
      socket.on('connect', () => socket.resetAndDestroy())
      socket.on('error', () => {})
      socket.on('close', () => {
        clearTimeout(timer)
        resolve()
      })
    }),
  icmp: (probe) => run('ping', ['-n', '-c', '1', '-W', '0.7', '-I', probe.source, probe.destination]),
  other: ({ source, destination }) => {
    const [word, from, to] = isIPv6(source) ? ['IP6', `[${source}]`, `[${destination}]`] : ['IP4', source, destination]
    return run('socat', ['-u', '-', `${word}-SENDTO:${to}:${otherProtocol},bind=${from}`], 'probe')
  },
}

let flow: Socket | undefined
serve(path, {
  adopt,
  send: async (probes: readonly Probe[]) => {
    await adopt(probes.map((probe) => probe.source))
    await Promise.all(
      probes.map(async (probe, index) => {
        // Not all in one burst: a buffer that overflows somewhere would look like a policy.
        await new Promise((resolve) => setTimeout(resolve, index * 3))
        await send[probe.protocol](probe)
      }),
    )
  },
  /** Opens the one long-lived connection of this host. */
  open: (probe: Probe) =>
    new Promise<void>((resolve, reject) => {
      void adopt([probe.source]).then(() => {
        flow = connect({ host: probe.destination, port: probe.port, localAddress: probe.source, localPort: probe.sourcePort })
        flow.setNoDelay(true)
        flow.once('error', reject)
        flow.once('connect', () => resolve())
      })
    }),
  /** Says something over it and returns what comes back. */
  say: (text: string) =>
    new Promise<string>((resolve, reject) => {
      let heard = ''
      const listen = (part: Buffer): void => {
        heard += part.toString()
        if (heard.length < text.length) return
        flow!.off('data', listen)
        resolve(heard)
      }
      flow!.on('data', listen)
      flow!.once('close', () => reject(new Error(`the connection closed; heard so far: "${heard}"`)))
      flow!.write(text)
    }),
})
