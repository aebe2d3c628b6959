import { expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { verify } from '#src/verify/verify.ts'
import { fleet, fleetFiles, fullMesh } from '#test/bench/fleet.ts'

test.each([100, 130])('the folder of %i edges is read as the Intent that stands for it, and without a finding', (edges) => {
  const { intent, findings } = parseIntent(fleetFiles(edges))
  expect(findings).toEqual([])
  expect(fleet(edges)).toEqual(intent)
  expect(intent!.sites).toHaveLength(edges + 4)
  expect(intent!.allow).toHaveLength(100)
})
test('what scale is measured with is a network that holds', () => {
  const { fabric, findings } = compile(fleet(100), [])
  // Static routes of clouds are moved by calls, which V005 tells of.
  expect([...findings, ...verify(fabric!).findings].filter((finding) => finding.code !== 'V005')).toEqual([])
})
test('the full mesh joins every hub to every other by one tunnel', () => {
  const { fabric, findings } = compile(fullMesh(6), [])
  expect(findings).toEqual([])
  expect(fabric!.tunnels.map((tunnel) => tunnel.role)).toEqual(Array(15).fill('mesh'))
  expect(fabric!.sites.map((site) => site.interfaces.length)).toEqual(Array(6).fill(5))
})
