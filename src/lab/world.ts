/** Builds the underlay in namespaces: boxes, links through the relay (or netem), LAN hosts and what answers on them. */
import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Intent, IntentService } from '#src/intent/intent.ts'
import { type Address, type AddressWithLength, familyOf, hostOf, isLinkLocal, lengthOf, networkOf } from '#src/net/address.ts'
import { type Box, enter, ipBatch, must, openBox, run, start } from './box.ts'
import type { RelayLink } from './relay.ts'
import { startSpeaker } from './speaker.ts'
import { controllerAddress, controllerPort, type Line, type LanHost, type Link, lanHostName, underlay } from './underlay.ts'

export interface World {
  readonly boxes: ReadonlyMap<string, Box>
  readonly links: ReadonlyMap<string, Link>
  readonly impairment: 'netem' | 'relay'
  line(id: string): Line
  setLine(id: string, line: Line): Promise<void>
  /** A namespace more, for what comes and goes; `closeBox` ends it and with it its links. */
  openBox(name: string): Promise<Box>
  closeBox(name: string): Promise<void>
  /** Undone by `setLine` of the same line. */
  close(): Promise<void>
}
export interface WorldOptions {
  /** UNIX socket of the controller's agents' listener; '' = none. */
  readonly controllerSocket: string
  readonly logs: string
}

const endsOf = ({ address, router, six }: Link): readonly { readonly address: AddressWithLength; readonly router: Address }[] => [
  { address, router },
  ...(six ? [six] : []),
]
/** Without duplicate address detection an address works at once. */
export const unchecked = (address: Address | AddressWithLength): string => (familyOf(address) === 6 ? ' nodad' : '')

const firstPort = 20_000

/** The site's end carries the OS's interface name; the internet's end is named by the link's number. */
export const internetEnd = (index: number) => `u${index}`

async function hasNetem(): Promise<boolean> {
  const ran = await run([
    'sh',
    '-c',
    'ip link add nm0 type veth peer name nm1 && tc qdisc add dev nm0 root netem delay 1ms; code=$?; ip link del nm0; exit $code',
  ])
  return ran.code === 0
}

function netemArgs(line: Line, rate: number): string {
  if (line.cut === 'all') return 'netem loss 100%'
  const parts = [`netem limit 20000 delay ${line.delayMs}ms ${line.jitterMs}ms`]
  if (line.loss > 0) parts.push(`loss ${line.loss * 100}%`)
  if (rate > 0) parts.push(`rate ${rate}bit`)
  return parts.join(' ')
}

