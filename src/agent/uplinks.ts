/** The box's own lines: what the operating system has on them, and what they lack for tunnels to come up. */
import type { DeviceDriver, OsInterface } from '#providers/device.ts'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { canonicalJson } from '#src/fabric/hash.ts'
import { missingFamilies, silentUplinks, udpBlocked, waysOf } from './box.ts'
import type { Clock } from './clock.ts'
import { answers } from './controller.ts'
import type { Log } from './log.ts'
import type { Prober } from './probe.ts'
import { line, type Trouble } from './trouble.ts'

export interface UplinkWatch {
  interfaces(): readonly OsInterface[]
  findings(): readonly Trouble[]
  /** What there is, without a word about it. */
  read(): Promise<void>
  /** What the operating system does to uplinks (DHCP, cables): the driver follows by itself, reports and ways out have to. */
  look(config: SiteConfig | null): Promise<void>
  /** A line without an address that it should have, or one that carries TCP and no tunnel. */
  judge(config: SiteConfig | null): Promise<void>
}

export function createUplinkWatch(of: {
  readonly driver: Pick<DeviceDriver, 'inventory'>
  readonly prober: Pick<Prober, 'paths'>
  readonly clock: Clock
  readonly log: Log
  /** The controller's: what answers by TCP shows that a line is no dead one. */
  readonly host: string
  readonly port: number
  readonly changed: () => void
}): UplinkWatch {
  const { driver, prober, clock, log, host, port, changed } = of
  let interfaces: readonly OsInterface[] = []
  let troubles: readonly Trouble[] = []
  return {
    interfaces: () => interfaces,
    findings: () => troubles,
    async read() {
      interfaces = await driver.inventory()
    },
    async look(config) {
      const now = await driver.inventory()
      if (canonicalJson(now) === canonicalJson(interfaces)) return
      interfaces = now
      log(
        'uplinks',
        (config?.uplinks.map((uplink) => uplink.interface) ?? now.map((one) => one.name))
          .map((name) => `${name} ${now.find((one) => one.name === name)?.addresses[0] ?? 'has no address'}`)
          .join(', '),
      )
      changed()
    },
    async judge(config) {
      const found: Trouble[] = config ? [...missingFamilies(config, interfaces)] : []
      for (const uplink of config ? silentUplinks(config, interfaces, prober.paths(), clock.now()) : []) {
        const ways = waysOf(interfaces, config).filter((one) => one.name.startsWith(`${uplink.id} (`))
        const heard = await Promise.all(ways.map((way) => answers(host, port, way)))
        if (heard.includes(true)) found.push(udpBlocked(config!, uplink, port))
      }
      if (canonicalJson(found) === canonicalJson(troubles)) return
      troubles = found
      for (const one of found) log('uplinks', line(one), { code: one.code })
      changed()
    },
  }
}
