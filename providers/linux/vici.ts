/**
 * VICI, strongSwan's control protocol, over a UNIX socket: packets of a 4-byte length, a type, for some types a name, and
 * a message of sections, key/values and lists (strongSwan, src/libcharon/plugins/vici/README.md).
 */
import { createConnection } from 'node:net'
import { DeviceError, finding } from './errors.ts'

export type ViciValue = string | readonly string[] | ViciMessage
export interface ViciMessage {
  readonly [name: string]: ViciValue | Uint8Array
}
/** As received: values are text. */
export interface ViciAnswer {
  readonly [name: string]: string | readonly string[] | ViciAnswer
}
export interface Vici {
  /** Throws DeviceError D041 when charon answers `success = no` or does not know the command. */
  request(command: string, message?: ViciMessage): Promise<ViciAnswer>
  /** A command that answers by events, one a section, like `list-sas` by `list-sa`. */
  stream(command: string, event: string, message?: ViciMessage, heard?: (event: ViciAnswer) => void): Promise<readonly ViciAnswer[]>
  close(): void
}

const element = { sectionStart: 1, sectionEnd: 2, keyValue: 3, listStart: 4, listItem: 5, listEnd: 6 } as const
const packet = { request: 0, response: 1, unknownCommand: 2, register: 3, unregister: 4, confirmed: 5, unknownEvent: 6, event: 7 } as const
/** strongSwan's own limit. */
const maximumPacket = 512 * 1024

function named(type: number, name: string): Buffer {
  const text = Buffer.from(name)
  if (text.length > 255) throw new RangeError(`the VICI name "${name}" is longer than 255 bytes`)
  return Buffer.concat([Buffer.from([type, text.length]), text])
}
function valued(bytes: Uint8Array): Buffer {
  if (bytes.length > 0xffff) throw new RangeError('a VICI value is longer than 65535 bytes')
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
}

export function encodeMessage(message: ViciMessage): Buffer {
  const parts: Buffer[] = []
  for (const [name, value] of Object.entries(message)) {
    if (typeof value === 'string') parts.push(named(element.keyValue, name), valued(Buffer.from(value)))
    else if (value instanceof Uint8Array) parts.push(named(element.keyValue, name), valued(value))
    else if (isList(value)) {
      parts.push(
        named(element.listStart, name),
        ...value.flatMap((item) => [Buffer.from([element.listItem]), valued(Buffer.from(item))]),
        Buffer.from([element.listEnd]),
      )
    } else parts.push(named(element.sectionStart, name), encodeMessage(value), Buffer.from([element.sectionEnd]))
  }
  return Buffer.concat(parts)
}
const isList = (value: ViciValue): value is readonly string[] => Array.isArray(value)

/** undefined when the bytes are not a whole message. */
export function decodeMessage(bytes: Buffer): ViciAnswer | undefined {
  // No prototype: names come from the wire.
  const section = (): Record<string, string | string[] | ViciAnswer> => Object.create(null) as Record<string, never>
  const root = section()
  const open = [root]
  let list: string[] | undefined
  let at = 0
  const take = (length: number): Buffer | undefined => {
    if (at + length > bytes.length) return undefined
    at += length
    return bytes.subarray(at - length, at)
  }
  const name = (): string | undefined => take(take(1)?.[0] ?? Infinity)?.toString()
  const value = (): string | undefined => take(take(2)?.readUInt16BE(0) ?? Infinity)?.toString()
  while (at < bytes.length) {
    const type = bytes[at++]
    const inside = open.at(-1)!
    if (list !== undefined) {
      if (type === element.listEnd) list = undefined
      else {
        const item = type === element.listItem ? value() : undefined
        if (item === undefined) return undefined
        list.push(item)
      }
      continue
    }
    if (type === element.sectionEnd) {
      if (open.length === 1) return undefined
      open.pop()
      continue
    }
    const key = type === element.sectionStart || type === element.keyValue || type === element.listStart ? name() : undefined
    if (key === undefined) return undefined
    if (type === element.sectionStart) {
      const inner = section()
      inside[key] = inner
      open.push(inner)
    } else if (type === element.listStart) {
      list = []
      inside[key] = list
    } else {
      const text = value()
      if (text === undefined) return undefined
      inside[key] = text
    }
  }
  return open.length === 1 && list === undefined ? root : undefined
}