export async function buildWorld(intent: Intent, options: WorldOptions): Promise<World> {
  const plan = underlay(intent)
  const names = ['internet', ...intent.sites.map((site) => site.id), ...[...plan.lans, ...plan.routers].map((one) => one.namespace)]
  const opened = await Promise.all(names.map((name) => openBox(name)))
  const boxes = new Map(opened.map((box) => [box.name, box]))
  const internet = boxes.get('internet')!
  const children: ChildProcess[] = []
  /** A LAN with routers or a second gateway on it is a bridge at its host. */
  const besides = [...plan.routers, ...plan.seconds].map(({ beside }) => beside)
  const isShared = (lan: LanHost): boolean => besides.includes(lan.namespace)
  const impairment = (await hasNetem()) ? 'netem' : 'relay'
  const lines = new Map(plan.links.map((link) => [link.id, link.line]))
  const links = new Map(plan.links.map((link) => [link.id, link]))
  const indexOf = new Map(plan.links.map((link, index) => [link.id, index]))

  let relay: ChildProcess | undefined
  if (impairment === 'relay') {
    const carried = plan.links.map((link, index): RelayLink => {
      const port = firstPort + index * 4
      return { id: link.id, site: [port, port + 1], internet: [port + 2, port + 3], line: link.line }
    })
    relay = fork(fileURLToPath(new URL('./relay.ts', import.meta.url)), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    children.push(relay)
    const ready = new Promise((resolve, reject) => {
      relay!.once('message', resolve)
      relay!.once('exit', (code) => reject(new Error(`the relay ended with ${code}`)))
    })
    relay.send({ links: carried })
    await ready
    for (const [index, link] of carried.entries()) {
      const tap = (name: string, [near, far]: readonly [number, number]) =>
        start(
          [
            'socat',
            `TUN,tun-name=${name},tun-type=tap,iff-no-pi`,
            `UDP-DATAGRAM:127.0.0.1:${near},bind=127.0.0.1:${far},sndbuf=2097152,rcvbuf=2097152`,
          ],
          { log: join(options.logs, 'links.log') },
        )
      children.push(tap(`s${index}`, link.site), tap(internetEnd(index), link.internet))
    }
    const devices = carried.flatMap((_, index) => [`s${index}`, internetEnd(index)])
    // /sys shows the namespace it was mounted in; /proc/net shows this one.
    const appeared = () =>
      new Set(
        readFileSync('/proc/net/dev', 'utf8')
          .split('\n')
          .map((line) => line.split(':')[0]!.trim()),
      )
    for (let tries = 0; !new Set(devices).isSubsetOf(appeared()); tries++) {
      if (tries > 200) throw new Error(`links did not appear; see ${join(options.logs, 'links.log')}`)
      await sleep(25)
    }
  } else {
    await must(['ip', '-batch', '-'], plan.links.map((_, index) => `link add s${index} type veth peer name ${internetEnd(index)}\n`).join(''))
  }
  await must(
    ['ip', '-batch', '-'],
    plan.links
      .map(
        (link, index) =>
          `link set s${index} netns ${boxes.get(link.site)!.pid} name ${link.interface}\nlink set ${internetEnd(index)} netns ${internet.pid}\n`,
      )
      .join('') +
      plan.lans
        .map(
          (lan, index) =>
            `link add l${index} type veth peer name h${index}\nlink set l${index} netns ${boxes.get(lan.site)!.pid} name ${lan.interface}\nlink set h${index} netns ${boxes.get(lan.namespace)!.pid} name ${isShared(lan) ? 'port' : 'eth0'}\n`,
        )
        .join('') +
      plan.routers
        .map(
          (router, index) =>
            `link add r${index} type veth peer name p${index}\nlink set r${index} netns ${boxes.get(router.namespace)!.pid} name eth0\nlink set p${index} netns ${boxes.get(router.beside)!.pid} name port${index}\n`,
        )
        .join('') +
      plan.seconds
        .map(
          (second, index) =>
            `link add b${index} type veth peer name q${index}\nlink set b${index} netns ${boxes.get(second.site)!.pid} name ${second.interface}\nlink set q${index} netns ${boxes.get(second.beside)!.pid} name port${plan.routers.length + index}\n`,
        )
        .join(''),
  )
  for (const site of intent.sites) {
    const own = plan.links.filter((link) => link.site === site.id)
    await ipBatch(boxes.get(site.id)!, [
      ...own.flatMap((link) => [
        `link set ${link.interface} up`,
        ...endsOf(link).flatMap(({ address, router }) => [
          `addr add ${address} dev ${link.interface}${unchecked(address)}`,
          `route add default via ${router} dev ${link.interface} metric ${link.metric}`,
        ]),
      ]),
      ...[...plan.lans, ...plan.seconds].filter((lan) => lan.site === site.id).map((lan) => `link set ${lan.interface} up`),
    ])
  }
  for (const lan of plan.lans) {
    const ports = besides.flatMap((beside, index) => (beside === lan.namespace ? [`port${index}`] : []))
    const box = boxes.get(lan.namespace)!
    // What the host hears as a bridge is not its own: where br_netfilter is loaded, nft would meet it all the same.
    if (ports.length > 0)
      await must(enter(box, ['sh', '-c', 'for call in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -w "$call" ] || echo 0 > "$call"; done']))
    await ipBatch(box, [
      ...(ports.length > 0 ? ['link add eth0 type bridge', ...['port', ...ports].map((port) => `link set ${port} master eth0 up`)] : []),
      ...lan.hosts.map((host) => `addr add ${host} dev eth0${unchecked(host)}`),
      'link set eth0 up',
      // Over eth0 in so many words: the gateway may not have its address yet, and IPv6 asks for one on the link.
      ...lan.gateways.map((gateway) => `route add default via ${gateway} dev eth0`),
    ])
  }
  for (const router of plan.routers) {
    await ipBatch(boxes.get(router.namespace)!, [
      // OSPFv3 sends from whichever link-local address it finds.
      ...(isLinkLocal(hostOf(router.address)) ? ['link set eth0 addrgenmode none'] : []),
      `addr add ${router.address} dev eth0${unchecked(router.address)}`,
      ...router.hosts.map((host) => `addr add ${host} dev lo`),
      'link set eth0 up',
      `route add default via ${router.gateway} dev eth0 onlink`,
    ])
    if (router.speaks)
      children.push(...(await startSpeaker(boxes.get(router.namespace)!, router.speaks, router, join(options.logs, `${router.namespace}.log`))))
  }
  await ipBatch(internet, [
    `addr add ${controllerAddress}/32 dev lo`,
    ...plan.links.flatMap((link, index) => [
      ...endsOf(link).map(({ address, router }) => `addr add ${router}/${lengthOf(address)} dev ${internetEnd(index)}${unchecked(router)}`),
      `link set ${internetEnd(index)} up`,
      // A router that is known by its link-local address has no other there.
      ...endsOf(link).flatMap(({ address, router }) => (isLinkLocal(router) ? [`route add ${networkOf(address)} dev ${internetEnd(index)}`] : [])),
    ]),
  ])
  if (plan.links.some((link) => endsOf(link).some(({ address }) => familyOf(address) === 6)))
    await must(enter(internet, ['sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1']))
  const nats = plan.links.filter((link) => link.nat !== null)
  await must(
    enter(internet, ['nft', '-f', '-']),
    `table ip carrier { chain post { type nat hook postrouting priority srcnat; ${nats.map((link) => `ip saddr ${networkOf(link.address)} snat to ${link.nat};`).join(' ')} }; }\n`,
  )
  const netem = async (id: string) => {
    const link = links.get(id)!
    const line = lines.get(id)!
    await must(enter(boxes.get(link.site)!, ['tc', 'qdisc', 'replace', 'dev', link.interface, 'root', ...netemArgs(line, line.up).split(' ')]))
    await must(enter(internet, ['tc', 'qdisc', 'replace', 'dev', internetEnd(indexOf.get(id)!), 'root', ...netemArgs(line, line.down).split(' ')]))
    const device = internetEnd(indexOf.get(id)!)
    await run(enter(internet, ['nft', 'delete', 'table', 'inet', `cut_${device}`]))
    if (line.cut === 'udp') {
      await must(
        enter(internet, ['nft', '-f', '-']),
        `table inet cut_${device} { chain f { type filter hook forward priority 0; iifname ${device} meta l4proto udp drop; oifname ${device} meta l4proto udp drop; }; }\n`,
      )
    }
  }
  if (impairment === 'netem') for (const id of links.keys()) await netem(id)

  if (options.controllerSocket) {
    children.push(
      start(
        enter(internet, [
          'socat',
          `TCP-LISTEN:${controllerPort},bind=${controllerAddress},fork,reuseaddr`,
          `UNIX-CONNECT:${options.controllerSocket}`,
        ]),
        { log: join(options.logs, 'internet.log') },
      ),
    )
  }
  children.push(...answer(intent, boxes, options.logs))

  return {
    boxes,
    links,
    impairment,
    line: (id) => lines.get(id)!,
    setLine: async (id, line) => {
      lines.set(id, line)
      if (relay) relay.send({ set: { id, line } })
      else await netem(id)
    },
    openBox: async (name) => {
      if (boxes.has(name)) throw new Error(`there is a box "${name}" in the lab already`)
      const box = await openBox(name)
      boxes.set(name, box)
      return box
    },
    closeBox: async (name) => {
      const box = boxes.get(name)
      if (!box) return
      boxes.delete(name)
      process.kill(box.pid, 'SIGKILL')
    },
    close: async () => {
      for (const child of children) child.kill('SIGKILL')
      for (const box of boxes.values()) process.kill(box.pid, 'SIGKILL')
    },
  }
}

/** Every TCP service of the intent answers HTTP on the LAN hosts of its segments, so that `berlin` can ask a model. */
function answer(intent: Intent, boxes: ReadonlyMap<string, Box>, logs: string): ChildProcess[] {
  const children: ChildProcess[] = []
  for (const service of intent.services) {
    for (const at of service.at) {
      if (at.what.kind !== 'segment') continue
      const { segment } = at.what
      for (const site of intent.sites.filter(
        (candidate) =>
          at.where.kind === 'any' ||
          (at.where.kind === 'role' && at.where.role === candidate.role) ||
          (at.where.kind === 'site' && at.where.site === candidate.id),
      )) {
        for (const name of new Set(site.lans.filter((lan) => lan.segment === segment).map((lan) => lanHostName(site, lan)))) {
          const box = boxes.get(name)
          if (box) children.push(...answering(box, service, site.id, logs))
        }
      }
    }
  }
  return children
}
function answering(box: Box, service: IntentService, at: string, logs: string): ChildProcess[] {
  const children: ChildProcess[] = []
  for (const ports of service.ports.filter((range) => range.protocol === 'tcp' && range.to - range.from < 4)) {
    const body = `${service.id} at ${at}`
    // A file, because socat's own quoting of commands is a language of its own.
    const script = join(logs, `${box.name}-${service.id}.sh`)
    writeFileSync(
      script,
      `while read -r line; do [ \${#line} -le 1 ] && break; done\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Length: ${body.length}\\r\\nConnection: close\\r\\n\\r\\n${body}'\n`,
    )
    for (let port = ports.from; port <= ports.to; port++) {
      children.push(start(enter(box, ['socat', `TCP-LISTEN:${port},fork,reuseaddr`, `EXEC:sh ${script}`]), { log: join(logs, `${box.name}.log`) }))
    }
  }
  return children
}

/** For messages: where a link's site end stands. */
export const describe = (link: Link): string => `${link.id} ${hostOf(link.address)}${link.nat ? ` behind ${link.nat}` : ''}`
