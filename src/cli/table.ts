/** Plain columns: aligned, no frames, made for narrow terminals and for grep. */
import { stripVTControlCharacters } from 'node:util'

const width = (cell: string) => stripVTControlCharacters(cell).length

export function columns(rows: readonly (readonly string[])[], indent = ''): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => width(row[column] ?? ''))))
  return rows
    .map((row) =>
      `${indent}${row.map((cell, column) => (column === row.length - 1 ? cell : cell + ' '.repeat(widths[column]! - width(cell)))).join('  ')}`.trimEnd(),
    )
    .join('\n')
}

// Sweden writes dates as ISO 8601 does: the same everywhere, and they sort.
/** `2026-11-26 11:10:55`, in local time. */
export const when = (at: string): string => new Date(at).toLocaleString('sv-SE')
/** `2026-12-03 02:10 UTC`: schedules are kept in UTC. */
export const utc = (at: string): string => `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`
/** `11:10:55`. */
export const clock = (at: string | number = Date.now()): string => new Date(at).toLocaleTimeString('sv-SE')

/** `4 min`, `3 h`, `2 days`: how long ago, for people. */
export function ago(since: string | null, now = Date.now()): string {
  if (since === null) return 'never'
  const seconds = Math.max(0, Math.round((now - Date.parse(since)) / 1000))
  if (seconds < 90) return `${seconds} s`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} days`
}
