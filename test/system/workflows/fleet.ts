/**
 * Fake gateways: they redeem, make keys, arm a guard, ask for the permit and confirm, as agents do, by the store's own
 * functions. Two ends of a tunnel see it UP when both run a bundle that has it.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import type { Fact, SiteConfig, SiteId, Triple } from '#src/fabric/fabric.ts'
import type { Commands } from '#src/controller/commands.ts'
import { bundles, certificates, claims, drills, facts, paths, permits, replacements, sites, type Store, tokens } from '#src/controller/store/index.ts'
import { DrillPayload, type Report } from '#src/wire/messages.ts'

export interface Gateway {
  readonly site: string
  /** Every triple that it was told to run, in order, and what became of it. */
  readonly tried: readonly { readonly triple: Triple; readonly outcome: 'confirmed' | 'rolled-back' }[]
  running(): { readonly triple: Triple; readonly config: SiteConfig } | null
  /** Says why a bundle can't be confirmed, or null. */
  reject(judge: (config: SiteConfig, triple: Triple) => string | null): void
  /** Paths whose tunnel's name has this in it stay DOWN; null heals. */
  cut(part: string | null): void
  /** So many orders of drills are out of date when they come. */
  moveBeforeDrills(orders: number): void
  /** How many packets it is to have passed on since it began to drain; null: none any more. */
  passOn(packets: number | null): void
  /** Interfaces that the box does not have. */
  lose(...names: readonly string[]): void
  plugIn(): void
  unplug(): void
}

export interface Fleet {
  /** A box that has the token of `site` starts here; another one beside it needs a name of its own. */
  gateway(site: string, tokenId: string, name?: string): Promise<Gateway>
  readonly gateways: ReadonlyMap<string, Gateway>
  /** What must never be seen outside a box. */
  readonly privateKeys: readonly string[]
  stop(): Promise<void>
}

interface Box extends Gateway {
  tick(): Promise<void>
  /** The public key of an interface's link epoch. */
  publicKey(of: { readonly interface: string; readonly linkEpoch: number }): string | undefined
}

/** How long a commit stays PENDING, milliseconds. */
const pendingFor = 20
const everyMs = 100
const quiet = { rttMs: 10, jitterMs: 1, loss: 0, classes: [] }

