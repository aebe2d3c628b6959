/**
 * The customer gateway of the emulator's system test: run in the hub's namespace, it starts the driver's tunnels that it
 * reads from standard input, prints a line for each, and goes; the charons stay.
 */
import { readFileSync } from 'node:fs'
import { DeviceError } from '#providers/linux/errors.ts'
import { type UserspaceTunnel, startTunnel } from '#providers/linux/ipsec.ts'
import { createRunner } from '#providers/linux/run.ts'

const run = createRunner({ echo: () => {} })
const wanted = JSON.parse(readFileSync(0, 'utf8')) as readonly { readonly tunnel: UserspaceTunnel; readonly secret: string }[]
for (const { tunnel, secret } of wanted) {
  try {
    await startTunnel(tunnel, Buffer.from(secret), { run, folder: `/run/hub/${tunnel.device}` })
    console.log(`${tunnel.device} up`)
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error
    console.log(`${tunnel.device} ${error.finding.code}`)
  }
}
process.exit(0)