interface Received {
  readonly type: number
  readonly name: string
  readonly message: ViciAnswer
}
function frame(type: number, name?: string, message?: ViciMessage): Buffer {
  const body = Buffer.concat([name === undefined ? Buffer.from([type]) : named(type, name), message ? encodeMessage(message) : Buffer.alloc(0)])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length)
  return Buffer.concat([length, body])
}
function unframe(body: Buffer): Received | undefined {
  const type = body[0]
  if (type === undefined) return undefined
  const end = type === packet.event ? 2 + (body[1] ?? Infinity) : 1
  if (end > body.length) return undefined
  const message = decodeMessage(body.subarray(end))
  return message && { type, name: type === packet.event ? body.subarray(2, end).toString() : '', message }
}

const broken = (path: string, why: string): DeviceError =>
  new DeviceError(finding('D040', [path], `charon's control socket ${path} ${why}`, "look into charon's log beside the socket"))

/** Throws DeviceError D040 when nothing listens. Commands are sent one after another: charon answers in order. */
export async function connectVici(path: string): Promise<Vici> {
  const socket = createConnection(path)
  await new Promise<void>((resolve, reject) =>
    socket.once('connect', resolve).once('error', (error) => reject(broken(path, `can't be opened: ${error.message}`))),
  )
  let rest = Buffer.alloc(0)
  let heard: ((received: Received) => void) | undefined
  let failed: ((error: DeviceError) => void) | undefined
  let ended: DeviceError | undefined
  const end = (why: string): void => {
    ended ??= broken(path, why)
    failed?.(ended)
    socket.destroy()
  }
  socket.on('error', (error) => end(`failed: ${error.message}`)).on('close', () => end('was closed'))
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 4) {
      const length = rest.readUInt32BE(0)
      if (length > maximumPacket) return end(`announces ${length} bytes`)
      if (rest.length < 4 + length) return
      const received = unframe(rest.subarray(4, 4 + length))
      rest = rest.subarray(4 + length)
      if (!received) return end('sent something that is not VICI')
      heard?.(received)
    }
  })

  /** Sends one packet and collects events until its answer is there. */
  function exchange(
    bytes: Buffer,
    onEvent: (event: Received) => void = () => {},
  ): Promise<{ readonly answer: Received; readonly events: readonly Received[] }> {
    return new Promise((resolve, reject) => {
      if (ended) return reject(ended)
      const events: Received[] = []
      failed = reject
      heard = (received) => {
        if (received.type === packet.event) {
          events.push(received)
          onEvent(received)
        } else resolve({ answer: received, events })
      }
      socket.write(bytes)
    })
  }
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work)
    last = result.catch(() => {})
    return result
  }
  async function command(
    name: string,
    message: ViciMessage,
    onEvent?: (event: Received) => void,
  ): Promise<{ readonly answer: Received; readonly events: readonly Received[] }> {
    const result = await exchange(frame(packet.request, name, message), onEvent)
    const { type, message: answer } = result.answer
    if (type === packet.unknownCommand)
      throw new DeviceError(finding('D041', [path], `charon does not know the command "${name}"`, 'load its vici plugin of version 5.9 or newer'))
    if (answer['success'] === 'no') {
      const why = typeof answer['errmsg'] === 'string' ? answer['errmsg'] : 'no reason given'
      throw new DeviceError(finding('D041', [path], `charon refuses "${name}": ${why}`, "look into charon's log beside the socket"))
    }
    return result
  }
  return {
    request: (name, message = {}) => inTurn(async () => (await command(name, message)).answer.message),
    stream: (name, event, message = {}, heard = () => {}) =>
      inTurn(async () => {
        const { answer } = await exchange(frame(packet.register, event))
        if (answer.type !== packet.confirmed)
          throw new DeviceError(finding('D041', [path], `charon does not know the event "${event}"`, 'load its vici plugin of version 5.9 or newer'))
        try {
          return (await command(name, message, (one) => one.name === event && heard(one.message))).events
            .filter((one) => one.name === event)
            .map((one) => one.message)
        } finally {
          if (!ended) await exchange(frame(packet.unregister, event))
        }
      }),
    close: () => void socket.end(),
  }
}
