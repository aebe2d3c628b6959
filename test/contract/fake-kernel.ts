/**
 * A Linux kernel in memory, behind the driver's runner: it takes the commands that the driver gives and answers as
 * iproute2, wg and nft do, refusals included. Only what the driver uses; anything else throws.
 */
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Address, contains, type Family, familyOf, lengthOf, type Prefix, type AddressWithLength, networkOf } from '#src/net/address.ts'
import type { Conversation, Output, Runner } from '#providers/linux/run.ts'
import { publicKeyOf, socketFolder } from '#providers/linux/wireguard.ts'
import { type FakeCharon, startFakeCharon } from './fake-charon.ts'

interface Device {
  up: boolean
  mtu: number
  readonly wireguard: boolean
  /** Of an xfrm interface, else 0. */
  readonly ifId: number
  readonly addresses: string[]
}
interface Peer {
  endpoint: string
  allowedIps: string
  keepalive: string
}
interface Wireguard {
  publicKey: string
  port: number
  mark: string
  peers: Map<string, Peer>
}
type Words = Readonly<Record<string, string>>
interface FakeRoute {
  readonly family: Family
  readonly unreachable: boolean
  readonly to: string
  readonly words: Words
}
interface FakeRule {
  readonly family: Family
  readonly unreachable: boolean
  readonly words: Words
}

const ok = (stdout = ''): Output => ({ code: 0, stdout, stderr: '' })
const fail = (stderr: string, code = 2): Output => ({ code, stdout: '', stderr })
/** `dev x metric 5` → { dev: 'x', metric: '5' }. */
function wordsOf(tokens: readonly string[]): Words {
  const words: Record<string, string> = {}
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]!
    if (token === 'onlink' || token === 'blackhole' || token === 'nodad' || token === 'up') words[token] = 'yes'
    else words[token] = tokens[++at] ?? ''
  }
  return words
}

export interface FakeKernel {
  readonly runner: Runner
  /** The charon that runs. */
  readonly charon: () => FakeCharon | undefined
  /** What an operator, another program or a cable does. */
  readonly meddle: {
    address(device: string, address: string): void
    ip(family: Family, line: string): void
    removeDevice(device: string): void
    removePeers(device: string): void
    /** SIGKILL. */
    killCharon(): Promise<void>
    /** What a charon before left. */
    associations(left: { readonly state: string; readonly policy: string }): void
    /** Another program binds this UDP port. */
    listen(port: number): void
    tamperNft(): void
    sysctl(key: string, value: string): void
  }
}

/**
 * `wireguard: 'kernel'`: the kernel makes tunnels itself; else only wireguard-go does. `esp`: there is strongSwan, too;
 * without `espOverSix` the kernel is older than 5.8.
 */
