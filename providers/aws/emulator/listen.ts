/** An HTTP server on a UNIX socket or a loopback port; never on an address that others reach. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

/** `where`: a path, or a port of 127.0.0.1 (0: a free one). `close` also cuts what hangs. */
export async function listen(handle: RequestListener, where: string): Promise<{ readonly where: string; close(): Promise<void> }> {
  const server = createServer(handle)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    if (/^\d+$/.test(where)) server.listen(Number(where), '127.0.0.1', resolve)
    else server.listen(where, resolve)
  })
  const bound = server.address()
  return {
    where: typeof bound === 'string' ? bound : `http://127.0.0.1:${(bound as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
