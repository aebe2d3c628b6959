/**
 * A third party's gateway and its hosts:
 *
 *   internet ── wan0 <peer> lan0, lan1 … ── <peer>-<segment>
 *
 * Until it is told what its owner would be told it only has its addresses. Then a real strongSwan reads that text as it
 * stands, and what its comments ask for by hand is done here. Userspace ESP (kernel-libipsec), so one charon a tunnel.
 */
import { type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { natTraversalPort } from '#src/fabric/ipsec.ts'
import type { Intent, IntentPeer } from '#src/intent/intent.ts'
import { type Address, type AddressWithLength, familyOf, hostOf, hostPrefix, type Prefix } from '#src/net/address.ts'
import { type Box, enter, ipBatch, must, start, wire } from './box.ts'
import { externalRouter, externalRouterSix, peerLans } from './underlay.ts'
import { unchecked, type World } from './world.ts'

/** What the text of `causeway peer config` says of one tunnel. */
export interface PeerTunnel {
  readonly gateway: Address
  readonly hub: Address
  /** One of a family. */
  readonly insides: readonly AddressWithLength[]
  /** At the other end of the first; it answers while the tunnel is up. */
  readonly hubInside: Address
}
export interface PeerText {
  readonly tunnels: readonly PeerTunnel[]
  /** Of each tunnel's device. */
  readonly mtu: number
  /** What leads into the tunnels. */
  readonly routes: readonly Prefix[]
}
export interface Peers {
  readonly names: readonly string[]
  /** Anew, where it was told something before. Throws Error when the text is not one of `causeway peer config` for it. */
  tell(name: string, text: string): Promise<PeerText>
  close(): void
}

/** From a swanctl.conf of `causeway peer config`: the order of its comments is that of its connections. Throws Error when it is none. */
export function readPeerText(text: string): PeerText {
  const all = (pattern: RegExp, of = text): readonly string[] => [...of.matchAll(pattern)].map(([, found]) => found!)
  const gateways = all(/^ {4}local_addrs = ([^,\s]+)/gm)
  const hubs = all(/^ {4}remote_addrs = (\S+)$/gm)
  const insides = all(/^# {3}((?:ip address add \S+ dev causeway\d+; )+)/gm).map((line) => all(/add (\S+)/g, line))
  const hubInsides = all(/^# {3}ip link add causeway\d+ .*? -> ([^,\s]+)/gm)
  const [mtu] = all(/; ip link set causeway1 mtu (\d+) up$/gm)
  const routes = all(/^# {3}ip route add (\S+) dev causeway1 /gm)
  if (hubs.length === 0) throw new Error('it has no tunnels')
  if ([gateways, insides, hubInsides].some(({ length }) => length !== hubs.length) || routes.length === 0 || mtu === undefined)
    throw new Error('the comments with addresses and routes are not all there')
  const tunnels = hubs.map(
    (hub, n) => ({ gateway: gateways[n], hub, insides: insides[n] as readonly string[], hubInside: hubInsides[n] }) as PeerTunnel,
  )
  return { tunnels, mtu: Number(mtu), routes: routes as readonly Prefix[] }
}

export async function addPeers(world: World, intent: Intent, logs: string): Promise<Peers> {
  const internet = world.boxes.get('internet')!
  if (intent.peers.length > 0) await ipBatch(internet, [`addr replace ${externalRouter}/32 dev lo`])
  const boxes = new Map(await Promise.all(intent.peers.map(async (peer, n) => [peer.id as string, await openPeer(world, peer, n, logs)] as const)))
  const running = new Map<string, readonly ChildProcess[]>()
  /** To its end: a device goes with its charon, and the next one would be called otherwise beside it. */
  const stop = (name: string): Promise<unknown> => Promise.all((running.get(name) ?? []).map(ended))
  const hosts = [...boxes.values()].flatMap(({ children }) => children)
  return {
    names: [...boxes.keys()],
    async tell(name, text) {
      const { box, gateways } = boxes.get(name)!
      const read = readPeerText(text)
      const foreign = read.tunnels.find(({ gateway }) => !gateways.includes(gateway))
      if (foreign) throw new Error(`its tunnels are those of ${foreign.gateway}`)
      await stop(name)
      const children: ChildProcess[] = []
      running.set(name, children)
      await startTunnels(box, text, read, join(logs, `${name}.log`), children)
      return read
    },
    close() {
      for (const child of [...[...running.values()].flat(), ...hosts]) child.kill('SIGKILL')
    },
  }
}

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })

async function openPeer(world: World, peer: IntentPeer, index: number, logs: string) {
  const internet = world.boxes.get('internet')!
  const box = await world.openBox(peer.id)
  const gateways = peer.gateways.map(({ address }) => address)
  const toInternet = `peer${index}`
  await wire(internet, toInternet, box, 'wan0')
  await ipBatch(box, [
    ...gateways.map((one) => `addr add ${hostPrefix(one)} dev wan0${unchecked(one)}`),
    'link set wan0 up',
    `route add default via ${externalRouter} dev wan0 onlink`,
    `route add default via ${hostOf(externalRouterSix)} dev wan0`,
  ])
  await ipBatch(internet, [
    `addr add ${externalRouterSix} dev ${toInternet}${unchecked(externalRouterSix)}`,
    `link set ${toInternet} up`,
    ...gateways.map((one) => `route replace ${hostPrefix(one)} dev ${toInternet}`),
  ])
  const children: ChildProcess[] = []
  for (const [n, lan] of peerLans(peer).entries()) {
    const host = await world.openBox(lan.namespace)
    await wire(box, `lan${n}`, host, 'eth0')
    await ipBatch(box, [...lan.gateways.map((one) => `addr add ${one} dev lan${n}${unchecked(one)}`), `link set lan${n} up`])
    await ipBatch(host, [
      ...lan.hosts.map((one) => `addr add ${one} dev eth0${unchecked(one)}`),
      'link set eth0 up',
      ...[...Map.groupBy(lan.gateways.map(hostOf), familyOf).values()].map(([one]) => `route add default via ${one} dev eth0`),
    ])
    children.push(start(enter(host, ['socat', 'TCP-LISTEN:8000,fork,reuseaddr', 'EXEC:cat']), { log: join(logs, `${lan.namespace}.log`) }))
  }
  await must(enter(box, ['sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1']))
  return { box, gateways, children }
}

/** Of the charon of the n-th tunnel. */
export const folderOf = (n: number): string => `/run/tunnel${n}`
/** Where the n-th listens; hubs know one port. */
const portOf = (n: number): number => natTraversalPort + 1 + n
/**
 * Each charon hears what its hub sends to the one port. Rewritten packet by packet: hubs call already, and a flow whose
 * first packet NAT saw before it had the rule would never get it.
 */
export const portRules = (tunnels: readonly Pick<PeerTunnel, 'gateway' | 'hub'>[]): string =>
  [
    'add table inet owner',
    'add chain inet owner in { type filter hook prerouting priority raw; }',
    'add chain inet owner out { type filter hook output priority raw; }',
    ...tunnels.flatMap(({ gateway, hub }, n) => {
      const ip = familyOf(hub) === 4 ? 'ip' : 'ip6'
      const called = `add rule inet owner in ${ip} saddr ${hub} ${ip} daddr ${gateway} udp dport ${natTraversalPort}`
      return [
        // Over IPv4 a kernel sends ESP without a checksum, of which nft would make a wrong one.
        ...(ip === 'ip' ? [`${called} udp checksum 0 udp dport set ${portOf(n)} udp checksum set 0`] : []),
        `${called} udp dport set ${portOf(n)}`,
        `add rule inet owner out ${ip} saddr ${gateway} ${ip} daddr ${hub} udp sport ${portOf(n)} udp sport set ${natTraversalPort}`,
      ]
    }),
    '',
  ].join('\n')
const noPortRules = 'add table inet owner\ndelete table inet owner\n'
/** Whoever chooses by hand has the lower ones. */
const metricOf = (n: number): number => 101 + n

/** Into `children` as they start: whoever fails in the middle leaves none. */
async function startTunnels(box: Box, text: string, { tunnels, mtu, routes }: PeerText, log: string, children: ChildProcess[]): Promise<void> {
  const shell = (script: string, stdin?: string) => must(enter(box, ['sh', '-c', script]), stdin)
  // Nobody calls before all is loaded: a charon that knows no connection yet refuses for good (NO_PROPOSAL_CHOSEN).
  await shell('nft -f -', noPortRules)
  for (const [n, { insides }] of tunnels.entries()) {
    const folder = folderOf(n)
    await shell(`rm -rf ${folder}; mkdir -p ${folder}; cat > ${folder}/swanctl.conf`, text)
    await shell(`cat > ${folder}/strongswan.conf`, charonText(n))
    children.push(start(enter(box, ['charon-systemd']), { log, env: { STRONGSWAN_CONF: `${folder}/strongswan.conf` } }))
    // One after the other, for they name their devices so.
    await shell(
      `for n in $(seq 200); do [ -S ${folder}/vici ] && ip link show ipsec${n} >/dev/null 2>&1 && break; sleep 0.05; done
${insides.map((inside) => `ip address add ${inside} dev ipsec${n}${unchecked(inside)} && `).join('')}ip link set ipsec${n} mtu ${mtu} up
SWANCTL_DIR=${folder} swanctl --load-all --uri unix://${folder}/vici`,
    )
  }
  await shell('nft -f -', portRules(tunnels))
  children.push(start(enter(box, ['sh', '-c', trackText(tunnels, routes)]), { log }))
}

/** charon's own packets carry a mark, or IKE would capture itself under 0/0 selectors. */
export const charonText = (n: number): string => `charon-systemd {
  load_modular = no
  load = random nonce openssl aes gcm sha2 hmac kdf curve25519 kernel-libipsec kernel-netlink socket-default vici
  port = ${portOf(100 + n)}
  port_nat_t = ${portOf(n)}
  routing_table = ${9001 + n}
  routing_table_prio = 40001
  plugins { kernel-libipsec { allow_peer_ts = yes } kernel-netlink { fwmark = !0x41 } socket-default { fwmark = 0x41 } vici { socket = unix://${folderOf(n)}/vici } }
  filelog { stderr { default = 1 } }
}
`

/** As the text asks: our prefixes into each tunnel whose hub answers, the first preferred. One process, which ends as one. */
export const trackText = (tunnels: readonly PeerTunnel[], routes: readonly Prefix[]): string =>
  [
    'while sleep 0.2; do',
    ...tunnels.map(
      ({ insides: [inside], hubInside }, n) =>
        `if ping -q -n -c 1 -W 0.5 -I ${hostOf(inside!)} ${hubInside} >/dev/null; then do=replace; else do=del; fi; for to in ${routes.join(' ')}; do ip route $do $to dev ipsec${n} metric ${metricOf(n)} 2>/dev/null; done`,
    ),
    'done',
  ].join('\n')
