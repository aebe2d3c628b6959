/** Which secrets a configuration needs, and nothing else of the vault may reach that site. */
import type { SecretRef, SiteConfig } from './fabric.ts'

/** Each once, in the order of the tunnels. */
export function secretsOf(config: Pick<SiteConfig, 'tunnels'>): readonly SecretRef[] {
  const refs = config.tunnels.flatMap(({ peer }) => (peer.kind === 'ipsec' ? [peer.psk] : []))
  return [...new Map(refs.map((ref) => [`${ref.id}@${ref.version}`, ref])).values()]
}
