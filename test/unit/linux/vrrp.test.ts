import { describe, expect, it } from 'vitest'
import type { Lan, SiteConfig, SiteId } from '#src/fabric/fabric.ts'
import { addressWithLength, prefix } from '#src/net/address.ts'
import { desired } from '#providers/linux/desired.ts'
import { ruleset } from '#providers/linux/nft.ts'
import { keepalivedText } from '#providers/linux/vrrp.ts'
import { configOf } from './network.ts'

const alone = configOf('berlin')
const files = { unable: '/s/unable', notify: '/s/notify' }
const paired: SiteConfig = {
  ...alone,
  lans: alone.lans.map((lan) => ({ ...lan, own: addressWithLength(lan.address.replace(/\.1\//, '.2/')) })),
}

describe('one of two gateways', () => {
  it('has keepalived hold the shared address on each LAN, as a host, and give all up when anything is amiss', () => {
    expect(keepalivedText(paired, files)).toBe(`global_defs {
  router_id berlin
  vrrp_version 3
  vrrp_notify_fifo "/s/notify"
}
vrrp_track_file unable {
  file "/s/unable"
  weight -120
}
vrrp_instance lan0 {
  state BACKUP
  interface lan0
  virtual_router_id 67
  priority 200
  advert_int 0.2
  garp_master_refresh 60
  virtual_ipaddress {
    10.1.10.1/32 dev lan0
  }
  track_interface {
    lan0 weight -120
    lan1 weight -120
  }
  track_file {
    unable
  }
}
vrrp_instance lan1 {
  state BACKUP
  interface lan1
  virtual_router_id 67
  priority 200
  advert_int 0.2
  garp_master_refresh 60
  virtual_ipaddress {
    10.1.20.1/32 dev lan1
  }
  track_interface {
    lan0 weight -120
    lan1 weight -120
  }
  track_file {
    unable
  }
}
`)
  })
  it('shares IPv6 by an instance of its own, which begins with the link-local address of the virtual router', () => {
    const six: Lan = {
      ...paired.lans[0]!,
      prefix: prefix('fd01:10::/64'),
      address: addressWithLength('fd01:10::1/64'),
      own: addressWithLength('fd01:10::2/64'),
    }
    const both = { ...paired, lans: [...paired.lans, six] }
    expect(keepalivedText(both, files)).toContain(`vrrp_instance lan0-6 {
  state BACKUP
  interface lan0
  virtual_router_id 67
  priority 200
  advert_int 0.2
  garp_master_refresh 60
  virtual_ipaddress {
    fe80::200:5eff:fe00:243/64 dev lan0
    fd01:10::1/128 dev lan0
  }
`)
    expect(ruleset(both, [], 'userspace')).toContain('iifname { "lan0", "lan1" } ip6 daddr ff02::12 ip6 nexthdr vrrp accept')
  })
  it('ranks below the first as the second, and above it as soon as something is amiss there', () => {
    const second = keepalivedText({ ...paired, site: 'berlin.b' as SiteId }, files)
    expect(second).toContain('priority 100\n')
    expect(200 - 120).toBeLessThan(100)
  })
  it('has its own address on the LAN whether it carries or not, and answers from it', () => {
    const situation = {
      interfaces: ['wan0', 'wan1', 'lan0', 'lan1'].map((name) => ({ name, up: true, addresses: [], router: '', mtu: 1500 })),
      defaults: [],
      tentative: [],
      esp: 'userspace' as const,
      publicKeys: new Map<string, string>(),
      choices: new Map(),
      leaving: null,
      keptPorts: [],
    }
    const want = desired(paired, situation)
    expect(want.addresses.filter(({ device }) => device.startsWith('lan'))).toEqual([
      { device: 'lan0', address: '10.1.10.2/24' },
      { device: 'lan1', address: '10.1.20.2/24' },
    ])
    expect(new Set(want.routes.map(({ source }) => source))).not.toContain('10.1.10.1')
    expect(want.sysctls).toContainEqual({ key: 'net/ipv4/conf/lan0/promote_secondaries', value: '1' })
  })
  it('hears the other, on its LANs alone', () => {
    const line = 'iifname { "lan0", "lan1" } ip daddr 224.0.0.18 ip protocol vrrp accept'
    expect(ruleset(paired, [], 'userspace')).toContain(line)
    expect(ruleset(alone, [], 'userspace')).not.toContain('vrrp')
  })
  it('alone shares nothing', () => {
    expect(keepalivedText(alone, files)).toBe('')
  })
})
