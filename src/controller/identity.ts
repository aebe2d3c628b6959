/** Who the controller is to agents: it can only be said once the network has a name, and then the agents' listener starts. */
import { siteEnds } from '#src/fabric/ids.ts'
import type { Listen } from './agents.ts'
import { startAgents } from './agents.ts'
import { createEnrolment } from './enrolment.ts'
import type { Notifications } from './notifications.ts'
import { type Authority, loadAuthority } from './pki/authority.ts'
import type { Vault } from './pki/vault.ts'
import type { Signed } from '#src/wire/messages.ts'
import type { Relay } from './relay.ts'
import { createReports } from './reports.ts'
import { generations, network, type Store } from './store/index.ts'

export interface IdentityDeps {
  readonly store: Store
  readonly vault: Vault
  readonly relay: Relay
  readonly notifications: Notifications
  readonly listen: Listen
  /** What tokens tell boxes to dial; this machine and the port if not given. */
  readonly publicHost: string | null
  readonly now: () => Date
  readonly log: (error: unknown) => void
  /** The agents' port, once it is known; null on a UNIX socket. */
  readonly told: (port: number | null) => void
}
export interface Identity {
  /** What bootstrap tokens carry; null while the network has no name. */
  tokens(): { readonly caPin: Buffer; readonly host: string } | null
  trust(): Signed | null
  /** Idempotent; returns when agents can connect. */
  start(network: string): Promise<void>
  close(): Promise<void>
}

interface Running {
  readonly authority: Authority
  readonly host: string
  close(): Promise<void>
}

export function openIdentity(deps: IdentityDeps): Identity {
  const { store, vault, relay, notifications, now, log } = deps
  let starting: Promise<Running> | undefined
  let running: Running | undefined

  const run = async (name: string): Promise<Running> => {
    const authority = await loadAuthority(vault, { network: name, now: now() })
    const reports = createReports({ store, signals: relay.signals, now, log })
    const enrolment = createEnrolment({
      store,
      authority,
      claimed: relay.signals.claimed,
      quarantined: (site) => quarantined(store, relay, site),
      now,
    })
    const listener = await startAgents({ store, authority, vault, enrolment, reports, notifications, now, log }, deps.listen)
    deps.told(listener.port)
    relay.again()
    return {
      authority,
      host: deps.publicHost ?? `127.0.0.1:${listener.port ?? 443}`,
      close: async () => {
        await listener.close()
        await reports.close()
      },
    }
  }
  const start = async (name: string): Promise<void> => {
    starting ??= run(name)
    try {
      running = await starting
    } catch (error) {
      starting = undefined
      throw error
    }
  }
  // Another controller of the same database may be the one that hears the first plan.
  const stop = notifications.on('events', () => {
    if (starting) return
    network.get(store.db).then((named) => (named ? start(named.id) : undefined), log)
  })
  return {
    tokens: () => (running ? { caPin: running.authority.caPin, host: running.host } : null),
    trust: () => running?.authority.trust ?? null,
    start,
    close: async () => {
      stop()
      await starting?.then((of) => of.close()).catch(() => {})
    },
  }
}

/** The site's entity reads its row, and its peers' configurations are made without it. */
async function quarantined(store: Store, relay: Relay, site: string): Promise<void> {
  await relay.signals.reported(site)
  const head = await generations.head(store.db)
  const peers = new Set(
    head?.fabric.tunnels
      .map(siteEnds)
      .filter((ends) => ends.some((end) => end.site === site))
      .flatMap((ends) => ends.map((end) => end.site as string)),
  )
  peers.delete(site)
  for (const peer of peers) await relay.signals.facts(peer)
}
