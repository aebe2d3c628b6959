/** What the controller is asked for, and checked by what this box trusts: bundles, permits, trust documents, certificates. */
import { X509Certificate } from 'node:crypto'
import type { SecretRef, SiteConfig, Triple } from '#src/fabric/fabric.ts'
import { openBundle, openPermit, openTrust, tripleText } from '#src/wire/bundle.ts'
import { createCsr } from '#src/wire/csr.ts'
import { RenewAnswer, SealedSecret, Signed, type TrustPayload } from '#src/wire/messages.ts'
import type { Clock } from './clock.ts'
import type { Bundle, PermitAnswer } from './commit.ts'
import type { Controller, Target } from './controller.ts'
import { type Disk, sameTriple } from './disk.ts'
import { type Identity, trustOf } from './enrol.ts'
import type { Files } from './files.ts'
import { deviceKey } from './keys.ts'
import type { Log } from './log.ts'
import { AgentError, line, troubleOf, type Trouble } from './trouble.ts'
import { bundleSchema } from './version.ts'

export interface SessionOptions {
  readonly files: Files
  readonly disk: Disk
  readonly identity: Identity
  readonly controller: Controller
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
}
export type Fetched =
  | { readonly kind: 'bundle'; readonly bundle: Bundle; readonly signed: Signed }
  /** It must never run here. */
  | { readonly kind: 'refused'; readonly trouble: Trouble }
  /** Not now. */
  | { readonly kind: 'none'; readonly says: string }
export interface Session {
  identity(): Identity
  fetch(triple: Triple): Promise<Fetched>
  /** The ciphertext of a secret that the assigned bundle names. Throws AgentError. */
  secret(ref: SecretRef): Promise<string>
  /** Over a fresh connection, signature and nonce checked. */
  permit(triple: Triple, nonce: string, within: AbortSignal): Promise<PermitAnswer>
  /** When the controller has a newer document than `version`. */
  renewTrust(version: number): Promise<void>
  /** At two thirds of the certificate's life; refused or not, once a minute. */
  renewCertificate(): Promise<void>
}

const renewEveryMs = 60_000

/** A bundle from the box's own disk: it was accepted before, so only its signature and address count now. */
export async function storedBundle(disk: Disk, identity: Identity, triple: Triple | null): Promise<Bundle | null> {
  const signed = triple === null ? null : await disk.bundle(triple)
  if (triple === null || signed === null) return null
  const { network, site, device } = identity
  const opened = openBundle(signed, trustOf(identity), { network, site, device, running: null, now: null, schema: bundleSchema })
  if (!opened.ok) throw new AgentError(opened.code, opened.says, opened.instead)
  return { triple, config: opened.bundle.config as SiteConfig }
}

export const targetOf = (identity: Identity, trust: TrustPayload, privateKey: string): Target => ({
  host: identity.host,
  port: identity.port,
  ca: trust.ca,
  network: identity.network,
  credentials: { certificate: identity.certificate, privateKey },
})

export function createSession(of: SessionOptions): Session {
  const { controller, clock, log, signal } = of
  let identity = of.identity
  let trust = trustOf(identity)
  let renewAfter = 0

  async function save(next: Identity): Promise<void> {
    await of.files.write('identity.json', JSON.stringify(next))
    identity = next
    const pem = (await deviceKey(of.files)).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    controller.retarget(targetOf(identity, trust, pem))
  }

  return {
    identity: () => identity,
    async fetch(triple) {
      const path = `/v1/bundle?term=${triple.term}&generation=${triple.generation}&revision=${triple.revision}`
      const { body, problem } = await controller.call({ method: 'GET', path, signal })
      const signed = Signed.safeParse(body)
      if (problem || !signed.success) return { kind: 'none', says: problem?.detail ?? 'the answer is not a bundle' }
      const { network, site, device } = identity
      const context = { network, site, device, running: of.disk.state().confirmed, now: new Date(clock.now()), schema: bundleSchema }
      const opened = openBundle(signed.data, trust, context)
      if (!opened.ok) return { kind: 'refused', trouble: opened }
      const { term, generation, revision, config } = opened.bundle
      const named = { term, generation, revision }
      if (!sameTriple(named, triple))
        return { kind: 'refused', trouble: { code: 'A26', says: `${tripleText(triple)} was asked for, and ${tripleText(named)} came`, instead: '' } }
      return { kind: 'bundle', bundle: { triple, config: config as SiteConfig }, signed: signed.data }
    },
    async secret(ref) {
      const path = `/v1/secret?id=${encodeURIComponent(ref.id)}&version=${ref.version}`
      const { body, problem } = await controller.call({ method: 'GET', path, signal })
      const answer = SealedSecret.safeParse(body)
      if (problem || !answer.success)
        throw new AgentError(
          'A39',
          `The secret "${ref.id}" version ${ref.version} does not come: ${problem?.detail ?? 'the answer is not understood'}`,
          problem?.instead ?? 'Upgrade the agent, or the controller',
          true,
        )
      return answer.data.sealed
    },
    async permit(triple, nonce, within) {
      try {
        const answer = await controller.call({ method: 'POST', path: '/v1/permit', body: { triple, nonce }, fresh: true, signal: within })
        const { problem } = answer
        if (answer.status === 409) return { kind: 'withdrawn', says: problem?.detail || 'Something else is assigned now' }
        const signed = Signed.safeParse(answer.body)
        if (problem || !signed.success)
          return {
            kind: 'unreachable',
            trouble: { code: problem?.code || 'A16', says: problem?.detail ?? 'the answer is not a permit', instead: '' },
          }
        const { network, site, device } = identity
        const opened = openPermit(signed.data, trust, { network, site, device, triple, nonce })
        return opened.ok ? { kind: 'granted' } : { kind: 'wrong', trouble: opened }
      } catch (error) {
        return { kind: 'unreachable', trouble: troubleOf(error) }
      }
    },
    async renewTrust(version) {
      if (version <= trust.version) return
      const { body, problem } = await controller.call({ method: 'GET', path: '/v1/trust', signal })
      const signed = Signed.safeParse(body)
      if (problem || !signed.success) return
      const opened = openTrust(signed.data, { current: trust })
      if (!opened.ok) {
        log('trust', line(opened), { code: opened.code })
        return
      }
      trust = opened.trust
      await save({ ...identity, trust: signed.data })
      log('trust', `version ${trust.version} accepted`)
    },
    async renewCertificate() {
      const certificate = new X509Certificate(identity.certificate)
      const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)]
      if (clock.now() < Math.max(from + ((to - from) * 2) / 3, renewAfter)) return
      renewAfter = clock.now() + renewEveryMs
      const csr = createCsr(identity.device.slice(0, 16), await deviceKey(of.files))
      const request = { csr, previousSerial: certificate.serialNumber.toLowerCase() }
      const { body, problem } = await controller.call({ method: 'POST', path: '/v1/renew', body: request, signal })
      const answer = RenewAnswer.safeParse(body)
      if (problem || !answer.success) {
        log('renew', problem ? line({ code: problem.code || 'A17', says: problem.detail, instead: problem.instead }) : 'the answer is not understood')
        return
      }
      await save({ ...identity, certificate: answer.data.certificate })
      log('renew', `certificate good until ${new X509Certificate(answer.data.certificate).validTo}`)
    },
  }
}
