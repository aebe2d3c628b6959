import { expect, test } from 'vitest'
import { argumentsOf, readOptions } from '#src/controller/options.ts'
import { toFailure } from '#src/controller/trouble.ts'

test('what is not given has a default, and the vault key stands beside the data folder', () => {
  expect(readOptions({ data: '/srv/cw/data' }, {})).toEqual({
    data: '/srv/cw/data',
    port: 7700,
    agents: { kind: 'port', port: 7701, host: '::' },
    agentsPublic: null,
    role: 'all',
    databaseUrl: null,
    temporalAddress: null,
    vaultKey: '/srv/cw/data.vault-key',
  })
})

test.each([
  [['--port', '0'], '--port 0 is not a port'],
  [['--port', '80x'], '--port 80x is not a port'],
  [['--role', 'boss'], '--role boss is not known'],
  [['--agents-public', 'ctl.acme.net'], '--agents-public ctl.acme.net is not host:port'],
  [['--agents-port', '1', '--agents-socket', '/tmp/a'], '--agents-port and --agents-socket exclude each other'],
  [['--agents-socket', `/tmp/${'a'.repeat(110)}`], '--agents-socket is longer than 107 bytes'],
])('%j is refused with exit 2', (args, says) => {
  expect(() => readOptions(argumentsOf(args), {})).toThrow(expect.objectContaining({ code: 'C047', exit: 2, message: says }))
})

test.each([
  [{ code: 'ENOSPC', message: 'ENOSPC: no space left on device, write', path: '/d/x' }, 'C040', 10, 'the disk under the data folder is full (/d/x)'],
  [{ code: 'EROFS', message: 'EROFS', path: '/d' }, 'C040', 10, "the data folder can't be written (/d)"],
  [{ code: 'ECONNREFUSED', message: 'connect ECONNREFUSED 127.0.0.1:1' }, 'C043', 6, 'the database does not answer'],
  [{ code: '28P01', message: 'password authentication failed' }, 'C043', 6, 'the database refuses: password authentication failed'],
])('%j becomes a sentence', (fields, code, exit, says) => {
  expect(toFailure(Object.assign(new Error(fields.message), fields))).toMatchObject({ code, exit, message: says })
})
