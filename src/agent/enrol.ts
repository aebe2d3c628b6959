/** From a pasted token to a certificate. Safe to repeat, and to kill at any point: the same keys and request are used again. */
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import type { DeviceDriver } from '#providers/device.ts'
import { openTrust } from '#src/wire/bundle.ts'
import { confirmationCode } from '#src/wire/confirmation.ts'
import { createCsr } from '#src/wire/csr.ts'
import { spkiPin, thumbprint } from '#src/wire/identity.ts'
import { EnrolAnswer, type EnrolRequest, Signed, type TrustPayload } from '#src/wire/messages.ts'
import { x25519Raw } from '#src/wire/seal.ts'
import { decodeToken, type Token } from '#src/wire/token.ts'
import { checkRights, inventoryOf, waysOf } from './box.ts'
import { backoff, type Clock, pause } from './clock.ts'
import { createController, discoverCa, splitHost } from './controller.ts'
import type { Files } from './files.ts'
import { deviceKey, sealingKey } from './keys.ts'
import { AgentError, line, troubleOf } from './trouble.ts'

/** identity.json: who this box is, written once all of it is known and checked. */
export interface Identity {
  readonly v: 1
  readonly network: string
  readonly site: string
  readonly role: 'edge' | 'core'
  /** Thumbprint of device.key. */
  readonly device: string
  readonly host: string
  readonly port: number
  /** Base64url. */
  readonly caPin: string
  readonly certificate: string
  readonly trust: Signed
  readonly confirmationCode: string
}
export interface EnrolOptions {
  readonly files: Files
  /** null: go on with the token of an earlier start. */
  readonly token: string | null
  readonly driver: DeviceDriver
  readonly clock: Clock
  /** '' = read it from the box. */
  readonly serial: string
  readonly say: (line: string) => void
  readonly signal: AbortSignal
}

export async function readIdentity(files: Files): Promise<Identity | null> {
  const text = await files.read('identity.json')
  return text === null ? null : (JSON.parse(text) as Identity)
}

/** The trust document of an identity that was checked when it was stored. */
export const trustOf = (identity: Identity): TrustPayload =>
  JSON.parse(Buffer.from(identity.trust.payload, 'base64url').toString('utf8')) as TrustPayload

const stepLine = (n: number, what: string, text: string): string => `[${n}/6] ${what.padEnd(12)} ${text}`
const day = (ms: number): string => `${new Date(ms).toUTCString().slice(0, 22)} UTC`

async function takeToken(files: Files, given: string | null): Promise<Token> {
  const text = given ?? (await files.read('token'))
  if (text === null)
    throw new AgentError('A13', 'This box is not enrolled, and no token was given', 'Ask for one: causeway site token SITE; then paste its line')
  const token = decodeToken(text)
  if (!token.ok) throw new AgentError(token.code, token.says, token.instead)
  // Kept until the certificate is there, so that a reboot in the middle needs no second paste.
  if (given !== null) await files.write('token', given)
  return token
}

export async function enrol(options: EnrolOptions): Promise<Identity> {
  const { files, driver, clock, say } = options
  const known = await readIdentity(files)
  if (known) {
    if (options.token !== null) {
      const token = decodeToken(options.token)
      if (!token.ok) throw new AgentError(token.code, token.says, token.instead)
      if (token.caPin.toString('base64url') !== known.caPin) {
        throw new AgentError(
          'A15',
          `This box is enrolled as site ${known.site} of network ${known.network}, and the token is for another network`,
          'To move the box, run causeway-agent wipe first',
        )
      }
    }
    say(`This box is enrolled as site ${known.site}. Confirmation code ${known.confirmationCode}.`)
    return known
  }
  const token = await takeToken(files, options.token)
  const { host, port } = splitHost(token.host)
  say(`Causeway  controller ${token.host}`)
  say(stepLine(1, 'token', `good until ${day(token.expiresAt * 1000)}`))
  const features = await driver.features()
  checkRights(features)
  const interfaces = await driver.inventory()
  const inventory = inventoryOf(features, interfaces, options.serial)
  const esp = features.ipsec === 'none' ? '' : `, ${features.ipsec} ESP`
  say(stepLine(2, 'this box', `${inventory.os}, ${inventory.wireguard} WireGuard${esp}, serial ${inventory.serial}`))
  say(
    stepLine(3, 'cables', interfaces.map((one) => `${one.name} ${one.up ? (one.addresses[0]?.split('/')[0] ?? 'link up') : 'no cable'}`).join(' · ')),
  )

  const device = await deviceKey(files)
  const id = thumbprint(device.publicKey)
  const request: EnrolRequest = {
    secret: token.secret.toString('base64url'),
    csr: createCsr(id.slice(0, 16), device),
    sealingKey: x25519Raw((await sealingKey(files)).publicKey).toString('base64'),
    inventory,
  }
  const answer = await ask({ ...options, host, port, token, request })
  const certificate = new X509Certificate(answer.certificate!)
  if (thumbprint(certificate.publicKey) !== id)
    throw new AgentError('A16', 'The controller answered with a certificate for another key', 'Run the line again; if it stays, tell the engineer')
  const trust = openTrust(answer.trust, { network: answer.network, caPin: token.caPin })
  if (!trust.ok) throw new AgentError(trust.code, trust.says, trust.instead)
  const identity: Identity = {
    v: 1,
    network: answer.network,
    site: answer.site,
    role: answer.role,
    device: id,
    host,
    port,
    caPin: token.caPin.toString('base64url'),
    certificate: answer.certificate!,
    trust: answer.trust,
    confirmationCode: confirmationCode(id),
  }
  await files.write('identity.json', JSON.stringify(identity))
  await files.remove('token')
  const off = Math.abs(Date.now() - Date.parse(answer.serverTime)) / 1000
  clock.atLeast(Date.parse(answer.serverTime))
  say(stepLine(4, 'enrolled', `site ${identity.site} of ${identity.network}; keys made here, never leave this box; clock ${off.toFixed(1)} s off`))
  say(`Confirmation code ${identity.confirmationCode} (the engineer sees the same).`)
  return identity
}

