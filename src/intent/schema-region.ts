/** The language of a cloud region's file. */
import * as z from 'zod'
import { type Parsed, parsePrefix, type Prefix } from '#src/net/address.ts'
import { once } from '#src/net/once.ts'
import { hubAsn, privateAsns } from './defaults.ts'
import { refused, refusedWords } from './refused.ts'
import { type Entry, integer, type Located, map, object, parsedText, type ReadOf, refuseEmpty, some, type Spec, text, word } from './spec.ts'
import { parseName } from './values.ts'
import { isMap } from './yaml.ts'

const vpcExample = 'vpc-0a1b2c3d4e5f60718'
/** AWS: eight or, since 2018, seventeen hexadecimal digits. */
const parseVpc = (written: string): Parsed<string> =>
  /^vpc-([0-9a-f]{8}|[0-9a-f]{17})$/.test(written)
    ? { ok: true, value: written }
    : { ok: false, says: `"${written}" is not a VPC id`, instead: `write it as the console shows it, like ${vpcExample}` }
const vpcId = parsedText('I081', parseVpc, { description: 'A VPC that exists.', examples: [vpcExample] })

/** `eu-west-1`, `us-gov-east-1`, `ap-southeast-2`. */
export const locationPattern = /^[a-z]{2}(-[a-z]+)+-\d$/
const parseLocation = (written: string): Parsed<string> =>
  locationPattern.test(written)
    ? { ok: true, value: written }
    : { ok: false, says: `"${written}" is not a region of AWS`, instead: 'write its code, like eu-west-1' }

const cloudPrefix = parsedText((failure) => (failure.reason === 'host-bits' ? 'I031' : 'I030'), parsePrefix, {
  description: 'Networks of the VPC, as network/length. Each family has VPN connections of its own.',
  examples: ['10.96.0.0/16', '2600:1f18:1234:5600::/56'],
})
export interface RawVpc {
  readonly id: Located<string>
  /** null: not said here. */
  readonly prefixes: readonly Located<Prefix>[] | null
}
const vpcList = some(vpcId)
const vpcMap = map(vpcId, some(cloudPrefix), `{ ${vpcExample}: 10.96.0.0/16 }`)
/** One id, a list, or a map that says which prefixes are in which VPC. */
const vpcs: Spec<readonly RawVpc[]> = {
  schema: once(() => z.union([vpcList.schema(), vpcMap.schema()])),
  example: vpcExample,
  wants: 'an id, or a map of ids',
  read(node, slot, reading) {
    if (isMap(node) && node.items.length === 0) return refuseEmpty(vpcExample, reading.source.at(node), slot, reading)
    if (isMap(node))
      return vpcMap.read(node, slot, reading)?.map(({ key, value }: Entry<readonly Located<Prefix>[]>) => ({ id: key, prefixes: value ?? [] }))
    return vpcList.read(node, slot, reading)?.map((id) => ({ id, prefixes: null }))
  },
}

export const cloudSegment = object(
  { vpcs, prefixes: some(cloudPrefix) },
  { required: ['vpcs'], refused: refused.cloudSegment, example: `{ vpcs: ${vpcExample}, prefixes: 10.96.0.0/16 }` },
)

const regionFields = {
  provider: word('I080', 'provider', ['aws'], 'Whose cloud it is.', refusedWords.provider),
  attach: word('I080', 'attachment', ['transit-gateway'], 'What ends the tunnels in the cloud. Default: transit-gateway.', refusedWords.attach),
  routing: word('I080', 'routing', ['static'], 'How the cloud learns where our prefixes are. Default: static.', refusedWords.routing),
  in: parsedText('I080', parseLocation, {
    description: "The provider's code of the region. Default: the end of the name.",
    examples: ['eu-west-1'],
  }),
  hubs: some(text("Hubs that join it, in order of preference. Default: the network's.", 'frankfurt')),
  asn: integer('I083', privateAsns.first, privateAsns.last, `The cloud's AS number, private (RFC 6996), not the hubs' ${hubAsn}. Default: 64512.`),
  segments: map(text('A segment of the network.', 'inference'), cloudSegment, `{ inference: { vpcs: ${vpcExample}, prefixes: 10.96.0.0/16 } }`),
}
const regionExample = `{ provider: aws, segments: { inference: { vpcs: ${vpcExample}, prefixes: 10.96.0.0/16 } } }`
export const regionBody = object(regionFields, { required: ['provider', 'segments'], refused: refused.region, example: regionExample })
export const regionFile = object(
  { region: parsedText('I010', parseName, { description: 'The name of the region.', examples: ['aws-eu-west-1'] }), ...regionFields },
  { required: ['region', 'provider', 'segments'], refused: refused.region, example: regionExample },
)
export type RawRegion = ReadOf<typeof regionBody>
