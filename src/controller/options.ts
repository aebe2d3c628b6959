/** What `causeway serve` was given, on the command line and in the environment, checked. */
import { basename, dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Listen } from './agents.ts'
import { ServeFailed } from './trouble.ts'

/** As given: numbers may still be text. */
export interface Given {
  readonly data?: string
  readonly port?: number | string
  readonly agentsPort?: number | string
  readonly agentsSocket?: string
  /** `host:port` that bootstrap tokens carry. */
  readonly agentsPublic?: string
  readonly role?: string
  readonly json?: boolean
}
export interface ServeOptions {
  readonly data: string
  readonly port: number
  readonly agents: Listen
  readonly agentsPublic: string | null
  readonly role: 'all' | 'api' | 'worker'
  readonly databaseUrl: string | null
  readonly temporalAddress: string | null
  /** The vault's key: beside the data folder, never in it. */
  readonly vaultKey: string
}

const wrong = (says: string, instead: string): ServeFailed => new ServeFailed('C047', 2, says, instead)

function portOf(name: string, given: number | string): number {
  const port = typeof given === 'number' ? given : /^\d{1,5}$/.test(given) ? Number(given) : Number.NaN
  if (!(Number.isInteger(port) && port >= 1 && port <= 65_535)) throw wrong(`${name} ${given} is not a port`, 'write a number from 1 to 65535')
  return port
}

export function readOptions(given: Given, env: NodeJS.ProcessEnv = process.env): ServeOptions {
  const role = given.role ?? 'all'
  if (role !== 'all' && role !== 'api' && role !== 'worker') throw wrong(`--role ${role} is not known`, 'write all, api or worker')
  const data = resolve(given.data ?? join('.causeway', 'data'))
  if (given.agentsPort !== undefined && given.agentsSocket !== undefined)
    throw wrong('--agents-port and --agents-socket exclude each other', 'give one of them')
  // The kernel's limit for a UNIX socket's path.
  if (given.agentsSocket !== undefined && Buffer.byteLength(resolve(given.agentsSocket)) > 107)
    throw wrong('--agents-socket is longer than 107 bytes', 'choose a shorter path, such as one in /tmp')
  const dialled = /^(.+):(\d{1,5})$/.exec(given.agentsPublic ?? 'localhost:1')
  if (!dialled || !/^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])$/.test(dialled[1]!) || Number(dialled[2]) < 1 || Number(dialled[2]) > 65_535)
    throw wrong(`--agents-public ${given.agentsPublic} is not host:port`, 'write it like ctl.acme.net:7701')
  return {
    data,
    port: portOf('--port', given.port ?? 7700),
    agents:
      given.agentsSocket === undefined
        ? { kind: 'port', port: portOf('--agents-port', given.agentsPort ?? 7701), host: '::' }
        : { kind: 'socket', path: resolve(given.agentsSocket) },
    agentsPublic: given.agentsPublic ?? null,
    role,
    databaseUrl: env['DATABASE_URL'] || null,
    temporalAddress: env['TEMPORAL_ADDRESS'] || null,
    vaultKey: env['CAUSEWAY_VAULT_KEY'] ?? join(dirname(data), `${basename(data)}.vault-key`),
  }
}

/** For the program itself; the CLI has its own parser. */
export function argumentsOf(args: readonly string[]): Given {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        data: { type: 'string' },
        port: { type: 'string' },
        'agents-port': { type: 'string' },
        'agents-socket': { type: 'string' },
        'agents-public': { type: 'string' },
        role: { type: 'string' },
        json: { type: 'boolean' },
      },
    })
    const entries = {
      data: values.data,
      port: values.port,
      agentsPort: values['agents-port'],
      agentsSocket: values['agents-socket'],
      agentsPublic: values['agents-public'],
      role: values.role,
      json: values.json,
    }
    return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined))
  } catch (error) {
    return { role: error instanceof Error ? error.message : 'unknown' }
  }
}
