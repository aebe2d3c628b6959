/** From a file that was saved to its findings, as `check --watch` goes: `node watch-fleet.ts EDGES` prints what it took as JSON. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createReaders, load, prove } from '#src/cli/load.ts'
import { fleetFiles } from './fleet.ts'
import { peakMemory } from './measure.ts'

export interface Watched {
  /** The folder for the first time. */
  readonly firstMs: number
  /** Medians of renumbering a LAN of one edge after the other: of all, and of the steps to it. */
  readonly ms: number
  /** Of this process alone, whoever else the machine serves. */
  readonly cpuMs: number
  readonly readMs: number
  readonly proveMs: number
  readonly peakMb: number
}

function watchFleet(edges: number): Watched {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-watch-'))
  try {
    const files = fleetFiles(edges)
    for (const { path, text } of files) writeFileSync(join(folder, path), text)
    const readers = createReaders()
    const check = () => {
      const [begun, before] = [performance.now(), process.cpuUsage()]
      const { fabric, findings } = load(folder, readers)
      const read = performance.now()
      const error = [...findings, ...(fabric ? prove(fabric).findings : [])].find((finding) => finding.severity === 'error')
      if (error || !fabric) throw new Error(`the fleet does not hold: ${error?.says}`)
      const end = performance.now()
      const { user, system } = process.cpuUsage(before)
      return { ms: end - begun, cpuMs: (user + system) / 1_000, readMs: read - begun, proveMs: end - read }
    }
    const first = check()
    const took = [1, 2, 3, 4, 5].map((n) => {
      const path = join(folder, `edge-${String(n * 7).padStart(5, '0')}.yaml`)
      writeFileSync(path, readFileSync(path, 'utf8').replace(/prefixes: \S+\/24/, `prefixes: 10.199.${n}.0/24`))
      return check()
    })
    const middle = (of: 'ms' | 'cpuMs' | 'readMs' | 'proveMs') => took.map((one) => one[of]).sort((a, b) => a - b)[took.length >> 1]!
    return { firstMs: first.ms, ms: middle('ms'), cpuMs: middle('cpuMs'), readMs: middle('readMs'), proveMs: middle('proveMs'), peakMb: peakMemory() }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
process.stdout.write(JSON.stringify(watchFleet(Number(process.argv[2]))))
