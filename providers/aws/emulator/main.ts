/** `node providers/aws/emulator/main.ts --socket PATH|--port N --seed FILE [--control PATH|N] [--log FILE] [--time-scale X]` */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { createEmulator } from './emulator.ts'
import { listen } from './listen.ts'

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      socket: { type: 'string' },
      port: { type: 'string' },
      seed: { type: 'string' },
      control: { type: 'string' },
      log: { type: 'string' },
      'time-scale': { type: 'string' },
    },
  })
  const where = values.socket ?? values.port
  if (where === undefined || values.seed === undefined || (values.socket !== undefined && values.port !== undefined))
    throw new Error('write --seed FILE and one of --socket PATH and --port N')
  const timeScale = Number(values['time-scale'] ?? 1)
  if (!(timeScale >= 0)) throw new Error(`--time-scale ${values['time-scale']} is not a number of 0 or more`)
  const emulator = createEmulator({
    seed: JSON.parse(readFileSync(values.seed, 'utf8')) as unknown,
    timeScale,
    ...(values.log === undefined ? {} : { log: values.log }),
    trouble: (says) => void process.stderr.write(`${says}\n`),
  })
  const api = await listen(emulator.handle, where)
  const control = values.control === undefined ? undefined : await listen(emulator.control, values.control)
  process.stdout.write(`${JSON.stringify({ ready: true, endpoint: api.where, ...(control && { control: control.where }) })}\n`)
  const end = (): void => void Promise.all([emulator.close(), api.close(), control?.close()]).then(() => process.exit(0))
  process.on('SIGTERM', end).on('SIGINT', end)
}

main().catch((error: unknown) => {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exit(1)
})
