import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Built, buildAgent } from '#src/agent/build.ts'
import { agentCodes } from '#src/agent/codes.ts'

const folder = mkdtempSync(join(tmpdir(), 'cw-build-'))
const file = join(folder, 'agent.mjs')
let built: Built
beforeAll(async () => {
  built = await buildAgent(file, Date.UTC(2026, 10, 23))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const run = (args: readonly string[], stdin = '') => spawnSync(process.execPath, [file, ...args], { encoding: 'utf8', input: stdin })

describe('the built agent', () => {
  test('is one file of at most 150 KB gzipped', () => {
    expect(built.gzipped).toBeLessThanOrEqual(150 * 1024)
    expect(built.gzipped).toBeGreaterThan(10 * 1024)
  })
  test('carries nothing of the controller', () => expect(readFileSync(file, 'utf8')).not.toMatch(/reflect-metadata|temporalio|kysely|pino/))
  test('tells how it is used', () => expect(run(['help'])).toMatchObject({ status: 0, stdout: expect.stringContaining('causeway-agent up') }))
  test('refuses a token in argv with a sentence and exit 2', () => {
    const { status, stderr } = run(['enrol', 'cw1_AAAAAAAAAAAAAAAAAAAAAA', '--state', folder])
    expect(status).toBe(2)
    expect(stderr).toBe(
      '[A11] The token stands on the command line, where every user of this box can read it. Give it on standard input (echo … | causeway-agent enrol) or by --token-file F. It may have been seen: ask for a new one\n',
    )
  })
  test('reads a cut token from standard input and says what is missing, without a stack', () => {
    const { status, stderr } = run(['enrol', '--state', join(folder, 's')], 'cw1_AUl\n')
    expect(status).toBe(1)
    expect(stderr).toMatch(/^\[A01\] The token is incomplete .*\n$/)
  })
  test('names a token file that is not there', () => {
    expect(run(['enrol', '--state', join(folder, 's'), '--token-file', join(folder, 'none')]).stderr).toBe(
      `[A01] The token file ${join(folder, 'none')} can't be read: there is none. Name the file that holds the line that causeway site token printed\n`,
    )
  })
  test('has no status before it ran, and nothing to run before it is enrolled', () => {
    expect(run(['status', '--state', join(folder, 's')]).stderr).toMatch(/^\[A13\] No agent has run on /)
    expect(run(['run', '--state', join(folder, 's')]).stderr).toMatch(/^\[A13\] This box is not enrolled/)
  })
})

test('every code has a page, once, in order', () => {
  const codes = agentCodes.map((page) => page.code)
  expect(codes).toEqual([...new Set(codes)].sort())
  for (const page of agentCodes) expect(page.text.length, page.code).toBeGreaterThan(30)
})
