/**
 * A hub and a third party, as a test sees both ends: what the hub says of its tunnels, and what the owner of the other end
 * does with the text of `causeway peer config` and types in from its comments (inside addresses, routes, a script that
 * tracks which tunnel is up).
 */
import { expect } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import type { Fabric, Fact, SiteConfig, SiteId } from '#src/fabric/fabric.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { charonText, folderOf, type PeerText, portRules, readPeerText, trackText } from '#src/lab/peer.ts'
import { peerConfig } from '#providers/export/peer.ts'
import type { HubWorld } from './ipsec-hub-world.ts'
import { pingCommand, sayPings } from './ping.ts'

export const secret = 'what-partner-and-we-agreed-on-2026'
/** By what networks differ. */
interface Differences {
  readonly mtu: number
  /** Fields of the hub's uplinks, and of the peer. */
  readonly a: string
  readonly b: string
  readonly partner: string
  /** Where its probes and its insides are not those of most. */
  readonly tunnels?: string
  readonly behind: readonly string[]
}
export function networkOf(of: Differences): Fabric {
  const { intent, findings } = parseIntent([
    {
      path: 'network.yaml',
      text: `network: acme
hubs: frankfurt
mtu: ${of.mtu}
segments: inference
# A path that has come back is as good as before: here nobody waits for its loss to be forgotten.
classes:
  realtime: { sla: { latency: none, jitter: none, loss: none } }
  business: { sla: { latency: none, jitter: none, loss: none } }
allow: [frankfurt/inference -> partner/inference, partner/inference -> frankfurt/inference]
expect:
  - { reach: frankfurt/inference -> partner/inference, survives: [uplink, tunnel, connection] }
  - { reach: partner/inference -> frankfurt/inference, survives: [uplink, tunnel, connection] }
`,
    },
    {
      path: 'frankfurt.yaml',
      text: `site: frankfurt
role: core
uplinks:
  isp-a: { interface: wan0, medium: fiber, ${of.a} }
  isp-b: { interface: wan1, medium: radio, ${of.b} }
segments: { inference: { interface: lan0, prefixes: [10.9.0.0/24, "fd09::/64"] } }
`,
    },
    {
      path: 'partner.yaml',
      text: `peer: partner
segments: { inference: { prefixes: ${JSON.stringify(of.behind)} } }
${of.tunnels ?? 'probe: 172.20.0.10\ninside: 169.254.100.0/28'}
${of.partner}
`,
    },
  ])
  if (!intent) throw new Error(JSON.stringify(findings))
  return compile(intent, []).fabric!
}
/** `version`: of the pre-shared key; a new one is a new link epoch. */
export function configOf(fabric: Fabric, version = 1): SiteConfig {
  const facts = fabric.tunnels.map(({ id }): Fact => {
    const ref = { id: 'psk/peer/partner', version, fingerprint: String(version).padStart(16, '0') }
    return { kind: 'psk', tunnel: id, linkEpoch: version - 1, ref }
  })
  return configure(fabric, facts, 'frankfurt' as SiteId)
}
export const textOf = (fabric: Fabric): string => peerConfig(fabric, fabric.peers[0]!, secret)

