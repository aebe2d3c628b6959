import type { Command } from 'commander'
import { request } from '../connection.ts'
import { command } from '../program.ts'
import { ago, columns, when } from '../table.ts'

interface KeyView {
  readonly site: string
  readonly kind: 'tls' | 'sealing' | 'wireguard' | 'psk'
  readonly of: string
  readonly linkEpoch: number | null
  readonly shows: 'public-key' | 'fingerprint'
  readonly key: string
  readonly since: string
  readonly until: string | null
  readonly lastHandshake: string | null
}

const longest = 44
function remark({ kind, until, lastHandshake }: KeyView): string {
  if (kind === 'tls') return until === null ? '' : `certificate until ${when(until)}`
  if (kind !== 'wireguard') return ''
  return lastHandshake === null ? 'no handshake yet' : `handshake ${ago(lastHandshake)} ago`
}

export function key(program: Command): void {
  const group = program.command('key').description('public keys and fingerprints; secrets never leave their box or the vault')
  command(group, 'list [site]', 'of boxes, interfaces and IPsec tunnels: since when, and the last handshake').action(
    async ({ output, args: [site] }) => {
      const { keys } = await request<{ keys: KeyView[] }>(`/v1/keys${site === undefined ? '' : `?site=${encodeURIComponent(site)}`}`)
      if (output.json) return output.document('Keys', keys)
      if (keys.length === 0)
        return output.line(`no key yet: no box is enrolled${site === undefined ? '' : ` at ${site}`}. Next: causeway site token ${site ?? 'SITE'}`)
      output.line(
        columns(
          keys.map((one) => [
            one.site,
            one.kind,
            one.of,
            one.linkEpoch === null ? '' : `epoch ${one.linkEpoch}`,
            one.key.length > longest ? one.key.slice(0, 16) : one.key,
            `since ${when(one.since)} (${ago(one.since)})`,
            remark(one),
          ]),
        ),
      )
    },
  )
}
