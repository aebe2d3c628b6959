/**
 * The UDP stream that measures a failover.
 * `stream.ts receive PORT FILE`: writes a summary to FILE when asked by SIGUSR1 and at the end.
 * `stream.ts send ADDRESS PORT MS`: one datagram every so many ms: sequence number and the sender's clock.
 *
 * A gap is counted in the sender's time across lost sequence numbers, so that neither end's own hiccups look like a gap.
 */
import { createSocket } from 'node:dgram'
import { renameSync, writeFileSync } from 'node:fs'

export interface StreamSummary {
  readonly received: number
  readonly lost: number
  readonly lastSequence: number
  /** Longest first: sender's ms between the last packet before and the first after a loss. */
  readonly gaps: readonly { readonly from: number; readonly to: number; readonly ms: number; readonly lost: number }[]
}

function receive(port: number, file: string): void {
  const socket = createSocket('udp4')
  const seen: [sequence: number, sentAt: number][] = []
  socket.on('message', (message) => {
    if (message.length >= 12) seen.push([message.readUInt32BE(0), message.readDoubleBE(4)])
  })
  const summarise = () => {
    const ordered = [...seen].sort((a, b) => a[0] - b[0])
    const gaps: StreamSummary['gaps'][number][] = []
    let lost = 0
    for (const [index, [sequence, at]] of ordered.entries()) {
      const before = ordered[index - 1]
      if (!before || sequence <= before[0] + 1) continue
      const missing = sequence - before[0] - 1
      lost += missing
      gaps.push({ from: before[0], to: sequence, ms: at - before[1], lost: missing })
    }
    gaps.sort((a, b) => b.ms - a.ms)
    const summary: StreamSummary = { received: seen.length, lost, lastSequence: ordered.at(-1)?.[0] ?? -1, gaps: gaps.slice(0, 50) }
    writeFileSync(`${file}.new`, JSON.stringify(summary))
    renameSync(`${file}.new`, file)
  }
  process.on('SIGUSR1', summarise)
  process.on('SIGTERM', () => {
    summarise()
    process.exit(0)
  })
  socket.bind(port)
}

function send(address: string, port: number, everyMs: number): void {
  const socket = createSocket('udp4')
  const started = performance.now()
  let sequence = 0
  // A bounded stream: nobody wants one that outlives its demo.
  const limit = (30 * 60 * 1000) / everyMs
  setInterval(() => {
    // The timer may come late; what is due is sent then, so that the rate holds.
    for (const due = (performance.now() - started) / everyMs; sequence < due && sequence < limit; sequence++) {
      const message = Buffer.alloc(64)
      message.writeUInt32BE(sequence, 0)
      message.writeDoubleBE(performance.now() - started, 4)
      socket.send(message, port, address, () => {})
    }
  }, everyMs)
}

const [mode, first = '', second = '', third = ''] = process.argv.slice(2)
if (mode === 'receive') receive(Number(first), second)
else if (mode === 'send') send(first, Number(second), Number(third))
else {
  process.stderr.write('stream.ts receive PORT FILE | send ADDRESS PORT MS\n')
  process.exitCode = 2
}
