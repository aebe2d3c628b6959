/**
 * The emulated cloud's data plane: namespaces that forward real packets by the emulated state and by nothing else.
 *
 *   internet ── <outside address> (one a tunnel: charon) ── <region>-tgw ── <vpc>-router ── <host of the seed>
 */
import type { ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createEmulator, type StartTunnel } from '#providers/aws/emulator/emulator.ts'
import { listen } from '#providers/aws/emulator/listen.ts'
import {
  addressesOf,
  type Allowed,
  type Attached,
  type Forwarding,
  forwardingOf,
  type HostForwarding,
  type TransitForward,
} from '#providers/aws/emulator/view.ts'
import { parseSeed, type RegionSeed } from '#providers/aws/emulator/seed.ts'
import { type Family, familyOf, hostOf, hostPrefix, lengthOf, nth } from '#src/net/address.ts'
import { type Box, enter, ipBatch, must, run, start, wire } from './box.ts'
import { startResponder } from './responder.ts'
import { externalRouter } from './underlay.ts'
import type { World } from './world.ts'

export interface CloudOptions {
  /** The emulator's seed, as read from its file. A host's box has the host's name and answers HTTP on 8443. */
  readonly seed: unknown
  /** UNIX socket of the EC2 endpoint, and of its control path; at most 107 bytes. Its folder is the responders' too. */
  readonly socket: string
  readonly control: string
  readonly logs: string
  readonly timeScale: number
}
export interface Cloud {
  close(): Promise<void>
}

/** Link addresses between the cloud's boxes; every link uses the same, for none is ever a destination. */
const transitSide: Side = { 4: '100.127.0.1', 6: 'fe80::1' }
const tunnelSide: Side = { 4: '100.127.0.2', 6: 'fe80::2' }
const routerSide: Side = { 4: '100.127.0.3', 6: 'fe80::3' }
type Side = Readonly<Record<Family, string>>
const sided = (side: Side, device: string): readonly string[] => [
  `addr add ${side[4]}/32 dev ${device}`,
  `addr add ${side[6]}/64 dev ${device} nodad`,
]
const families = [4, 6] as const
const httpPort = 8443

/** One after another, and of many requests only the newest. */
function latest(work: () => Promise<void>, trouble: (error: unknown) => void): () => void {
  let running = false
  let again = false
  const go = async (): Promise<void> => {
    running = true
    do {
      again = false
      await work().catch(trouble)
    } while (again)
    running = false
  }
  return () => {
    if (running) again = true
    else void go()
  }
}

const word = (text: string): string => (text.includes(':') ? 'ip6' : 'ip')
const ports = ({ protocol, from, to }: Allowed): string => {
  if (protocol === '-1') return ''
  if (protocol === 'icmp') return from < 0 ? 'ip protocol icmp' : `icmp type ${from}`
  if (protocol === 'icmpv6') return from < 0 ? 'meta l4proto ipv6-icmp' : `icmpv6 type ${from}`
  return `${protocol} dport ${from}-${to}`
}
/** Stateful, as security groups are: what a rule let through may answer. An instance has its own address and no other. */
export function securityGroups(hosts: readonly HostForwarding[]): string {
  const chain = (name: string, side: 'saddr' | 'daddr', rules: readonly Allowed[]): string =>
    `  chain ${name} {\n${rules.flatMap((rule) => rule.peers.map((peer) => `    ${word(peer)} ${side} ${peer} ${ports(rule)} return\n`)).join('')}    drop\n  }\n`
  const own = ({ addresses }: HostForwarding, n: number): string =>
    families
      .map((family) => addresses.find((one) => familyOf(one) === family) ?? family)
      .map((one) =>
        typeof one === 'number' ? `    iifname h${n} meta nfproto ipv${one} drop\n` : `    iifname h${n} ${word(one)} saddr != ${one} drop\n`,
      )
      .join('')
  return `table inet groups
delete table inet groups
table inet groups {
${hosts.map((host, n) => chain(`in${n}`, 'saddr', host.ingress) + chain(`out${n}`, 'daddr', host.egress)).join('')}  chain forward {
    type filter hook forward priority 0; policy accept;
    ct state established,related accept
${hosts.map((host, n) => `${own(host, n)}    iifname h${n} jump out${n}\n    oifname h${n} jump in${n}\n`).join('')}  }
}
`
}

