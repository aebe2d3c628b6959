/** A gateway as a process inside its box: the real Linux driver, called by the test. `gateway.ts SOCKET STATE`. */
import type { SiteConfig } from '#src/fabric/fabric.ts'
import type { Choice, KeyStore } from '#providers/device.ts'
import { createLinuxDriver, DeviceError } from '#providers/linux/index.ts'
import { serve } from './line.ts'

const [socket = '', stateDir = ''] = process.argv.slice(2)
type Texts = Readonly<Record<string, string>>
const keysOf = (privateKeys: Texts, secrets: Texts): KeyStore => ({
  privateKey: (of) => Promise.resolve(privateKeys[of.interface]!),
  secret: ({ id }) => Promise.resolve(Buffer.from(secrets[id]!)),
})
const driver = createLinuxDriver({ stateDir, echo: () => {} })

async function explained<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw error instanceof DeviceError ? new Error(JSON.stringify(error.finding)) : error
  }
}

let offering: NodeJS.Timeout | undefined
serve(socket, {
  set: (config: SiteConfig, choices: readonly Choice[], privateKeys: Texts, secrets: Texts) =>
    explained(driver.set(config, { prune: true, choices, keys: keysOf(privateKeys, secrets) })),
  steer: (choices: readonly Choice[]) => explained(driver.steer(choices)),
  /** Again and again, as an agent does: VRRP takes its silence for its end. */
  offer: async (able: boolean) => {
    clearInterval(offering)
    offering = setInterval(() => void driver.offer(able), 1_000)
    await driver.offer(able)
  },
  carries: () => driver.carries(),
  learning: () => driver.learning(),
  drift: (config: SiteConfig) => explained(driver.drift(config)),
})
