import { describe, expect, it } from 'vitest'
import { isIpsec } from '#src/fabric/ipsec.ts'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { addressWithLength, prefix } from '#src/net/address.ts'
import { missingFeatures, misfits } from '#providers/linux/check.ts'
import { linuxCodes } from '#providers/linux/codes.ts'
import { configOf } from './network.ts'

const os = (name: string, addresses: readonly string[] = [], router = '') => ({ name, up: true, addresses, router, mtu: 1500 })
const boxes = {
  berlin: [os('wan0', ['100.64.1.2/24'], '100.64.1.1'), os('wan1', ['100.64.2.2/24'], '100.64.2.1'), os('lan0'), os('lan1')],
  frankfurt: [os('wan0', ['192.0.2.10/24'], '192.0.2.1'), os('lan0')],
}
const says = (config: SiteConfig, interfaces: typeof boxes.berlin): readonly string[] =>
  misfits(config, { interfaces }).map((one) => `${one.code} ${one.at[0] ?? ''}: ${one.says}; ${one.instead}`)
const berlin = configOf('berlin')
const frankfurt = configOf('frankfurt')

describe('a config fits a box', () => {
  it('that has what it names', () => {
    expect(says(berlin, boxes.berlin)).toEqual([])
    expect(says(frankfurt, boxes.frankfurt)).toEqual([])
  })
  it('unless interfaces are missing', () => {
    expect(
      says(
        berlin,
        boxes.berlin.filter((one) => one.name !== 'wan1' && one.name !== 'lan1'),
      ),
    ).toEqual([
      "D004 site/berlin/uplink/lte/interface: uplink lte is to use wan1, which this box doesn't have; write one of: wan0, lan0; or plug it in",
      "D005 site/berlin/lan/cameras/0: segment cameras is to be on lan1, which this box doesn't have; write one of: wan0, lan0; or plug it in",
    ])
  })
  it('unless a core has another address', () => {
    expect(says(frankfurt, [os('wan0', ['192.0.2.12/24'], '192.0.2.1'), os('lan0')])).toEqual([
      'D006 site/frankfurt/uplink/isp-a/address: wan0 has 192.0.2.12/24, but uplink isp-a says 192.0.2.10/24; configure that address in the operating system, or correct `address:`',
    ])
  })
  it('with a warning when an uplink has no router', () => {
    expect(misfits(berlin, { interfaces: [os('wan0', ['100.64.1.2/24']), ...boxes.berlin.slice(1)] })).toMatchObject([
      { code: 'D012', severity: 'warning', says: 'wan0 has an address but no default router' },
    ])
  })
  it('unless the provider uses the network of a LAN', () => {
    expect(says(berlin, [os('wan0', ['10.1.20.77/16'], '10.1.0.1'), ...boxes.berlin.slice(1)])).toEqual([
      "D014 site/berlin/uplink/fiber: the provider gives wan0 an address inside 10.1.20.0/24, which is segment cameras of this site; change the provider's router to another network, e.g. 192.168.77.0/24",
    ])
  })
  it('unless a bundle is faulty', () => {
    const [first, second] = berlin.interfaces
    expect(says({ ...berlin, interfaces: [{ ...first!, device: 'wg0' }, ...berlin.interfaces.slice(1)] }, boxes.berlin)[0]).toContain(
      `D009 ${first!.id}: "wg0" can't be a tunnel's device name`,
    )
    expect(
      says({ ...berlin, interfaces: [first!, { ...second!, listenPort: first!.listenPort }, ...berlin.interfaces.slice(2)] }, boxes.berlin)[0],
    ).toContain(`${second!.device} and ${first!.device} would both listen on udp/53000`)
    expect(says({ ...berlin, classes: [...berlin.classes, { ...berlin.classes[1]!, id: 'gold' as never, index: 100 }] }, boxes.berlin)).toEqual([
      'D010 class/gold: class gold has number 100, and a gateway has room for 0 to 99; use fewer classes',
    ])
    const hub = frankfurt.tunnels.filter((one) => !isIpsec(one)).find((one) => one.role === 'spoke')!
    const twin = { ...hub, id: 'oslo.fiber--frankfurt.isp-a' as never, peer: { ...hub.peer, publicKey: 'x', allowedIps: [prefix('10.1.0.0/16')] } }
    expect(says({ ...frankfurt, tunnels: [...frankfurt.tunnels, twin] }, boxes.frankfurt)[0]).toMatch(
      /^D011 .*: 10\.1\.10\.0\/24 would be behind two peers of cwh0s0p0: oslo\.fiber--frankfurt\.isp-a and berlin\.fiber--frankfurt\.isp-a/,
    )
    const cloud = { ...frankfurt.interfaces[0]!, id: 'cloud:isp-a/aws.0' as never, kind: 'cloud', device: 'cwi3u0m0p0' } as const
    expect(says({ ...frankfurt, interfaces: [...frankfurt.interfaces, cloud] }, boxes.frankfurt)).toEqual([
      `D013 cloud:isp-a/aws.0: cwi3u0m0p0 and ${frankfurt.interfaces[0]!.device} would both listen on udp/${cloud.port}; this is a fault in the bundle, report it`,
    ])
  })
})

it('a box must have WireGuard, nft, nexthop objects and IPv6', () => {
  const all = { wireguard: 'kernel', nftables: true, nexthops: true, ipsec: 'none' } as const
  expect(missingFeatures(all, true)).toEqual([])
  expect(missingFeatures({ ...all, wireguard: 'none', nftables: false, nexthops: false }, false).map((one) => one.code)).toEqual([
    'D001',
    'D002',
    'D003',
    'D008',
  ])
})

it('every code has one page, and each page says what and what to do', () => {
  const codes = linuxCodes.map((page) => page.code)
  expect(codes).toEqual([...new Set(codes)].sort())
  for (const page of linuxCodes) expect(page.text).toMatch(/^[\p{Lu}`(].*\.$/su)
})

it('an address that is the same but written with another length is another address', () => {
  expect(addressWithLength('192.0.2.10/24')).not.toBe(addressWithLength('192.0.2.10/28'))
  expect(says(frankfurt, [os('wan0', ['192.0.2.10/28'], '192.0.2.1'), os('lan0')])[0]).toContain('D006')
})
