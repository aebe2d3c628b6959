/** A lab whose gateways run the real driver, without agents or controller, and whose hosts send what a test asks for. */
import { mkdtempSync, rmSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Ran } from '#src/lab/box.ts'
import { bridge } from '#src/lab/bridge.ts'
import { type Lab, startLab } from '#src/lab/client.ts'
import { internetEnd } from '#src/lab/world.ts'
import type { Finding, Peer, SiteConfig, SiteId, TunnelId } from '#src/fabric/fabric.ts'
import type { Learning } from '#providers/device.ts'
import { linesOf as linesOfPeer, peerConfig } from '#providers/export/peer.ts'
import { publicPort, siteOfGateway } from '#src/fabric/ids.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { speaking } from '#src/fabric/lan-routing.ts'
import { linkOf } from '#src/fabric/lans.ts'
import { contains, familyOf, hostOf, hostPrefix, isHostOf, isLinkLocal, nth } from '#src/net/address.ts'
import { devicesOf, disagreement, linesOf, expectation, isMissing, observation, type Witnesses } from './compare.ts'
import { call } from './line.ts'
import { type Cloud, makeRegion } from './cloud.ts'
import { changes, compileFolder, type Network, networkOf, settled, type Situation } from './network.ts'
import { calledAt, gatewaysOn, hostsOf, nodesOf, outside, type Place, type Probe } from './probes.ts'
import { forgetting, gatewayWitness, hostWitness, internetWitness, readWitness } from './witness.ts'

export interface World {
  readonly network: Network
  readonly lab: Lab
  readonly normal: Situation
  /** The kernels are steered so, and what is down there is cut. */
  become(situation: Situation): Promise<void>
  /** Gives one gateway another config than the model has, with its present choices. */
  set(site: string, config: SiteConfig): Promise<void>
  drift(site: string): Promise<readonly Finding[]>
  /** Sends all and says where model and kernels differ, a paragraph each. */
  compare(situation: Situation, probes: readonly Probe[]): Promise<readonly string[]>
  witnesses(): Promise<Witnesses>
  /** Empties them. */
  forget(): Promise<void>
  host<T>(box: string, method: 'open' | 'say', ...args: readonly unknown[]): Promise<T>
  /** Runs a shell command in a box. */
  shell(box: string, command: string): Promise<Ran>
  /** Packets in clear between private addresses that came to the internet. */
  leaks(): Promise<number>
  stop(): Promise<void>
}

const attempts = 5
const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

export async function startWorld(folder: string): Promise<World> {
  const fabric = compileFolder(folder)
  const state = mkdtempSync(join(tmpdir(), 'cwmk-'))
  const aws = { seed: resolve('src/lab/demo/aws-seed.json'), socket: join(state, 'ec2'), control: join(state, 'ec2c'), timeScale: 0.2 }
  const clouded = fabric.regions.length > 0
  const { lab, stop } = await startLab({ sites: folder, controllerSocket: '', state, detached: false, ...(clouded && { aws }) })
  const endpoint = await bridge(aws.socket)
  const end = async (): Promise<void> => {
    endpoint.close()
    await stop()
    rmSync(state, { recursive: true, force: true })
  }
  try {
    const cloud = clouded ? await makeRegion(fabric, endpoint.url) : undefined
    return await build(networkOf(folder, fabric, cloud), lab, state, end, cloud)
  } catch (error) {
    await end()
    throw error
  }
}

