/** The whole way of trust over real TLS 1.3: pin → CA → network id, and on the server site and device of the client. */
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type ConnectionOptions, type PeerCertificate, type Server, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Authority, loadAuthority } from '#src/controller/pki/authority.ts'
import type { Peer } from '#src/controller/pki/peer.ts'
import { memoryRows, openVault } from '#src/controller/pki/vault.ts'
import { createCsr } from '#src/wire/csr.ts'
import { checkController, findPinnedCa, thumbprint } from '#src/wire/identity.ts'

const now = new Date()
const authorityOf = async (network: string): Promise<Authority> => loadAuthority(await openVault(Buffer.alloc(32, 7), memoryRows()), { network, now })

let ours: Authority
let server: Server
let peers: Peer[]

async function listen(authority: Authority): Promise<Server> {
  const { cert, key } = await authority.serverCredentials(now)
  const started = createServer(
    { cert, key, ca: [...authority.ca], requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3' },
    (socket) => {
      peers.push(ours.peer(socket, now))
      socket.on('error', () => {})
      socket.end('hello')
    },
  )
  started.listen(0, '127.0.0.1')
  await once(started, 'listening')
  return started
}
const portOf = (of: Server): number => (of.address() as AddressInfo).port

/** What an agent sees: the greeting, or why it hung up. */
async function dial(to: Server, options: ConnectionOptions): Promise<{ readonly text: string; readonly socket: TLSSocket } | Error> {
  const socket = connect({ host: '127.0.0.1', port: portOf(to), minVersion: 'TLSv1.3', ...options })
  return new Promise((resolve) => {
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => (text += chunk))
    socket.on('end', () => resolve({ text, socket }))
    socket.on('error', resolve)
  })
}

/** The chain as the agent takes it from a first connection, on which it sends nothing. */
async function chainOf(to: Server): Promise<Buffer[]> {
  const socket = connect({ host: '127.0.0.1', port: portOf(to), rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const chain: Buffer[] = []
  for (let at: PeerCertificate | undefined = socket.getPeerCertificate(true), seen = ''; at?.raw && at.fingerprint256 !== seen; ) {
    chain.push(at.raw)
    seen = at.fingerprint256
    at = 'issuerCertificate' in at ? (at.issuerCertificate as PeerCertificate) : undefined
  }
  socket.destroy()
  return chain
}

beforeAll(async () => {
  ours = await authorityOf('demo')
})
beforeAll(async () => {
  peers = []
  server = await listen(ours)
})
afterAll(() => server.close())

describe('an agent that knows the CA and the network', () => {
  test('is known by its site and device, over TLS 1.3', async () => {
    const device = generateKeyPairSync('ed25519')
    const issued = await ours.issueClient(createCsr('berlin', device), { site: 'berlin', now })
    peers = []
    const answer = await dial(server, {
      ca: [...ours.ca],
      cert: issued.certificate,
      key: device.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      checkServerIdentity: checkController('demo'),
    })
    expect(answer).toMatchObject({ text: 'hello' })
    expect(peers).toEqual([
      {
        ok: true,
        site: 'berlin',
        thumbprint: thumbprint(device.publicKey),
        serial: issued.serial,
        notAfter: new Date(Math.floor(issued.notAfter.getTime() / 1000) * 1000),
        expired: false,
      },
    ])
  })

  test('is refused as a peer without a certificate, but may speak: enrolment has none yet', async () => {
    peers = []
    expect(await dial(server, { ca: [...ours.ca], checkServerIdentity: checkController(null) })).toMatchObject({ text: 'hello' })
    expect(peers).toEqual([{ ok: false, code: 'C073', says: 'The connection brings no client certificate', instead: 'Enrol the box with a token' }])
  })

  test('hangs up on a controller of another network under the same CA', async () => {
    expect(await dial(server, { ca: [...ours.ca], checkServerIdentity: checkController('acme') })).toEqual(
      new Error('the certificate is for network "demo", not "acme"'),
    )
  })

  test('hangs up on a controller of another CA', async () => {
    const theirs = await authorityOf('demo')
    const answer = await dial(server, { ca: [...theirs.ca], checkServerIdentity: checkController('demo') })
    expect(answer).toMatchObject({ code: expect.stringMatching(/SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY_LEAF_SIGNATURE|CERT_SIGNATURE_FAILURE/) })
  })

  test('hangs up on another box that poses as the controller with its own client certificate', async () => {
    const device = generateKeyPairSync('ed25519')
    const { certificate } = await ours.issueClient(createCsr('oslo', device), { site: 'oslo', now })
    const impostor = createServer({ cert: certificate, key: device.privateKey.export({ type: 'pkcs8', format: 'pem' }) }, (socket) =>
      socket.on('error', () => {}).end('hello'),
    )
    impostor.on('tlsClientError', () => {})
    impostor.listen(0, '127.0.0.1')
    await once(impostor, 'listening')
    try {
      expect(await dial(impostor, { ca: [...ours.ca], checkServerIdentity: checkController('demo') })).toBeInstanceOf(Error)
      expect(checkController('demo')('', new X509Certificate(certificate))).toEqual(new Error("the certificate is not a Causeway controller's"))
    } finally {
      impostor.close()
    }
  })
})

describe('an agent that knows only the pin in its token', () => {
  test('finds the CA in the chain and then trusts nothing else', async () => {
    const found = findPinnedCa(await chainOf(server), ours.caPin, 'ctl.acme.net:443')
    expect(found).toEqual({ ok: true, ca: new X509Certificate(ours.ca[0]!).toString() })
    expect(await dial(server, { ca: [(found as { ca: string }).ca], checkServerIdentity: checkController(null) })).toMatchObject({ text: 'hello' })
  })

  test('names the one who replaces the certificate', async () => {
    const firewall = await authorityOf('fortigate')
    const between = await listen(firewall)
    try {
      expect(findPinnedCa(await chainOf(between), ours.caPin, 'ctl.acme.net:443')).toEqual({
        ok: false,
        code: 'A06',
        says: 'Something between this box and ctl.acme.net:443 replaces its certificate (issuer "Causeway fortigate CA"). I will not continue',
        instead: 'Ask for an exception for ctl.acme.net:443, without inspection',
      })
    } finally {
      between.close()
    }
  })

  test('is not taken in by a chain that carries the real CA beside a forged leaf', async () => {
    const theirs = await authorityOf('demo')
    const { cert, key } = await theirs.serverCredentials(now)
    const forged = createServer({ cert: `${cert.split('-----END CERTIFICATE-----')[0]}-----END CERTIFICATE-----\n${ours.ca[0]}`, key }, (socket) =>
      socket.on('error', () => {}).end('hello'),
    )
    forged.on('tlsClientError', () => {})
    forged.listen(0, '127.0.0.1')
    await once(forged, 'listening')
    try {
      const found = findPinnedCa([new X509Certificate(cert).raw, new X509Certificate(ours.ca[0]!).raw], ours.caPin, 'ctl')
      expect(found).toMatchObject({ ok: true })
      expect(await dial(forged, { ca: [(found as { ca: string }).ca], checkServerIdentity: checkController(null) })).toBeInstanceOf(Error)
    } finally {
      forged.close()
    }
  })
})

test('the pin is the hash of the CA key, whichever certificate carries it', () => {
  expect(thumbprint(createPublicKey(ours.ca[0]!)).slice(0, 40)).toBe(ours.caPin.toString('hex'))
})
