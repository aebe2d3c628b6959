/** The uplinks of a gateway: what their keys mean together, with defaults. */
import type { Origin, RiskId, UplinkId } from '#src/fabric/fabric.ts'
import { contains, familyOf, firstHost, hostOf, isHostOf, isLinkLocal, lengthOf, networkOf, width } from '#src/net/address.ts'
import { defaultTransport } from './defaults.ts'
import type { IntentUplink } from './intent.ts'
import { noteFields } from './places.ts'
import { special } from './ranges.ts'
import type { Report } from './report.ts'
import type { RawUplink } from './schema.ts'
import type { Entry, Located } from './spec.ts'
import { oneOf } from './suggest.ts'
import { familiesNamed, mediumOfName, meteredByDefault } from './values.ts'

/** An interface is an uplink's or a LAN's, once. */
export function claim(name: Located<string>, claimed: Map<string, Located<string>>, report: Report): void {
  const held = claimed.get(name.value)
  if (held)
    report.error(
      'I041',
      [name.at, held.at],
      `interface ${name.value} is used twice in this site`,
      'give each uplink and LAN an interface of its own, e.g. a VLAN like eth1.20',
    )
  else claimed.set(name.value, name)
}

export function readUplinks(
  base: string,
  entries: readonly Entry<RawUplink>[],
  claimed: Map<string, Located<string>>,
  transports: ReadonlySet<string>,
  report: Report,
): readonly IntentUplink[] {
  const out: IntentUplink[] = []
  for (const { key, value } of entries) {
    const uplinkBase = `${base}/uplink/${key.value}`
    report.origins.set(uplinkBase, key.at)
    if (!value) continue
    const { fields } = value
    noteFields(uplinkBase, fields, report.origins, value.wrote)
    if (fields.interface) claim(fields.interface, claimed, report)
    const transport = fields.transport?.value ?? defaultTransport
    if (!transports.has(transport)) {
      const meant = report.meant(transport, transports)
      report.error(
        'I053',
        fields.transport!.at,
        `transport "${transport}" is not declared${meant}`,
        meant === '' ? `write one of ${oneOf(transports)}, or declare it under \`transports:\` of the network` : '',
      )
    }
    checkAddress(key.value, value, report)
    const medium = fields.medium?.value ?? mediumOfName(key.value)
    out.push({
      id: key.value as UplinkId,
      interface: fields.interface?.value ?? '',
      transport,
      medium,
      metered: fields.metered?.value ?? meteredByDefault(medium),
      tags: [...new Set((fields.tags ?? []).map((tag) => tag.value))].sort(),
      risks: [...new Set((fields.shared_risk ?? []).map((risk) => risk.value as RiskId))].sort(),
      up: fields.rate?.value.up ?? 0,
      down: fields.rate?.value.down ?? 0,
      families: fields.address ? [familyOf(fields.address.value)] : familiesNamed[fields.family?.value ?? 'ipv4'],
      address: fields.address?.value ?? null,
      router: fields.router?.value ?? null,
      public: fields.public?.value ?? null,
    })
  }
  return out.sort((a, b) => (a.id < b.id ? -1 : 1))
}

function checkAddress(id: string, { fields, wrote }: RawUplink, report: Report): void {
  const { address, router } = fields
  if (address && !wrote.has('router'))
    report.error(
      'I006',
      address.at,
      `uplink "${id}" has an address but no router`,
      `add router: ${firstHost(networkOf(address.value))}, or what the provider says`,
    )
  if (router && !wrote.has('address'))
    report.error(
      'I006',
      router.at,
      `uplink "${id}" has a router but no address`,
      'add address: with the length of the link, like 192.0.2.10/28, or remove the router',
    )
  if (fields.public && !wrote.has('address'))
    report.error(
      'I006',
      fields.public.at,
      `uplink "${id}" has a public endpoint but no address of its own`,
      'add address: and router: of the link behind the router that forwards',
    )
  if (!address) return
  const family = familyOf(address.value)
  const wrong: readonly { readonly what: string; readonly at: Origin; readonly instead?: string }[] = [
    ...(router && familyOf(router.value) !== family ? [{ what: `router ${router.value}`, at: router.at }] : []),
    ...(fields.public && familyOf(fields.public.value.address) !== family
      ? [{ what: `the public endpoint ${fields.public.value.address}`, at: fields.public.at }]
      : []),
    ...(fields.family && familiesNamed[fields.family.value].join() !== String(family)
      ? [{ what: `family: ${fields.family.value}`, at: fields.family.at, instead: 'leave `family:` out' }]
      : []),
  ]
  for (const { what, at, instead = `write IPv${family} here` } of wrong)
    report.error(
      'I058',
      at,
      `${what} is not of IPv${family}, as the address of uplink "${id}" is`,
      `an uplink with an address has that family alone: ${instead}, or declare another uplink`,
    )
  if (router && familyOf(router.value) !== family) return
  const link = networkOf(address.value)
  const host = hostOf(address.value)
  if (!isHostOf(link, host) || special.some((range) => contains(range, host))) {
    report.error(
      'I035',
      address.at,
      `${host} can't be the address of a host${isHostOf(link, host) ? '' : ` in ${link}`}`,
      isHostOf(link, host) ? "write the uplink's own address" : `write one between ${firstHost(link)} and the last but one`,
    )
    return
  }
  if (!router) return
  if (router.value === host)
    report.error('I036', router.at, `the router has the address of the uplink itself, ${host}`, "write the provider's end of the link")
  // Clouds hand out /32s whose router is off-link.
  else if (lengthOf(address.value) < width(family) && !isHostOf(link, router.value) && !isLinkLocal(router.value))
    report.error(
      'I036',
      router.at,
      `router ${router.value} is not a host of the uplink's network ${link}`,
      `write a host of ${link}, or correct the length of ${address.value}`,
    )
}
