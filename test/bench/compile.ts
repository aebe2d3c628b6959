/**
 * The compiler at 100, 1,000 and 10,000 edges, each size in a process of its own so that its memory is its own: the whole
 * network, every site's config with every key known, and edits of one site. And 300 hubs in full mesh beside wg-meshconf.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCompiler } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import { settings } from '#providers/linux/wireguard.ts'
import type { Fabric, Fact, SiteConfig } from '#src/fabric/fabric.ts'
import { siteHash } from '#src/fabric/slice.ts'
import type { Intent, IntentSite } from '#src/intent/intent.ts'
import { addressWithLength, prefix } from '#src/net/address.ts'
import { fleet, fullMesh } from './fleet.ts'
import type { Figures } from './measure.ts'

const sizes = [100, 1_000, 10_000] as const
const meshed = 300
const wgMeshconf = '2.5.1'

export function run(): Figures {
  const figures: Record<string, number> = {}
  for (const edges of sizes) {
    const measured = inProcess('fleet', edges)
    const name = edges === 10_000 ? '10k' : edges === 1_000 ? '1k' : '100'
    for (const [key, value] of Object.entries(measured)) figures[key.replace('SIZE', name)] = value
  }
  const growth = (key: string) => ({
    [`${key}_growth_x10_to_1k`]: figures[`${key}_1k_s`]! / figures[`${key}_100_s`]!,
    [`${key}_growth_x10_to_10k`]: figures[`${key}_10k_s`]! / figures[`${key}_1k_s`]!,
  })
  const mesh = inProcess('mesh', meshed)
  const theirs = runWgMeshconf(meshed)
  return {
    ...figures,
    growth_x10: figures['compile_10k_s']! / figures['compile_1k_s']!,
    configs_growth_x10: figures['configs_10k_s']! / figures['configs_1k_s']!,
    ...growth('compile'),
    ...growth('configs'),
    rss_mb: figures['rss_10k_mb']!,
    mesh300_compile_s: mesh['compile_s']!,
    mesh300_configs_s: mesh['configs_s']!,
    mesh300_files_s: mesh['files_s']!,
    mesh300_s: mesh['compile_s']! + mesh['configs_s']! + mesh['files_s']!,
    wg_meshconf_s: theirs.added + theirs.generated,
    wg_meshconf_genconfig_s: theirs.generated,
    // From the nodes to a file of each.
    mesh300_ratio: (theirs.added + theirs.generated) / (mesh['compile_s']! + mesh['configs_s']! + mesh['files_s']!),
    // From what is stored to a file of each: its database of nodes, our compiled network.
    mesh300_stored_ratio: theirs.generated / (mesh['configs_s']! + mesh['files_s']!),
  }
}

function inProcess(what: 'fleet' | 'mesh', size: number): Figures {
  return JSON.parse(
    execFileSync(process.execPath, ['--expose-gc', import.meta.filename, what, String(size)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  )
}

/** Of processor time, the garbage collector and JIT on other threads included: more than one core alone takes, whatever else runs. */
const seconds = (work: () => void): number => {
  const begun = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(begun)
  return (user + system) / 1e6
}
/** A key for every interface, none of them real: keys are made on the boxes. */
const everyKey = (fabric: Fabric): readonly Fact[] =>
  fabric.sites.flatMap((site) =>
    site.interfaces.map(
      (one): Fact => ({ kind: 'key', site: site.id, interface: one.id, linkEpoch: 0, publicKey: `${site.id}/${one.id}`.padEnd(44, '=') }),
    ),
  )

function measureFleet(edges: number): Figures {
  const intent = fleet(edges)
  const compile = createCompiler()
  let first: ReturnType<typeof compile> | undefined
  const whole = seconds(() => (first = compile(intent, [])))
  const { fabric, claims } = first!
  const facts = everyKey(fabric!)
  let bytes = 0
  const configs = seconds(() => {
    for (const site of fabric!.sites) bytes += JSON.stringify(configure(fabric!, facts, site.id)).length
  })
  const rss = process.resourceUsage().maxRSS / 1024
  const hashes = seconds(() => {
    for (const site of fabric!.sites) siteHash(fabric!, site.id)
  })
  compile(intent, claims)
  const took = Object.entries(edits).map(([name, edit]) => [name, median(intent, edit, (edited) => compile(edited, claims))] as const)
  const most = (of: 'cpuMs' | 'ms') => Math.max(...took.filter(([name]) => name !== 'allow').map(([, one]) => one[of]))
  return {
    compile_SIZE_s: whole,
    configs_SIZE_s: configs,
    hashes_SIZE_s: hashes,
    config_bytes_SIZE: bytes,
    tunnels_SIZE: fabric!.tunnels.length,
    rss_SIZE_mb: rss,
    edit_SIZE_ms: most('cpuMs'),
    edit_SIZE_wall_ms: most('ms'),
    ...Object.fromEntries(took.map(([name, { cpuMs }]) => [`edit_${name}_SIZE_ms`, cpuMs])),
  }
}