export type Both = ReturnType<typeof bothEnds>
/** Of a world that may be made later. */
export function bothEnds(of: () => HubWorld) {
  const paths = () => of().ask<readonly string[]>('paths')
  const sh = (namespace: string, command: string) => of().sh(namespace, command)
  /** How it stands at both ends, for whoever reads a failure. */
  async function scene(): Promise<string> {
    const told = { paths: await paths(), findings: await of().ask('findings'), events: await of().ask('events') }
    const partner = await sh('partner', 'ip addr; ip route; nft list ruleset; tail -n 30 /run/tunnel*/log')
    return `${JSON.stringify(told, null, 1)}\n${partner}\n${await sh('hub', 'ip addr; ip rule; tail -n 20 /run/h/device/ipsec/*/log')}`
  }
  async function until(question: () => Promise<boolean>, seconds = 30): Promise<void> {
    for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
      if (await question()) return
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    throw new Error(await scene())
  }
  const received = async (namespace: string, from: string, to: string, more = '') =>
    sayPings(await sh(namespace, pingCommand(to, { count: 5, seconds: 0.05, more: `-I ${from} ${more}` })), 5)
  /** By which of its tunnels the owner's gateway sends to us, as its script has it now. */
  const sendsBy = async () => [...(await sh('partner', 'ip route show 10.9.0.0/24')).matchAll(/metric 10(\d)/g)].map(([, metric]) => metric).join(' ')
  return {
    scene,
    until,
    shows: (...wanted: readonly string[]) => until(async () => JSON.stringify(await paths()) === JSON.stringify(wanted)),
    received,
    bothWays: async () => [await received('hub', '10.9.0.1', '172.20.0.10'), await received('partner', '172.20.0.10', '10.9.0.1')],
    /** The largest packets of the overlay, both ways, and how many crossed the internet in pieces meanwhile. */
    async fullBothWays({ network: { mtu } }: Fabric): Promise<{ readonly answered: readonly string[]; readonly pieces: string | undefined }> {
      const table = `add table inet pieces; delete table inet pieces; table inet pieces { counter pieces { }
chain in { type filter hook prerouting priority -500
ip frag-off & 0x3fff != 0 counter name pieces
exthdr frag exists counter name pieces
}
}`
      await sh('internet', `nft '${table}'`)
      const full = `-M do -s ${mtu - 28}`
      const answered = [await received('hub', '10.9.0.1', '172.20.0.10', full), await received('partner', '172.20.0.10', '10.9.0.1', full)]
      return { answered, pieces: /packets (\d+)/.exec(await sh('internet', 'nft list counter inet pieces pieces'))?.[1] }
    },
    sixBothWays: async () => [await received('hub', 'fd09::1', 'fd20::10'), await received('partner', 'fd20::10', 'fd09::1')],
    run: (fabric: Fabric, version = 1, key = secret) => of().ask('run', configOf(fabric, version), false, key),
    /** Until it sends by these, and no other. */
    sends: (by: string) => until(async () => (await sendsBy()) === by),
  }
}

export function ownerOf(of: () => HubWorld) {
  const sh = (command: string) => of().sh('partner', command)
  const load = (text: string): Promise<string> => {
    const { tunnels, mtu } = readPeerText(text)
    const loads = tunnels.map(
      (_, i) => `ip link set ipsec${i} mtu ${mtu} up
cat > ${folderOf(i)}/swanctl.conf <<'E'\n${text}E
SWANCTL_DIR=${folderOf(i)} swanctl --load-all --uri unix://${folderOf(i)}/vici`,
    )
    return sh(loads.join('\n'))
  }
  return {
    load,
    /** A process a tunnel, for without ESP in the kernel all tunnels of one would share a device; each reads the whole text. */
    async start(text: string): Promise<PeerText> {
      const read = readPeerText(text)
      await sh('ip addr add fd20::10/128 dev lo nodad')
      for (const i of read.tunnels.keys()) {
        const folder = folderOf(i)
        await sh(
          `mkdir -p ${folder} && cat > ${folder}/strongswan.conf <<'E'
${charonText(i)}E
STRONGSWAN_CONF=${folder}/strongswan.conf charon-systemd >${folder}/log 2>&1 </dev/null &
for n in $(seq 100); do [ -S ${folder}/vici ] && ip link show ipsec${i} >/dev/null 2>&1 && break; sleep 0.05; done`,
        )
      }
      await sh(`nft -f - <<'E'\n${portRules(read.tunnels)}E`)
      expect(await load(text)).toMatch(new RegExp(`successfully loaded ${read.tunnels.length} connections`))
      for (const [i, { insides }] of read.tunnels.entries()) for (const inside of insides) await sh(`ip address add ${inside} dev ipsec${i}`)
      await sh(`(${trackText(read.tunnels, read.routes)}) >/dev/null 2>&1 </dev/null &`)
      return read
    },
  }
}
