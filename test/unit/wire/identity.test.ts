import { expect, test } from 'vitest'
import type { X509Certificate } from 'node:crypto'
import { controllerUri, networkOf, siteOf, siteUri } from '#src/wire/identity.ts'

const named = (subjectAltName: string): X509Certificate => ({ subjectAltName }) as X509Certificate

test('a site is read from the one URI name of its certificate', () => {
  expect(siteOf(named(`URI:${siteUri('demo', 'berlin')}`), 'demo')).toBe('berlin')
})

test.each([
  ["another network's", `URI:${siteUri('acme', 'berlin')}`],
  ['a network whose name begins alike', `URI:${siteUri('demo2', 'berlin')}`],
  ["the controller's", `URI:${controllerUri('demo')}`],
  ['a path instead of a site', `URI:${siteUri('demo', '../berlin')}`],
  ['no site', `URI:${siteUri('demo', '')}`],
  ['two names', `URI:${siteUri('demo', 'berlin')}, URI:${siteUri('demo', 'oslo')}`],
  ['a name that hides another one', `URI:"${siteUri('demo', 'berlin')}, DNS:x"`],
  ['a host name', 'DNS:berlin'],
  ['none', ''],
])('no site is read from a certificate with %s', (_what, names) => {
  expect(siteOf(named(names), 'demo')).toBeUndefined()
})

test('a controller is one only by its own name', () => {
  expect(networkOf(named(`URI:${controllerUri('demo')}`))).toBe('demo')
  expect(networkOf(named(`URI:${siteUri('demo', 'controller')}`))).toBeUndefined()
  expect(networkOf(named('URI:spiffe://demo/x/controller'))).toBeUndefined()
})
