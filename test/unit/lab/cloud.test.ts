/** What the lab makes of the emulated cloud's words: charon's connection, its status, the groups as nftables rules. */
import { describe, expect, it } from 'vitest'
import type { TunnelOptions } from '#providers/aws/emulator/view.ts'
import { securityGroups } from '#src/lab/region.ts'
import { connection, settings, statusOf } from '#src/lab/responder.ts'
import { decode, encode, type Section } from '#src/lab/vici.ts'
import { address, addressWithLength, prefix } from '#src/net/address.ts'

const options: TunnelOptions = {
  region: 'eu-west-1',
  connection: 'vpn-0123456789abcdef0',
  outside: address('203.0.113.1'),
  inside: addressWithLength('169.254.10.1/30'),
  customer: address('192.0.2.10'),
  settings: {
    insideCidr: prefix('169.254.10.0/30'),
    insideIpv6Cidr: null,
    preSharedKey: 'never.in_a.file',
    phase1Lifetime: 28_800,
    phase2Lifetime: 3_600,
    rekeyMargin: 270,
    rekeyFuzz: 100,
    replayWindow: 1_024,
    dpdTimeout: 30,
    dpdAction: 'clear',
    phase1Encryption: ['AES256-GCM-16'],
    phase2Encryption: ['AES256-GCM-16'],
    phase1Integrity: ['SHA2-384'],
    phase2Integrity: ['SHA2-384'],
    phase1Groups: [20],
    phase2Groups: [20],
    ikeVersions: ['ikev2'],
    startup: 'add',
    lifecycleControl: false,
  },
}
const made = (change: Partial<TunnelOptions['settings']> = {}): { readonly [name: string]: unknown } =>
  connection({ ...options, settings: { ...options.settings, ...change } })['cloud'] as Section
const child = (change: Partial<TunnelOptions['settings']> = {}) => (made(change)['children'] as { readonly cloud: Section }).cloud

describe('a responder', () => {
  it('offers exactly what was asked for', () => {
    expect(made()).toMatchObject({
      version: '2',
      proposals: ['aes256gcm16-prfsha384-ecp384'],
      local: { id: '203.0.113.1' },
      remote: { id: '192.0.2.10' },
      rekey_time: '28530s',
    })
    expect(child()).toMatchObject({ esp_proposals: ['aes256gcm16-ecp384'], start_action: 'none', dpd_action: 'clear' })
  })

  it('keeps AEAD and other ciphers in proposals of their own', () => {
    const both = {
      phase1Encryption: ['AES128', 'AES256-GCM-16'],
      phase1Integrity: ['SHA1', 'SHA2-256'],
      phase1Groups: [2, 14],
      phase2Encryption: ['AES128', 'AES256-GCM-16'],
      phase2Integrity: ['SHA1'],
      phase2Groups: [5],
    }
    expect(made(both)['proposals']).toEqual(['aes256gcm16-prfsha1-prfsha256-modp1024-modp2048', 'aes128-sha1-sha256-modp1024-modp2048'])
    expect(child(both)['esp_proposals']).toEqual(['aes256gcm16-modp1536', 'aes128-sha1-modp1536'])
  })

  it('follows the IKE versions, the startup action and dead peer detection', () => {
    expect([made({ ikeVersions: ['ikev1'] })['version'], made({ ikeVersions: ['ikev1', 'ikev2'] })['version']]).toEqual(['1', '0'])
    expect(child({ startup: 'start', dpdAction: 'restart' })).toMatchObject({ start_action: 'start', dpd_action: 'restart' })
    // 10 s of silence, then 4 s a try: 30 s in all.
    expect(settings(options, '/x')).toContain('retransmit_tries = 4')
  })

  it('has the selectors of the family that its tunnel carries', () => {
    const of = (inside: string) =>
      (connection({ ...options, inside: addressWithLength(inside) })['cloud'] as { children: { cloud: Section } }).children.cloud
    expect(of('169.254.10.1/30')).toMatchObject({ local_ts: ['0.0.0.0/0'], remote_ts: ['0.0.0.0/0'] })
    expect(of('fd12:3456:789a:2::1/126')).toMatchObject({ local_ts: ['::/0'], remote_ts: ['::/0'] })
  })

  it('has its key neither in its file nor in its connection', () => {
    expect(settings(options, '/x') + JSON.stringify(connection(options))).not.toContain('never.in_a.file')
  })

  it('is up when its child is installed, and says what was agreed in the words of AWS', () => {
    const ike = {
      state: 'ESTABLISHED',
      version: '2',
      'encr-alg': 'AES_GCM_16',
      'encr-keysize': '256',
      'prf-alg': 'PRF_HMAC_SHA2_384',
      'dh-group': 'ECP_384',
    }
    const installed = { state: 'INSTALLED', 'encr-alg': 'AES_GCM_16', 'encr-keysize': '256' }
    expect(statusOf([{ cloud: { ...ike, 'child-sas': { 'cloud-1': installed } } }])).toEqual({
      up: true,
      negotiated: {
        phase1: { encryption: 'AES256-GCM-16', integrity: 'SHA2-384', group: 20 },
        phase2: { encryption: 'AES256-GCM-16', integrity: 'SHA2-384', group: 20 },
        ike: 'ikev2',
      },
    })
    for (const down of [
      [],
      [{ cloud: { ...ike, 'child-sas': {} } }],
      [{ cloud: { ...ike, state: 'CONNECTING', 'child-sas': { 'cloud-1': installed } } }],
      [{ cloud: { ...ike, 'child-sas': { 'cloud-1': { ...installed, state: 'DELETED' } } } }],
    ])
      expect(statusOf(down)).toEqual({ up: false, negotiated: null })
  })
})