interface Ask extends Omit<EnrolOptions, 'token'> {
  readonly host: string
  readonly port: number
  readonly token: Token
  readonly request: EnrolRequest
}

/** Asks until the answer is a certificate or a refusal that waiting can't change. */
async function ask(of: Ask): Promise<EnrolAnswer> {
  let said = ''
  const sayOnce = (text: string) => {
    if (text !== said) of.say(text)
    said = text
  }
  for (let attempt = 0; !of.signal.aborted; attempt++) {
    try {
      const answer = await once(of)
      if (answer.state === 'enrolled' && answer.certificate !== null) return answer
      sayOnce(`      waiting      for the engineer to approve this box for site ${answer.site}. Confirmation code ${answer.confirmationCode}`)
      // Somebody is asked, who may take a day: every few seconds is enough, and cheap.
      await pause(1_000 + backoff(0, Math.random, 2_000), of.signal)
      attempt = 0
    } catch (error) {
      if (of.signal.aborted) break
      const trouble = troubleOf(error)
      if (error instanceof AgentError && !error.again) throw error
      sayOnce(`      ${line(trouble)}`)
      await pause(backoff(attempt), of.signal)
    }
  }
  throw new AgentError('A05', 'Stopped before the box was enrolled', 'Run the line again')
}

async function once(of: Ask): Promise<EnrolAnswer> {
  const ways = waysOf(await of.driver.inventory(), null)
  const { ca, notBefore } = await discoverCa(of.host, of.port, of.token.caPin, ways)
  if (Date.now() < notBefore) setClock(notBefore)
  const controller = createController({ host: of.host, port: of.port, ca: [ca], network: null, credentials: null })
  controller.setWays(ways)
  try {
    const { status, body, problem } = await controller.call({ method: 'POST', path: '/v1/enrol', body: of.request, fresh: true, signal: of.signal })
    if (problem) {
      const again = status >= 500 || status === 429 || status === 408
      throw new AgentError(problem.code || 'A16', problem.detail, problem.instead, again)
    }
    const answer = EnrolAnswer.safeParse(body)
    if (!answer.success)
      throw new AgentError('A16', `${of.host} answered, but not as a controller that this agent knows`, 'Take the agent from this controller', true)
    if (!answer.data.ca.some((pem) => spkiPin(new X509Certificate(pem).publicKey).equals(of.token.caPin)))
      throw new AgentError('A16', "The controller's answer lacks the authority that the token pins", 'Ask for a new token')
    return answer.data
  } finally {
    controller.close()
  }
}

/** A box without a battery clock: the pinned authority's certificate says when it is at least. */
function setClock(ms: number): void {
  try {
    execFileSync('date', ['-u', '-s', `@${Math.ceil(ms / 1000)}`], { stdio: 'ignore' })
  } catch {
    throw new AgentError(
      'A04',
      `This box thinks it is ${day(Date.now())}. Certificates can't work. Setting it from the controller failed`,
      `Run sudo date -u -s "${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')}" or later, then the line again`,
      true,
    )
  }
}
