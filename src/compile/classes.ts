/** Traffic classes with their allocated marks. */
import type { TrafficClass } from '#src/fabric/fabric.ts'
import { compareText } from '#src/fabric/ids.ts'
import type { Intent } from '#src/intent/intent.ts'
import type { Numbers } from './allocate.ts'

export const classes = (intent: Intent, numbers: Numbers): readonly TrafficClass[] =>
  intent.classes
    .map(({ id, dscp, share, sla }): TrafficClass => ({ id, index: numbers.trafficClass(id), dscp, share, sla }))
    .sort((a, b) => compareText(a.id, b.id))
