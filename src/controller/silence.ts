/**
 * Tells a region's entity when a hub that holds its connections falls silent, and when it is heard again: a report tells
 * the rest, but of a hub that is off there is none.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { regions, sites, type Store } from './store/index.ts'

export interface HubsDeps {
  readonly store: Store
  readonly signals: { region(region: string): Promise<void> }
  readonly now: () => Date
  readonly log: (error: unknown) => void
  /** As for sites: this long without a report. */
  readonly after?: number
}

/** One query every third of `after`; several controllers of one database tell several times, which is harmless. */
export function watchHubs({ store, signals, now, log, after = sites.offlineAfterMs }: HubsDeps): { close(): Promise<void> } {
  const end = new AbortController()
  /** Region → its silent hubs, as its entity was last told. */
  let told = new Map<string, string>()
  const look = async () => {
    const found = new Map<string, string>()
    for (const { id, config, state } of await regions.list(store.db)) {
      if (config === null || state === 'RETIRED') continue
      found.set(id, (await regions.silentHubs(store.db, config, now(), after)).join())
    }
    const turned = [...found].filter(([id, hubs]) => (told.get(id) ?? '') !== hubs)
    told = found
    // Not waited for: workflows may be away, and hear of it all when they are back.
    for (const [id] of turned) signals.region(id).catch(log)
  }
  const watch = async () => {
    while (!end.signal.aborted) {
      await look().catch(log)
      await sleep(after / 3, undefined, { signal: end.signal }).catch(() => {})
    }
  }
  const watching = watch()
  return {
    close: async () => {
      end.abort()
      await watching
    },
  }
}
