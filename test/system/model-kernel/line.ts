/** One request, one answer over a UNIX socket: path-named sockets cross network namespaces, so a test can call into a box. */
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'

type Methods = Readonly<Record<string, (...args: readonly never[]) => unknown>>

export function serve(path: string, methods: Methods): void {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    createInterface({ input: socket }).on('line', (line) => {
      const { method, args } = JSON.parse(line) as { readonly method: string; readonly args: readonly never[] }
      Promise.resolve()
        .then(() => methods[method]!(...args))
        .then(
          (value) => socket.end(`${JSON.stringify({ value: value ?? null })}\n`),
          (error: unknown) => socket.end(`${JSON.stringify({ error: String((error as Error).stack ?? error) })}\n`),
        )
    })
  })
  server.listen(path)
}

/** Asks again until the box's process listens. */
export async function call<T>(path: string, method: string, ...args: readonly unknown[]): Promise<T> {
  for (let tries = 0; ; tries++) {
    const answer = await ask(path, `${JSON.stringify({ method, args })}\n`)
    if (answer !== undefined) {
      if (answer.error !== undefined) throw new Error(`${method}: ${answer.error}`)
      return answer.value as T
    }
    if (tries > 150) throw new Error(`nothing listens at ${path}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** undefined: nothing listens yet. */
const ask = (path: string, text: string): Promise<{ readonly value?: unknown; readonly error?: string } | undefined> =>
  new Promise((resolve, reject) => {
    let said = ''
    const socket = connect(path, () => socket.write(text))
    socket.setEncoding('utf8').on('data', (part: string) => {
      said += part
    })
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' || error.code === 'ECONNREFUSED' ? resolve(undefined) : reject(error),
    )
    socket.on('end', () => (said === '' ? reject(new Error(`${path} ended without an answer`)) : resolve(JSON.parse(said))))
  })
