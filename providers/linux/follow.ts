/** Addresses and routers of uplinks change (DHCP, LTE, a cable): `ip monitor` says when, the driver looks what. */
import type { Conversation, Runner } from './run.ts'

export interface Follower {
  close(): void
}
/** A change comes as a burst of lines: look once, when it is over. */
const quietMs = 200
const restartMs = 5000

export function follow(runner: Runner, refresh: () => Promise<void>): Follower {
  let conversation: Conversation | null = null
  let timer: NodeJS.Timeout | undefined
  let closed = false
  const soon = (ms: number): void => {
    if (closed) return
    clearTimeout(timer)
    // A refresh that fails (the interface is just going) is tried again by the next event.
    timer = setTimeout(() => void refresh().catch(() => {}), ms)
  }
  const start = (): void => {
    if (closed) return
    conversation = runner.talk(
      ['ip', '-o', 'monitor', 'link', 'address', 'route'],
      (line) => {
        // Our own tunnels and tables would wake us for nothing, and so would what routers of LANs announce.
        if (!/\bcw[hemi]\w*p[01]\b|proto (67|bgp|ospf)\b/.test(line)) soon(quietMs)
      },
      () => {
        // Events may have been missed while it was away.
        if (!closed)
          timer = setTimeout(() => {
            start()
            soon(0)
          }, restartMs)
      },
    )
  }
  start()
  return {
    close: () => {
      closed = true
      clearTimeout(timer)
      conversation?.close()
    },
  }
}
