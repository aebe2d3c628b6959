/**
 * The address that a pair of gateways shares on each LAN, kept by keepalived: VRRP version 3 (RFC 9568), one instance a LAN
 * and family, all of one priority, so that one box has all LANs. It outlives the agent, as tunnels do, and it takes the LANs from a box
 * that can't carry their traffic: whose tunnels are all DOWN, whose agent has been silent for seconds, or that has lost a
 * LAN's link. The first of a pair takes them back when it can; which box has them is what the kernel says of the address.
 * Where routers are told who it is, by OSPF, keepalived has them told when an address comes or goes.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import type { Lan, SiteConfig } from '#src/fabric/fabric.ts'
import { isSecondGateway } from '#src/fabric/ids.ts'
import { advertisementMs, priorities } from '#src/fabric/vrrp.ts'
import { type Address, familyOf, hostOf, hostPrefix } from '#src/net/address.ts'
import type { Runner, Started } from './run.ts'

/** Nobody else's on a LAN of ours, and the same on each: VRRP tells instances apart by interface too. */
const virtualRouter = 67
/** More than lies between the two priorities: whatever is amiss, the other box takes over if nothing is amiss there. */
const weight = -120
/** Seconds without a sign of the agent. Its restart takes one. */
const silence = 4

/** The router of IPv6 hosts on the link, and what VRRP speaks of first: from the virtual router's MAC address (RFC 9568 section 7.3, RFC 4291). */
export const virtualLinkLocal = `fe80::200:5eff:fe00:2${virtualRouter.toString(16)}` as Address

type SharedLan = Lan & { readonly own: NonNullable<Lan['own']> }
/** The links that are shared; what is behind a router has no address of its own. */
export const sharedLans = ({ lans }: Pick<SiteConfig, 'lans'>): readonly SharedLan[] =>
  lans.filter((lan): lan is SharedLan => lan.own !== undefined && lan.via === undefined)
/** What the gateway itself has on a LAN: of a pair, its own, for the shared one comes and goes. */
export const standingAddress = ({ own, address }: Lan): Lan['address'] => own ?? address

interface Files {
  readonly conf: string
  /** 1, and it gives the LANs up; 0 while the agent says that it can carry them. */
  readonly unable: string
  /** A pipe on which it tells when a LAN comes or goes. */
  readonly notify: string
  /** What is run then. */
  readonly duty: string
  readonly start: string
  readonly pid: string
  readonly child: string
  readonly log: string
}
const filesIn = (stateDir: string): Files => {
  const at = (name: string): string => join(stateDir, 'vrrp', name)
  return {
    conf: at('keepalived.conf'),
    unable: at('unable'),
    notify: at('notify'),
    duty: at('duty.sh'),
    start: at('start.sh'),
    pid: at('keepalived.pid'),
    child: at('vrrp.pid'),
    log: at('log'),
  }
}

/** '' for a box that is no pair. */
export function keepalivedText(config: Pick<SiteConfig, 'site' | 'lans'>, { unable, notify }: Pick<Files, 'unable' | 'notify'>): string {
  const byDevice = [...Map.groupBy(sharedLans(config), (lan) => lan.interface)].sort(([a], [b]) => (a < b ? -1 : 1))
  if (byDevice.length === 0) return ''
  const priority = isSecondGateway(config.site) ? priorities.second : priorities.first
  const tracked = byDevice.map(([device]) => `    ${device} weight ${weight}`)
  const instances = byDevice.flatMap(([device, lans]) =>
    ([4, 6] as const).flatMap((family) => {
      // As hosts: the network is reached by the box's own address, whether it has these or not.
      const hosts = lans.filter(({ prefix }) => familyOf(prefix) === family).map(({ address }) => hostPrefix(hostOf(address)))
      if (hosts.length === 0) return []
      return [{ name: family === 4 ? device : `${device}-6`, device, shared: family === 4 ? hosts : [`${virtualLinkLocal}/64`, ...hosts] }]
    }),
  )
  return [
    'global_defs {',
    `  router_id ${config.site}`,
    '  vrrp_version 3',
    `  vrrp_notify_fifo "${notify}"`,
    '}',
    'vrrp_track_file unable {',
    `  file "${unable}"`,
    `  weight ${weight}`,
    '}',
    ...instances.flatMap(({ name, device, shared }) => [
      `vrrp_instance ${name} {`,
      '  state BACKUP',
      `  interface ${device}`,
      `  virtual_router_id ${virtualRouter}`,
      `  priority ${priority}`,
      `  advert_int ${advertisementMs / 1000}`,
      '  garp_master_refresh 60',
      '  virtual_ipaddress {',
      ...shared.map((one) => `    ${one} dev ${device}`),
      '  }',
      '  track_interface {',
      ...tracked,
      '  }',
      '  track_file {',
      '    unable',
      '  }',
      '}',
    ]),
    '',
  ].join('\n')
}
/**
 * Beside it two that end with keepalived, whose process this becomes. A reader of what it tells: a script of keepalived's own
 * would need groups that a user namespace has not. A watch, for a file can't tell that nobody writes it any more.
 */
