import { describe, expect, test } from 'vitest'
import { readArguments } from '#src/agent/options.ts'

const refusal = (...argv: string[]) => {
  try {
    readArguments(argv)
  } catch (error) {
    return (error as { trouble: { code: string; says: string } }).trouble
  }
  return null
}

describe('the command line', () => {
  test('is read', () => {
    expect(readArguments(['up', '--state', '/s', '--token-file', '/t', '--json'])).toMatchObject({
      command: 'up',
      state: '/s',
      tokenFile: '/t',
      json: true,
      deadline: 30,
    })
    expect(readArguments([]).command).toBe('help')
  })
  test.each([['enrol', 'cw1_AbCdEf'], ['enrol', '--token', 'x'], ['enrol', '--token=cw1_x'], ['up', '--token-file', 'cw1_AbC'], ['cw1_AbC']])(
    'never takes a token: %s %s',
    (...argv) => {
      expect(refusal(...argv)).toMatchObject({ code: 'A11', says: 'The token stands on the command line, where every user of this box can read it' })
    },
  )
  test('refuses what it does not know, and says what there is', () => {
    expect(refusal('start')).toMatchObject({ code: 'A18', says: 'causeway-agent has no command "start"' })
    expect(refusal('run', '--fast')).toMatchObject({ code: 'A18' })
    expect(refusal('run', '--deadline', '3')).toMatchObject({ code: 'A18', says: '--deadline 3 is not a number of seconds from 6 to 600' })
  })
})
