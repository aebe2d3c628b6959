import { readFileSync } from 'node:fs'
import { text as readAll } from 'node:stream/consumers'
import type { Command } from 'commander'
import { peerConfig } from '#providers/export/peer.ts'
import type { Fabric } from '#src/fabric/fabric.ts'
import { pskFault } from '#src/fabric/ipsec.ts'
import { counted } from '#src/fabric/plural.ts'
import { request } from '../connection.ts'
import { exit, type ExitCode, type Output, Stop } from '../output.ts'
import { command } from '../program.ts'
import type { PeerView } from '../shapes.ts'
import { ago, columns } from '../table.ts'

const pathOf = (name: string) => `/v1/peers/${encodeURIComponent(name)}`
const isUp = ({ state }: PeerView['tunnels'][number]): boolean => state === 'UP' || state === 'DEGRADED'
const upOf = ({ tunnels }: PeerView): string => `${tunnels.filter(isUp).length}/${counted(tunnels.length, 'tunnel')}`
function secretText({ secret }: PeerView): string {
  if (!secret) return 'no pre-shared key yet'
  const seen = secret.origin === 'given' ? 'given by its owner' : secret.shownAt ? `shown ${ago(secret.shownAt)} ago` : 'not shown yet'
  return `pre-shared key version ${secret.version}, ${seen}`
}

export function peer(program: Command): void {
  const group = program.command('peer').description("third parties' IPsec gateways")

  command(group, 'list', 'every peer: tunnels, pre-shared key').action(async ({ output }) => {
    const { peers } = await request<{ peers: PeerView[] }>('/v1/peers')
    if (output.json) return output.document('Peers', peers)
    if (peers.length === 0) return output.line('no peer yet. Next: a file with peer: NAME beside the sites, then causeway plan')
    output.line(columns(peers.map((one) => [one.id, one.addresses.join(', '), upOf(one), secretText(one)])))
  })

  command(group, 'status <peer>', 'one peer: its tunnels, and which pre-shared key it has').action(
    async ({ output, args: [name = ''] }): Promise<ExitCode> => {
      const one = await request<PeerView>(pathOf(name))
      if (output.json) output.document('Peer', one)
      else print(one, output)
      return one.tunnels.every(isUp) ? exit.done : exit.notGreen
    },
  )

  command(group, 'config <peer>', 'what its owner sets at the other end, as a swanctl.conf')
    .option('--secret', 'with the pre-shared key that was made here; it is shown once')
    .action(async ({ output, args: [name = ''], options }) => {
      await request<PeerView>(pathOf(name))
      const { fabric } = await request<{ fabric: Fabric }>('/v1/generations/head')
      const one = fabric.peers.find(({ id }) => id === name)!
      const shown = options['secret'] ? await request<{ secret: string }>(`${pathOf(name)}/secret/show`, { method: 'POST' }) : null
      const text = peerConfig(fabric, one, shown?.secret ?? null)
      if (output.json) output.document('PeerConfig', { peer: name, text })
      else output.line(text.trimEnd())
    })

  command(group, 'secret <peer>', 'set the pre-shared key that its owner gave; read from stdin, never from the command line')
    .option('--file <path>', 'read it from a file')
    .option('--new', 'have a new one made here instead; show it with: causeway peer config <peer> --secret')
    .action(async ({ output, args: [name = ''], options }) => {
      await request<PeerView>(pathOf(name))
      const given = options['new'] ? undefined : (await read(name, options['file'] as string | undefined, output)).replace(/\r?\n$/, '')
      const fault = given === undefined ? null : pskFault(given)
      if (fault !== null) throw new Stop(exit.usage, fault, `ask its owner for another, or have one made here: causeway peer secret ${name} --new`)
      const { version } = await request<{ version: number }>(`${pathOf(name)}/secret`, {
        method: 'PUT',
        body: given === undefined ? {} : { secret: given },
      })
      if (output.json) return output.document('PeerSecret', { peer: name, version })
      const next = given === undefined ? `show it to its owner: causeway peer config ${name} --secret` : `causeway peer status ${name}`
      output.line(`${name} has pre-shared key version ${version}; its tunnels are down until both ends have it. Next: ${next}`)
    })
}

async function read(name: string, file: string | undefined, output: Output): Promise<string> {
  if (file !== undefined) {
    try {
      return readFileSync(file, 'utf8')
    } catch (error) {
      throw new Stop(exit.usage, `${file} can't be read: ${(error as Error).message}`, 'name a file with the key alone in it')
    }
  }
  if (output.interactive) output.progress(`Paste the pre-shared key of ${name}, then Enter and Ctrl-D:`)
  return await readAll(process.stdin)
}

function print(one: PeerView, output: Output): void {
  output.line(`${one.id}  ${one.addresses.join(', ')}  ${upOf(one)}  ${secretText(one)}`)
  output.line(columns(one.tunnels.map((tunnel) => [`  ${tunnel.id}`, `to ${tunnel.address}`, `inside ${tunnel.inside.join(', ')}`, tunnel.state])))
  if (!one.tunnels.every(isUp)) output.line(`what its owner sets: causeway peer config ${one.id}`)
}