async function build(network: Network, lab: Lab, state: string, stop: () => Promise<void>, cloud: Cloud | undefined): Promise<World> {
  const { fabric } = network
  const hosts = hostsOf(fabric)
  const socketOf = (box: string): string => join(state, box)
  const exec = async (box: string, argv: readonly string[], stdin?: string): Promise<string> => {
    const ran = await lab.exec(box, argv, stdin === undefined ? {} : { stdin })
    if (ran.code !== 0) throw new Error(`${box}: ${argv.join(' ')}: ${ran.stderr.trim()}`)
    return ran.stdout
  }
  const nodes = new Map<string, Place>(nodesOf(fabric).map((node) => [node.id, node]))
  /** As its host says it. */
  const spoken = (probe: Probe): Probe => {
    const node = nodes.get(probe.site)!
    return { ...probe, source: calledAt(node, probe.source), destination: calledAt(node, probe.destination) }
  }
  const gateway = <T>(site: string, method: string, ...args: readonly unknown[]): Promise<T> => call(socketOf(site), method, ...args)
  const boxes = [...new Set([...fabric.sites.map((site) => site.id as string), ...hosts.map(({ box }) => box), 'internet'])]
  let now = settled(fabric, 'nothing broken', [])
  const normal = now

  await openInternet(network, lab)
  const links = (await lab.status()).links.map(({ id }) => id)
  const answering = nth(outside.find((one) => familyOf(one) === 6)!, 9)!
  const reached = [`addr add ${answering}/128 dev lo nodad`, ...outside.map((one) => `route add local ${one} dev lo`)]
  await exec('internet', ['ip', '-batch', '-'], `${reached.join('\n')}\n`)
  await exec(
    'internet',
    ['nft', '-f', '-'],
    internetWitness(
      linesOf(fabric).map(([site, uplink]) => internetEnd(links.indexOf(`${site}.${uplink}`))),
      outside,
      answering,
    ),
  )
  await lab.start('internet', 'host-internet', [process.execPath, script('host.ts'), socketOf('internet'), answering])
  await Promise.all([
    ...fabric.sites.map((site) =>
      lab.start(site.id, `gateway-${site.id}`, [process.execPath, script('gateway.ts'), socketOf(site.id), join(state, `${site.id}.d`)]),
    ),
    ...[...Map.groupBy(hosts, ({ box }) => box)].map(async ([box, lans]) => {
      const { site } = lans[0]!
      // Every address of the prefix is this host's, but for the gateway's; in a VPC a host has one, and it is there.
      const inCloud = fabric.regions.some(({ id }) => id === site)
      // It has one of its addresses of IPv6 where it chooses, and more when it is asked for them; a router that on the link, if it is global.
      const six = lans.flatMap(({ lan }) =>
        familyOf(lan.prefix) === 6 ? (lan.via === undefined || isLinkLocal(lan.via) ? nth(lan.local ?? lan.prefix, 10)! : lan.via) : [],
      )[0]
      const routes = (inCloud ? [] : lans).flatMap(({ lan }) => {
        const prefix = lan.local ?? lan.prefix
        const own = `route add local ${prefix} dev lo table main`
        const router = hostOf(lan.address)
        const source = familyOf(router) === 6 ? ` src ${six}` : ''
        const outwards = `route replace default via ${router} dev eth0 onlink${source}`
        if (lan.via !== undefined) return [own, outwards]
        const gateways = gatewaysOn(fabric, site, lan).filter((one) => familyOf(one) === familyOf(router))
        const routers = (fabric.sites.find(({ id }) => id === site)?.lans ?? []).flatMap(({ via }) =>
          via !== undefined && isHostOf(linkOf(lan), via) ? [via] : [],
        )
        return [
          `route del ${prefix} dev eth0`,
          ...[...new Set([...gateways, ...routers])].map((one) => `route add ${hostPrefix(one)} dev eth0`),
          own,
          outwards,
        ]
      })
      if (routes.length > 0) await exec(box, ['ip', '-batch', '-'], `${routes.join('\n')}\n`)
      await exec(
        box,
        ['nft', '-f', '-'],
        hostWitness([...nodes.get(site)!.lans.map((one) => one.local ?? one.prefix), ...outside], six, fabric.network.mss),
      )
      await lab.start(box, `host-${box}`, [process.execPath, script('host.ts'), socketOf(box), ...(six === undefined ? [] : [six])])
    }),
  ])
  const set = (site: SiteId, config: SiteConfig): Promise<void> =>
    gateway(site, 'set', config, now.steering.get(site), network.privateKeys.get(site), network.secrets)
  // Who answers before who calls, or the first handshake has to be repeated.
  for (const hub of [true, false])
    await Promise.all(fabric.sites.filter((site) => site.hub === hub).map((site) => set(site.id, network.configs.get(site.id)!)))
  await Promise.all(fabric.sites.map((site) => exec(site.id, ['nft', '-f', '-'], gatewayWitness(devicesOf(network, site.id)))))
  for (const peer of fabric.peers) await lab.peer(peer.id, peerConfig(fabric, peer, network.secrets[`psk/peer/${peer.id}`]!))
  await allTunnelsUp(network, lab)
  /** Routers of LANs have said what is behind them. */
  const learned = async (id: SiteId): Promise<void> => {
    for (let tries = 0; ; tries++) {
      const { sessions, missing } = await gateway<Learning>(id, 'learning')
      if (sessions.every(({ up }) => up) && missing.length === 0) return
      if (tries > 200) throw new Error(`${id} has not learned ${missing.join(', ')}: ${JSON.stringify(sessions)}`)
      await new Promise((later) => setTimeout(later, 200))
    }
  }
  const pairs = fabric.sites.filter(({ lans }) => lans.some(({ own }) => own !== undefined))
  /** What their agents would say; VRRP does the rest. */
  const offer = async ({ onDuty }: Situation): Promise<void> => {
    const carriers = pairs.map(({ id }) => ({ id, carries: onDuty(siteOfGateway(id)) === id }))
    await Promise.all(carriers.map(({ id, carries }) => gateway(id, 'offer', carries)))
    for (let tries = 0; ; tries++) {
      const have = await Promise.all(carriers.map(({ id }) => gateway<boolean>(id, 'carries')))
      if (have.every((one, n) => one === carriers[n]!.carries)) return
      if (tries > 100)
        throw new Error(`the LANs of ${carriers.map(({ id }, n) => `${id} (${have[n]! ? 'has them' : 'has none'})`).join(', ')} don't move`)
      await new Promise((later) => setTimeout(later, 100))
    }
  }
  await offer(normal)
  await Promise.all(fabric.sites.filter((site) => speaking(site).length > 0).map(({ id }) => learned(id)))

  const witnesses = async (): Promise<Witnesses> => {
    return new Map(
      await Promise.all(boxes.map(async (box) => [box, readWitness(await exec(box, ['nft', '-j', 'list', 'table', 'inet', 'witness']))] as const)),
    )
  }
  const world: World = {
    network,
    lab,
    normal,
    witnesses,
    stop,
    forget: async () => void (await Promise.all(boxes.map((box) => exec(box, ['nft', '-f', '-'], forgetting)))),
    async become(situation) {
      await exec('internet', ['nft', '-f', '-'], broken(network, situation, await addressesOf(lab)))
      await offer(situation)
      await Promise.all([
        ...[...changes(now.steering, situation.steering)].flatMap(([node, choices]) =>
          network.configs.has(node as SiteId) ? [gateway(node, 'steer', choices)] : [],
        ),
        ...fabric.peers.map((peer) => exec(peer.id, ['ip', '-batch', '-'], sending(peer, situation))),
        ...[...situation.routes.values()].map((routes) => cloud?.route(routes)),
      ])
      now = situation
    },
    set: (site, config) => set(site as SiteId, config),
    drift: (site) => gateway(site, 'drift', network.configs.get(site as SiteId)),
    async compare(situation, probes) {
      // A ping has no port to name it: an earlier one between the same two must not speak for it.
      await world.forget()
      const expected = new Map(probes.map((probe) => [probe, expectation(network, situation, probe)]))
      const answering = Map.groupBy(
        probes.filter(({ destination }) => familyOf(destination) === 6),
        ({ destination }) => hosts.find(({ lan }) => contains(lan.prefix, destination)),
      )
      await Promise.all(
        [...answering].flatMap(([host, own]) => {
          if (host === undefined) return []
          const asItSays = own.map(({ destination }) => calledAt(nodes.get(host.site)!, destination))
          return [call(socketOf(host.box), 'adopt', asItSays)]
        }),
      )
      let todo = probes
      let seen: Witnesses = new Map()
      for (let attempt = 0; attempt < attempts && todo.length > 0; attempt++) {
        await Promise.all([...Map.groupBy(todo, (probe) => probe.box)].map(([box, own]) => call(socketOf(box), 'send', own.map(spoken))))
        seen = await witnesses()
        todo = todo.filter((probe) => isMissing(expected.get(probe)!, observation(network, seen, probe)))
      }
      return probes.flatMap((probe) => disagreement(situation, probe, expected.get(probe)!, observation(network, seen, probe)) ?? [])
    },
    host: (box, method, ...args) => call(socketOf(box), method, ...args),
    shell: (box, command) => lab.exec(box, ['sh', '-c', command]),
    leaks: async () => Number(/packets (\d+)/.exec(await exec('internet', ['nft', 'list', 'counter', 'inet', 'clear', 'leaked']))![1]),
  }
  return world
}

