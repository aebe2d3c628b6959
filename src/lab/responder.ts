/**
 * The cloud's end of one tunnel: a real strongSwan in a namespace of its own, made from nothing but the options that the
 * emulated cloud received, so that a wrong key or proposal fails as it would there. Userspace ESP (kernel-libipsec).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TunnelOptions } from '#providers/aws/emulator/view.ts'
import type { Negotiated } from '#providers/aws/emulator/world.ts'
import { selectorOf } from '#src/fabric/ipsec.ts'
import { familyOf } from '#src/net/address.ts'
import { type Box, enter, ipBatch, run, start } from './box.ts'
import { type Charon, connectCharon, type Section } from './vici.ts'

export interface Responder {
  stop(): Promise<void>
}

const encryption: Readonly<Record<string, string>> = {
  AES128: 'aes128',
  AES256: 'aes256',
  'AES128-GCM-16': 'aes128gcm16',
  'AES256-GCM-16': 'aes256gcm16',
}
const integrity: Readonly<Record<string, string>> = { SHA1: 'sha1', 'SHA2-256': 'sha256', 'SHA2-384': 'sha384', 'SHA2-512': 'sha512' }
/** strongSwan's keyword, and charon's name of the group in `list-sas`. */
const groups: readonly (readonly [number, string, string])[] = [
  [2, 'modp1024', 'MODP_1024'],
  [5, 'modp1536', 'MODP_1536'],
  [14, 'modp2048', 'MODP_2048'],
  [15, 'modp3072', 'MODP_3072'],
  [16, 'modp4096', 'MODP_4096'],
  [17, 'modp6144', 'MODP_6144'],
  [18, 'modp8192', 'MODP_8192'],
  [19, 'ecp256', 'ECP_256'],
  [20, 'ecp384', 'ECP_384'],
  [21, 'ecp521', 'ECP_521'],
  [22, 'modp1024s160', 'MODP_1024_160'],
  [23, 'modp2048s224', 'MODP_2048_224'],
  [24, 'modp2048s256', 'MODP_2048_256'],
]

/** AEAD and other ciphers never stand in one proposal (RFC 7296, 3.3); with AEAD, IKE's integrity is the PRF. */
function proposals(ciphers: readonly string[], hashes: readonly string[], dh: readonly number[], phase: 1 | 2): readonly string[] {
  const keywords = dh.map((number) => groups.find(([one]) => one === number)![1])
  const ofHashes = hashes.map((one) => integrity[one]!)
  const aead = ciphers.filter((one) => one.includes('GCM')).map((one) => encryption[one]!)
  const plain = ciphers.filter((one) => !one.includes('GCM')).map((one) => encryption[one]!)
  return [
    ...(aead.length > 0 ? [[...aead, ...(phase === 1 ? ofHashes.map((one) => `prf${one}`) : []), ...keywords].join('-')] : []),
    ...(plain.length > 0 ? [[...plain, ...ofHashes, ...keywords].join('-')] : []),
  ]
}

/** strongswan.conf: charon's own packets carry a mark, or IKE would capture itself under 0/0 selectors. */
export function settings({ settings: { replayWindow, dpdTimeout } }: TunnelOptions, socket: string): string {
  // The peer is asked after 10 s of silence and given up when `dpdTimeout` is over.
  const tries = Math.max(1, Math.round((dpdTimeout - 10) / 4) - 1)
  return `charon-systemd {
  load_modular = no
  load = random nonce openssl aes gcm sha1 sha2 hmac kdf curve25519 kernel-libipsec kernel-netlink socket-default vici
  routing_table = 9001
  routing_table_prio = 40001
  replay_window = ${replayWindow}
  retransmit_timeout = 4
  retransmit_base = 1
  retransmit_tries = ${tries}
  plugins { kernel-libipsec { allow_peer_ts = yes } kernel-netlink { fwmark = !0x41 } socket-default { fwmark = 0x41 } vici { socket = unix://${socket} } }
  filelog { stderr { default = 1 } }
}
`
}
/** `load-conn`. The customer's id is its gateway's address, as in the configurations that AWS generates. */
export function connection({ outside, customer, inside, settings: of }: TunnelOptions): Section {
  // Of the family that the connection carries, and no other.
  const selectors = [selectorOf[familyOf(inside)]]
  const [v1, v2] = [of.ikeVersions.includes('ikev1'), of.ikeVersions.includes('ikev2')]
  const rekey = (lifetime: number): string => `${lifetime - of.rekeyMargin}s`
  return {
    cloud: {
      version: v1 && v2 ? '0' : v1 ? '1' : '2',
      local_addrs: [outside],
      remote_addrs: [customer],
      // libipsec knows ESP only in UDP.
      encap: 'yes',
      mobike: 'no',
      proposals: proposals(of.phase1Encryption, of.phase1Integrity, of.phase1Groups, 1),
      rekey_time: rekey(of.phase1Lifetime),
      dpd_delay: '10s',
      local: { auth: 'psk', id: outside },
      remote: { auth: 'psk', id: customer },
      children: {
        cloud: {
          local_ts: selectors,
          remote_ts: selectors,
          esp_proposals: proposals(of.phase2Encryption, of.phase2Integrity, of.phase2Groups, 2),
          rekey_time: rekey(of.phase2Lifetime),
          life_time: `${of.phase2Lifetime}s`,
          dpd_action: of.dpdAction === 'restart' ? 'restart' : of.dpdAction === 'none' ? 'none' : 'clear',
          start_action: of.startup === 'start' ? 'start' : 'none',
        },
      },
    },
  }
}

