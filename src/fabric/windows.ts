/**
 * Maintenance windows: recurring hours of a week at a place, in its own time. Pure: the present is an argument.
 *
 * Wall times become instants as RFC 5545 (3.3.5) has it: one that a clock skips counts by the offset before the gap, of one
 * that it shows twice the first is meant. So a window from 02:00 to 04:00 is one hour long on the night when clocks go
 * forward and three when they go back.
 */
import type { Maintenance, WeekWindow } from './fabric.ts'

const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const
const minute = 60_000
const day = 24 * 60 * minute
/** A window that a clock skips whole comes again a week later. */
const ahead = 15

export type Reading<T> = { readonly ok: true; readonly value: T } | { readonly ok: false }

/** `sun 02:00-04:00`, `mon-fri 22:00-06:00` (into the next morning), `daily 00:00-24:00`. */
export function readWindow(text: string): Reading<WeekWindow> {
  const match = /^(daily|[a-z]{3}(?:-[a-z]{3})?) +(\d\d):(\d\d)-(\d\d):(\d\d)$/.exec(text.trim().toLowerCase())
  if (!match) return { ok: false }
  const [, on = '', ...numbers] = match
  const [fromHour = 0, fromMinute = 0, toHour = 0, toMinute = 0] = numbers.map(Number)
  if (fromHour > 23 || fromMinute > 59 || toMinute > 59 || toHour * 60 + toMinute > 24 * 60) return { ok: false }
  const [first, last] = on === 'daily' ? [0, 6] : on.split('-').map((name) => days.indexOf(name as (typeof days)[number]))
  const end = last ?? first!
  if (first === undefined || first < 0 || end < 0) return { ok: false }
  const from = fromHour * 60 + fromMinute
  const to = toHour * 60 + toMinute
  const length = ((end - first + 7) % 7) + 1
  return {
    ok: true,
    value: { days: Array.from({ length }, (_, i) => (first + i) % 7).sort((a, b) => a - b), from, to: to > from ? to : to + 24 * 60 },
  }
}

const two = (n: number): string => String(n).padStart(2, '0')
const clock = (minutes: number): string => `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
/** As `readWindow` reads it. */
export function formatWindow({ days: on, from, to }: WeekWindow): string {
  const first = on.find((one) => !on.includes((one + 6) % 7)) ?? 0
  const last = (first + on.length - 1) % 7
  const which = on.length === 7 ? 'daily' : on.length === 1 ? days[first]! : `${days[first]!}-${days[last]!}`
  return `${which} ${clock(from)}-${to > 24 * 60 ? clock(to - 24 * 60) : clock(to)}`
}
/** `sun 02:00-04:00 Europe/Berlin`. */
export const formatMaintenance = ({ windows, timezone }: Maintenance): string => `${windows.map(formatWindow).join(', ')} ${timezone}`

/** By its name in the IANA database, `UTC` too. */
export function isTimezone(name: string): boolean {
  try {
    clockOf(name)
    // Offsets, and abbreviations like EST, know no daylight saving.
    return name === 'UTC' || name.includes('/')
  } catch {
    return false
  }
}

const clocks = new Map<string, Intl.DateTimeFormat>()
function clockOf(timezone: string): Intl.DateTimeFormat {
  const known = clocks.get(timezone)
  if (known) return known
  const made = new Intl.DateTimeFormat('en-GB', {
    timeZone: timezone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  clocks.set(timezone, made)
  return made
}
/** What a clock there shows at that instant, as if it were UTC, ms. */
function wallAt(instant: number, timezone: string): number {
  const parts = new Map(
    clockOf(timezone)
      .formatToParts(instant)
      .map(({ type, value }) => [type, Number(value)]),
  )
  const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0
  return Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'))
}
/** The instant at which a clock there shows `wall`. */
function instantOf(wall: number, timezone: string): number {
  const offset = (near: number): number => wallAt(near, timezone) - near
  const [before, after] = [wall - offset(wall - day), wall - offset(wall + day)]
  const shown = [before, after].filter((instant) => wallAt(instant, timezone) === wall)
  return shown.length > 0 ? Math.min(...shown) : before
}

export interface Opening {
  /** ms since 1970. */
  readonly opens: number
  readonly closes: number
}
/** The window that is open at `now`, else the next one. */
export function nextOpening({ windows, timezone }: Maintenance, now: number): Opening | undefined {
  const today = Math.floor(wallAt(now, timezone) / day) * day
  const openings = Array.from({ length: ahead + 2 }, (_, n) => today + (n - 1) * day).flatMap((date) =>
    windows
      .filter((window) => window.days.includes(new Date(date).getUTCDay()))
      .map(({ from, to }): Opening => ({ opens: instantOf(date + from * minute, timezone), closes: instantOf(date + to * minute, timezone) })),
  )
  return openings
    .filter(({ opens, closes }) => closes > now && closes > opens)
    .sort((a, b) => a.opens - b.opens || b.closes - a.closes)
    .find(() => true)
}
export const isOpen = (opening: Opening, now: number): boolean => opening.opens <= now
