/** Who may leave to the internet, and where: said of a segment for the whole network, or of one LAN. */
import type { SegmentId } from '#src/fabric/fabric.ts'
import type { Breakout, Intent } from './intent.ts'
import { reportUnknownSegment } from './names.ts'
import type { Raw } from './raw.ts'
import type { Report } from './report.ts'
import type { Names } from './selector.ts'

export function readInternet(raw: Raw, names: Names, report: Report): Intent['internet'] {
  const out = new Map<SegmentId, Breakout>()
  for (const { key, value } of raw.network?.fields.internet ?? []) {
    report.origins.set(`internet/${key.value}`, key.at)
    reportUnknownSegment(key, names, report)
    if (value) out.set(key.value as SegmentId, value.value)
  }
  return [...out].map(([segment, breakout]) => ({ segment, breakout })).sort((a, b) => (a.segment < b.segment ? -1 : 1))
}
