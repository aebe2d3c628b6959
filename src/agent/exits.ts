/**
 * Which uplinks lead out to the internet. Their own tunnels tell: hubs are on the internet, so a path that answers over an
 * uplink proves that the internet is behind it, and no third party has to be asked.
 */
import type { SiteConfig } from '#src/fabric/fabric.ts'
import type { Leaving } from '#providers/device.ts'
import type { ByTunnel } from './choices.ts'

/**
 * null where no LAN may leave. With no answer over any uplink what was said `before` stays: hubs that are all gone are no
 * reason to cut off the internet as well.
 */
export function leavingNow(config: SiteConfig, byTunnel: ByTunnel, before: Leaving | null): Leaving | null {
  const { exits } = config
  const [first] = exits ?? []
  if (!exits || first === undefined) return null
  const answering = new Set([...byTunnel.values()].filter(({ path }) => path.alive === 'UP').map(({ tunnel }) => tunnel.uplink))
  const open = exits.filter((id) => answering.has(id))
  if (open[0] !== undefined) return { by: open[0], open }
  const kept = before?.open.filter((id) => exits.includes(id)) ?? []
  return { by: before && exits.includes(before.by) ? before.by : first, open: kept.length > 0 ? kept : exits }
}
export const sameLeaving = (a: Leaving | null, b: Leaving | null): boolean =>
  a?.by === b?.by && (a?.open.join(' ') ?? '') === (b?.open.join(' ') ?? '')
