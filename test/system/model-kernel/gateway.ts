/** A gateway as a process inside its box: the real Linux driver, called by the test. `gateway.ts SOCKET STATE`. */
import type { SiteConfig } from '#src/fabric/fabric.ts'
import type { Choice } from '#providers/device.ts'
import { createLinuxDriver, DeviceError } from '#providers/linux/index.ts'
import { serve } from './line.ts'

const [socket = '', stateDir = ''] = process.argv.slice(2)
const driver = createLinuxDriver({ stateDir, echo: () => {} })

async function explained<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw error instanceof DeviceError ? new Error(JSON.stringify(error.finding)) : error
  }
}

serve(socket, {
  set: (config: SiteConfig, choices: readonly Choice[], privateKeys: Readonly<Record<string, string>>) =>
    explained(driver.set(config, { prune: true, choices, keys: { privateKey: (of) => Promise.resolve(privateKeys[of.interface]!) } })),
  steer: (choices: readonly Choice[]) => explained(driver.steer(choices)),
  drift: (config: SiteConfig) => explained(driver.drift(config)),
})
