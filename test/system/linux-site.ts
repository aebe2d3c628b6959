/**
 * A gateway as a process inside its namespace: a real driver behind lines of JSON, `{id, method, args}` →
 * `{id, value | error}`; each command that it prints comes as `{echo}`. Used by the system tests.
 */
import { createInterface } from 'node:readline'
import type { SiteConfig, TunnelId } from '#src/fabric/fabric.ts'
import type { Choice, KeyStore, Leaving } from '#providers/device.ts'
import { createLinuxDriver, DeviceError } from '#providers/linux/index.ts'
import { describe } from '#providers/linux/kernel.ts'
import { observe } from '#providers/linux/observe.ts'
import { createRunner } from '#providers/linux/run.ts'

const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`)
const driver = createLinuxDriver({ stateDir: process.argv[2]!, follow: process.argv[3] !== 'still', echo: (echo) => say({ echo }) })
const runner = createRunner()
const keysOf = (privateKeys: Readonly<Record<string, string>>): KeyStore => ({
  privateKey: ({ interface: name, linkEpoch }) => Promise.resolve(privateKeys[`${name} ${linkEpoch}`]!),
  secret: () => Promise.reject(new Error('no IPsec here')),
})

const methods = {
  features: () => driver.features(),
  inventory: () => driver.inventory(),
  check: (config: SiteConfig) => driver.check(config),
  set: (
    config: SiteConfig,
    how: { readonly prune: boolean; readonly choices: readonly Choice[]; readonly privateKeys: Readonly<Record<string, string>> },
  ) => driver.set(config, { prune: how.prune, choices: how.choices, keys: keysOf(how.privateKeys) }),
  steer: (choices: readonly Choice[]) => driver.steer(choices),
  leave: (now: Leaving) => driver.leave(now),
  rehandshake: (tunnel: TunnelId) => driver.rehandshake(tunnel),
  counters: () => driver.counters(),
  transit: () => driver.transit(),
  learning: () => driver.learning(),
  drift: (config: SiteConfig) => driver.drift(config),
  wipe: () => driver.wipe(),
  /** The kernel as the driver sees it, as text. */
  state: async () => describe(await observe(runner)),
}
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { id, method, args } = JSON.parse(line) as { readonly id: number; readonly method: keyof typeof methods; readonly args: readonly never[] }
    const call = methods[method] as (...given: readonly unknown[]) => Promise<unknown>
    call(...args).then(
      (value) => say({ id, value: value ?? null }),
      (error: unknown) => say({ id, error: error instanceof DeviceError ? error.finding : { code: 'crash', says: String((error as Error).stack) } }),
    )
  })
  .on('close', () => process.exit(0))
