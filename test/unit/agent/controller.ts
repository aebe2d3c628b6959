/** A controller of a few lines, with the real keys, certificates and signatures, for the agent's tests. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { configure } from '#src/compile/configure.ts'
import { type Ca, createCa, issueClient, issueServer } from '#src/controller/pki/ca.ts'
import { judge } from '#src/controller/pki/peer.ts'
import { publicSigner } from '#src/controller/pki/signer.ts'
import { contentHash } from '#src/fabric/hash.ts'
import type { Fabric, Fact, InterfaceId, SiteConfig, SiteId, Triple } from '#src/fabric/fabric.ts'
import { keyIdOf, sign, type Signer } from '#src/wire/bundle.ts'
import { confirmationCode } from '#src/wire/confirmation.ts'
import { thumbprint } from '#src/wire/identity.ts'
import {
  type BundlePayload,
  EnrolRequest,
  type PermitPayload,
  PermitRequest,
  RenewRequest,
  Report,
  type Signed,
  type TrustPayload,
} from '#src/wire/messages.ts'
import { encodeToken } from '#src/wire/token.ts'
import { X509Certificate } from 'node:crypto'

export interface Answered {
  readonly status: number
  readonly body: unknown
}
export interface Assigned {
  readonly triple: Triple
  readonly config: SiteConfig
}
export interface TestController {
  readonly network: string
  readonly port: number
  readonly ca: Ca
  readonly bundleSigner: Signer
  readonly rootSigner: Signer
  readonly trust: TrustPayload
  /** The last report of each site, and all of them. */
  readonly reports: Map<string, Report>
  readonly history: { readonly site: string; readonly report: Report }[]
  readonly permits: { readonly site: string; readonly triple: Triple; readonly nonce: string }[]
  readonly assigned: Map<string, Assigned>
  /** Replaces an answer by path, e.g. `/v1/permit`; undefined falls through to the usual one. */
  readonly answer: Map<string, (site: string, body: unknown) => Answered | 'cut' | undefined>
  token(site: string, change?: { readonly caPin?: Buffer; readonly host?: string }): string
  /** Assigns a config, or what `configure` makes of the fabric and the keys known, one revision up. */
  assign(site: string, config: SiteConfig, triple: Triple): void
  /** From now on every site gets what `configure` says, again whenever a key is reported. */
  follow(fabric: Fabric, generation: number): void
  /** As the agent of `site` would get it. */
  bundle(site: string, assigned: Assigned, change?: Partial<BundlePayload>, signer?: Signer): Signed
  device(site: string): string
  /** Of certificates, ms; and the serial numbers that renewals named. */
  lifetime: number
  readonly renewed: string[]
  stop(): Promise<void>
  start(): Promise<void>
}

const newSigner = (): Signer => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return { keyId: keyIdOf(publicKey), privateKey }
}

