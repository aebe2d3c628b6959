import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  connection,
  type IpsecTunnel,
  type KernelTunnel,
  kernelSettings,
  shared,
  startTunnel,
  type UserspaceTunnel,
  userspaceSettings,
} from '#providers/linux/ipsec.ts'
import { createRunner } from '#providers/linux/run.ts'
import type { Address, AddressWithLength } from '#src/net/address.ts'

const tunnel: UserspaceTunnel = {
  device: 'cwi0a',
  mark: 0x10000,
  local: { address: '192.0.2.10' as Address, id: 'hub', ports: { ike: 5000, nat: 5001 } },
  remote: { address: '203.0.113.1' as Address, id: 'cloud', port: 4500 },
  inside: '169.254.10.2/30' as AddressWithLength,
  initiates: true,
  proposals: { ike: ['aes256gcm16-prfsha384-ecp384'], esp: ['aes256gcm16'] },
  mtu: 1400,
  esp: 'userspace',
  table: 9001,
}

test("charon's own packets carry the uplink's mark and are exempt from its own route", () => {
  const text = userspaceSettings(tunnel, '/run/x')
  expect(text).toContain('kernel-netlink { fwmark = !0x10000/0xff0000 }')
  expect(text).toContain('socket-default { fwmark = 0x10000 }')
  expect(text).toContain('port = 5000\n  port_nat_t = 5001\n')
  expect(text).toContain('routing_table = 9001\n  routing_table_prio = 40001\n')
  expect(text).toContain('vici { socket = unix:///run/x/vici }')
})

test('with kernel ESP one charon installs no routes, and each tunnel has its interface and mark', () => {
  const text = kernelSettings('/run/x')
  expect(text).toContain('port = 500\n  port_nat_t = 4500\n  install_routes = no\n  install_virtual_ip = no\n  routing_table = 0\n')
  expect(text).toContain('replay_window = 1024\n')
  expect(text).not.toMatch(/libipsec|fwmark/)
  const { table: _, ...common } = tunnel
  const inKernel: KernelTunnel = { ...common, esp: 'kernel', ifId: 52000 }
  const marks = { if_id_in: '52000', if_id_out: '52000', set_mark_out: '0x10000/0xff0000', copy_dscp: 'out' }
  expect(connection(inKernel)).toMatchObject({ cwi0a: { encap: 'yes', children: { cwi0a: marks } } })
  expect(JSON.stringify(connection(tunnel))).not.toMatch(/if_id|mark/)
})

test('only the initiator opens the tunnel again', () => {
  const child = (of: IpsecTunnel) => connection(of)['cwi0a'] as { readonly children: Readonly<Record<string, Readonly<Record<string, unknown>>>> }
  expect(child(tunnel).children['cwi0a']).toMatchObject({ dpd_action: 'restart', close_action: 'start', local_ts: ['0.0.0.0/0'] })
  expect(child({ ...tunnel, initiates: false }).children['cwi0a']).toMatchObject({ dpd_action: 'clear', close_action: 'none' })
})

test('the secret is in the message to the socket and nowhere else', () => {
  const secret = Buffer.from('very secret')
  expect(shared(tunnel, secret)).toEqual({ id: 'cwi0a', type: 'IKE', data: secret, owners: ['hub', 'cloud'] })
  expect(userspaceSettings(tunnel, '/x') + JSON.stringify(connection(tunnel))).not.toContain('very secret')
})

test('a charon that is not there or ends at once is said so', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ipsec-'))
  const echoed: string[] = []
  // A charon that ends at once.
  const runner = createRunner({ echo: (line) => void echoed.push(line) })
  const run = { ...runner, daemon: (_command: readonly string[], options: Parameters<typeof runner.daemon>[1]) => runner.daemon(['true'], options) }
  try {
    await expect(startTunnel(tunnel, Buffer.from('very secret'), { run, folder: join(folder, 'a') })).rejects.toMatchObject({
      finding: {
        code: 'D042',
        at: ['cwi0a'],
        says: 'charon did not start for the IPsec tunnel cwi0a',
        instead: `look into ${join(folder, 'a', 'log')}; the packages are charon-systemd, libcharon-extra-plugins and libstrongswan-standard-plugins`,
      },
    })
    expect((await stat(join(folder, 'a'))).mode & 0o777).toBe(0o700)
    expect(await readFile(join(folder, 'a', 'strongswan.conf'), 'utf8')).toBe(userspaceSettings(tunnel, join(folder, 'a')))
    expect(echoed.join('\n')).not.toContain('very secret')
  } finally {
    await rm(folder, { recursive: true })
  }
})
