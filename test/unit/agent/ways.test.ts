/** Over which line an agent speaks to its controller, when one of them dies. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Controller, createController, type Way } from '#src/agent/controller.ts'
import { createTestController, type TestController } from './controller.ts'

let far: TestController
/** Stands between: what comes from a dead address is taken and never answered, as on a line that was cut. */
let between: Server
const dead = new Set<string>()
/** Where each connection came from, in order. */
let came: string[] = []
let controller: Controller

beforeAll(async () => {
  far = await createTestController('acme')
  between = createServer((near) => {
    const from = near.remoteAddress!
    came.push(from)
    near.on('error', () => {})
    const on = connect(far.port, '127.0.0.1').on('error', () => near.destroy())
    near.on('data', (data) => void (dead.has(from) || on.write(data)))
    on.on('data', (data) => void (dead.has(from) || near.write(data)))
    near.on('close', () => on.destroy())
  }).listen(0, '127.0.0.1')
  await once(between, 'listening')
  const { port } = between.address() as AddressInfo
  controller = createController({ host: '127.0.0.1', port, ca: [far.ca.certificate], network: far.network, credentials: null })
})
afterAll(async () => {
  controller.close()
  between.close()
  await far.stop()
})

const way = (name: string, localAddress: string, doubtful = false): Way => ({ name, localAddress, doubtful })
const ask = () => controller.call({ method: 'POST', path: '/v1/report', body: {} })

test('what waits for an answer over a line that is known to be dead asks over another at once, and not over the dead one again', async () => {
  controller.setWays([way('fiber', '127.0.0.1'), way('lte', '127.0.0.3')])
  await ask()
  expect(new Set(came)).toEqual(new Set(['127.0.0.1']))

  dead.add('127.0.0.1')
  const waits = ask()
  await new Promise((resolve) => setTimeout(resolve, 50))
  came = []
  controller.setWays([way('fiber', '127.0.0.1', true), way('lte', '127.0.0.3')])
  await waits
  await ask()
  expect(new Set(came)).toEqual(new Set(['127.0.0.3']))
})
