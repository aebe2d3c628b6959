/** As much of VICI, strongSwan's control protocol, as a responder needs (src/libcharon/plugins/vici/README.md). */
import { createConnection } from 'node:net'

export interface Section {
  readonly [name: string]: string | readonly string[] | Section
}
export interface Charon {
  ask(command: string, message?: Section): Promise<Section>
  /** Sections of `list-sa`. */
  securityAssociations(): Promise<readonly Section[]>
  close(): void
}

const [request, response, register, confirmed, event] = [0, 1, 3, 5, 7]

const text8 = (value: string): Buffer => Buffer.concat([Buffer.from([Buffer.byteLength(value)]), Buffer.from(value)])
const text16 = (value: string): Buffer => {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(Buffer.byteLength(value))
  return Buffer.concat([length, Buffer.from(value)])
}
export function encode(section: Section): Buffer {
  return Buffer.concat(
    Object.entries(section).flatMap(([name, value]) => {
      if (typeof value === 'string') return [Buffer.from([3]), text8(name), text16(value)]
      if (Array.isArray(value))
        return [Buffer.from([4]), text8(name), ...(value as readonly string[]).flatMap((item) => [Buffer.from([5]), text16(item)]), Buffer.from([6])]
      return [Buffer.from([1]), text8(name), encode(value as Section), Buffer.from([2])]
    }),
  )
}
export function decode(bytes: Buffer): Section {
  let at = 0
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new Error('charon sent half a message')
    at += length
    return bytes.subarray(at - length, at)
  }
  const short = (): string => take(take(1)[0]!).toString()
  const long = (): string => take(take(2).readUInt16BE(0)).toString()
  const section = (): Section => {
    const into = Object.create(null) as Record<string, string | string[] | Section>
    while (at < bytes.length) {
      const type = take(1)[0]
      if (type === 2) return into
      const name = short()
      if (type === 1) into[name] = section()
      else if (type === 3) into[name] = long()
      else {
        const items: string[] = []
        while (take(1)[0] === 5) items.push(long())
        into[name] = items
      }
    }
    return into
  }
  return section()
}
function packet(type: number, name: string, message: Section = {}): Buffer {
  const body = Buffer.concat([Buffer.from([type]), text8(name), encode(message)])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length)
  return Buffer.concat([length, body])
}

/** `heard` is told of the events that are named. Rejects when nothing listens, and every `ask` once charon is gone. */
export async function connectCharon(path: string, events: readonly string[], heard: (name: string | null) => void): Promise<Charon> {
  const socket = createConnection(path)
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  let rest = Buffer.alloc(0)
  let list: Section[] = []
  let answered: { readonly resolve: (message: Section) => void; readonly reject: (error: Error) => void } | undefined
  let gone = false
  socket.on('error', () => {})
  socket.on('close', () => {
    gone = true
    answered?.reject(new Error('charon ended'))
    heard(null)
  })
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
      const body = rest.subarray(4, 4 + rest.readUInt32BE(0))
      rest = rest.subarray(4 + body.length)
      if (body[0] === event) {
        const end = 2 + body[1]!
        const name = body.subarray(2, end).toString()
        if (name === 'list-sa') list.push(decode(body.subarray(end)))
        else heard(name)
      } else if (body[0] === response || body[0] === confirmed) answered?.resolve(body[0] === response ? decode(body.subarray(1)) : {})
      else answered?.reject(new Error(`charon answered with a packet of type ${body[0]}`))
    }
  })
  let last: Promise<unknown> = Promise.resolve()
  /** One at a time: charon answers in order. */
  const exchange = (bytes: Buffer): Promise<Section> => {
    const result = last.then(
      () =>
        new Promise<Section>((resolve, reject) => {
          if (gone) return reject(new Error('charon ended'))
          answered = { resolve, reject }
          socket.write(bytes)
        }),
    )
    last = result.catch(() => {})
    return result
  }
  for (const name of ['list-sa', ...events]) await exchange(packet(register, name))
  const ask = async (command: string, message: Section = {}): Promise<Section> => {
    const answer = await exchange(packet(request, command, message))
    if (answer['success'] === 'no')
      throw new Error(`charon refuses ${command}: ${typeof answer['errmsg'] === 'string' ? answer['errmsg'] : 'no reason given'}`)
    return answer
  }
  return {
    ask,
    async securityAssociations() {
      list = []
      await ask('list-sas')
      return list
    },
    close: () => socket.destroy(),
  }
}