/** The n-th time: each leaves the network another one. The slowest kind of those of one site is the figure. */
export const edits: Readonly<Record<string, (intent: Intent, n: number) => Intent>> = {
  uplink: (intent, n) => editSite(intent, n, (site) => ({ ...site, uplinks: site.uplinks.map((one) => ({ ...one, metered: true })) })),
  prefix: (intent, n) =>
    editSite(intent, n, (site) => ({
      ...site,
      lans: site.lans.map((lan, i) =>
        i === 0 ? { ...lan, prefix: prefix(`10.150.${n}.0/24`), address: addressWithLength(`10.150.${n}.1/24`) } : lan,
      ),
    })),
  label: (intent, n) => editSite(intent, n, (site) => ({ ...site, labels: ['pilot'] })),
  rename: (intent, n) => editSite(intent, n, (site) => ({ ...site, id: `${site.id}-b` as typeof site.id })),
  remove: (intent, n) => ({ ...intent, sites: intent.sites.filter((_, i) => i !== n) }),
  allow: (intent, n) => ({ ...intent, allow: [...intent.allow.slice(0, n), ...intent.allow.slice(n + 1)] }),
  add: (intent, n) => ({ ...intent, sites: [...intent.sites.slice(0, n), comer(intent.sites[n]!, n), ...intent.sites.slice(n)] }),
}
const editSite = (intent: Intent, n: number, edit: (site: IntentSite) => IntentSite): Intent => ({
  ...intent,
  sites: intent.sites.map((site, i) => (i === n ? edit(site) : site)),
})
const comer = (beside: IntentSite, n: number): IntentSite => ({
  ...beside,
  id: `${beside.id}-a` as typeof beside.id,
  lans: beside.lans.slice(0, 1).map((lan) => ({ ...lan, prefix: prefix(`10.151.${n}.0/24`), address: addressWithLength(`10.151.${n}.1/24`) })),
})
/**
 * Of processor and of wall time, in milliseconds, after as many to warm up. Each kind begins with an empty heap: what the
 * kinds before it left to be collected is not its own cost.
 */
function median(intent: Intent, edit: (intent: Intent, n: number) => Intent, compile: (intent: Intent) => unknown) {
  const times = 30
  globalThis.gc?.()
  const took = Array.from({ length: 2 * times }, (_, n) => {
    const edited = edit(intent, n)
    const start = performance.now()
    const cpuMs = seconds(() => compile(edited)) * 1000
    const ms = performance.now() - start
    compile(intent)
    return { cpuMs, ms }
  }).slice(times)
  const middle = (of: 'cpuMs' | 'ms') => took.map((one) => one[of]).sort((a, b) => a - b)[times >> 1]!
  return { cpuMs: middle('cpuMs'), ms: middle('ms') }
}

/** From what the hubs are to what each box is told, and that to a file of what `wg` reads, as wg-meshconf writes one. Keys excluded. */
function measureMesh(hubs: number): Figures {
  const whole = (of: Intent, folder: string) => {
    let result: ReturnType<typeof compile> | undefined
    const compile = createCompiler()
    const compiled = seconds(() => (result = compile(of, [])))
    const fabric = result!.fabric!
    const { sites } = fabric
    const facts = everyKey(fabric)
    let [tunnels, configured, written] = [0, 0, 0]
    for (const { id } of sites) {
      let config: SiteConfig | undefined
      configured += seconds(() => (config = configure(fabric, facts, id)))
      written += seconds(() => writeFileSync(join(folder, `${id}.conf`), wireguardText(config!)))
      tunnels += config!.tunnels.length
    }
    return { tunnels, compile_s: compiled, configs_s: configured, files_s: written }
  }
  const folder = mkdtempSync(join(tmpdir(), 'causeway-mesh-'))
  try {
    const warm = fullMesh(20)
    for (let n = 0; n < 5; n++) whole(warm, folder)
    const { tunnels, ...took } = whole(fullMesh(hubs), folder)
    if (tunnels !== hubs * (hubs - 1)) throw new Error(`${tunnels} ends of tunnels, not ${hubs * (hubs - 1)}`)
    return took
  } finally {
    rmSync(folder, { recursive: true })
  }
}
/** Of each interface what the driver feeds to `wg syncconf`. */
function wireguardText(config: SiteConfig): string {
  const peers = Map.groupBy(config.tunnels, (tunnel) => tunnel.interface)
  return config.interfaces
    .map((one) =>
      settings(
        {
          name: one.device,
          up: true,
          mtu: config.network.mtu,
          publicKey: '',
          listenPort: one.listenPort,
          fwmark: 0,
          peers: (peers.get(one.id) ?? []).flatMap(({ peer, initiates }) =>
            peer.kind === 'wireguard'
              ? [
                  {
                    publicKey: peer.publicKey,
                    allowedIps: peer.allowedIps,
                    endpoint: peer.endpoint === 'roams' ? '' : `${peer.endpoint.address}:${peer.endpoint.port}`,
                    keepalive: initiates ? 25 : 0,
                  },
                ]
              : [],
          ),
        },
        ''.padEnd(44, '='),
      ),
    )
    .join('')
}

/** PyPI's wg-meshconf, its own classes in one process, without key generation and derivation. */
function runWgMeshconf(hubs: number): { readonly added: number; readonly generated: number } {
  const cache = join(import.meta.dirname, '..', '..', '.causeway', 'cache', `wg-meshconf-${wgMeshconf}`)
  if (!existsSync(cache)) {
    mkdirSync(cache, { recursive: true })
    execFileSync('python3', ['-m', 'pip', 'install', '--quiet', '--root-user-action', 'ignore', '--target', cache, `wg-meshconf==${wgMeshconf}`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }
  const out = execFileSync('python3', [join(import.meta.dirname, 'wg-meshconf.py'), cache, String(hubs)], { encoding: 'utf8' })
  return JSON.parse(out.trim().split('\n').at(-1)!)
}

if (import.meta.main) {
  const [what, size] = [process.argv[2], Number(process.argv[3])]
  process.stdout.write(`${JSON.stringify(what === 'mesh' ? measureMesh(size) : measureFleet(size))}\n`)
}
