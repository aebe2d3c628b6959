import { type AddressInfo, connect, createServer } from 'node:net'

/** A loopback port that leads to a UNIX socket. */
export async function bridge(socket: string): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((near) => {
    const far = connect(socket)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
    near.pipe(far)
    far.pipe(near)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() }
}
