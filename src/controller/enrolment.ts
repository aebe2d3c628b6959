/** A bootstrap token becomes a certificate; a certificate becomes its successor. Everything may be repeated. */
import { randomBytes } from 'node:crypto'
import type { Finding } from '#src/fabric/fabric.ts'
import { confirmationCode } from '#src/wire/confirmation.ts'
import type { EnrolAnswer, EnrolRequest, RenewAnswer, RenewRequest } from '#src/wire/messages.ts'
import type { Authority } from './pki/authority.ts'
import { hashSecret } from './pki/tokens.ts'
import { Problem } from './problem.ts'
import {
  audit,
  certificates,
  claims,
  events,
  operations,
  type Purpose,
  replacements,
  sites,
  type SiteState,
  type Store,
  tokens,
  type Tx,
} from './store/index.ts'
import type { ClaimRow } from './store/claims.ts'
import type { TokenRow } from './store/tokens.ts'

export interface EnrolmentDeps {
  readonly store: Store
  readonly authority: Authority
  /** The site's entity reads the claim's row; sent again with each repeated request, so a lost signal heals. */
  readonly claimed: (site: string, claimId: string) => Promise<void>
  /** A site was quarantined: it and its peers read their rows. */
  readonly quarantined: (site: string) => Promise<void>
  readonly now: () => Date
}
export interface Enrolment {
  enrol(request: EnrolRequest): Promise<EnrolAnswer>
  renew(
    request: RenewRequest,
    by: { readonly site: string; readonly thumbprint: string; readonly serial: string; readonly notAfter: Date },
  ): Promise<RenewAnswer>
}

/** How long an expired certificate may still be renewed: a site may be without its controller for as long. */
export const headlessMaxDays = 90
/** INVITED may not have been reached yet: the token's row is what counts. */
const takesBox: Readonly<Record<Purpose, readonly SiteState[]>> = {
  enrol: ['DECLARED', 'INVITED', 'EXPIRED', 'QUARANTINED', 'CLAIMED'],
  replace: ['ACTIVE', 'REPLACING'],
}

const clockTime = (date: Date): string => `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`

