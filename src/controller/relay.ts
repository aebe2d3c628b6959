/** The way to workflows, whether or not they answer now: what was not heard is said again until it is. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiCommands } from './api/context.ts'
import { type Commands, createCommands } from './commands.ts'
import type { Timing } from '#workflows/contract.ts'
import type { Store } from './store/index.ts'

export interface RelayDeps {
  readonly store: Store
  /** host:port of Temporal, once it is known. */
  readonly address: Promise<string>
  readonly namespace: string
  readonly timing: Timing
  readonly log: (error: unknown) => void
}
export interface Relay {
  readonly commands: ApiCommands
  readonly signals: Pick<Commands, 'claimed' | 'facts' | 'reported' | 'region'>
  /** Something was not heard, or Temporal came back without its memory: say it all again, until it is heard. */
  again(): void
  close(): Promise<void>
}

const answerWithinMs = 5_000

export function openRelay({ store, address, namespace, timing, log }: RelayDeps): Relay {
  let connecting: Promise<Commands> | undefined
  let closed = false
  let repeating = false
  let asked = false

  const connect = async (): Promise<Commands> => {
    // A connection that is opened after the end would keep the process alive.
    if (closed) throw new Error('the controller is stopping')
    connecting ??= address.then((known) => createCommands({ address: known, namespace, timing }))
    try {
      return await connecting
    } catch (error) {
      connecting = undefined
      throw error
    }
  }
  let repetition: Promise<void> = Promise.resolve()
  const repeat = async (): Promise<void> => {
    for (let delay = 100; asked && !closed; delay = Math.min(delay * 2, 5_000)) {
      asked = false
      try {
        await (await connect()).reopen(store)
        delay = 100
      } catch (error) {
        log(error)
        asked = true
        if (!closed) await sleep(delay)
      }
    }
    repeating = false
  }
  const again = () => {
    asked = true
    if (repeating || closed) return
    repeating = true
    repetition = repeat()
  }
  /** Temporal holds an Update until a worker takes it: whoever asked is not kept waiting for that. */
  const answered = async <T>(command: (commands: Commands) => Promise<T>): Promise<T> => {
    const late = new AbortController()
    const timeout = sleep(answerWithinMs, undefined, { signal: late.signal, ref: false }).then(() => {
      throw new Error(`workflows did not answer within ${answerWithinMs / 1000} s`)
    })
    try {
      return await Promise.race([connect().then(command), timeout])
    } finally {
      late.abort()
      timeout.catch(() => {})
    }
  }
  /** A signal that was not heard is part of what `reopen` says. */
  const heard = async (signal: (commands: Commands) => Promise<void>): Promise<void> => {
    try {
      await signal(await connect())
    } catch (error) {
      log(error)
      again()
    }
  }

  return {
    commands: {
      apply: (network, command) => answered((commands) => commands.apply(network, command)),
      rollout: (network, command) => answered((commands) => commands.rollout(network, command)),
      invite: (site, command) => answered((commands) => commands.invite(site, command)),
      approve: (site, command) => answered((commands) => commands.approve(site, command)),
      replace: (site, command) => answered((commands) => commands.replace(site, command)),
      drain: (site, command) => answered((commands) => commands.drain(site, command)),
      undrain: (site, command) => answered((commands) => commands.undrain(site, command)),
      decommission: (site, command) => answered((commands) => commands.decommission(site, command)),
      drill: (drill, command) => answered((commands) => commands.drill(drill, command)),
      scheduleDrills: () => answered((commands) => commands.scheduleDrills(store)),
      repairRegion: (region, command) => answered((commands) => commands.repairRegion(region, command)),
      decommissionRegion: (region, command) => answered((commands) => commands.decommissionRegion(region, command)),
    },
    signals: {
      claimed: (site, claimId) => heard((commands) => commands.claimed(site, claimId)),
      facts: (site) => heard((commands) => commands.facts(site)),
      reported: (site) => heard((commands) => commands.reported(site)),
      region: (region) => heard((commands) => commands.region(region)),
    },
    again,
    close: async () => {
      closed = true
      await connecting?.then((commands) => commands.close()).catch(() => {})
      await repetition
    },
  }
}