const one = (of: Section | undefined, name: string): string => (typeof of?.[name] === 'string' ? of[name] : '')
const sectionOf = (of: Section | undefined, name: string): Section | undefined => {
  const value = of?.[name]
  return typeof value === 'object' && !Array.isArray(value) ? (value as Section) : undefined
}
/** Whether packets pass, and what was agreed in AWS's words. */
export function statusOf(associations: readonly Section[]): { readonly up: boolean; readonly negotiated: Negotiated | null } {
  for (const association of associations) {
    const ike = sectionOf(association, 'cloud')
    const child = Object.values(sectionOf(ike, 'child-sas') ?? {}).find((each) => one(each as Section, 'state') === 'INSTALLED') as
      | Section
      | undefined
    if (!ike || !child || one(ike, 'state') !== 'ESTABLISHED') continue
    const cipher = (of: Section): string => `AES${one(of, 'encr-keysize')}${one(of, 'encr-alg').includes('GCM') ? '-GCM-16' : ''}`
    const hash = (of: Section): string => {
      const bits = /SHA2_(\d+)/.exec(`${one(of, 'integ-alg')} ${one(of, 'prf-alg')}`)?.[1]
      if (bits !== undefined) return `SHA2-${bits}`
      return /SHA1/.test(one(of, 'integ-alg')) ? 'SHA1' : ''
    }
    const group = (of: Section): number => groups.find(([, , name]) => name === one(of, 'dh-group'))?.[0] ?? 0
    const phase1 = { encryption: cipher(ike), integrity: hash(ike), group: group(ike) }
    return {
      up: true,
      negotiated: {
        phase1,
        // The first child has no exchange of its own and no integrity besides AEAD.
        phase2: { encryption: cipher(child), integrity: hash(child) || phase1.integrity, group: group(child) || phase1.group },
        ike: one(ike, 'version') === '1' ? 'ikev1' : 'ikev2',
      },
    }
  }
  return { up: false, negotiated: null }
}

/**
 * Starts charon in `box`, whose `wan0` has the outside address already. What comes out of the tunnel is for the caller to
 * forward from `ipsec0`. `scratch`: a folder with a short path that its owner removes, not under /run, which each box has
 * for itself. `changed` is told after each change of the security associations, and when charon dies.
 */
export async function startResponder(
  box: Box,
  options: TunnelOptions,
  { scratch, log }: { readonly scratch: string; readonly log: string },
  changed: (up: boolean, negotiated: Negotiated | null) => void,
): Promise<Responder> {
  // The key goes through the socket only and never into this folder.
  const folder = mkdtempSync(join(scratch, 'r-'))
  const socket = join(folder, 'vici')
  const config = join(folder, 'strongswan.conf')
  writeFileSync(config, settings(options, socket))
  const process = start(enter(box, ['charon-systemd']), { log, env: { STRONGSWAN_CONF: config } })
  const ended = new Promise<void>((resolve) => process.once('exit', () => resolve()))
  let stopped = false
  let charon: Charon | undefined
  const look = (name: string | null): void => {
    if (stopped) return
    if (name === null) return changed(false, null)
    charon?.securityAssociations().then(
      (associations) => {
        const { up, negotiated } = statusOf(associations)
        if (!stopped) changed(up, negotiated)
      },
      () => {},
    )
  }
  const stop = async (): Promise<void> => {
    stopped = true
    // Told, the other end tries again at once and not after its dead peer detection.
    await Promise.race([charon?.ask('terminate', { ike: 'cloud', timeout: '1000' }).catch(() => {}), sleep(1_500)])
    charon?.close()
    process.kill('SIGTERM')
    const killer = setTimeout(() => process.kill('SIGKILL'), 2_000)
    await ended
    clearTimeout(killer)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const until = async <T>(what: string, ask: () => Promise<T | undefined>): Promise<T> => {
      for (let tries = 0; tries < 400 && process.exitCode === null; tries++) {
        const answer = await ask()
        if (answer !== undefined) return answer
        await sleep(25)
      }
      throw new Error(`${what} did not come; see ${log}`)
    }
    charon = await until('charon', () => connectCharon(socket, ['ike-updown', 'child-updown', 'child-rekey'], look).catch(() => undefined))
    await until('ipsec0', async () => ((await run(enter(box, ['ip', 'link', 'show', 'dev', 'ipsec0']))).code === 0 ? true : undefined))
    await ipBatch(box, [`addr add ${options.inside} dev ipsec0`, 'link set ipsec0 mtu 1400 up'])
    await charon.ask('load-shared', { id: 'cloud', type: 'IKE', data: options.settings.preSharedKey, owners: [options.outside, options.customer] })
    await charon.ask('load-conn', connection(options))
    return { stop }
  } catch (error) {
    await stop()
    throw error
  }
}
