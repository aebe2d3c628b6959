/** What `causeway-agent status` shows: written by the running agent, read by anybody who may read the state folder. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { counted } from '#src/fabric/plural.ts'
import type { PathReport } from '#src/wire/messages.ts'
import { tripleText } from '#src/wire/bundle.ts'
import type { State } from './disk.ts'
import { line, type Trouble } from './trouble.ts'

type Path = ReturnType<typeof PathReport.parse>
export type Light = 'GREEN' | 'YELLOW' | 'RED'

export interface Status {
  readonly v: 1
  readonly at: string
  readonly pid: number
  readonly network: string
  readonly site: string
  readonly confirmationCode: string
  readonly light: Light
  readonly says: string
  readonly state: State
  /** null: in touch. */
  readonly headlessSince: string | null
  /** By uplink: how many of its tunnels are up. */
  readonly uplinks: readonly { readonly uplink: string; readonly interface: string; readonly up: number; readonly of: number }[]
  readonly paths: readonly Path[]
  readonly waiting: readonly string[]
  readonly findings: readonly Trouble[]
}

const carries = (of: Path): boolean => of.state === 'UP' || of.state === 'DEGRADED'

/** GREEN all · YELLOW carries traffic, something is missing · RED. A peer that hasn't enrolled yet is nobody's fault here. */
export function judge(
  config: SiteConfig | null,
  paths: readonly Path[],
  now: { readonly headless: boolean; readonly drains: boolean; readonly standsBy: boolean },
  findings: readonly Trouble[],
): { readonly light: Light; readonly says: string } {
  if (config === null) return { light: 'RED', says: 'nothing runs yet: waiting for the first bundle' }
  const up = paths.filter(carries).length
  if (paths.length === 0) {
    if (config.waiting.length === 0 || config.hub) return { light: 'GREEN', says: 'ready, no other site is connected yet' }
    return { light: 'RED', says: 'waiting for the hubs' }
  }
  if (up === 0) return config.hub ? { light: 'YELLOW', says: 'no path is up' } : { light: 'RED', says: 'no path is up' }
  if (up < paths.length) return { light: 'YELLOW', says: `carries traffic over ${up} of ${paths.length} paths` }
  if (now.drains) return { light: 'YELLOW', says: `drains until ${config.drainUntil}: peers send through it last` }
  if (now.headless) return { light: 'YELLOW', says: 'carries traffic; the controller is away' }
  if (findings.length > 0) return { light: 'YELLOW', says: `carries traffic; ${findings[0]!.says}` }
  return {
    light: 'GREEN',
    says: `${paths.length === 1 ? 'its path is' : `all ${paths.length} paths are`} up${now.standsBy ? '; stands by, the other gateway of the site carries its traffic' : ''}`,
  }
}

export const uplinkCounts = (config: SiteConfig, paths: readonly Path[]): Status['uplinks'] =>
  config.uplinks.map((uplink) => {
    const own = config.tunnels.filter((one) => one.uplink === uplink.id)
    return {
      uplink: uplink.id,
      interface: uplink.interface,
      up: own.filter((one) => paths.some((path) => path.tunnel === one.id && carries(path))).length,
      of: own.length,
    }
  })

/** `frankfurt answers in 30 ms over fiber, 53 ms over lte; dublin …`: the fastest path over each uplink; '' at an end that only follows. */
export function proven(paths: readonly Path[]): string {
  const best = new Map<string, Map<string, number>>()
  for (const { tunnel, rttMs, state } of paths) {
    const [, uplink = '', remote = ''] = /\.([^.]+)--([^.]+)\./.exec(tunnel) ?? []
    if (rttMs === null || remote === '' || state === 'DOWN') continue
    const over = best.get(remote) ?? new Map<string, number>()
    best.set(remote, over.set(uplink, Math.min(rttMs, over.get(uplink) ?? Number.POSITIVE_INFINITY)))
  }
  return [...best]
    .map(([remote, over]) => `${remote} answers in ${[...over].map(([uplink, ms]) => `${ms.toFixed(0)} ms over ${uplink}`).join(', ')}`)
    .join('; ')
}

export function writeStatus(state: string, status: Status): void {
  const path = join(state, 'status.json')
  writeFileSync(`${path}.new`, JSON.stringify(status), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

export function renderStatus(status: Status, alive: boolean): string {
  const { state } = status
  const out = [
    `${alive ? status.light : 'RED'}  site ${status.site} of ${status.network}: ${alive ? status.says : 'the agent is not running; what was set up keeps working'}`,
  ]
  out.push(
    `  bundle      ${state.confirmed ? tripleText(state.confirmed) : 'none'} confirmed${state.commit.state === 'pending' ? `, ${tripleText(state.commit.triple)} pending until ${state.commit.deadline}` : ''}`,
  )
  if (state.commit.state === 'rolled-back' || state.commit.state === 'refused')
    out.push(`  last change ${tripleText(state.commit.triple)} ${state.commit.state}: ${state.commit.why} [${state.commit.code}]`)
  out.push(`  controller  ${status.headlessSince === null ? 'in touch' : `away since ${status.headlessSince}`}`)
  for (const { uplink, interface: device, up, of } of status.uplinks)
    out.push(`  ${uplink.padEnd(11)} ${device}, ${up} of ${counted(of, 'tunnel')} up`)
  for (const path of status.paths) {
    const facts = [path.state.padEnd(8), path.rttMs === null ? '' : `${path.rttMs.toFixed(1)} ms`, path.classes.join(' ')].filter((one) => one !== '')
    out.push(`    ${path.tunnel.padEnd(38)} ${facts.join('  ')}`)
  }
  for (const tunnel of status.waiting) out.push(`    ${tunnel.padEnd(38)} waits for the other end`)
  for (const finding of status.findings) out.push(`  ! ${line(finding)}`)
  out.push(`  confirmation code ${status.confirmationCode}`)
  return `${out.join('\n')}\n`
}
