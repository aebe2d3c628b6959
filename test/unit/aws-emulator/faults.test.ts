/** What goes wrong on demand, as the real SDK sees it, and what the journal says about it. */
import {
  CreateCustomerGatewayCommand,
  CreateVpnConnectionCommand,
  DescribeCustomerGatewaysCommand,
  DescribeVpcsCommand,
  EC2Client,
} from '@aws-sdk/client-ec2'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseSeed } from '#providers/aws/emulator/seed.ts'
import { listen } from '#providers/aws/emulator/listen.ts'
import type { StartTunnel } from '#providers/aws/emulator/emulator.ts'
import { type Cloud, ids, seed, startCloud } from './cloud.ts'

let cloud: Cloud
beforeEach(async () => {
  cloud = await startCloud()
})
afterEach(() => cloud.close())

const create = new CreateCustomerGatewayCommand({ Type: 'ipsec.1', IpAddress: '192.0.2.10', BgpAsn: 65_000 })
const gateways = async () => (await cloud.client.send(new DescribeCustomerGatewaysCommand({}))).CustomerGateways!.length
const journal = () => cloud.emulator.journal().map((entry) => `${entry.action} ${entry.outcome}`)

describe('a fault', () => {
  it('after the act loses the answer: the caller knows nothing, the resource exists', async () => {
    cloud.emulator.fault({ kind: 'lose', action: 'CreateCustomerGateway' })
    await expect(cloud.client.send(create)).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(await gateways()).toBe(1)
    cloud.emulator.fault({ kind: 'error-after' })
    await expect(cloud.client.send(new CreateCustomerGatewayCommand({ ...create.input, DeviceName: 'b' }))).rejects.toMatchObject({
      name: 'InternalError',
      $metadata: { httpStatusCode: 500 },
    })
    expect(await gateways()).toBe(2)
    expect(journal().filter((line) => line === 'CreateCustomerGateway ok')).toHaveLength(2)
  })

  it('before the act leaves nothing', async () => {
    const seen: string[] = []
    for (const kind of ['cut', 'error', 'throttle'] as const) {
      cloud.emulator.fault({ kind })
      seen.push(
        await cloud.client.send(create).then(
          () => 'ok',
          (error: Error & { code?: string }) => error.code ?? error.name,
        ),
      )
    }
    expect(seen).toEqual(['ECONNRESET', 'InternalError', 'RequestLimitExceeded'])
    expect(await gateways()).toBe(0)
    expect(journal()).toEqual([
      'CreateCustomerGateway cut',
      'CreateCustomerGateway InternalError',
      'CreateCustomerGateway RequestLimitExceeded',
      'DescribeCustomerGateways ok',
    ])
  })

  it('of any code is answered in the form that the SDK reads', async () => {
    cloud.emulator.fault({ kind: 'error', code: 'ConcurrentMutationLimitExceeded' })
    await expect(cloud.client.send(create)).rejects.toMatchObject({
      name: 'ConcurrentMutationLimitExceeded',
      $metadata: { httpStatusCode: 400, requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string },
    })
  })

  it('hangs until the caller gives up, before or after the act', async () => {
    for (const [kind, made] of [
      ['hang', 0],
      ['hang-after', 1],
    ] as const) {
      cloud.emulator.fault({ kind, action: 'CreateCustomerGateway' })
      const given = new AbortController()
      const sent = cloud.client.send(create, { abortSignal: given.signal })
      while (!journal().some((line) => line === `CreateCustomerGateway ${kind === 'hang' ? 'hang' : 'ok'}`))
        await new Promise((wait) => setTimeout(wait, 5))
      given.abort()
      await expect(sent).rejects.toMatchObject({ name: 'AbortError' })
      expect(await gateways()).toBe(made)
    }
  })

  it('waits for its action, lets some pass, and lasts as often as asked', async () => {
    cloud.emulator.fault({ kind: 'throttle', action: 'DescribeVpcs', skip: 1, times: 2 })
    const outcomes: string[] = []
    for (let n = 0; n < 4; n++) {
      expect(await gateways()).toBe(0)
      outcomes.push(
        await cloud.client.send(new DescribeVpcsCommand({})).then(
          () => 'ok',
          (error: Error) => error.name,
        ),
      )
    }
    expect(outcomes).toEqual(['ok', 'RequestLimitExceeded', 'RequestLimitExceeded', 'ok'])
  })

  it('shows why attempts must be 1: the SDK repeats a create that was done', async () => {
    const eager = new EC2Client({
      region: 'eu-west-1',
      endpoint: cloud.endpoint,
      maxAttempts: 3,
      credentials: { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'unused' },
    })
    cloud.emulator.fault({ kind: 'error-after', times: 2 })
    await eager.send(create)
    eager.destroy()
    expect(journal()).toEqual(['CreateCustomerGateway ok', 'CreateCustomerGateway ok', 'CreateCustomerGateway ok'])
  })
})

