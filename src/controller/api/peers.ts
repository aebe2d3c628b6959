import { createRoute, z } from '@hono/zod-openapi'
import { insidesOf, pskFault, tunnelsToPeer } from '#src/fabric/ipsec.ts'
import type { Peer } from '#src/fabric/fabric.ts'
import { suggest } from '#src/intent/suggest.ts'
import { hubsOf, replaceSecret, showSecret } from '../peers.ts'
import { Problem } from '../problem.ts'
import { generations, paths, peers } from '../store/index.ts'
import { type ApiDeps, body, conflicts, json, missing, need, problems, resource, security, Time, time, timeOrNull } from './context.ts'

const Secret = z.object({
  version: z.int(),
  origin: z.enum(['made', 'given']).openapi({ description: '`made` here, or `given` by the owner of the peer.' }),
  createdAt: Time,
  createdBy: z.string(),
  shownAt: Time.nullable(),
  shownBy: z.string().nullable(),
})
const PeerView = z
  .object({
    id: z.string(),
    addresses: z.array(z.string()),
    prefixes: z.array(z.string()),
    tunnels: z.array(
      z.object({ id: z.string(), hub: z.string(), uplink: z.string(), address: z.string(), inside: z.array(z.string()), state: z.string() }),
    ),
    secret: Secret.nullable(),
  })
  .openapi('Peer')
const SecretRequest = z
  .object({ secret: z.string().max(1000).optional().openapi({ description: 'What its owner gave; without it, a new one is made.' }) })
  .openapi('PeerSecretRequest')

const params = z.object({
  id: z
    .string()
    .max(80)
    .openapi({ param: { name: 'id', in: 'path' }, example: 'partner' }),
})
const common = { tags: ['peers'], security }
const listRoute = createRoute({
  ...common,
  method: 'get',
  path: '/peers',
  operationId: 'listPeers',
  summary: "Every third party's IPsec gateway that the newest generation names",
  middleware: [need('read')] as const,
  responses: { 200: json(z.object({ peers: z.array(PeerView) }), 'Sorted by id'), ...problems },
})
const showRoute = createRoute({
  ...common,
  method: 'get',
  path: '/peers/{id}',
  operationId: 'getPeer',
  summary: 'One peer: its tunnels, and which pre-shared key it has; never the key',
  middleware: [need('read')] as const,
  request: { params },
  responses: { 200: json(PeerView, 'The peer'), ...problems },
})
const secretRoute = createRoute({
  ...common,
  method: 'put',
  path: '/peers/{id}/secret',
  operationId: 'setPeerSecret',
  summary: 'Another pre-shared key, given by its owner or made here; hubs take it at once',
  middleware: [need('operate')] as const,
  request: { params, ...body(SecretRequest) },
  responses: { 200: json(z.object({ version: z.int() }).openapi('PeerSecretVersion'), 'Its version'), ...problems, ...conflicts },
})
const revealRoute = createRoute({
  ...common,
  method: 'post',
  path: '/peers/{id}/secret/show',
  operationId: 'showPeerSecret',
  summary: 'The pre-shared key that was made here, shown once',
  middleware: [need('operate')] as const,
  request: { params },
  responses: { 200: json(z.object({ secret: z.string(), version: z.int() }).openapi('PeerSecret'), 'Shown once'), ...problems, ...conflicts },
})

export const peersApi = (deps: ApiDeps) => {
  const { store, vault } = deps
  const { db } = store
  const all = async (): Promise<readonly Peer[]> => (await generations.head(db))?.fabric.peers ?? []
  const found = async (id: string): Promise<Peer> => {
    const known = await all()
    const peer = known.find((one) => one.id === id)
    if (peer) return peer
    const close = suggest(
      id,
      known.map((one) => one.id),
    )
    throw missing('peer', `"${id}"`, close ? `did you mean "${close}"?` : 'name it in the intent and apply that first: peer: in a file of its own')
  }
  const view = async (peer: Peer): Promise<z.infer<typeof PeerView>> => {
    const [reported, secret] = await Promise.all([paths.all(db), peers.newest(db, peer.id)])
    return {
      id: peer.id,
      addresses: peer.gateways.map(({ address }) => address),
      prefixes: peer.lans.map(({ prefix }) => prefix),
      tunnels: tunnelsToPeer(peer).map(({ site, uplink, gateway, tunnel, ...of }) => ({
        id: tunnel,
        hub: site,
        uplink,
        address: gateway.address,
        inside: [...insidesOf(of)],
        state: reported.find((path) => path.tunnel === tunnel && path.site === site)?.state ?? 'unknown',
      })),
      secret: secret
        ? {
            version: secret.version,
            origin: secret.origin,
            createdAt: time(secret.created_at),
            createdBy: secret.created_by,
            shownAt: timeOrNull(secret.shown_at),
            shownBy: secret.shown_by,
          }
        : null,
    }
  }
  return resource()
    .openapi(listRoute, async (c) => c.json({ peers: await Promise.all((await all()).map(view)) }, 200))
    .openapi(showRoute, async (c) => c.json(await view(await found(c.req.valid('param').id)), 200))
    .openapi(secretRoute, async (c) => {
      const peer = await found(c.req.valid('param').id)
      const { secret } = c.req.valid('json')
      const fault = secret === undefined ? null : pskFault(secret)
      if (fault !== null) throw new Problem(400, 'C140', fault, 'ask its owner for another, or let one be made here: causeway peer secret NAME --new')
      const { version } = await replaceSecret(store, vault, { peer, given: secret ?? null, by: c.get('actor').id })
      for (const hub of hubsOf(peer)) await deps.facts(hub)
      return c.json({ version }, 200)
    })
    .openapi(revealRoute, async (c) => {
      const peer = await found(c.req.valid('param').id)
      return c.json(await showSecret(store, vault, { peer: peer.id, by: c.get('actor').id }), 200, { 'cache-control': 'no-store' })
    })
}
