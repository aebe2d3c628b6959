/** What an agent fetches and asks for on the way to a confirmed change: the signed bundle and the permit. */
import type { Triple } from '#src/fabric/fabric.ts'
import { sign } from '#src/wire/bundle.ts'
import type { BundlePayload, PermitPayload, Signed } from '#src/wire/messages.ts'
import type { Authority } from './pki/authority.ts'
import { Problem } from './problem.ts'
import { bundles, events, generations, permits, replacements, sites, type Store } from './store/index.ts'

/** How long a fetched bundle may be accepted: it limits replay, never running. */
const acceptWithinMs = 24 * 3_600_000
const text = ({ term, generation, revision }: Triple): string => `${term}/${generation}/${revision}`

const notAssigned = (site: string, triple: Triple, assigned: Triple | null): Problem =>
  new Problem(409, 'C053', `${text(triple)} is not assigned to ${site} any more`, assigned ? `${text(assigned)} is` : 'nothing is assigned')

/** Signs what is assigned to the site and was proven, for the device that asks. */
export async function signedBundle(
  store: Store,
  authority: Authority,
  of: { readonly site: string; readonly device: string; readonly triple: Triple; readonly now: Date },
): Promise<Signed> {
  const [assigned, row] = await Promise.all([replacements.assignedTo(store.db, of.site, of.device), bundles.get(store.db, of.site, of.triple)])
  if (!row)
    throw new Problem(404, 'C052', `${of.site} has no bundle ${text(of.triple)}`, assigned ? `${text(assigned)} is assigned` : 'nothing is assigned')
  if (!sites.sameTriple(assigned, of.triple)) throw notAssigned(of.site, of.triple, assigned)
  if ((await generations.verdict(store.db, row.generation)) !== 'passed')
    throw new Problem(409, 'C021', `generation ${row.generation} was not proven`, 'make another plan')
  const payload: BundlePayload = {
    kind: 'bundle',
    schema: 1,
    network: authority.network,
    site: of.site,
    device: of.device,
    ...of.triple,
    hash: row.hash,
    acceptBefore: new Date(of.now.getTime() + acceptWithinMs).toISOString(),
    config: row.config,
  }
  const signed = sign(payload, authority.bundleSigner)
  await bundles.setSigned(store.db, of.site, of.triple, signed)
  return signed
}

/** Yes, keep it: only while the triple is still what the site shall run. */
export async function permit(
  store: Store,
  authority: Authority,
  of: { readonly site: string; readonly device: string; readonly triple: Triple; readonly nonce: string },
): Promise<Signed> {
  await store.transaction(async (tx) => {
    // Locked: `assigned` can't move between this look and the permit's row.
    await sites.lock(tx, of.site)
    const assigned = await replacements.assignedTo(tx, of.site, of.device)
    if (!sites.sameTriple(assigned, of.triple)) throw notAssigned(of.site, of.triple, assigned)
    if (!(await permits.grant(tx, of.site, of.nonce, of.triple)))
      throw new Problem(409, 'C053', 'the nonce was used for another change', 'a new change takes a new nonce')
    await events.emit(tx, {
      subject: `site/${of.site}`,
      kind: 'site.permit',
      text: `${of.site} reached the controller under ${text(of.triple)} and may keep it`,
      data: { triple: of.triple },
    })
  })
  const payload: PermitPayload = { kind: 'permit', network: authority.network, site: of.site, device: of.device, triple: of.triple, nonce: of.nonce }
  return sign(payload, authority.bundleSigner)
}