export async function createTestController(
  network = 'demo',
  options: { readonly socket?: string; readonly host?: string; readonly listens?: string } = {},
): Promise<TestController> {
  const listens = options.listens ?? '127.0.0.1'
  const [root, caSigner, bundleSigner] = [newSigner(), newSigner(), newSigner()]
  const ca = await createCa(caSigner, network, new Date())
  const credentials = await issueServer(ca, network, new Date())
  const trustPayload: TrustPayload = {
    kind: 'trust',
    network,
    version: 1,
    ca: [ca.certificate],
    bundleSigners: [publicSigner(bundleSigner)],
    evidenceSigners: [],
    root: publicSigner(root),
    minimumAgent: '0.1.0',
  }
  const trust = sign(trustPayload, root, caSigner)
  const tokens = new Map<string, { site: string; device: string | null }>()
  const devices = new Map<string, string>()
  const facts = new Map<string, Fact>()
  const streams = new Set<ServerResponse>()
  let fabric: Fabric | null = null
  let generation = 1
  let server: Server | null = null
  let port = 0

  const self: TestController = {
    network,
    get port() {
      return port
    },
    ca,
    bundleSigner,
    rootSigner: root,
    trust: trustPayload,
    reports: new Map(),
    history: [],
    permits: [],
    assigned: new Map(),
    answer: new Map(),
    token(site, change = {}) {
      const secret = randomBytes(16)
      tokens.set(secret.toString('base64url'), { site, device: null })
      return encodeToken({
        secret,
        caPin: ca.pin,
        expiresAt: Math.floor(Date.now() / 1000) + 86_400,
        host: options.host ?? `${listens.includes(':') ? `[${listens}]` : listens}:${port}`,
        ...change,
      })
    },
    assign(site, config, triple) {
      self.assigned.set(site, { config, triple })
      for (const stream of streams) stream.write(`data: ${JSON.stringify({ assigned: triple })}\n\n`)
    },
    follow(next, number) {
      fabric = next
      generation = number
      for (const site of devices.keys()) expand(site)
    },
    bundle(site, { triple, config }, change = {}, signer = bundleSigner) {
      const payload: BundlePayload = {
        kind: 'bundle',
        schema: 1,
        network,
        site,
        device: self.device(site),
        ...triple,
        hash: contentHash(config),
        acceptBefore: new Date(Date.now() + 3_600_000).toISOString(),
        config,
        ...change,
      }
      return sign(payload, signer)
    },
    lifetime: 7 * 86_400_000,
    renewed: [],
    device: (site) => devices.get(site) ?? '',
    async stop() {
      for (const stream of streams) stream.destroy()
      await new Promise<void>((resolve) => {
        server!.close(() => resolve())
        server!.closeAllConnections()
      })
    },
    async start() {
      server = createServer(
        { ...credentials, minVersion: 'TLSv1.3', requestCert: true, rejectUnauthorized: false, ca: [ca.certificate] },
        (request, response) => void handle(request, response),
      )
      await new Promise<void>((resolve) => (options.socket ? server!.listen(options.socket, resolve) : server!.listen(port, listens, resolve)))
      if (!options.socket) port = (server.address() as AddressInfo).port
    },
  }

  function expand(site: string): void {
    if (!fabric || !devices.has(site)) return
    const config = configure(fabric, [...facts.values()], site as SiteId)
    const held = self.assigned.get(site)
    if (held && contentHash(held.config) === contentHash(config)) return
    self.assign(site, config, { term: 1, generation, revision: held?.triple.generation === generation ? held.triple.revision + 1 : 0 })
  }

  const refuse = (status: number, code: string, detail: string): Answered => ({
    status,
    body: { type: 'about:blank', title: detail, status, code, detail, instead: '' },
  })

  async function usual(path: string, query: URLSearchParams, site: string, body: unknown): Promise<Answered> {
    switch (path) {
      case '/v1/enrol': {
        const request = EnrolRequest.parse(body)
        const token = tokens.get(request.secret)
        if (!token) return refuse(403, 'A02', 'This token is not known')
        const issued = await issueClient(ca, request.csr, { network, site: token.site, now: new Date(), lifetime: self.lifetime })
        if (token.device !== null && token.device !== issued.thumbprint) return refuse(409, 'A03', 'This token was already used by another box')
        token.device = issued.thumbprint
        devices.set(token.site, issued.thumbprint)
        expand(token.site)
        return {
          status: 200,
          body: {
            network,
            site: token.site,
            role: 'edge',
            state: 'enrolled',
            certificate: issued.certificate,
            ca: [ca.certificate],
            trust,
            confirmationCode: confirmationCode(issued.thumbprint),
            serverTime: new Date().toISOString(),
          },
        }
      }
      case '/v1/report': {
        const report = Report.parse(body)
        self.reports.set(site, report)
        self.history.push({ site, report })
        let news = false
        for (const key of report.keys) {
          const owner = `${site}/${key.interface}/${key.linkEpoch}`
          if (facts.has(owner)) continue
          news = true
          facts.set(owner, {
            kind: 'key',
            site: site as SiteId,
            interface: key.interface as InterfaceId,
            linkEpoch: key.linkEpoch,
            publicKey: key.publicKey,
          })
        }
        if (news) for (const other of devices.keys()) expand(other)
        const assigned = self.assigned.get(site)
        return {
          status: 200,
          body: {
            assigned: assigned ? { triple: assigned.triple, hash: contentHash(assigned.config) } : null,
            trustVersion: 1,
            serverTime: new Date().toISOString(),
            reportEverySeconds: 1,
          },
        }
      }
      case '/v1/bundle': {
        const assigned = self.assigned.get(site)
        if (!assigned || assigned.triple.revision !== Number(query.get('revision'))) return refuse(404, 'C404', 'No such bundle')
        return { status: 200, body: self.bundle(site, assigned) }
      }
      case '/v1/permit': {
        const { triple, nonce } = PermitRequest.parse(body)
        const assigned = self.assigned.get(site)
        if (!assigned || JSON.stringify(assigned.triple) !== JSON.stringify(triple)) return refuse(409, 'C409', 'Something else is assigned now')
        self.permits.push({ site, triple, nonce })
        return {
          status: 200,
          body: sign({ kind: 'permit', network, site, device: self.device(site), triple, nonce } satisfies PermitPayload, bundleSigner),
        }
      }
      case '/v1/renew': {
        const { csr, previousSerial } = RenewRequest.parse(body)
        self.renewed.push(previousSerial)
        return {
          status: 200,
          body: { certificate: (await issueClient(ca, csr, { network, site, now: new Date() })).certificate, serverTime: new Date().toISOString() },
        }
      }
      case '/v1/trust':
        return { status: 200, body: trust }
      default:
        return refuse(404, 'C404', `There is no ${path}`)
    }
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, 'https://controller')
    const raw = (request.socket as TLSSocket).getPeerX509Certificate()?.raw
    const peer = raw ? judge(new X509Certificate(raw), [ca.certificate], network, new Date()) : null
    const site = peer?.ok && devices.get(peer.site) === thumbprint(new X509Certificate(raw!).publicKey) ? peer.site : ''
    let text = ''
    for await (const part of request) text += part
    if (url.pathname === '/v1/hints' && !self.answer.has(url.pathname)) {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(': hello\n\n')
      streams.add(response)
      response.on('close', () => streams.delete(response))
      return
    }
    const body: unknown = text === '' ? null : JSON.parse(text)
    const own = self.answer.get(url.pathname)?.(site, body)
    if (own === 'cut') {
      request.socket.destroy()
      return
    }
    const answered =
      own ??
      (site === '' && url.pathname !== '/v1/enrol'
        ? refuse(401, 'A17', 'This box is not known')
        : await usual(url.pathname, url.searchParams, site, body))
    response.writeHead(answered.status, { 'content-type': answered.status < 400 ? 'application/json' : 'application/problem+json' })
    response.end(JSON.stringify(answered.body))
  }

  await self.start()
  return self
}
