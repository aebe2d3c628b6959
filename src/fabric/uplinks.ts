/** What an uplink's endpoint says of the paths that it may carry. */
import { type Family, familyOf } from '#src/net/address.ts'
import type { Endpoint } from './fabric.ts'

/** A path runs between two ends of one family: outside of its tunnel there is no other. */
export const familiesOf = (of: Endpoint): readonly Family[] => (of.kind === 'fixed' ? [familyOf(of.address)] : (of.families ?? [4]))