describe('VICI', () => {
  it('carries sections, lists and values there and back', () => {
    const message = { a: 'x', list: ['1', 'ü'], empty: [], section: { b: '', inner: { c: 'd' } } }
    expect(JSON.parse(JSON.stringify(decode(encode(message))))).toEqual(message)
  })

  it('is not read beyond its end', () => {
    const bytes = encode({ a: 'xyz' })
    expect(() => decode(bytes.subarray(0, bytes.length - 1))).toThrow('charon sent half a message')
  })
})

it('security groups become stateful rules that drop what none allows', () => {
  const rule = (protocol: string, from: number, to: number, peer: string) => ({ protocol, from, to, peers: [peer] })
  const host = {
    name: 'models',
    addresses: [address('10.50.1.10')],
    routes: [],
    ingress: [rule('tcp', 8443, 8443, '10.1.0.0/16'), rule('icmp', -1, -1, '10.2.0.0/16'), rule('icmp', 8, 0, '10.3.0.0/16')],
    egress: [rule('-1', -1, -1, '0.0.0.0/0')],
  }
  expect(securityGroups([host])).toBe(`table inet groups
delete table inet groups
table inet groups {
  chain in0 {
    ip saddr 10.1.0.0/16 tcp dport 8443-8443 return
    ip saddr 10.2.0.0/16 ip protocol icmp return
    ip saddr 10.3.0.0/16 icmp type 8 return
    drop
  }
  chain out0 {
    ip daddr 0.0.0.0/0  return
    drop
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ct state established,related accept
    iifname h0 ip saddr != 10.50.1.10 drop
    iifname h0 meta nfproto ipv6 drop
    iifname h0 jump out0
    oifname h0 jump in0
  }
}
`)
})

it('security groups of a host with IPv6 tell its families apart', () => {
  const rule = (protocol: string, from: number, to: number, peer: string) => ({ protocol, from, to, peers: [peer] })
  const host = {
    name: 'models',
    addresses: [address('10.50.1.10'), address('fd50::10')],
    routes: [],
    ingress: [rule('tcp', 8443, 8443, 'fd10::/64'), rule('icmpv6', -1, -1, 'fd11::/64'), rule('icmpv6', 2, 0, '::/0')],
    egress: [],
  }
  const text = securityGroups([host])
  for (const line of [
    'ip6 saddr fd10::/64 tcp dport 8443-8443 return',
    'ip6 saddr fd11::/64 meta l4proto ipv6-icmp return',
    'ip6 saddr ::/0 icmpv6 type 2 return',
    'iifname h0 ip6 saddr != fd50::10 drop',
  ])
    expect(text).toContain(`    ${line}\n`)
})
