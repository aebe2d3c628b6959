/** The language of the file of a third party's IPsec gateway. */
import { espProposals, ikeProposals } from '#src/fabric/ipsec.ts'
import { parseAddress, type Parsed, parsePrefix } from '#src/net/address.ts'
import { refused } from './refused.ts'
import { map, object, parsedText, type ReadOf, some, text } from './spec.ts'
import { oneOf } from './suggest.ts'
import { parseLifetime, parseName } from './values.ts'

const address = (description: string, example: string) => parsedText('I030', parseAddress, { description, examples: [example] })
const prefix = (description: string, example: string) =>
  parsedText((failure) => (failure.reason === 'host-bits' ? 'I031' : 'I030'), parsePrefix, { description, examples: [example] })

const proposal = (kind: string, offered: readonly string[]) =>
  parsedText(
    'I092',
    (written: string): Parsed<string> =>
      offered.includes(written)
        ? { ok: true, value: written }
        : { ok: false, says: `"${written}" is no ${kind} proposal that is offered`, instead: `write one of ${oneOf(offered)}` },
    { description: `What is offered for ${kind}, best first. Default: ${offered[0]}.`, examples: offered },
  )

/** RFC 7296 section 3.5: an address or a domain name. */
const identityPattern = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i
const parseIdentity = (written: string): Parsed<string> => {
  const parsed = parseAddress(written)
  if (parsed.ok) return { ok: true, value: parsed.value }
  return identityPattern.test(written) && !/^[\d.]+$/.test(written)
    ? { ok: true, value: written }
    : { ok: false, says: `"${written}" is not an IKE identity`, instead: 'write an address or a domain name, as the peer sends it' }
}

const lifetime = (kind: string, standard: string) =>
  parsedText('I093', parseLifetime, { description: `Of ${kind}. Default: ${standard}.`, examples: [standard] })
export const ipsec = object(
  {
    ike: some(proposal('IKE', ikeProposals)),
    esp: some(proposal('ESP', espProposals)),
    lifetime: object({ ike: lifetime('IKE, 15m to 24h', '8h'), esp: lifetime('ESP, 5m to 8h', '1h') }, { example: '{ ike: 8h, esp: 1h }' }),
    id: parsedText('I094', parseIdentity, {
      description: "The peer's IKE identity. Default: its address.",
      examples: ['gw.partner.example', '203.0.113.200'],
    }),
  },
  { refused: refused.ipsec, example: `{ ike: ${ikeProposals[0]} }` },
)

export const peerSegment = object(
  { prefixes: some(prefix('Networks behind the peer, as network/length.', '172.20.0.0/16')) },
  { required: ['prefixes'], refused: refused.peerSegment, example: '{ prefixes: 172.20.0.0/16 }' },
)

const peerFields = {
  address: some(address('What hubs dial, one or two, of IPv4 or IPv6: a tunnel to each from every uplink of its family.', '203.0.113.200')),
  transport: text('Which uplinks reach it, as for uplinks. Default: internet.', 'internet'),
  hubs: some(text("Hubs that join it, in order of preference. Default: the network's.", 'frankfurt')),
  segments: map(text('A segment of the network.', 'inference'), peerSegment, '{ inference: { prefixes: 172.20.0.0/16 } }'),
  probe: address('What answers ICMP behind it. Default: the far inside address of each tunnel.', '172.20.0.1'),
  inside: some(
    prefix(
      'Where the addresses inside its tunnels come from, four a tunnel: a network of IPv4, of IPv6, or one of each. Default: the pool of clouds.',
      '169.254.100.0/24',
    ),
  ),
  ipsec,
}
const peerOptions = {
  refused: refused.peer,
  example: '{ address: 203.0.113.200, segments: { inference: { prefixes: 172.20.0.0/16 } } }',
}
export const peerBody = object(peerFields, { ...peerOptions, required: ['address', 'segments'] })
export const peerFile = object(
  { peer: parsedText('I010', parseName, { description: "The name of a third party's IPsec gateway.", examples: ['partner'] }), ...peerFields },
  { ...peerOptions, required: ['peer', 'address', 'segments'] },
)
export type RawPeer = ReadOf<typeof peerBody>
