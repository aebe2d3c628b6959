/** A real ping, as the agent asks clouds and peers by it. */
import { expect, test } from 'vitest'
import { openPing } from '#src/agent/echo.ts'
import type { Address } from '#src/net/address.ts'

test('a ping that can not run says so once', async () => {
  const said = await new Promise<string>((resolve) =>
    openPing({ from: '192.0.2.77' as Address, to: '192.0.2.1' as Address, device: null, intervalMs: 200 }, () => {}, resolve),
  )
  expect(said).toMatch(/^ping: |ENOENT/)
})

test('a ping of so many full packets ends by itself', async () => {
  const own = '127.0.0.1' as Address
  const heard: number[] = []
  const said = await new Promise<string>((resolve) =>
    openPing({ from: own, to: own, device: null, intervalMs: 20, count: 3, bytes: 1_332 }, ({ sequence }) => void heard.push(sequence), resolve),
  )
  expect({ heard, said }).toEqual({ heard: [1, 2, 3], said: '' })
})