/** Before what its owner's own watching has chosen meanwhile. */
function sending(peer: Peer, { steering }: Situation): string {
  const lines = linesOfPeer(peer)
  return peer.routes
    .map(({ to, remote }) => {
      const { hop } = steering.get(peer.id)!.find((one) => one.remote === remote)!
      const tunnel = hop === 'unreachable' ? undefined : groupsOf(peer).find((one) => one.remote === remote)!.via[hop]!.tunnel
      const n = lines.findIndex((one) => one.tunnel === tunnel)
      return n < 0 ? `route replace unreachable ${to} metric 1` : `route replace ${to} dev ipsec${n} metric 1`
    })
    .join('\n')
}

/** `site.uplink` → the addresses on its line. */
async function addressesOf(lab: Lab): Promise<ReadonlyMap<string, readonly string[]>> {
  return new Map((await lab.status()).links.map(({ id, address, six }) => [id, [address, six ?? ''].map((own) => own.split('/')[0]!)]))
}

/** Counts what must never be seen there, and forwards ports to hubs whose provider does. */
async function openInternet({ fabric }: Network, lab: Lab): Promise<void> {
  const uplinks = fabric.sites.flatMap((site) => site.uplinks.map((uplink) => ({ site, uplink })))
  const own = uplinks.flatMap(({ uplink }) => (uplink.endpoint.kind === 'fixed' ? [hostOf(uplink.endpoint.address)] : []))
  const forwarded = uplinks.flatMap(({ site, uplink }) => {
    const { endpoint } = uplink
    if (endpoint.kind !== 'fixed' || endpoint.public === hostOf(endpoint.address)) return []
    const ports = site.interfaces.filter((one) => one.uplink === uplink.id).map((one) => one.port)
    return ports.map((port) => ({ outside: endpoint.public, outsidePort: publicPort(endpoint, port), inside: hostOf(endpoint.address), port }))
  })
  const lans6 = fabric.sites.flatMap((site) =>
    site.lans.flatMap(({ prefix }) => (familyOf(prefix) === 6 && !prefix.startsWith('fd') ? [prefix] : [])),
  )
  const privately = '{ 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 }'
  const ran = await lab.exec('internet', ['nft', '-f', '-'], {
    stdin: `
table inet clear {
  counter leaked {}
  chain arrivals {
    type filter hook prerouting priority raw; policy accept;
    ${own.flatMap((one) => ['saddr', 'daddr'].map((way) => `iifname "u*" ${isIPv6(one) ? 'ip6' : 'ip'} ${way} ${one} accept`)).join('\n    ')}
    iifname "u*" ip saddr ${privately} counter name leaked
    iifname "u*" ip daddr ${privately} counter name leaked
    iifname "u*" ip6 daddr { ${[...lans6, 'fc00::/7'].join(', ')} } counter name leaked
  }
}
table ip provider {
  chain in { type nat hook prerouting priority dstnat; policy accept;
    ${forwarded.map((one) => `ip daddr ${one.outside} udp dport ${one.outsidePort} dnat to ${one.inside}:${one.port}`).join('\n    ')}
  }
  chain out { type nat hook postrouting priority srcnat; policy accept;
    ${forwarded.map((one) => `ip saddr ${one.inside} udp sport ${one.port} snat to ${one.outside}:${one.outsidePort}`).join('\n    ')}
  }
}`,
  })
  if (ran.code !== 0) throw new Error(ran.stderr)
}

