import { text as readAll } from 'node:stream/consumers'
import type { Command } from 'commander'
import { remember, request } from '../connection.ts'
import { exit, Stop } from '../output.ts'
import { command } from '../program.ts'

export function login(program: Command): void {
  command(program, 'login <url>', 'remember a controller; the access token is read from stdin, never from the command line').action(
    async ({ output, args: [given = ''] }) => {
      let url: URL
      try {
        url = new URL(given)
      } catch {
        throw new Stop(exit.usage, `"${given}" is not an address`, 'write it like https://ctl.acme.net')
      }
      const local = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname)
      if (url.protocol !== 'https:' && !(url.protocol === 'http:' && local))
        throw new Stop(exit.usage, 'an access token is sent over https only', `write https://${url.host}`)
      if (output.interactive) output.progress('Paste the access token, then Ctrl-D:')
      const token = (await readAll(process.stdin)).trim()
      if (!token) throw new Stop(exit.usage, 'there was no token on stdin', `causeway login ${given} < token-file`)
      const connection = { url: url.origin, token }
      const status = await request<{ network: string | null }>('/v1/status', {}, connection)
      remember(connection)
      if (output.json) output.document('Login', { url: url.origin, network: status.network })
      else output.line(`logged in at ${url.origin}${status.network ? `, network ${status.network}` : ''}. Next: causeway status`)
    },
  )
}
