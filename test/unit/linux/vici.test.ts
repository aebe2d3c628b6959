import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { connectVici, decodeMessage, encodeMessage, type ViciMessage } from '#providers/linux/vici.ts'

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe('messages', () => {
  test("are written as strongSwan's documentation shows", () => {
    expect(encodeMessage({ key1: 'value1', section1: { 'sub-section': { key2: 'value2' }, list1: ['item1', 'item2'] } }).toString('hex')).toBe(
      [
        '03',
        '04',
        Buffer.from('key1').toString('hex'),
        '0006',
        Buffer.from('value1').toString('hex'),
        '01',
        '08',
        Buffer.from('section1').toString('hex'),
        '01',
        '0b',
        Buffer.from('sub-section').toString('hex'),
        '03',
        '04',
        Buffer.from('key2').toString('hex'),
        '0006',
        Buffer.from('value2').toString('hex'),
        '02',
        '04',
        '05',
        Buffer.from('list1').toString('hex'),
        '05',
        '0005',
        Buffer.from('item1').toString('hex'),
        '05',
        '0005',
        Buffer.from('item2').toString('hex'),
        '06',
        '02',
      ].join(''),
    )
  })

  const { message } = fc.letrec<{ message: ViciMessage; value: ViciMessage[string] }>((tie) => ({
    message: fc.dictionary(fc.string({ maxLength: 60 }), tie('value'), { maxKeys: 4, noNullPrototype: true }),
    value: fc.oneof({ maxDepth: 3 }, fc.string(), fc.array(fc.string(), { maxLength: 3 }), tie('message')),
  }))
  test('are read as they were written', () => {
    fc.assert(
      fc.property(message, (any) => {
        expect(plain(decodeMessage(encodeMessage(any)))).toEqual(plain(any))
      }),
    )
  })
  test('binary values go through as they are', () => {
    const secret = Buffer.from([0, 255, 3, 1])
    expect(encodeMessage({ data: secret }).subarray(-4)).toEqual(secret)
  })
  test('that are cut or are something else are no messages, and never throw', () => {
    fc.assert(
      fc.property(message, fc.nat(), fc.uint8Array({ maxLength: 60 }), (any, cut, noise) => {
        const bytes = encodeMessage(any)
        decodeMessage(bytes.subarray(0, cut % (bytes.length + 1)))
        decodeMessage(Buffer.from(noise))
      }),
    )
    for (const bytes of ['02', '03', '0304', '04046c69737405', '0101', '010161', '0401610102', '07'])
      expect(decodeMessage(Buffer.from(bytes, 'hex'))).toBeUndefined()
  })
  test("with names or values that don't fit are errors of the caller", () => {
    expect(() => encodeMessage({ ['n'.repeat(256)]: '' })).toThrow('is longer than 255 bytes')
    expect(() => encodeMessage({ n: 'v'.repeat(65536) })).toThrow('a VICI value is longer than 65535 bytes')
  })
})

describe('a conversation', () => {
  let folder = ''
  let server: Server
  let served: Socket[] = []
  /** A charon that answers each packet (hex, without its length) with packets. */
  async function charon(answers: Readonly<Record<string, readonly string[]>>): Promise<string> {
    folder = await mkdtemp(join(tmpdir(), 'vici-'))
    served = []
    server = createServer((socket) => {
      served.push(socket)
      let rest = Buffer.alloc(0)
      socket.on('data', (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk])
        while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
          const length = rest.readUInt32BE(0)
          const asked = rest.subarray(4, 4 + length).toString('hex')
          rest = rest.subarray(4 + length)
          for (const answer of answers[asked] ?? ['02']) {
            if (answer === 'dies') {
              socket.end()
              return
            }
            const body = Buffer.from(answer, 'hex')
            const head = Buffer.alloc(4)
            head.writeUInt32BE(body.length)
            // In two pieces, as a stream may deliver it.
            socket.write(head.subarray(0, 3))
            socket.write(Buffer.concat([head.subarray(3), body]))
          }
        }
      })
    })
    await new Promise<void>((resolve) => void server.listen(join(folder, 'vici'), resolve))
    return join(folder, 'vici')
  }
  afterEach(async () => {
    for (const socket of served) socket.destroy()
    server.close()
    await rm(folder, { recursive: true })
  })
  const hex = (text: string) => Buffer.from(text).toString('hex')
  const name = (type: string, text: string) => type + text.length.toString(16).padStart(2, '0') + hex(text)
  const pair = (key: string, value: string) => name('03', key) + value.length.toString(16).padStart(4, '0') + hex(value)

  test('answers come to their commands, in order', async () => {
    const vici = await connectVici(
      await charon({ [name('00', 'version')]: [`01${pair('daemon', 'charon-systemd')}`], [name('00', 'stats')]: ['01'] }),
    )
    expect((await Promise.all([vici.request('version'), vici.request('stats')])).map(plain)).toEqual([{ daemon: 'charon-systemd' }, {}])
    vici.close()
  })
  test('events are collected between registering and the answer', async () => {
    const vici = await connectVici(
      await charon({
        [name('03', 'list-sa')]: ['05'],
        [name('00', 'list-sas')]: [
          name('07', 'list-sa') + pair('n', '1'),
          name('07', 'other') + pair('n', '9'),
          name('07', 'list-sa') + pair('n', '2'),
          '01',
        ],
        [name('04', 'list-sa')]: ['05'],
      }),
    )
    expect((await vici.stream('list-sas', 'list-sa')).map(plain)).toEqual([{ n: '1' }, { n: '2' }])
    vici.close()
  })
  test("a refusal is an error with charon's reason", async () => {
    const vici = await connectVici(await charon({ [name('00', 'initiate')]: [`01${pair('success', 'no')}${pair('errmsg', 'no such child')}`] }))
    await expect(vici.request('initiate')).rejects.toMatchObject({
      finding: { code: 'D041', says: 'charon refuses "initiate": no such child', instead: "look into charon's log beside the socket" },
    })
    await expect(vici.request('initiat')).rejects.toMatchObject({ finding: { code: 'D041', says: 'charon does not know the command "initiat"' } })
    await expect(vici.stream('list-sas', 'list-sa')).rejects.toMatchObject({
      finding: { code: 'D041', says: 'charon does not know the event "list-sa"' },
    })
    vici.close()
  })
  test('what is not VICI ends it', async () => {
    const path = await charon({ [name('00', 'version')]: ['0107'] })
    const vici = await connectVici(path)
    await expect(vici.request('version')).rejects.toMatchObject({
      finding: { code: 'D040', says: `charon's control socket ${path} sent something that is not VICI` },
    })
    await expect(vici.request('version')).rejects.toMatchObject({ finding: { code: 'D040' } })
  })
  test('a charon that dies ends it', async () => {
    const path = await charon({ [name('00', 'version')]: ['dies'] })
    const vici = await connectVici(path)
    await expect(vici.request('version')).rejects.toMatchObject({ finding: { code: 'D040', says: `charon's control socket ${path} was closed` } })
  })
  test('no socket, no conversation', async () => {
    const path = `${await charon({})}-not`
    await expect(connectVici(path)).rejects.toMatchObject({
      finding: { code: 'D040', says: `charon's control socket ${path} can't be opened: connect ENOENT ${path}` },
    })
  })
})