export function createEnrolment({ store, authority, claimed, quarantined, now }: EnrolmentDeps): Enrolment {
  const answerTo = async (tx: Tx, claim: ClaimRow, role: 'edge' | 'core', csr: string): Promise<EnrolAnswer> => ({
    network: authority.network,
    site: claim.site,
    role,
    state: claim.state === 'enrolled' ? 'enrolled' : 'claimed',
    certificate: claim.state === 'enrolled' ? await certificateOf(tx, claim, csr) : null,
    ca: [...authority.ca],
    trust: authority.trust,
    confirmationCode: confirmationCode(claim.thumbprint),
    serverTime: now().toISOString(),
  })

  /** The one that was given before, unless it has ended since. */
  const certificateOf = async (tx: Tx, claim: ClaimRow, csr: string): Promise<string> => {
    const known = await certificates.lockOfKey(tx, claim.thumbprint)
    const last = known.find(({ site, revoked_at }) => site === claim.site && revoked_at === null)
    if (last && last.not_after > now()) return last.pem
    const issued = await authority.issueClient(csr, { site: claim.site, now: now() })
    await certificates.insert(tx, {
      serial: issued.serial,
      site: claim.site,
      thumbprint: issued.thumbprint,
      previous: last?.serial ?? null,
      pem: issued.certificate,
      notAfter: issued.notAfter,
    })
    await claims.setCertificate(tx, claim.id, issued.certificate)
    return issued.certificate
  }

  type Outcome = { readonly answer: EnrolAnswer | Problem; readonly tell: { readonly site: string; readonly claimId: string } | null }
  /** The token was redeemed: by this key, then the answer is the same again, or by another. */
  const redeemed = async (tx: Tx, token: TokenRow, own: ClaimRow | undefined, request: EnrolRequest, thumbprint: string): Promise<Outcome> => {
    if (own && own.state !== 'quarantined') {
      const site = await sites.get(tx, token.site)
      if (claims.isOver(own) || !site) return { answer: replaced(token), tell: null }
      return { answer: await answerTo(tx, own, site.role, request.csr), tell: { site: token.site, claimId: own.id } }
    }
    const first = token.claim_id === null ? undefined : await claims.get(tx, token.claim_id)
    const claimId = own?.id ?? `k-${randomBytes(6).toString('hex')}`
    if (!own) {
      await claims.insert(tx, {
        id: claimId,
        tokenId: token.id,
        site: token.site,
        thumbprint,
        sealingKey: request.sealingKey,
        serial: request.inventory.serial,
        inventory: request.inventory,
        state: 'quarantined',
      })
      const detail = { token: token.id, serial: request.inventory.serial, thumbprint }
      await audit.append(tx, { actor: `device/${thumbprint.slice(0, 16)}`, action: 'enrol.second', subject: `site/${token.site}`, detail })
      await events.emit(tx, {
        subject: `site/${token.site}`,
        kind: 'site.second-box',
        text: `a second box (serial ${request.inventory.serial}) used the token of ${token.site}`,
        data: detail,
      })
    }
    const used = token.redeemed_at ? ` at ${clockTime(token.redeemed_at)}` : ''
    const answer = new Problem(
      409,
      'A03',
      `This token was already used${used} by a box with serial ${first?.serial ?? 'unknown'}. This one is ${request.inventory.serial}`,
      `If you swapped boxes, ask for: causeway site replace ${token.site}`,
    )
    // A box that is enrolled is not put in quarantine for what a stranger does with its spent token.
    return { answer, tell: first?.state === 'claimed' ? { site: token.site, claimId } : null }
  }

  const redeem = async (tx: Tx, token: TokenRow, request: EnrolRequest, thumbprint: string): Promise<Outcome> => {
    const site = await sites.lock(tx, token.site)
    if (!site || !takesBox[token.purpose].includes(site.state))
      return {
        answer: new Problem(
          409,
          'C058',
          `${token.site} takes no box now: it is ${site?.state ?? 'not in the network any more'}`,
          `ask the engineer: causeway site status ${token.site}`,
        ),
        tell: null,
      }
    const id = `k-${randomBytes(6).toString('hex')}`
    const { serial } = request.inventory
    const waits = site.role === 'core' || token.purpose === 'replace'
    await claims.insert(tx, {
      id,
      tokenId: token.id,
      site: token.site,
      thumbprint,
      sealingKey: request.sealingKey,
      serial,
      inventory: request.inventory,
      state: waits ? 'claimed' : 'enrolled',
    })
    await tokens.redeem(tx, token.id, id)
    await audit.append(tx, {
      actor: `device/${thumbprint.slice(0, 16)}`,
      action: 'enrol',
      subject: `site/${token.site}`,
      detail: { token: token.id, serial, thumbprint },
    })
    const forWhom = waits ? `; it waits for: causeway site approve ${token.site} ${thumbprint.slice(0, 16)}` : ''
    await events.emit(tx, {
      subject: `site/${token.site}`,
      kind: 'site.claim',
      text: `a box with serial ${serial} redeemed the token of ${token.site}, confirmation code ${confirmationCode(thumbprint)}${forWhom}`,
      data: { thumbprint, serial },
    })
    const claim = await claims.get(tx, id)
    return { answer: await answerTo(tx, claim!, site.role, request.csr), tell: { site: token.site, claimId: id } }
  }

  return {
    async enrol(request) {
      const { thumbprint } = await authority.checkRequest(request.csr)
      const secret = Buffer.from(request.secret, 'base64url')
      const { answer, tell } = await store.transaction(async (tx): Promise<Outcome> => {
        const token = await tokens.lockByHash(tx, hashSecret(secret))
        if (!token)
          return {
            answer: new Problem(
              403,
              'C056',
              'This token is not one of this network',
              'Ask the engineer for a token; it is for one site and works once',
            ),
            tell: null,
          }
        const own = await claims.ofKey(tx, token.id, thumbprint)
        if (token.redeemed_at) return redeemed(tx, token, own, request, thumbprint)
        if (token.revoked_at) return { answer: replaced(token), tell: null }
        if (token.expires_at <= now()) {
          return {
            answer: new Problem(
              410,
              'A02',
              `This token ended ${clockTime(token.expires_at)} (it is ${clockTime(now())})`,
              `Ask for a new one: causeway site token ${token.site}. Nothing else has to be redone`,
            ),
            tell: null,
          }
        }
        return redeem(tx, token, request, thumbprint)
      })
      // After the commit, and not waited for: the box has its answer also while workflows are away.
      if (tell) void claimed(tell.site, tell.claimId).catch(() => {})
      if (answer instanceof Problem) throw answer
      return answer
    },

    async renew(request, by) {
      const { thumbprint } = await authority.checkRequest(request.csr)
      if (thumbprint !== by.thumbprint)
        throw new Problem(403, 'C051', "the renewal is for another key than the connection's", 'a new key needs a new token')
      const ended = now().getTime() - by.notAfter.getTime()
      if (ended > headlessMaxDays * 86_400_000)
        throw new Problem(
          403,
          'C055',
          `the certificate ended ${clockTime(by.notAfter)}, more than ${headlessMaxDays} days ago`,
          `the box needs a new token: causeway site token ${by.site}`,
        )
      const outcome = await store.transaction(async (tx): Promise<string | Problem> => {
        const known = await certificates.lockOfKey(tx, thumbprint)
        const previous = known.find(({ serial, site }) => serial === request.previousSerial && site === by.site)
        const site = await sites.lock(tx, by.site)
        const successor = (await replacements.get(tx, by.site))?.device
        const speaks = site !== undefined && (site.device === null || site.device === thumbprint || successor === thumbprint)
        if (!previous || previous.revoked_at || !speaks) return notTheDevice(by.site)
        const next = known.find((one) => one.previous === previous.serial)
        // Its answer was lost, and nobody has used it: the same again.
        if (next && !next.seen_at && next.not_after > now()) return next.pem
        if (next) return fork(tx, by.site, previous.serial, next.serial)
        const issued = await authority.issueClient(request.csr, { site: by.site, now: now() })
        await certificates.insert(tx, {
          serial: issued.serial,
          site: by.site,
          thumbprint,
          previous: previous.serial,
          pem: issued.certificate,
          notAfter: issued.notAfter,
        })
        return issued.certificate
      })
      if (outcome instanceof Problem) {
        if (outcome.code === 'C054') void quarantined(by.site).catch(() => {})
        throw outcome
      }
      return { certificate: outcome, serverTime: now().toISOString() }
    },
  }

  async function fork(tx: Tx, site: string, previous: string, next: string): Promise<Problem> {
    const says = `certificate ${previous.slice(0, 16)} of ${site} was renewed twice: its key is on two boxes`
    const finding: Finding = {
      code: 'C054',
      severity: 'error',
      at: [],
      says,
      instead: `find out which box is yours, decommission the site and enrol it with a new token`,
      witness: [`already renewed as ${next.slice(0, 16)}`],
    }
    await sites.transition(
      tx,
      site,
      ['ENROLLED', 'PROVISIONING', 'ACTIVE', 'CHANGING', 'DRAINING', 'MAINTENANCE', 'REPLACING'],
      'QUARANTINED',
      finding,
    )
    await certificates.revokeAll(tx, site)
    // A window or another box would be one of a site that is trusted.
    await sites.setDrain(tx, site, null)
    await replacements.forget(tx, site)
    for (const { id, kind } of await operations.openOf(tx, `site/${site}`))
      if (kind === 'drain' || kind === 'undrain' || kind === 'replace') await operations.end(tx, id, 'failed', { findings: [finding] })
    await audit.append(tx, { actor: 'controller', action: 'quarantine', subject: `site/${site}`, detail: { previous, next } })
    await events.emit(tx, { subject: `site/${site}`, kind: 'site.quarantined', text: says, data: { previous, next } })
    return new Problem(403, 'C054', says, 'Ask the engineer: the site is quarantined until it is enrolled anew')
  }
}

const replaced = (token: TokenRow): Problem =>
  new Problem(409, 'C057', `A newer token for ${token.site} replaced this one`, 'Use the newest line that the engineer gave you')
export const notTheDevice = (site: string): Problem =>
  new Problem(403, 'C051', `this box does not speak for ${site} any more`, `ask the engineer: causeway site status ${site}`)
