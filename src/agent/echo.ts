/**
 * ICMP echo to a far end that reflects no STAMP (the inside address of a cloud or peer, or a host behind a peer). Node has no ICMP sockets, so one `ping` a
 * tunnel runs for as long as the interval stays the same, and is read line by line: a reply, or `no answer yet` for a
 * number, which it says when it sends the next one (-O).
 */
import { spawn } from 'node:child_process'
import type { Address } from '#src/net/address.ts'

export type EchoLine =
  | { readonly kind: 'reply'; readonly sequence: number; readonly rttMs: number }
  /** This one is unanswered so far, and the next one has just left. */
  | { readonly kind: 'unanswered'; readonly sequence: number }
export interface Echo {
  close(): void
  /** Another one takes over; what is on its way may still be answered for a moment. */
  retire(): void
}
export interface EchoTarget {
  readonly from: Address
  readonly to: Address
  /** It leaves and comes back by this one, whatever the routes say; null: as they say. */
  readonly device: string | null
}
/** Numbers begin at 1 and only rise. `ended` is called when it stops by itself, with what it said last. */
export type OpenEcho = (
  of: EchoTarget & {
    readonly intervalMs: number
    /** Ends by itself after so many. */
    readonly count?: number
    /** Of data in each, in one piece. */
    readonly bytes?: number
  },
  heard: (line: EchoLine) => void,
  ended: (said: string) => void,
) => Echo

export function readEcho(line: string): EchoLine | undefined {
  const reply = /icmp_seq=(\d+) .*\btime=([\d.]+) ms/.exec(line)
  if (reply) return { kind: 'reply', sequence: Number(reply[1]), rttMs: Number(reply[2]) }
  const none = /^no answer yet for icmp_seq=(\d+)/.exec(line)
  return none ? { kind: 'unanswered', sequence: Number(none[1]) } : undefined
}

/** ping counts in 16 bits, which at 50 ms last for an hour: the number nearest to the last one is meant. */
export const unwrap = (latest: number, sequence: number): number => latest + (((sequence - latest) << 16) >> 16)

const lingerMs = 1_000

export const openPing: OpenEcho = ({ from, to, device, intervalMs, count, bytes }, heard, ended) => {
  let closed = false
  let said = ''
  let over = false
  // By -w it waits for the last reply as well, which -c alone gives one interval, and sends on until then.
  const limit = count === undefined ? [] : ['-c', `${count}`, '-w', `${Math.ceil((count * intervalMs) / 1_000 + 1)}`]
  const burst = [...limit, ...(bytes === undefined ? [] : ['-M', 'do', '-s', `${bytes}`])]
  const bound = device === null ? [] : ['-I', device]
  const child = spawn('ping', ['-n', '-O', '-i', (intervalMs / 1000).toFixed(3), ...burst, ...bound, '-I', from, to], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
  })
  const end = (why: string): void => {
    if (over) return
    over = true
    if (!closed) ended(why)
  }
  let rest = ''
  let latest = 0
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    for (const line of lines) {
      const read = readEcho(line)
      if (!read) continue
      const sequence = unwrap(latest, read.sequence)
      latest = Math.max(latest, sequence)
      if (count === undefined || sequence <= count) heard({ ...read, sequence })
    }
  })
  // It writes its name and the reason one after the other: a line may come in pieces.
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-400)
  })
  child.on('error', (error) => end(error.message))
  child.on('close', () => end(said.trim().split('\n').at(-1)!))
  return {
    close() {
      closed = true
      child.kill('SIGKILL')
    },
    retire() {
      closed = true
      setTimeout(() => child.kill('SIGKILL'), lingerMs).unref()
    },
  }
}