const startText = ({ conf, unable, notify, duty, pid, child }: Files): string =>
  `#!/bin/sh
self=$$
[ -p '${notify}' ] || mkfifo -m 600 '${notify}'
(while read -r _; do
  [ ! -x '${duty}' ] || '${duty}'
done) <> '${notify}' &
reader=$!
(while sleep 1 && kill -0 "$self"; do
  [ $(($(date +%s) - $(stat -c %Y '${unable}'))) -lt ${silence} ] || echo 1 > '${unable}'
done; kill "$reader") &
exec keepalived --vrrp --dont-fork --log-console --use-file '${conf}' --pid '${pid}' --vrrp_pid '${child}'
`

export interface Vrrp {
  /** Starts keepalived, has it read again what is new, or ends it. `duty`: the script by which OSPF hears of it; '' for none. */
  set(config: Pick<SiteConfig, 'site' | 'lans'>, duty: string): Promise<void>
  offer(able: boolean): Promise<void>
  /** By what the kernel says of the shared addresses. True of a box that shares none. */
  carries(): boolean
}

export function createVrrp(runner: Runner, stateDir: string): Vrrp {
  const files = filesIn(stateDir)
  let shared: readonly SharedLan[] = []

  async function running(): Promise<Started | undefined> {
    const pid = Number((await runner.readFile(files.pid))?.trim())
    // Its number may be another's by now.
    const command = pid > 0 ? await runner.readFile(`/proc/${pid}/cmdline`) : undefined
    const startTime = command?.split('\0').includes(files.conf) ? await runner.startTime(pid) : undefined
    return startTime === undefined ? undefined : { pid, startTime }
  }
  async function start(): Promise<void> {
    // It carries nothing until the agent says that it can.
    await writeFile(files.unable, '1\n')
    await writeFile(files.start, startText(files), { mode: 0o700 })
    await runner.daemon([files.start], { env: {}, log: files.log })
  }
  return {
    async set(config, duty) {
      shared = sharedLans(config)
      const text = keepalivedText(config, files)
      const before = await running()
      if (text === '') {
        if (before) await runner.end(before)
        return
      }
      if (runner.dryRun) return
      await mkdir(join(stateDir, 'vrrp'), { recursive: true, mode: 0o700 })
      await (duty === '' ? rm(files.duty, { force: true }) : writeFile(files.duty, duty, { mode: 0o700 }))
      const same = (await readFile(files.conf, 'utf8').catch(() => '')) === text
      if (before && same) return
      await writeFile(files.conf, text, { mode: 0o600 })
      if (before) await runner.change(['kill', '-HUP', String(before.pid)])
      else await start()
    },
    async offer(able) {
      if (shared.length === 0) return
      if (!(await running())) await start()
      await writeFile(files.unable, able ? '0\n' : '1\n')
    },
    carries() {
      if (shared.length === 0) return true
      const present = networkInterfaces()
      return shared.some((lan) => present[lan.interface]?.some((one) => one.address === hostOf(lan.address)))
    },
  }
}
