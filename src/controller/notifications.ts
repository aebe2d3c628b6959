/** One LISTEN connection for the whole process, handed out to as many followers as there are (SSE streams of people and agents). */
import type { Channel, Store } from './store/index.ts'

export interface Notifications {
  /** Calls `heard` on every notification of the channel, and with '' when some may have been missed. Returns how to stop. */
  on(channel: Channel, heard: (payload: string) => void): () => void
  close(): Promise<void>
}

const channels = ['assigned', 'events', 'operations'] as const satisfies readonly Channel[]

export async function openNotifications(store: Store): Promise<Notifications> {
  const followers: Readonly<Record<Channel, Set<(payload: string) => void>>> = { assigned: new Set(), events: new Set(), operations: new Set() }
  const tell = (channel: Channel, payload: string) => {
    for (const heard of followers[channel]) heard(payload)
  }
  const subscription = await store.listen(channels, tell, () => {
    for (const channel of channels) tell(channel, '')
  })
  return {
    on: (channel, heard) => {
      followers[channel].add(heard)
      return () => {
        followers[channel].delete(heard)
      }
    },
    close: () => subscription.close(),
  }
}
