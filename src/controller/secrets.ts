/** What of the vault a box may have, and in which form: only what its assigned bundle names, sealed to its own key. */
import { secretsOf } from '#src/fabric/secrets.ts'
import type { SealedSecret } from '#src/wire/messages.ts'
import { seal } from './pki/seal.ts'
import type { Vault } from './pki/vault.ts'
import { Problem } from './problem.ts'
import { bundles, claims, replacements, type Store } from './store/index.ts'

/** Throws Problem C068 when the bundle names no such secret: another site's, an old version or a made-up one alike. */
export async function sealedSecret(
  store: Store,
  vault: Vault,
  of: { readonly network: string; readonly site: string; readonly device: string; readonly id: string; readonly version: number },
): Promise<SealedSecret> {
  const assigned = await replacements.assignedTo(store.db, of.site, of.device)
  const bundle = assigned ? await bundles.get(store.db, of.site, assigned) : undefined
  const ref = bundle && secretsOf(bundle.config).find(({ id, version }) => id === of.id && version === of.version)
  if (!ref)
    throw new Problem(
      404,
      'C068',
      `the bundle that is assigned to ${of.site} names no secret "${of.id.slice(0, 200)}" version ${of.version}`,
      'take those that the assigned bundle names',
    )
  const claim = (await claims.ofSite(store.db, of.site)).find(({ thumbprint }) => thumbprint === of.device)
  if (!claim)
    throw new Problem(401, 'C068', `the box of ${of.site} has no key that a secret could be sealed to`, 'enrol it again: causeway site replace')
  const sealed = seal(await vault.get(ref), claim.sealing_key, { network: of.network, site: of.site, secret: { id: ref.id, version: ref.version } })
  return { sealed }
}