/** The cloud's side of a world: its emulator with responders, and one set of namespaces a region of the seed. */
export async function addRegions(world: World, options: CloudOptions): Promise<Cloud> {
  const seed = parseSeed(options.seed)
  const log = join(options.logs, 'cloud.log')
  const trouble = (error: unknown): void => writeFileSync(log, `${error instanceof Error ? error.message : String(error)}\n`, { flag: 'a' })
  const internet = world.boxes.get('internet')!
  await ipBatch(internet, [`addr replace ${externalRouter}/32 dev lo`])
  const regions = new Map<string, Awaited<ReturnType<typeof openRegion>>>()
  for (const region of seed.regions) regions.set(region.name, await openRegion(world, region, options.logs, dirname(options.socket), regions.size))

  const emulator = createEmulator({
    seed: options.seed,
    timeScale: options.timeScale,
    log: join(options.logs, 'aws.jsonl'),
    trouble,
    startTunnel: (tunnel, changed) => regions.get(tunnel.region)!.startTunnel(tunnel, changed),
    changed: (name) => regions.get(name)?.apply(),
  })
  for (const [name, region] of regions) region.follow(() => forwardingOf(emulator.world(name)!), trouble)
  const api = await listen(emulator.handle, options.socket)
  const control = await listen(emulator.control, options.control)
  return {
    async close() {
      await Promise.all([api.close(), control.close(), emulator.close()])
      for (const region of regions.values()) region.close()
    },
  }
}

