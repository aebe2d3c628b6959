/** charon's control socket as strongSwan answers on it, without IKE behind: what was loaded can be looked at. */
import { createServer, type Socket } from 'node:net'
import { decodeMessage, encodeMessage, type ViciAnswer, type ViciMessage } from '#providers/linux/vici.ts'

export interface FakeCharon {
  readonly connections: ReadonlyMap<string, ViciAnswer>
  /** Secrets by id. */
  readonly secrets: ReadonlyMap<string, string>
  /** Names of connections that stand. */
  readonly established: ReadonlySet<string>
  /** `command name`, in their order. */
  readonly heard: readonly string[]
  close(): Promise<void>
}
/** strongSwan refuses to bring up a connection with this secret, as the far end would. */
export const wrongSecret = 'another key'

export async function startFakeCharon(path: string): Promise<FakeCharon> {
  const connections = new Map<string, ViciAnswer>()
  const secrets = new Map<string, string>()
  const established = new Set<string>()
  const heard: string[] = []
  const refuse = (errmsg: string): ViciMessage => ({ success: 'no', errmsg })

  function answer(command: string, message: ViciAnswer): ViciMessage {
    const text = (name: string): string => String(message[name])
    const [name = ''] = command === 'load-conn' ? Object.keys(message) : [message['ike'] ?? message['name'] ?? message['id']].map(String)
    if (command !== 'list-sas') heard.push(`${command} ${name}`)
    switch (command) {
      case 'load-conn':
        connections.set(name, message[name] as ViciAnswer)
        break
      case 'load-shared':
        secrets.set(name, text('data'))
        break
      case 'unload-conn':
        if (!connections.delete(name)) return refuse(`unload: connection '${name}' not found`)
        break
      case 'unload-shared':
        if (!secrets.delete(name)) return refuse('unload: shared key not found')
        break
      case 'terminate':
        if (!established.delete(name)) return refuse('no matching SAs to terminate found')
        break
      case 'initiate':
        if (!connections.has(name)) return refuse(`CHILD_SA config '${name}' not found`)
        if (secrets.get(name) !== wrongSecret) established.add(name)
        else if (text('timeout') !== '-1') return refuse(`establishing CHILD_SA '${name}' failed`)
        break
      case 'list-sas':
        break
      default:
        throw new Error(`the fake charon does not know "${command}"`)
    }
    return { success: 'yes' }
  }

  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    const send = (type: number, name: string, message: ViciMessage): void => {
      const named = name === '' ? Buffer.alloc(0) : Buffer.concat([Buffer.from([name.length]), Buffer.from(name)])
      const body = Buffer.concat([Buffer.from([type]), named, encodeMessage(message)])
      const length = Buffer.alloc(4)
      length.writeUInt32BE(body.length)
      socket.write(Buffer.concat([length, body]))
    }
    let rest = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
        const body = rest.subarray(4, 4 + rest.readUInt32BE(0))
        rest = rest.subarray(4 + body.length)
        const [type, length = 0] = body
        const name = body.subarray(2, 2 + length).toString()
        if (type !== 0) {
          send(5, '', {})
          continue
        }
        const message = decodeMessage(body.subarray(2 + length)) ?? {}
        const asked = String(message['ike'])
        if (name === 'initiate' && message['loglevel'] !== undefined && secrets.get(asked) === wrongSecret)
          send(7, 'control-log', { msg: 'received AUTHENTICATION_FAILED notify error' })
        if (name === 'list-sas' && established.has(asked)) {
          const child = { state: 'INSTALLED', 'bytes-in': '84', 'bytes-out': '168' }
          send(7, 'list-sa', { [asked]: { state: 'ESTABLISHED', established: '7', 'child-sas': { [`${asked}-1`]: child } } })
        }
        send(1, '', answer(name, message))
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return {
    connections,
    secrets,
    established,
    heard,
    close: () => {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