export function startFleet(store: Store, commands: () => Commands): Fleet {
  const gateways = new Map<string, Box>()
  const privateKeys: string[] = []
  const stopping = new AbortController()
  const signalled = (work: Promise<void>) => work.catch(() => {})

  const loop = (async () => {
    while (!stopping.signal.aborted) {
      for (const gateway of gateways.values()) await gateway.tick()
      await new Promise((resolve) => setTimeout(resolve, everyMs))
    }
  })()

  return {
    gateways,
    privateKeys,
    gateway: async (site, tokenId, name = site) => {
      const made = await box(site, tokenId)
      gateways.set(name, made)
      return made
    },
    stop: async () => {
      stopping.abort()
      await loop
    },
  }

  async function box(site: string, tokenId: string) {
    const thumbprint = randomBytes(32).toString('hex')
    const claimId = `claim-${randomUUID()}`
    const inventory = {
      serial: `XJ-${site}`,
      hostname: site,
      os: 'Debian 12',
      kernel: '6.8',
      agentVersion: '0.1.0',
      wireguard: 'userspace',
      ipsec: 'userspace',
      interfaces: [],
    } as const
    await store.transaction(async (tx) => {
      const waits = (await sites.get(tx, site))?.role === 'core' || (await tokens.get(tx, tokenId))?.purpose === 'replace'
      await claims.insert(tx, {
        id: claimId,
        tokenId,
        site,
        thumbprint,
        sealingKey: randomBytes(32).toString('base64'),
        serial: inventory.serial,
        inventory: { ...inventory, interfaces: [] },
        state: waits ? 'claimed' : 'enrolled',
      })
      await tokens.redeem(tx, tokenId, claimId)
    })
    let told = false
    let certified = false
    let plugged = true
    let passing: number | null = null
    let ports: readonly string[] = [
      ...['fiber', 'lte', 'isp-a', 'isp-b'].map((id) => `eth-${id}`),
      ...['inference', 'training', 'cameras'].map((id) => `lan-${id}`),
    ]
    let broken: string | null = null
    let outdated = 0
    let answered = ''
    let judge: (config: SiteConfig, triple: Triple) => string | null = () => null
    let running: { triple: Triple; config: SiteConfig } | null = null
    let failed: Triple | null = null
    let commit: Report['commit'] = { state: 'idle' }
    let reportedPaths = ''
    let lastReport = 0
    const keys = new Map<string, string>()
    const ownFacts: Fact[] = []
    let up: readonly string[] = []
    /** It is to take the place of the site's box. */
    let isNext = false
    const tried: { triple: Triple; outcome: 'confirmed' | 'rolled-back' }[] = []

    const drains = () => {
      const until = running?.config.drainUntil
      return until === undefined ? null : { until, packets: passing ?? 0, bytes: (passing ?? 0) * 100, drained: passing === null }
    }
    const report = async (kick: boolean) => {
      lastReport = Date.now()
      if (isNext) {
        const said: Report = {
          running: running?.triple ?? null,
          commit,
          keys: [],
          endpoints: [],
          paths: up.map((tunnel) => ({ ...quiet, tunnel, state: 'UP' as const, since: new Date().toISOString() })),
          findings: [],
          inventory: { ...inventory, interfaces: ports.map((name) => ({ name, up: true, addresses: [], router: '' })) },
          headlessSince: null,
        }
        await store.transaction((tx) => replacements.reported(tx, site, { report: said, keys: ownFacts, at: new Date() }))
        if (kick) await signalled(commands().reported(site))
        return
      }
      await store.transaction(async (tx) => {
        // As the controller: of a box that was exchanged in this moment nothing is written.
        const { device = null } = (await sites.lock(tx, site)) ?? {}
        if (device !== null && device !== thumbprint) return
        await sites.reported(tx, {
          site,
          running: running?.triple ?? null,
          commit,
          findings: [],
          inventory: null,
          headlessSince: null,
          drain: drains(),
          carries: null,
          every: 5,
          at: new Date(),
        })
      })
      if (kick) await signalled(commands().reported(site))
    }
    const makeKeys = async (config: SiteConfig) => {
      const fresh: Fact[] = []
      for (const { id, linkEpoch } of config.interfaces) {
        const name = `${id}/${linkEpoch}`
        if (keys.has(name)) continue
        const secret = randomBytes(32).toString('base64')
        privateKeys.push(secret)
        keys.set(name, secret)
        fresh.push({ kind: 'key', site: site as SiteId, interface: id, linkEpoch, publicKey: randomBytes(32).toString('base64') })
      }
      if (fresh.length === 0) return
      ownFacts.push(...fresh)
      if (isNext) return
      await store.transaction((tx) => facts.put(tx, fresh))
      const peers = new Set(config.waiting.flatMap((tunnel) => tunnel.split('--').map((end) => end.split('.')[0] as string)))
      for (const touched of new Set([site, ...peers])) if (gateways.has(touched)) await signalled(commands().facts(touched))
    }
    const take = async (triple: Triple) => {
      const bundle = await bundles.get(store.db, site, triple)
      if (bundle === undefined) return
      await makeKeys(bundle.config)
      const nonce = randomUUID()
      commit = { state: 'pending', triple, nonce, deadline: new Date(Date.now() + 10_000).toISOString() }
      await report(true)
      await new Promise((resolve) => setTimeout(resolve, pendingFor))
      const why = judge(bundle.config, triple)
      const assigned = await replacements.assignedTo(store.db, site, thumbprint)
      const granted = sites.sameTriple(assigned, triple) && (await permits.grant(store.db, site, nonce, triple))
      if (why === null && granted) {
        running = { triple, config: bundle.config }
        commit = { state: 'confirmed', triple }
        tried.push({ triple, outcome: 'confirmed' })
      } else {
        failed = triple
        commit = { state: 'rolled-back', triple, code: 'A40', why: why ?? 'it is not assigned any more' }
        tried.push({ triple, outcome: 'rolled-back' })
      }
      await report(true)
    }
    /** Obeys without a clock of its own: cut, and whole again at the next look. */
    const drill = async () => {
      const order = await drills.orderFor(store.db, site)
      if (order === undefined) return
      const at = new Date().toISOString()
      const { attempt = 1, moves = [] } = DrillPayload.parse(JSON.parse(Buffer.from(order.ordered?.payload ?? '', 'base64url').toString()))
      const name = `${order.id} ${attempt}`
      if (order.state === 'ORDERED' && name !== answered && outdated > 0) {
        outdated -= 1
        answered = name
        await store.transaction((tx) =>
          drills.reported(tx, site, {
            drill: order.id,
            attempt,
            state: 'refused',
            outdated: true,
            brokenAt: null,
            healedAt: null,
            classes: [],
            why: 'class default to frankfurt takes another way now',
          }),
        )
        return
      }
      const to = (running?.config.tunnels ?? []).find(({ role, uplink }) => role === 'spoke' && uplink !== order.uplink)
      await store.transaction((tx) =>
        drills.reported(tx, site, {
          drill: order.id,
          attempt,
          state: order.state === 'ORDERED' ? 'broken' : 'healed',
          brokenAt: at,
          healedAt: order.state === 'ORDERED' ? null : at,
          classes: moves.map((move) => ({ ...move, to: to?.id ?? null, movedAfterMs: 140, gapMs: 171, probes: { sent: 20, lost: 3 } })),
          disturbed: [],
          why: '',
        }),
      )
    }
    /** The far end runs this tunnel with the key of this very box. */
    const knows = (far: Box, tunnel: string): boolean => {
      const [own, other] = [running?.config, far.running()?.config].map((config) => config?.tunnels.find(({ id }) => id === tunnel))
      return own !== undefined && other?.peer.kind === 'wireguard' && other.peer.publicKey === publicKey(own)
    }
    const publicKey: Box['publicKey'] = (of) => {
      const fact = ownFacts.find((one) => one.kind === 'key' && one.interface === of.interface && one.linkEpoch === of.linkEpoch)
      return fact?.kind === 'key' ? fact.publicKey : undefined
    }
    const lookAtPaths = async () => {
      const reachable = (running?.config.tunnels ?? []).filter(
        ({ id, remote, probe }) =>
          (broken === null || !id.includes(broken)) &&
          (probe === 'icmp' || [...gateways.values()].some((far) => far.site === remote && knows(far, id))),
      )
      const cut = (running?.config.tunnels ?? []).filter(({ id, role }) => role === 'cloud' && broken !== null && id.includes(broken))
      const now = `${reachable.map(({ id }) => id).join()} ${cut.map(({ id }) => id).join()}`
      if (now === reportedPaths) return
      reportedPaths = now
      up = reachable.map(({ id }) => id)
      if (isNext) return await report(true)
      const since = new Date().toISOString()
      await paths.replace(store.db, [
        {
          site,
          at: new Date(),
          paths: [
            ...reachable.map(({ id, role: kind, remote }, index) => ({
              ...quiet,
              tunnel: id,
              state: 'UP' as const,
              since,
              classes: kind === 'spoke' && index === 0 ? ['default'] : [],
              uses: kind === 'spoke' && index === 0 ? [{ remote, classes: ['default'] }] : [],
            })),
            ...cut.map(({ id }) => ({ ...quiet, tunnel: id, state: 'DOWN' as const, since })),
          ],
        },
      ])
      await report(true)
      const clouds = new Set((running?.config.tunnels ?? []).flatMap(({ role, remote }) => (role === 'cloud' ? [remote as string] : [])))
      for (const region of clouds) await signalled(commands().region(region))
    }

    return {
      site,
      tried,
      publicKey,
      lose: (...names: readonly string[]) => {
        ports = ports.filter((name) => !names.includes(name))
      },
      running: () => running,
      reject: (next: typeof judge) => {
        judge = next
      },
      cut: (part: string | null) => {
        broken = part
      },
      moveBeforeDrills: (orders: number) => {
        outdated = orders
      },
      passOn: (packets: number | null) => {
        passing = packets
        void report(true)
      },
      plugIn: () => {
        plugged = true
      },
      unplug: () => {
        plugged = false
      },
      tick: async () => {
        if (!plugged) return
        if (!told) {
          await commands()
            .claimed(site, claimId)
            .then(
              () => {
                told = true
              },
              () => {},
            )
          return
        }
        const row = await sites.get(store.db, site)
        isNext = row?.device !== thumbprint && (await replacements.get(store.db, site))?.device === thumbprint
        if (row?.device !== thumbprint && !isNext) {
          // Asks, and is told to remove itself.
          if (row?.state === 'RETIRED' || (await claims.get(store.db, claimId))?.state === 'replaced') running = null
          return
        }
        if (!certified) {
          const claim = await claims.get(store.db, claimId)
          if (claim?.state !== 'enrolled') return
          await certificates.insert(store.db, {
            serial: randomUUID(),
            site,
            thumbprint,
            previous: null,
            pem: 'a certificate',
            notAfter: new Date(Date.now() + 86_400_000),
          })
          certified = true
          await report(true)
        }
        const assigned = await replacements.assignedTo(store.db, site, thumbprint)
        if (assigned === null) {
          if (row?.state === 'DECOMMISSIONING' && running !== null) {
            running = null
            keys.clear()
            commit = { state: 'idle' }
            await report(true)
          }
          return
        }
        if (!sites.sameTriple(assigned, running?.triple ?? null) && !sites.sameTriple(assigned, failed)) await take(assigned)
        await lookAtPaths()
        await drill()
        if (Date.now() - lastReport > 500) await report(false)
      },
    }
  }
}
