/** `ospf` of a LAN: OSPFv2 and OSPFv3 with the routers that may announce what is behind them. */
import type { OspfLan } from '#src/fabric/fabric.ts'
import type { Prefix } from '#src/net/address.ts'
import { ospfDefaults } from './defaults.ts'
import { type ReadLan, readRouters } from './read-routers.ts'
import type { Report } from './report.ts'
import type { RawOspf } from './schema.ts'
import type { Located } from './spec.ts'
import { formatLifetime } from './values.ts'

/** RFC 2328, appendix C.3, and RFC 5340: fields of 16 and 32 bits; nobody waits longer for a dead router than an hour. */
const longest = { hello: 65_535, dead: 3_600 } as const

interface Read {
  readonly session: OspfLan | undefined
  readonly learned: readonly ReadLan[]
}

/** As `readBgp`. */
export function readOspf(
  raw: RawOspf | undefined,
  base: string,
  links: readonly ReadLan[],
  isUsable: (prefix: Located<Prefix>) => boolean,
  report: Report,
): Read {
  if (!raw) return { session: undefined, learned: [] }
  const { area, neighbor, prefixes, hello, dead } = raw.fields
  const hellos = hello?.value ?? ospfDefaults.hello
  // As routers do it: four of them.
  const silence = dead?.value ?? (hello ? 4 * hellos : ospfDefaults.dead)
  if (hello && (hellos < 1 || hellos > longest.hello))
    report.error('I065', hello.at, `a hello every ${formatLifetime(hellos)} can't be`, `write 1s to ${longest.hello}s, as at the router`)
  else if (silence <= hellos || silence > longest.dead)
    report.error(
      'I065',
      (dead ?? hello ?? raw).at,
      `a router can't be dead after ${formatLifetime(silence)} with a hello every ${formatLifetime(hellos)}`,
      `write more than a hello and at most ${longest.dead}s, as at the router; four hellos are usual`,
    )
  const { neighbors, learned } = readRouters({ neighbor, prefixes }, 'I065', links, isUsable, report)
  const [first] = links
  if (!first) return { session: undefined, learned: [] }
  const { segment, interface: device } = first.lan
  for (const [key, one] of Object.entries({ area, hello, dead, neighbor: neighbor?.[0] }))
    if (one) report.origins.set(`${base}/ospf/${device}/${key}`, one.at)
  return {
    session:
      neighbors.length > 0 && learned.length > 0
        ? { segment, interface: device, area: area?.value ?? ospfDefaults.area, neighbors, hello: hellos, dead: silence }
        : undefined,
    learned,
  }
}
