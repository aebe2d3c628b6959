import { describe, expect, test } from 'vitest'
import { drillSchedules } from '#src/controller/store/index.ts'
import { utc } from '#src/cli/table.ts'

const now = new Date('2026-11-26T11:00:00Z')
const day = 86_400

describe('the first drill of a schedule', () => {
  test.each([
    ['one interval from now', day, null, '2026-11-27T11:00:00.000Z'],
    ['later today', 7 * day, 12 * 60 + 30, '2026-11-26T12:30:00.000Z'],
    ['tomorrow, when that time has passed', 7 * day, 2 * 60 + 10, '2026-11-27T02:10:00.000Z'],
    ['tomorrow, when it is just that time', day, 11 * 60, '2026-11-27T11:00:00.000Z'],
  ])('%s', (_, every, at, first) => {
    expect(drillSchedules.firstAt(now, every, at).toISOString()).toBe(first)
  })
})

describe('the next one', () => {
  test.each([
    ['the first, before that', '2026-11-27T02:10:00Z', '2026-11-27T02:10:00.000Z'],
    ['one interval after the last', '2026-11-12T11:30:00Z', '2026-11-26T11:30:00.000Z'],
    ['not the one that is due this moment', '2026-11-19T11:00:00Z', '2026-12-03T11:00:00.000Z'],
  ])('%s', (_, first, next) => {
    expect(drillSchedules.nextAt({ first_at: new Date(first), every_seconds: 7 * day }, now).toISOString()).toBe(next)
  })
  test('is told in UTC', () => {
    expect(utc('2026-12-03T02:10:00Z')).toBe('2026-12-03 02:10 UTC')
  })
})
