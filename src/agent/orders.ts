/** What the controller orders beside bundles: signed like a permit, for one box. Whoever signed something else is not answered. */
import type * as z from 'zod/mini'
import { openSigned } from '#src/wire/bundle.ts'
import type { Signed } from '#src/wire/messages.ts'
import { type Identity, trustOf } from './enrol.ts'
import type { Log } from './log.ts'

interface Addressed {
  readonly network: string
  readonly site: string
  readonly device: string
}
/** Null, and a line in the log, unless this network signed it for this very box. */
export function openOrder<T extends Addressed>(signed: Signed, identity: Identity, schema: z.ZodMiniType<T>, name: string, log: Log): T | null {
  const opened = openSigned(signed, trustOf(identity).bundleSigners)
  const parsed = opened.ok ? schema.safeParse(opened.payload) : null
  if (!parsed?.success) {
    log(name, 'an order that this network did not sign is ignored')
    return null
  }
  const { network, site, device } = parsed.data
  if (network === identity.network && site === identity.site && device === identity.device) return parsed.data
  log(name, 'an order for another box is ignored')
  return null
}