async function openRegion(world: World, seed: RegionSeed, logs: string, scratch: string, index: number) {
  const internet = world.boxes.get('internet')!
  const transit = await world.openBox(`${seed.name}-tgw`)
  const children: ChildProcess[] = []
  /** A device's name that no other region uses; at most 15 characters. */
  const nameOf = (what: string): string => `r${index}${what}`
  /** Device of the transit gateway towards an attachment, and the table of what comes in through it. */
  const doors = new Map<string, { readonly device: string; readonly table: number }>()
  const keyOf = (of: Attached): string => (of.kind === 'vpc' ? of.vpc : of.connection)
  let tables = 100
  const forwardIpv6 = async (box: Box): Promise<void> => void (await must(enter(box, ['sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1'])))
  const openDoor = async (device: string, table: number): Promise<void> => {
    await ipBatch(transit, [...sided(transitSide, device), `link set ${device} up`])
    for (const family of families) await ipBatch(transit, [`rule add iif ${device} lookup ${table} prio 100`], family)
  }
  await forwardIpv6(transit)

  const routers: { readonly box: Box; readonly vpc: string }[] = []
  for (const [v, vpc] of seed.vpcs.entries()) {
    const router = await world.openBox(`${seed.name}-router${v === 0 ? '' : v}`)
    routers.push({ box: router, vpc: vpc.id })
    await wire(transit, `v${v}`, router, 'tgw0')
    const table = tables++
    await openDoor(`v${v}`, table)
    doors.set(vpc.id, { device: `v${v}`, table })
    await forwardIpv6(router)
    await ipBatch(router, [...sided(routerSide, 'tgw0'), 'link set tgw0 up'])
    for (const [h, host] of vpc.hosts.entries()) {
      const subnet = vpc.subnets.find((one) => one.id === host.subnet)!
      const gateway = nth(subnet.cidr, 1)!
      const box = await world.openBox(host.name)
      await wire(router, `h${h}`, box, 'eth0')
      await ipBatch(router, [
        `addr add ${gateway}/32 dev h${h}`,
        `addr add ${routerSide[6]}/64 dev h${h} nodad`,
        `link set h${h} up`,
        ...addressesOf(host).map((one) => `route add ${hostPrefix(one)} dev h${h}`),
      ])
      const blocks = { 4: vpc.cidr, 6: vpc.ipv6 }
      for (const family of families) {
        const own = blocks[family]
        const within = own === undefined ? [] : [`rule add iif h${h} to ${own} lookup main prio 90`]
        // Besides its routes only the VPC itself: what has none leaves for nowhere.
        await ipBatch(router, [...within, `rule add iif h${h} lookup ${200 + h} prio 100`, `rule add iif h${h} unreachable prio 101`], family)
      }
      await ipBatch(box, [
        `addr add ${host.address}/${lengthOf(subnet.cidr)} dev eth0`,
        ...(host.ipv6 === undefined ? [] : [`addr add ${host.ipv6}/128 dev eth0 nodad`]),
        'link set eth0 up',
        `route add default via ${gateway}`,
        ...(host.ipv6 === undefined ? [] : [`route add ::/0 via ${routerSide[6]} dev eth0 src ${host.ipv6}`]),
      ])
      const script = join(logs, `${host.name}.sh`)
      writeFileSync(
        script,
        `while read -r line; do [ \${#line} -le 1 ] && break; done\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Length: ${host.name.length}\\r\\nConnection: close\\r\\n\\r\\n${host.name}'\n`,
      )
      children.push(
        start(enter(box, ['socat', `TCP6-LISTEN:${httpPort},ipv6-v6only=0,fork,reuseaddr`, `EXEC:sh ${script}`]), {
          log: join(logs, `${host.name}.log`),
        }),
      )
    }
  }

  /** Tunnels that have a box now: outside address → device of the transit gateway. */
  const devices = new Map<string, string>()
  let tunnels = 0
  const startTunnel: StartTunnel = async (options, changed) => {
    const device = `t${tunnels++}`
    const box = await world.openBox(options.outside)
    const close = async (): Promise<void> => {
      devices.delete(options.outside)
      await world.closeBox(options.outside)
    }
    try {
      const wan = nameOf(device)
      await wire(internet, wan, box, 'wan0')
      await wire(transit, device, box, 'tgw0')
      await ipBatch(box, [
        `addr add ${options.outside}/32 dev wan0`,
        'link set wan0 up',
        `route add default via ${externalRouter} dev wan0 onlink`,
        ...sided(tunnelSide, 'tgw0'),
        'link set tgw0 up',
      ])
      await forwardIpv6(box)
      await ipBatch(internet, [`link set ${wan} up`, `route replace ${options.outside}/32 dev ${wan}`])
      const door = doors.get(options.connection) ?? { device: '', table: tables++ }
      doors.set(options.connection, door)
      await openDoor(device, door.table)
      const responder = await startResponder(box, options, { scratch, log: join(logs, `${options.outside}.log`) }, changed)
      const carried = familyOf(options.inside)
      await ipBatch(
        box,
        [
          'route add default dev ipsec0 table 10',
          `route add default via ${transitSide[carried]} dev tgw0 onlink table 20`,
          'rule add iif tgw0 lookup 10 prio 100',
          'rule add iif ipsec0 lookup 20 prio 100',
          `rule add from ${hostOf(options.inside)} lookup 10 prio 101`,
        ],
        carried,
      )
      // What the tunnel does not carry goes nowhere.
      for (const family of families) await ipBatch(box, ['rule add iif tgw0 unreachable prio 102'], family)
      // As a transit gateway does; path MTU discovery, which a Site-to-Site VPN lacks, would not help.
      await must(
        enter(box, ['nft', '-f', '-']),
        `table inet mss { chain forward { type filter hook forward priority mangle; tcp flags syn tcp option maxseg size set ${carried === 4 ? 1360 : 1340}; }; }\n`,
      )
      devices.set(options.outside, device)
      return {
        async stop() {
          devices.delete(options.outside)
          await responder.stop()
          await close()
        },
      }
    } catch (error) {
      await close()
      throw error
    }
  }

  let wanted: (() => Forwarding) | undefined
  /** `table destination` → the rest of the route, as it was last written. */
  let written = new Map<string, string>()
  /** Which tunnel of a connection carries its traffic: it stays until it is down. */
  const chosen = new Map<string, string>()
  function through({ destination, to }: TransitForward): string {
    const family = familyOf(destination)
    if (to?.kind === 'vpc') return `via ${routerSide[family]} dev ${doors.get(to.vpc)?.device} onlink`
    if (!to) return ''
    const live = to.tunnels.filter((outside) => devices.has(outside))
    const outside = live.find((one) => one === chosen.get(to.connection)) ?? live[0]
    if (outside === undefined) return ''
    chosen.set(to.connection, outside)
    return `via ${tunnelSide[family]} dev ${devices.get(outside)} onlink`
  }
  async function write(): Promise<void> {
    if (!wanted) return
    const { transit: entries, vpcs } = wanted()
    const next = new Map<string, string>()
    for (const { from, routes } of entries) {
      const door = doors.get(keyOf(from))
      if (door) for (const route of routes) next.set(`${door.table} ${route.destination}`, through(route))
    }
    const line = (key: string, rest: string): string => {
      const [table, destination] = key.split(' ')
      return rest === '' ? `route replace blackhole ${destination} table ${table}` : `route replace ${destination} ${rest} table ${table}`
    }
    const gone = [...written.keys()].filter((key) => !next.has(key)).map((key) => `route del ${key.split(' ')[1]} table ${key.split(' ')[0]}`)
    // The kernel has taken some away with their device already.
    if (gone.length > 0) await run(enter(transit, ['ip', '-force', '-batch', '-']), { stdin: `${gone.join('\n')}\n` })
    written = new Map()
    await ipBatch(
      transit,
      [...next].map(([key, rest]) => line(key, rest)),
    )
    written = next
    for (const { box, vpc } of routers) {
      const forwarding = vpcs.find((one) => one.vpc === vpc)
      if (!forwarding) continue
      await must(enter(box, ['nft', '-f', '-']), securityGroups(forwarding.hosts))
      for (const [h, host] of forwarding.hosts.entries()) {
        for (const family of families) await run(enter(box, ['ip', `-${family}`, 'route', 'flush', 'table', String(200 + h)]))
        await ipBatch(
          box,
          host.routes.map((destination) => `route replace ${destination} via ${transitSide[familyOf(destination)]} dev tgw0 onlink table ${200 + h}`),
        )
      }
    }
  }
  let apply = (): void => {}
  return {
    startTunnel,
    apply: () => apply(),
    follow(forwarding: () => Forwarding, trouble: (error: unknown) => void) {
      wanted = forwarding
      apply = latest(write, trouble)
      apply()
    },
    close() {
      for (const child of children) child.kill('SIGKILL')
    },
  }
}
