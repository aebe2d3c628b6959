import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { openSecrets } from '#src/agent/secrets.ts'
import { seal } from '#src/controller/pki/seal.ts'
import type { SecretRef } from '#src/fabric/fabric.ts'
import { x25519Raw } from '#src/wire/seal.ts'
import { memoryFiles } from './fake-device.ts'

const box = { network: 'acme', site: 'frankfurt' }
const key = generateKeyPairSync('x25519')
const ref = (version: number, id = 'psk/frankfurt.isp-a--aws.0'): SecretRef => ({ id, version, fingerprint: '0123456789abcdef' })
const sealed = (of: SecretRef, secret: string, to = key, at = box): string =>
  seal(Buffer.from(secret), x25519Raw(to.publicKey).toString('base64'), { ...at, secret: { id: of.id, version: of.version } })
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const noController = (): Promise<string> => Promise.reject(new Error('the controller is away'))

test('what was fetched once opens again after a reboot, without the controller', async () => {
  const disk = new Map<string, string>()
  const asked: string[] = []
  const first = openSecrets(memoryFiles(disk), key, box)
  const fetch = async (of: SecretRef) => {
    asked.push(`${of.id} ${of.version}`)
    return sealed(of, 'the key of the tunnel')
  }
  await first.ensure([ref(1)], fetch)
  await first.ensure([ref(1)], fetch)
  expect(asked).toEqual(['psk/frankfurt.isp-a--aws.0 1'])
  const afterReboot = openSecrets(memoryFiles(disk), key, box)
  await afterReboot.ensure([ref(1)], noController)
  expect(text(await afterReboot.open(ref(1)))).toBe('the key of the tunnel')
})

test('nothing readable is on the disk', async () => {
  const disk = new Map<string, string>()
  await openSecrets(memoryFiles(disk), key, box).ensure([ref(1)], async (of) => sealed(of, 'the key of the tunnel'))
  const written = [...disk].flat().join('\n')
  expect(disk.size).toBe(1)
  for (const form of ['utf8', 'base64', 'base64url', 'hex'] as const)
    expect(written).not.toContain(Buffer.from('the key of the tunnel').toString(form))
})

test("another box's secret, another site's and another version's are not kept", async () => {
  const wrong = [
    sealed(ref(1), 'x', generateKeyPairSync('x25519')),
    sealed(ref(1), 'x', key, { ...box, site: 'dublin' }),
    sealed(ref(2), 'x'),
    'garbage',
  ]
  for (const one of wrong) {
    const disk = new Map<string, string>()
    await expect(openSecrets(memoryFiles(disk), key, box).ensure([ref(1)], async () => one)).rejects.toMatchObject({ trouble: { code: 'A30' } })
    expect(disk.size).toBe(0)
  }
})

test('a secret that is not there is said so, and a damaged one', async () => {
  const disk = new Map<string, string>()
  const secrets = openSecrets(memoryFiles(disk), key, box)
  await expect(secrets.open(ref(1))).rejects.toThrow('The secret "psk/frankfurt.isp-a--aws.0" version 1 is not on this box')
  await secrets.ensure([ref(1)], async (of) => sealed(of, 'good'))
  for (const name of disk.keys()) disk.set(name, 'damaged')
  await expect(openSecrets(memoryFiles(disk), key, box).open(ref(1))).rejects.toMatchObject({ trouble: { code: 'A30' } })
})

test('of what no bundle names any more nothing stays', async () => {
  const disk = new Map<string, string>()
  const secrets = openSecrets(memoryFiles(disk), key, box)
  await secrets.ensure([ref(1), ref(2)], async (of) => sealed(of, `key ${of.version}`))
  await secrets.keepOnly([ref(2)])
  expect(disk.size).toBe(1)
  expect(text(await secrets.open(ref(2)))).toBe('key 2')
  await expect(secrets.open(ref(1))).rejects.toMatchObject({ trouble: { code: 'A39' } })
})
