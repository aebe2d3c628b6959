import { createRoute, z } from '@hono/zod-openapi'
import { siteEnds } from '#src/fabric/ids.ts'
import type { Tunnel } from '#src/fabric/fabric.ts'
import { certificates, claims, type Db, facts, generations, paths, sites } from '../store/index.ts'
import type { PathRow } from '../store/paths.ts'
import { type ApiDeps, json, knownSite, need, problems, resource, security, Time, time, timeOrNull } from './context.ts'

const kinds = ['tls', 'sealing', 'wireguard', 'psk'] as const
const Key = z
  .object({
    site: z.string(),
    kind: z.enum(kinds),
    of: z.string().openapi({ description: 'The device, an interface, or the tunnel of a pre-shared key.', example: 'edge:fiber/hub0' }),
    linkEpoch: z.int().nullable(),
    shows: z.enum(['public-key', 'fingerprint']),
    key: z.string().openapi({ description: 'A public key, or what tells a key from others; never a secret.' }),
    since: Time,
    until: Time.nullable().openapi({ description: 'Of TLS: when the certificate ends, unless it is renewed.' }),
    lastHandshake: Time.nullable().openapi({ description: 'The newest that the site reported over this interface.' }),
  })
  .openapi('Key')
type Key = z.infer<typeof Key>

const route = createRoute({
  method: 'get',
  path: '/keys',
  operationId: 'listKeys',
  tags: ['keys'],
  summary: 'Public keys and fingerprints, since when, and the last handshake',
  security,
  middleware: [need('read')] as const,
  request: { query: z.object({ site: z.string().max(80).optional().openapi({ description: 'Only of this site.' }) }) },
  responses: { 200: json(z.object({ keys: z.array(Key) }), 'By site, then the box, its interfaces and its pre-shared keys'), ...problems },
})

export const keysApi = (deps: ApiDeps) =>
  resource().openapi(route, async (c) => {
    const { db } = deps.store
    const wanted = c.req.valid('query').site
    const rows = wanted === undefined ? await sites.list(db) : [await knownSite(db, wanted)]
    const [head, kept, reported] = await Promise.all([generations.head(db), facts.kept(db), paths.all(db)])
    const keys = await Promise.all(
      rows.map(async ({ id, device }) =>
        device === null ? [] : [...(await ofBox(db, id, device)), ...ofTunnels(id, kept, head?.fabric.tunnels ?? [], reported)],
      ),
    )
    return c.json({ keys: keys.flat() }, 200)
  })

/** The box's own two, made at enrolment. */
async function ofBox(db: Db, site: string, device: string): Promise<readonly Key[]> {
  const claim = (await claims.ofSite(db, site)).find(({ thumbprint }) => thumbprint === device)
  if (!claim) return []
  const certificate = await certificates.newestOfKey(db, device)
  const both = { site, of: 'device', linkEpoch: null, since: time(claim.created_at), lastHandshake: null }
  return [
    { ...both, kind: 'tls', shows: 'fingerprint', key: device, until: timeOrNull(certificate?.not_after ?? null) },
    { ...both, kind: 'sealing', shows: 'public-key', key: claim.sealing_key, until: null },
  ]
}

/** Of its interfaces, as it reported them, and of its IPsec tunnels, as the vault names them. */
function ofTunnels(site: string, kept: readonly facts.Kept[], tunnels: readonly Tunnel[], reported: readonly PathRow[]): readonly Key[] {
  const ends = new Map(tunnels.map((tunnel) => [tunnel.id as string, siteEnds(tunnel).find((end) => end.site === site)]))
  const newest = new Map<string, number>()
  for (const { fact } of kept)
    if (fact.kind === 'key' && fact.site === site) newest.set(fact.interface, Math.max(fact.linkEpoch, newest.get(fact.interface) ?? 0))
  const handshake = (of: string): Date | null => {
    const times = reported.flatMap((path) =>
      path.site === site && ends.get(path.tunnel)?.interface === of && path.handshake_at !== null ? [path.handshake_at.getTime()] : [],
    )
    return times.length === 0 ? null : new Date(Math.max(...times))
  }
  return kept.flatMap(({ fact, at }): readonly Key[] => {
    if (fact.kind === 'key' && fact.site === site) {
      const { interface: of, linkEpoch, publicKey: key } = fact
      // A report tells of the tunnel, not of the epoch: it is the newest that shakes hands.
      const lastHandshake = newest.get(of) === linkEpoch ? timeOrNull(handshake(of)) : null
      return [{ site, kind: 'wireguard', of, linkEpoch, shows: 'public-key', key, since: time(at), until: null, lastHandshake }]
    }
    if (fact.kind === 'psk' && ends.get(fact.tunnel)) {
      const { tunnel: of, linkEpoch, ref } = fact
      return [{ site, kind: 'psk', of, linkEpoch, shows: 'fingerprint', key: ref.fingerprint, since: time(at), until: null, lastHandshake: null }]
    }
    return []
  })
}
