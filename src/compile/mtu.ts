/** One MTU for the whole overlay and the TCP clamp that follows from it (routing rule 24). */
import type { Network } from '#src/fabric/fabric.ts'
import type { Intent } from '#src/intent/intent.ts'

/** 20 bytes of IPv4 or 40 of IPv6, and 20 of TCP. */
export const mtu = (intent: Intent): Pick<Network, 'mtu' | 'mss'> => ({ mtu: intent.mtu, mss: { v4: intent.mtu - 40, v6: intent.mtu - 60 } })
