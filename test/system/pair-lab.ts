/** A lab in which berlin has two gateways with real agents, and frankfurt is their hub: a real controller's words, and no controller. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Status } from '#src/agent/status.ts'
import { compile } from '#src/compile/compile.ts'
import type { SourceFile } from '#src/intent/yaml.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { startLab } from '#src/lab/client.ts'
import { createTestController } from '../unit/agent/controller.ts'
import { until } from './until.ts'

export const sites = ['frankfurt', 'berlin', 'berlin.b'] as const
export type Site = (typeof sites)[number]

export const frankfurt = {
  path: 'frankfurt.yaml',
  text: `site: frankfurt
role: core
uplinks:
  isp-a: { interface: eth0, address: 192.0.2.10/28, router: 192.0.2.1 }
segments:
  inference: { interface: eth2, prefixes: [10.10.0.0/16, "fd10::/64"] }
`,
} as const

export const network = {
  path: 'network.yaml',
  text: `network: small
hubs: [frankfurt]
segments: [inference]
allow:
  - edge/inference -> core/inference icmp
  - core/inference -> edge/inference icmp
`,
} as const
/** The pair, and what its LAN has beside its prefixes. */
export const berlin = (more: string) => ({
  path: 'berlin.yaml',
  text: `site: berlin
gateways:
  a:
    uplinks:
      fiber: { interface: eth0 }
  b:
    uplinks:
      cable: { interface: eth0 }
    interfaces: { eth1: ens4 }
segments:
  inference: { interface: eth1, prefixes: [10.1.10.0/24, "fd01:10::/64"]${more} }
`,
})

export type PairLab = Awaited<ReturnType<typeof startPairLab>>
export async function startPairLab(files: readonly SourceFile[]) {
  const folder = mkdtempSync(join(tmpdir(), 'cwp-'))
  const stateOf = (site: Site) => join(folder, site)
  const agent = (...args: string[]) => [resolve('node_modules/node/bin/node'), resolve('bin/causeway-agent.js'), ...args]
  const status = (site: Site) => JSON.parse(readFileSync(join(stateOf(site), 'status.json'), 'utf8')) as Status
  mkdirSync(join(folder, 'sites'))
  for (const { path, text } of files) writeFileSync(join(folder, 'sites', path), text)
  const socket = join(folder, 'agents.sock')
  const controller = await createTestController('small', { socket, host: '203.0.113.250:443' })
  const running = await startLab({ sites: join(folder, 'sites'), controllerSocket: socket, state: join(folder, 'lab'), detached: false })
  const { lab } = running
  const exec = (box: string, ...argv: string[]) => lab.exec(box, argv)
  const follow = (some: readonly SourceFile[], generation: number) => controller.follow(compile(parseIntent(some).intent!, []).fabric!, generation)
  const startAgent = (site: Site) =>
    lab.start(site, `agent-${site}`, agent('up', '--state', stateOf(site), '--deadline', '20', '--token-file', join(folder, `${site}.token`)))
  const answersIn = (name: string): readonly number[] =>
    [...readFileSync(join(folder, 'lab', 'logs', `${name}.log`), 'utf8').matchAll(/^\[([\d.]+)\].*time=/gm)].map(([, at]) => Number(at))

  follow(files, 1)
  for (const site of sites) {
    writeFileSync(join(folder, `${site}.token`), controller.token(site), { mode: 0o600 })
    await startAgent(site)
  }

  return {
    lab,
    exec,
    status,
    /** What its driver keeps. */
    stateOf: (site: Site) => join(stateOf(site), 'device'),
    follow,
    startAgent,
    standsBy: (site: Site) => status(site).says.includes('stands by'),
    /** Who has the addresses that hosts know as their router, of both families. */
    async holders(): Promise<string> {
      const found = await Promise.all(
        (['berlin', 'berlin.b'] as const).map(async (site) =>
          (await exec(site, 'ip', 'addr')).stdout.match(/ (10\.1\.10\.1\/32|fd01:10::1\/128) /g)?.length === 2 ? [site] : [],
        ),
      )
      return found.flat().join()
    },
    /**
     * Milliseconds between two answers of each ping, the longest while `change` was made and until what it leads to is true.
     * `pings`: box, destination, and what more ping is told.
     */
    async gapWhile(
      pings: readonly (readonly [box: string, to: string, ...more: string[]])[],
      change: () => Promise<unknown>,
      settled: () => Promise<boolean>,
    ): Promise<readonly number[]> {
      const names = pings.map((_, n) => `ping-${Date.now()}-${n}`)
      for (const [n, [box, to, ...more]] of pings.entries()) await lab.start(box, names[n]!, ['ping', '-D', '-i', '0.05', ...more, to])
      const moreThan = (counts: readonly number[], some: number) => names.every((name, n) => answersIn(name).length > counts[n]! + some)
      await until('it answers', 20, () =>
        moreThan(
          names.map(() => 0),
          10,
        ),
      )
      await change()
      await until('it has settled', 60, settled)
      const seen = names.map((name) => answersIn(name).length)
      await until('it answers again', 20, () => moreThan(seen, 20))
      for (const name of names) await lab.stop(name, 'SIGINT')
      return names.map((name) => {
        const all = answersIn(name)
        return Math.round(Math.max(...all.slice(1).map((at, n) => at - all[n]!)) * 1000)
      })
    },
    async stop(): Promise<void> {
      await running.stop()
      await controller.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