describe('credentials', () => {
  it('of an unknown key, or for a region that does not exist, are refused', async () => {
    await expect(cloud.clientIn('eu-west-1', 'AKIAOTHER').send(create)).rejects.toMatchObject({
      name: 'AuthFailure',
      $metadata: { httpStatusCode: 401 },
    })
    await expect(cloud.clientIn('us-east-1').send(create)).rejects.toMatchObject({
      name: 'AuthFailure',
      message: "Credential should be scoped to a valid region, not 'us-east-1'.",
    })
  })

  it('that are missing are refused, and so is what is no form', async () => {
    const body = 'Action=DescribeVpcs&Version=2016-11-15'
    const refused = await fetch(cloud.endpoint, { method: 'POST', body, headers: { 'content-type': 'application/x-www-form-urlencoded' } })
    expect([refused.status, await refused.text()]).toEqual([
      401,
      expect.stringMatching(/<Response><Errors><Error><Code>AuthFailure<\/Code>.*<RequestID>[0-9a-f-]{36}<\/RequestID><\/Response>$/) as string,
    ])
    expect(await (await fetch(cloud.endpoint)).text()).toContain('<Code>UnsupportedProtocol</Code>')
  })

  it('choose the region, and regions share nothing', async () => {
    await cloud.client.send(create)
    expect((await cloud.clientIn('eu-central-1').send(new DescribeCustomerGatewaysCommand({}))).CustomerGateways).toEqual([])
  })
})

describe('the journal', () => {
  it('has every call and no pre-shared key', async () => {
    await expect(
      cloud.client.send(
        new CreateVpnConnectionCommand({
          CustomerGatewayId: 'cgw-0123456789abcdef0',
          TransitGatewayId: 'tgw-0123456789abcdef0',
          Type: 'ipsec.1',
          Options: { TunnelOptions: [{ PreSharedKey: 'never.in_a.log' }] },
        }),
      ),
    ).rejects.toMatchObject({ name: 'InvalidCustomerGatewayID.NotFound' })
    const [entry] = cloud.emulator.journal()
    expect(entry).toMatchObject({
      action: 'CreateVpnConnection',
      outcome: 'InvalidCustomerGatewayID.NotFound',
      parameters: { 'Options.TunnelOptions.1.PreSharedKey': '(secret)' },
    })
    expect(JSON.stringify(entry)).not.toContain('never.in_a.log')
  })
})

describe('tunnels', () => {
  it('are started when the connection is available, told of once each, and stopped with it', async () => {
    const told: string[] = []
    const startTunnel: StartTunnel = async (options, changed) => {
      told.push(`start ${options.outside}`)
      changed(true, null)
      return { stop: async () => void told.push(`stop ${options.outside}`) }
    }
    const own = await startCloud({ startTunnel })
    try {
      const { CreateTransitGatewayCommand, DeleteVpnConnectionCommand, DescribeVpnConnectionsCommand, ModifyVpnTunnelOptionsCommand } = await import(
        '@aws-sdk/client-ec2'
      )
      const { TransitGateway } = await own.client.send(
        new CreateTransitGatewayCommand({ Options: { DefaultRouteTableAssociation: 'disable', DefaultRouteTablePropagation: 'disable' } }),
      )
      const { CustomerGateway } = await own.client.send(create)
      const { VpnConnection } = await own.client.send(
        new CreateVpnConnectionCommand({
          CustomerGatewayId: CustomerGateway!.CustomerGatewayId!,
          TransitGatewayId: TransitGateway!.TransitGatewayId!,
          Type: 'ipsec.1',
          Options: { StaticRoutesOnly: true },
        }),
      )
      const VpnConnectionId = VpnConnection!.VpnConnectionId!
      const until = async (expected: readonly string[]) => {
        for (let tries = 0; tries < 500 && told.length < expected.length; tries++) await new Promise((wait) => setTimeout(wait, 5))
        expect(told).toEqual(expected)
      }
      const started = ['start 203.0.113.1', 'start 203.0.113.2']
      await until(started)
      const telemetry = (await own.client.send(new DescribeVpnConnectionsCommand({ VpnConnectionIds: [VpnConnectionId] }))).VpnConnections![0]!
        .VgwTelemetry
      expect(telemetry?.map((one) => one.Status)).toEqual(['UP', 'UP'])
      await own.client.send(
        new ModifyVpnTunnelOptionsCommand({
          VpnConnectionId,
          VpnTunnelOutsideIpAddress: '203.0.113.2',
          TunnelOptions: { PreSharedKey: 'the.next_key' },
        }),
      )
      const replaced = [...started, 'stop 203.0.113.2', 'start 203.0.113.2']
      await until(replaced)
      await own.client.send(new DeleteVpnConnectionCommand({ VpnConnectionId }))
      await until([...replaced, 'stop 203.0.113.1', 'stop 203.0.113.2'])
    } finally {
      await own.close()
    }
  })
})

