import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'

/** In a process of its own, for modules stay loaded: which of the SDK's files have been read after each step. */
const probe = `
import { registerHooks } from 'node:module'
let read = 0
registerHooks({ load: (url, context, next) => (url.includes('@aws-sdk/') && read++, next(url, context)) })
await import('#src/controller/main.ts')
const { openClouds } = await import('#src/controller/clouds.ts')
const clouds = openClouds({})
const unknown = await clouds('azure')
const before = read
const provider = await clouds('aws')
console.log(JSON.stringify({ unknown: unknown ?? null, before, after: read > 0, same: provider === (await clouds('aws')), can: typeof provider.sweep }))
`

test('the SDK of a cloud is loaded at its first use, once', () => {
  const said = execFileSync(process.execPath, ['--input-type=module', '--eval', probe], { encoding: 'utf8' })
  expect(JSON.parse(said)).toEqual({ unknown: null, before: 0, after: true, same: true, can: 'function' })
})