/** A tunnel is one pair of uplinks, so what is down can be cut between their addresses, exactly. */
function broken({ fabric, configs }: Network, { cut }: Situation, addresses: ReadonlyMap<string, readonly string[]>): string {
  const farEnds = new Map(
    [...configs.values()].flatMap(({ tunnels }) => tunnels.flatMap((one) => (one.peer.kind === 'ipsec' ? [[one.id, one.peer.address]] : []))),
  )
  const pairs = fabric.tunnels
    .filter((tunnel) => cut(tunnel.id))
    .map((tunnel) => {
      const [a, b] = tunnel.ends
      return [addresses.get(`${a.site}.${a.uplink}`)!, 'site' in b ? addresses.get(`${b.site}.${b.uplink}`)! : [farEnds.get(tunnel.id)!]] as const
    })
  const ends = pairs.flatMap(([near, far]) =>
    near.flatMap((a) => far.map((b) => [a, b] as const)).filter(([a, b]) => a !== '' && b !== '' && isIPv6(a) === isIPv6(b)),
  )
  const rules = ends.flatMap(([a, b]) => {
    const word = isIPv6(a) ? 'ip6' : 'ip'
    return [`${word} saddr ${a} ${word} daddr ${b} drop`, `${word} saddr ${b} ${word} daddr ${a} drop`]
  })
  return `add table inet broken\ndelete table inet broken\ntable inet broken { chain cut { type filter hook forward priority 0; policy accept;\n${rules.join('\n')}\n}\n}\n`
}

async function allTunnelsUp({ configs }: Network, lab: Lab): Promise<void> {
  await Promise.all(
    [...configs.values()].map(async (config) => {
      let waiting: readonly (readonly [TunnelId, string])[] = config.tunnels
        .filter((one) => one.initiates)
        .map((one) => [one.id, one.farInside] as const)
      for (let tries = 0; waiting.length > 0; tries++) {
        if (tries > 20) throw new Error(`${config.site}: no answer through ${waiting.map(([id]) => id).join(', ')}`)
        const pings = waiting.map(([id, to]) => `(ping -n -c 1 -W 2 ${to} >/dev/null && echo ${id}) &`)
        const { stdout } = await lab.exec(config.site, ['sh', '-c', `${pings.join('\n')}\nwait`])
        const up = new Set(stdout.split('\n'))
        waiting = waiting.filter(([id]) => !up.has(id))
      }
    }),
  )
}