describe('the seed', () => {
  it('is refused where it is wrong, with the place', () => {
    expect(() => parseSeed({ ...seed, colour: 'red' })).toThrow(/the seed is not right:\n✖ Unrecognized key: "colour"/)
    const region = seed.regions[0]
    const vpc = region?.vpcs?.[0]
    const withVpc = (change: object) => ({ ...seed, regions: [{ ...region, vpcs: [{ ...vpc, ...change }] }] })
    expect(() => parseSeed(withVpc({ cidr: '10.50.0.1/16' }))).toThrow(/at regions\[0\].vpcs\[0\].cidr/)
    expect(() => parseSeed(withVpc({ routeTables: [{ id: ids.routes }] }))).toThrow(`${ids.vpc} needs exactly one main route table`)
    expect(() => parseSeed(withVpc({ hosts: [{ name: 'x', address: '10.50.1.10', subnet: 'subnet-00000000', groups: ['default'] }] }))).toThrow(
      `${ids.vpc} has no subnet "subnet-00000000"`,
    )
  })
})

describe('as a process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cwec2-'))
  const start = (...args: string[]) =>
    spawn(resolve('node_modules/.bin/node'), ['providers/aws/emulator/main.ts', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const ask = (socketPath: string, method: string, path: string, body = ''): Promise<string> =>
    new Promise((done, fail) => {
      const sent = request({ socketPath, method, path }, (answer) => {
        let text = ''
        answer.on('data', (chunk: Buffer) => {
          text += chunk.toString()
        })
        answer.on('end', () => done(text))
      })
      sent.on('error', fail)
      sent.end(body)
    })

  it('answers the SDK on a port, faults and journal on its control socket, and ends on SIGTERM', async () => {
    writeFileSync(join(folder, 'seed.json'), JSON.stringify(seed))
    const control = join(folder, 'control')
    const child = start('--port', '0', '--seed', join(folder, 'seed.json'), '--control', control, '--log', join(folder, 'log'), '--time-scale', '0')
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
    const { endpoint } = JSON.parse(line) as { readonly endpoint: string }
    const client = new EC2Client({
      region: 'eu-west-1',
      endpoint,
      maxAttempts: 1,
      credentials: { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'unused' },
    })
    expect(await ask(control, 'POST', '/faults', '{"kind":"explode"}')).toContain('Invalid option')
    expect(await ask(control, 'GET', '/nowhere')).toContain('there is no GET /nowhere: use GET /journal')
    await ask(control, 'POST', '/faults', '{"kind":"throttle"}')
    await expect(client.send(create)).rejects.toMatchObject({ name: 'RequestLimitExceeded', $metadata: { httpStatusCode: 503 } })
    await client.send(create)
    expect((JSON.parse(await ask(control, 'GET', '/journal')) as { readonly outcome: string }[]).map((entry) => entry.outcome)).toEqual([
      'RequestLimitExceeded',
      'ok',
    ])
    expect(await ask(control, 'GET', '/world/eu-west-1')).toContain('192.0.2.10')
    expect(readFileSync(join(folder, 'log'), 'utf8').trim().split('\n')).toHaveLength(2)
    client.destroy()
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
    rmSync(folder, { recursive: true })
  })

  it('says what is missing', async () => {
    const child = start('--port', '0')
    const said = once(child.stderr, 'data') as Promise<[Buffer]>
    expect(String((await said)[0])).toBe('write --seed FILE and one of --socket PATH and --port N\n')
    expect(child.exitCode ?? ((await once(child, 'exit')) as [number])[0]).toBe(1)
  })

  it('listens on loopback only', async () => {
    const server = await listen((_, response) => void response.end(), '0')
    expect(server.where).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    await server.close()
  })
})