export function createFakeKernel(
  echo: (line: string) => void,
  wireguard: 'kernel' | 'userspace',
  { esp = false, espOverSix = true } = {},
): FakeKernel {
  const devices = new Map<string, Device>([['lo', { up: true, mtu: 65536, wireguard: false, ifId: 0, addresses: [] }]])
  const wireguards = new Map<string, Wireguard>()
  const mains: { readonly dst: string; readonly gateway: string; readonly dev: string; readonly metric: number }[] = []
  const nexthops = new Map<number, { readonly family: Family; readonly dev: string }>()
  let routes: FakeRoute[] = []
  let rules: FakeRule[] = []
  const sysctls = new Map([
    ['net/ipv4/ip_forward', '0'],
    ['net/ipv4/ip_local_reserved_ports', ''],
    ['net/ipv6/conf/all/forwarding', '0'],
    ['net/ipv4/nexthop_compat_mode', '1'],
    ['net/ipv4/conf/all/rp_filter', '2'],
    ['net/ipv4/conf/all/src_valid_mark', '0'],
    ['net/ipv4/conf/all/send_redirects', '1'],
  ])
  let table = ''
  const processes = new Map<number, string>()
  let charon: { readonly pid: number; readonly config: string; readonly fake: FakeCharon } | undefined
  let bound = ''
  /** As `ip xfrm state list` and `ip xfrm policy list` print them. */
  let associations = { state: '', policy: '' }
  let lastPid = 100

  function addTunnel(name: string, ifId = 0): void {
    devices.set(name, { up: false, mtu: 1420, wireguard: ifId === 0, ifId, addresses: [] })
    if (ifId === 0) wireguards.set(name, { publicKey: '', port: 0, mark: 'off', peers: new Map() })
    for (const setting of ['rp_filter', 'send_redirects']) sysctls.set(`net/ipv4/conf/${name}/${setting}`, '1')
  }
  function removeDevice(name: string): void {
    devices.delete(name)
    wireguards.delete(name)
    for (const [pid, device] of processes) if (device === name) processes.delete(pid)
    for (const [id, hop] of nexthops) if (hop.dev === name) removeNexthop(id)
    routes = routes.filter((route) => route.words['dev'] !== name)
  }
  function removeNexthop(id: number): void {
    nexthops.delete(id)
    routes = routes.filter((route) => route.words['nhid'] !== String(id))
  }
  const sameRoute = (a: FakeRoute, b: FakeRoute): boolean =>
    a.family === b.family && a.to === b.to && a.words['table'] === b.words['table'] && a.words['metric'] === b.words['metric']

  /** One line of a batch. */
  function ip(family: Family, line: string): string {
    const [object, verb, ...rest] = line.split(' ')
    const words = object === 'link' && verb === 'add' ? wordsOf(rest) : {}
    if (words['type'] === 'xfrm' ? esp : words['type'] === 'wireguard' && wireguard === 'kernel') {
      if (devices.has(words['dev']!)) return 'RTNETLINK answers: File exists'
      addTunnel(words['dev']!, Number(words['if_id'] ?? 0))
      return ''
    }
    if (object === 'link' && verb === 'set') {
      const words = wordsOf(rest)
      const device = devices.get(words['dev']!)
      if (!device) return `Cannot find device "${words['dev']}"`
      device.up ||= words['up'] === 'yes'
      if (words['mtu'] !== undefined) device.mtu = Number(words['mtu'])
      return ''
    }
    if (object === 'addr') {
      const [address, ...more] = rest
      const device = devices.get(wordsOf(more)['dev']!)
      if (!device) return 'Cannot find device'
      const at = device.addresses.indexOf(address!)
      if (verb === 'add' && at >= 0) return 'RTNETLINK answers: File exists'
      if (verb === 'del' && at < 0) return 'RTNETLINK answers: Cannot assign requested address'
      if (verb === 'add') device.addresses.push(address!)
      else device.addresses.splice(at, 1)
      return ''
    }
    if (object === 'nexthop') {
      const words = wordsOf(rest)
      const id = Number(words['id'])
      if (verb === 'del') {
        if (!nexthops.has(id)) return 'RTNETLINK answers: No such file or directory'
        removeNexthop(id)
        return ''
      }
      const dev = words['dev'] ?? ''
      if (dev !== '' && !devices.has(dev)) return `Error: argument "${dev}" is wrong: Device does not exist`
      if (dev !== '' && devices.get(dev)?.up !== true) return 'Error: Nexthop device is not up.'
      nexthops.set(id, { family, dev })
      return ''
    }
    if (object === 'route') {
      const unreachable = rest[0] === 'unreachable'
      const [to, ...more] = unreachable ? rest.slice(1) : rest
      const route: FakeRoute = { family, unreachable, to: to!, words: wordsOf(more) }
      const others = routes.filter((one) => !sameRoute(one, route))
      if (verb === 'del') {
        if (others.length === routes.length) return 'RTNETLINK answers: No such process'
        routes = others
        return ''
      }
      const { nhid, dev } = route.words
      if (nhid !== undefined && !nexthops.has(Number(nhid))) return 'Error: Nexthop id does not exist.'
      if (dev !== undefined && devices.get(dev)?.up !== true) return 'RTNETLINK answers: Network is down'
      routes = [...others, route]
      return ''
    }
    if (object === 'rule') {
      const unreachable = rest.includes('unreachable')
      const rule: FakeRule = { family, unreachable, words: wordsOf(rest.filter((word) => word !== 'unreachable')) }
      const same = (one: FakeRule): boolean => JSON.stringify(one) === JSON.stringify(rule)
      if (verb === 'add' && rules.some(same)) return 'RTNETLINK answers: File exists'
      if (verb === 'del' && !rules.some(same)) return 'RTNETLINK answers: No such file or directory'
      rules = verb === 'add' ? [...rules, rule] : rules.filter((one) => !same(one))
      return ''
    }
    throw new Error(`the fake kernel does not know "ip ${line}"`)
  }

  /** `route get TO from SRC iif DEV mark N`: rules by priority, longest prefix, then metric. */
  function lookup(family: Family, words: Words, to: Address): string {
    const ordered = rules.filter((rule) => rule.family === family).sort((a, b) => Number(a.words['priority']) - Number(b.words['priority']))
    const connected = [...devices].flatMap(([dev, device]) =>
      device.addresses
        .filter((at) => familyOf(at as Prefix) === family)
        .map((at): FakeRoute => ({ family, unreachable: false, to: networkOf(at as AddressWithLength), words: { dev, table: 'main' } })),
    )
    for (const { words: rule, unreachable } of ordered) {
      const [mark, mask] = (rule['fwmark'] ?? '0/0').split('/').map(Number)
      if (
        (Number(words['mark']) & mask!) !== mark ||
        (rule['iif'] !== undefined && rule['iif'] !== words['iif']) ||
        (rule['from'] !== undefined && rule['from'] !== words['from'])
      )
        continue
      if (unreachable) return ''
      const found = [...routes, ...connected]
        .filter((route) => route.family === family && route.words['table'] === rule['lookup'] && contains(route.to as Prefix, to))
        .filter((route) => rule['suppress_prefixlength'] === undefined || lengthOf(route.to as Prefix) > 0)
        .sort((a, b) => lengthOf(b.to as Prefix) - lengthOf(a.to as Prefix) || Number(a.words['metric'] ?? 0) - Number(b.words['metric'] ?? 0))[0]
      if (found) return found.unreachable ? '' : (found.words['dev'] ?? nexthops.get(Number(found.words['nhid']))?.dev ?? '')
    }
    return ''
  }

  function read(command: readonly string[], input: string): Output {
    const line = command.join(' ')
    const family: Family = command[1] === '-6' ? 6 : 4
    if (line === 'ip link add dev cwprobe type wireguard') return wireguard === 'kernel' ? ok() : fail('Error: Unknown device type.')
    if (line === 'ip link del dev cwprobe') return ok()
    if (line === 'wireguard-go --version' || line === 'nft list tables' || line === 'ip nexthop show' || line.startsWith('ip tuntap ')) return ok()
    if (line === 'sh -c command -v charon-systemd') return esp ? ok() : fail('', 127)
    if (line === 'ip xfrm state list') return ok(associations.state)
    if (line === 'ip xfrm policy list') return ok(associations.policy)
    if (/^ip (link (add|del) dev cwprobe-esp|xfrm state (add|delete) src 127\.0\.0\.1 dst 127\.0\.0\.1 proto esp) ?/.test(line)) return ok()
    if (/^ip xfrm state (add|delete) src ::1 dst ::1 proto esp /.test(line))
      return espOverSix || !line.includes(' encap espinudp ') ? ok() : fail('RTNETLINK answers: Invalid argument')
    if (line === 'ip -j -d addr show') {
      return ok(
        JSON.stringify(
          [...devices].map(([ifname, device]) => ({
            ifname,
            mtu: device.mtu,
            flags: device.up ? ['UP', 'LOWER_UP'] : [],
            ...(device.ifId === 0 ? {} : { linkinfo: { info_kind: 'xfrm', info_data: { if_id: `0x${device.ifId.toString(16)}` } } }),
            addr_info: device.addresses.map((at) => ({ local: at.split('/')[0], prefixlen: lengthOf(at as Prefix), scope: 'global' })),
          })),
        ),
      )
    }
    if (/^ip -[46] -j route show default table main$/.test(line)) return ok(JSON.stringify(family === 4 ? mains : []))
    if (/^ip -[46] -j nexthop show$/.test(line))
      return ok(
        JSON.stringify(
          [...nexthops]
            .filter(([, hop]) => hop.family === family)
            .map(([id, { dev }]) => ({ id, ...(dev === '' ? { blackhole: null } : { dev }), protocol: '67' })),
        ),
      )
    if (/^ip -[46] -j route show table all proto 67$/.test(line)) {
      return ok(
        JSON.stringify(
          routes
            .filter((route) => route.family === family)
            .map(({ to, unreachable, words }) => ({
              dst: to === '0.0.0.0/0' || to === '::/0' ? 'default' : to.replace(/\/(128|32)$/, ''),
              ...(unreachable ? { type: 'unreachable', dev: 'lo' } : {}),
              ...(words['table'] === 'main' ? {} : { table: words['table'] }),
              ...(words['nhid'] === undefined ? {} : { nhid: Number(words['nhid']) }),
              ...(words['dev'] === undefined ? {} : { dev: words['dev'] }),
              ...(words['via'] === undefined ? {} : { gateway: words['via'] }),
              ...(words['src'] === undefined ? {} : { prefsrc: words['src'] }),
              ...(words['metric'] !== undefined ? { metric: Number(words['metric']) } : family === 6 ? { metric: 1024 } : {}),
            })),
        ),
      )
    }
    if (/^ip -[46] -j rule show$/.test(line)) {
      return ok(
        JSON.stringify(
          rules
            .filter((rule) => rule.family === family)
            .map(({ unreachable, words }) => ({
              priority: Number(words['priority']),
              src: words['from'] ?? 'all',
              protocol: words['protocol'],
              ...(words['fwmark'] === undefined ? {} : { fwmark: words['fwmark'].split('/')[0], fwmask: words['fwmark'].split('/')[1] }),
              ...(words['iif'] === undefined ? {} : { iif: words['iif'] }),
              ...(unreachable ? { action: 'unreachable' } : { table: words['lookup'] }),
              ...(words['suppress_prefixlength'] === undefined ? {} : { suppress_prefixlen: 0 }),
              ...(words['suppress_ifgroup'] === undefined ? {} : { suppress_ifgroup: words['suppress_ifgroup'] }),
            })),
        ),
      )
    }
    if (line === 'nft -j list table inet causeway')
      return table === ''
        ? fail('No such file or directory', 1)
        : ok(
            JSON.stringify({
              nftables: [{ metainfo: { version: '1.0.6' } }, { table: { family: 'inet', name: 'causeway', handle: lastPid, text: table } }],
            }),
          )
    if (line === 'nft -j list counter inet causeway transit')
      return table.includes('counter transit {')
        ? ok(JSON.stringify({ nftables: [{ metainfo: { version: '1.0.6' } }, { counter: { name: 'transit', packets: 0, bytes: 0 } }] }))
        : fail('Error: No such file or directory', 1)
    if (line === 'nft -c -f -') return input.includes('not-nft') ? fail('/dev/stdin:7:3-9: Error: syntax error, unexpected string', 1) : ok()
    if (line === 'wg show all dump') {
      return ok(
        [...wireguards]
          .flatMap(([name, wg]) => [
            [name, '(private)', wg.publicKey, wg.port, wg.mark].join('\t'),
            ...[...wg.peers].map(([key, peer]) =>
              [name, key, '(none)', peer.endpoint || '(none)', peer.allowedIps, 0, 148, 92, peer.keepalive].join('\t'),
            ),
          ])
          .join('\n'),
      )
    }
    if (/^wg show \S+ listen-port$/.test(line)) return wireguards.has(command[2]!) ? ok() : fail('No such device', 1)
    if (line.startsWith('ip link show dev ')) return devices.has(command.at(-1)!) ? ok() : fail('Device does not exist.', 1)
    if (/^ip -[46] -j -force -batch -$/.test(line)) {
      let stderr = ''
      const answers = input
        .trim()
        .split('\n')
        .flatMap((question, index) => {
          const [, , to, ...rest] = question.split(' ')
          const dev = lookup(family, wordsOf(rest), to as Address)
          if (dev === '') stderr += `RTNETLINK answers: No route to host\nCommand failed -:${index + 1}\n`
          return dev === '' ? [] : [JSON.stringify([{ dst: to, dev }])]
        })
      return { code: stderr === '' ? 0 : 1, stdout: answers.join('\n'), stderr }
    }
    throw new Error(`the fake kernel does not know "${line}"`)
  }

  async function change(command: readonly string[], input: string): Promise<Output> {
    const line = command.join(' ')
    const batch = /^ip -([46]) (-force )?-batch -$/.exec(line)
    if (batch) {
      const problems: string[] = []
      for (const [index, one] of input.trim().split('\n').entries()) {
        const problem = ip(Number(batch[1]) as Family, one)
        if (problem === '') continue
        problems.push(problem, `Command failed -:${index + 1}`)
        if (batch[2] === undefined) break
      }
      return problems.length === 0 ? ok() : fail(problems.join('\n'), 1)
    }
    if (line === 'ip -force -batch -') {
      if (!input.split('\n').every((one) => /^(xfrm (state|policy) delete .*)?$/.test(one)))
        throw new Error(`the fake kernel does not know "${input}"`)
      associations = { state: '', policy: '' }
      return ok()
    }
    if (command[0] === 'sh') {
      const wg = wireguards.get(command[3]!)
      if (!wg) return fail('Unable to modify interface: No such device', 1)
      const [head = '', ...sections] = input.split('[Peer]')
      const setting = (section: string, name: string): string => new RegExp(`^${name} = (.*)$`, 'm').exec(section)?.[1] ?? ''
      wg.publicKey = publicKeyOf(setting(head, 'PrivateKey'))
      wg.port = Number(setting(head, 'ListenPort'))
      wg.mark = setting(head, 'FwMark')
      wg.peers = new Map(
        sections.map((section) => [
          setting(section, 'PublicKey'),
          {
            endpoint: setting(section, 'Endpoint'),
            allowedIps: setting(section, 'AllowedIPs').replaceAll(', ', ','),
            keepalive: setting(section, 'PersistentKeepalive'),
          },
        ]),
      )
      return ok()
    }
    if (line.startsWith('wg set ')) {
      const peers = wireguards.get(command[2]!)?.peers
      if (command[5] === 'remove') return peers?.delete(command[4]!) === true ? ok() : fail('No such peer', 1)
      const words = wordsOf(command.slice(5))
      peers?.set(command[4]!, {
        endpoint: words['endpoint'] ?? '',
        allowedIps: words['allowed-ips'] ?? peers.get(command[4]!)!.allowedIps,
        keepalive: words['persistent-keepalive'] ?? peers.get(command[4]!)!.keepalive,
      })
      return ok()
    }
    if (line.startsWith('nft -f ')) {
      table = await readFile(command[2]!, 'utf8')
      return ok()
    }
    if (line === 'nft delete table inet causeway') {
      table = ''
      return ok()
    }
    if (line.startsWith('ip link del dev ')) {
      removeDevice(command.at(-1)!)
      return ok()
    }
    throw new Error(`the fake kernel does not know "${line}"`)
  }

  async function killCharon(): Promise<void> {
    const ended = charon
    charon = undefined
    await ended?.fake.close()
  }

  const runner: Runner = {
    dryRun: false,
    read: (command, options = {}) => Promise.resolve(read(command, options.input ?? '')),
    change(command, options = {}) {
      for (const line of options.show ?? [command.join(' ')]) echo(`[#] ${line}`)
      return change(command, options.input ?? '')
    },
    async daemon(command, { env }) {
      const name = command[1]!
      echo(`[#] ${command.join(' ')} &`)
      lastPid += 1
      if (command[0] === 'charon-systemd') {
        const config = env['STRONGSWAN_CONF']!
        charon = { pid: lastPid, config, fake: await startFakeCharon(join(dirname(config), 'vici')) }
        return lastPid
      }
      processes.set(lastPid, name)
      addTunnel(name)
      return lastPid
    },
    async end({ pid }) {
      echo(`[#] kill ${pid}`)
      if (pid === charon?.pid) await killCharon()
      const name = processes.get(pid)
      if (name !== undefined) removeDevice(name)
    },
    startTime: (pid) => Promise.resolve(processes.has(pid) || pid === charon?.pid ? '1' : undefined),
    async list(folder) {
      if (folder === socketFolder) return [...wireguards.keys()].map((name) => `${name}.sock`)
      if (folder === '/usr/lib/ipsec/plugins') return ['kernel-netlink', 'vici', 'openssl', 'gcm'].map((name) => `libstrongswan-${name}.so`)
      if (folder === '/proc') return charon ? [String(charon.pid)] : []
      if (folder.startsWith('/proc/')) return folder === `/proc/${charon?.pid}/fd` ? ['0'] : []
      return readdir(folder).catch(() => [])
    },
    readFile(path) {
      if (path === '/proc/net/udp') return Promise.resolve(bound)
      if (path === `/proc/${charon?.pid}/comm`) return Promise.resolve('charon-systemd\n')
      if (path === `/proc/${charon?.pid}/environ`) return Promise.resolve(`STRONGSWAN_CONF=${charon?.config}\0`)
      const key = path.replace('/proc/sys/', '')
      const device = /^net\/ipv[46]\/conf\/([^/]+)\//.exec(key)?.[1]
      return Promise.resolve(device !== undefined && device !== 'all' && !devices.has(device) ? undefined : sysctls.get(key))
    },
    writeFile(path, text) {
      echo(`[#] echo ${text} > ${path}`)
      const device = /\/conf\/([^/]+)\//.exec(path)?.[1]
      if (device !== undefined && device !== 'all' && !devices.has(device)) return Promise.reject(new Error(`ENOENT: no such file, open '${path}'`))
      sysctls.set(path.replace('/proc/sys/', ''), text)
      return Promise.resolve()
    },
    talk(command, heard, ended): Conversation {
      const family: Family = command[1] === '-6' ? 6 : 4
      let count = 0
      let over = false
      return {
        close: () => {},
        say(text) {
          for (const line of text.trim().split('\n')) {
            count += 1
            if (over) continue
            if (line.startsWith('nexthop get id ')) {
              const id = Number(line.split(' ')[3])
              const hop = nexthops.get(id)
              if (hop) heard(`id ${id} ${hop.dev === '' ? 'blackhole' : `dev ${hop.dev} scope host`} proto 67`, 'stdout')
              else {
                heard('RTNETLINK answers: No such file or directory', 'stderr')
                heard(`Command failed -:${count}`, 'stderr')
              }
              continue
            }
            const problem = ip(family, line)
            if (problem.endsWith('Device does not exist')) {
              // So does iproute2, whatever -force says.
              over = true
              heard(problem, 'stderr')
              heard('', 'stderr')
              queueMicrotask(ended)
            } else if (problem !== '') {
              heard(problem, 'stderr')
              heard(`Command failed -:${count}`, 'stderr')
            }
          }
        },
      }
    },
  }
  return {
    runner,
    charon: () => charon?.fake,
    meddle: {
      address(device, address) {
        devices.set(device, { up: true, mtu: 1500, wireguard: false, ifId: 0, addresses: address === '' ? [] : [address] })
        for (const key of [`net/ipv4/conf/${device}/rp_filter`, `net/ipv6/conf/${device}/accept_ra`]) sysctls.set(key, '1')
        if (address.startsWith('100.'))
          mains.push({ dst: 'default', gateway: address.replace(/\d+\/\d+$/, '1'), dev: device, metric: 100 + mains.length })
      },
      ip(family, line) {
        const problem = ip(family, line)
        if (problem !== '') throw new Error(problem)
      },
      removeDevice,
      killCharon,
      associations: (left) => {
        associations = left
      },
      listen: (port) => {
        bound += `  77: 00000000:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 07 00000000:00000000\n`
      },
      removePeers: (device) => wireguards.get(device)!.peers.clear(),
      tamperNft: () => {
        table += '# another rule'
      },
      sysctl: (key, value) => void sysctls.set(key, value),
    },
  }
}
