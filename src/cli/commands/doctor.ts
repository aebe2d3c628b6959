import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statfsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Command } from 'commander'
import { connection, request } from '../connection.ts'
import { stateFolder } from '../folder.ts'
import { exit, type ExitCode, Stop } from '../output.ts'
import { command } from '../program.ts'
import type { StatusView } from '../shapes.ts'
import { columns } from '../table.ts'

interface Finding {
  readonly what: string
  readonly ok: boolean | 'note'
  readonly says: string
  readonly instead: string
}

const onPath = (name: string) =>
  [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'].some((folder) => existsSync(join(folder, name)))

const programs: readonly (readonly [name: string, debian: string, why: string])[] = [
  ['ip', 'iproute2', 'links, addresses, routes'],
  ['nft', 'nftables', 'policy and classes'],
  ['wg', 'wireguard-tools', 'tunnels'],
  ['socat', 'socat', 'the lab'],
  ['setpriv', 'util-linux', 'children that end with the controller'],
]

/** Both have to be made to know it: an xfrm interface and a security association. */
const kernelHasEsp = (): boolean => {
  const state = `ip xfrm state add src 127.0.0.1 dst 127.0.0.1 proto esp spi 1 mode tunnel aead 'rfc4106(gcm(aes))' 0x${'00'.repeat(20)} 128`
  return spawnSync('unshare', ['-Urn', 'sh', '-c', `ip link add esp-probe type xfrm if_id 1 && ${state}`]).status === 0
}

function machine(): Finding[] {
  const found: Finding[] = programs.map(([name, debian, why]) => ({
    what: name,
    ok: onPath(name),
    says: onPath(name) ? why : `missing, needed for ${why}`,
    instead: `apt-get install -y --no-install-recommends ${debian}`,
  }))
  const kernel = spawnSync('unshare', ['-Urn', 'ip', 'link', 'add', 'wg-probe', 'type', 'wireguard']).status === 0
  const userspace = onPath('wireguard-go') && existsSync('/dev/net/tun')
  found.push({
    what: 'wireguard',
    ok: kernel || userspace,
    says: kernel ? 'in the kernel' : userspace ? 'in userspace (wireguard-go)' : 'neither in the kernel nor as wireguard-go with /dev/net/tun',
    instead: 'modprobe wireguard, or apt-get install -y --no-install-recommends wireguard-go',
  })
  const charon = onPath('charon-systemd')
  found.push({
    what: 'ipsec',
    ok: charon || 'note',
    says: charon ? `strongSwan, ${kernelHasEsp() ? 'kernel' : 'userspace'} ESP` : 'no strongSwan: a hub of a cloud region needs it',
    instead: 'apt-get install -y --no-install-recommends charon-systemd libcharon-extra-plugins libstrongswan-standard-plugins',
  })
  const frr = ['/usr/lib/frr/bgpd', '/usr/libexec/frr/bgpd'].some((program) => existsSync(program))
  found.push({
    what: 'routers',
    ok: frr || 'note',
    says: frr ? 'FRR' : 'no FRR: a gateway with `bgp:` or `ospf:` at a LAN needs it',
    instead: 'apt-get install -y --no-install-recommends frr',
  })
  const keepalived = onPath('keepalived')
  found.push({
    what: 'vrrp',
    ok: keepalived || 'note',
    says: keepalived ? 'keepalived' : 'no keepalived: one of two gateways of a site needs it',
    instead: 'apt-get install -y --no-install-recommends keepalived, and systemctl disable --now keepalived',
  })
  const [dnsmasq, radvd] = [onPath('dnsmasq'), onPath('radvd')]
  found.push({
    what: 'hosts',
    ok: (dnsmasq && radvd) || 'note',
    says: [
      dnsmasq ? 'dnsmasq' : 'no dnsmasq: a gateway with `dhcp:` at a LAN needs it',
      radvd ? 'radvd' : 'no radvd: a gateway with `ra:` at a LAN needs it',
    ].join(', '),
    instead: 'apt-get install -y --no-install-recommends dnsmasq-base radvd',
  })
  const namespaces = spawnSync('unshare', ['-Urnmpf', '--kill-child', '--mount-proc', 'true']).status === 0
  found.push({
    what: 'namespaces',
    ok: namespaces || 'note',
    says: namespaces ? 'user and network namespaces work: the lab runs without root' : 'refused: the lab and the demo can not run here',
    instead: 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or kernel.unprivileged_userns_clone=1',
  })
  const temporal =
    process.env['TEMPORAL_ADDRESS'] ??
    (onPath('temporal') ? 'on PATH' : existsSync(join(stateFolder(), 'cache', 'temporal-1.9.1', 'temporal')) ? 'in the cache' : '')
  found.push({
    what: 'temporal',
    ok: temporal !== '' || 'note',
    says: temporal || 'no server yet: `causeway serve` needs one',
    instead: 'npm run dev fetches it, or set TEMPORAL_ADDRESS',
  })
  return found
}

function state(): Finding[] {
  const folder = stateFolder()
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.W_OK)
    const { bavail, bsize } = statfsSync(folder)
    const free = bavail * bsize
    return [{ what: 'disk', ok: free > 500e6, says: `${(free / 1e9).toFixed(1)} GB free at ${folder}`, instead: 'free at least 500 MB' }]
  } catch {
    return [{ what: 'disk', ok: false, says: `${folder} can not be written`, instead: 'name another place: CAUSEWAY_STATE=DIR' }]
  }
}

async function controller(): Promise<Finding> {
  try {
    const to = connection()
    const { network, verdict } = await request<StatusView>('/v1/status', {}, to)
    return { what: 'controller', ok: true, says: `${to.url}, network ${network ?? '(none yet)'}, ${verdict}`, instead: '' }
  } catch (error) {
    if (!(error instanceof Stop)) throw error
    return { what: 'controller', ok: 'note', says: error.message, instead: error.instead }
  }
}

export function doctor(program: Command): void {
  command(program, 'doctor', 'what this machine can and cannot do, and how to mend it').action(async ({ output }): Promise<ExitCode> => {
    const kernel = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()
    const findings: Finding[] = [
      { what: 'kernel', ok: true, says: `Linux ${kernel}, Node ${process.version}`, instead: '' },
      ...machine(),
      ...state(),
      await controller(),
    ]
    const broken = findings.filter((one) => one.ok === false)
    if (output.json) output.document('Doctor', findings)
    else {
      output.line(
        columns(
          findings.map((one) => [
            one.ok === true ? output.style('green', '✔') : one.ok === 'note' ? output.style('yellow', '·') : output.style('red', '✘'),
            one.what,
            one.ok === true || !one.instead ? one.says : `${one.says}. ${one.instead}`,
          ]),
        ),
      )
      output.line(broken.length === 0 ? 'ready' : `${broken.length} to mend`)
    }
    return broken.length === 0 ? exit.done : exit.machine
  })
}
