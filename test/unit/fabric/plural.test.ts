import { expect, test } from 'vitest'
import { counted, plural } from '#src/fabric/plural.ts'

test.each([
  ['site', '1 site', '2 sites'],
  ['class', '1 class', '2 classes'],
  ['prefix', '1 prefix', '2 prefixes'],
  ['box', '1 box', '2 boxes'],
  ['deny', '1 deny', '2 denies'],
  ['gateway', '1 gateway', '2 gateways'],
  ['uplink property', '1 uplink property', '2 uplink properties'],
  ['LAN let out', '1 LAN let out', '2 LANs let out'],
])('%s', (noun, one, two) => {
  expect([counted(1, noun), counted(2, noun)]).toEqual([one, two])
  expect(counted(0, noun)).toBe(`0 ${plural(2, noun)}`)
})
