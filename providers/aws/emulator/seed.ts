/** What exists before the first call: accounts' keys, regions, their VPCs, and how slow and how small the cloud is. */
import * as z from 'zod'
import { type Address, parseAddress, parsePrefix, type Prefix } from '#src/net/address.ts'

const prefix = z.string().transform((text, context): Prefix => {
  const parsed = parsePrefix(text)
  if (parsed.ok) return parsed.value
  context.addIssue(`${parsed.says}; ${parsed.instead}`)
  return z.NEVER
})
const address = z.string().transform((text, context): Address => {
  const parsed = parseAddress(text)
  if (parsed.ok) return parsed.value
  context.addIssue(`${parsed.says}; ${parsed.instead}`)
  return z.NEVER
})
const id = (kind: string) => z.string().regex(new RegExp(`^${kind}-([0-9a-f]{8}|[0-9a-f]{17})$`), `must be ${kind}- and 8 or 17 hex digits`)
const tags = z.record(z.string(), z.string()).default({})
const vpc = z.strictObject({
  id: id('vpc'),
  cidr: prefix,
  /** Its IPv6 CIDR block; the subnets that have one of their own, a /64, have it inside. */
  ipv6: prefix.optional(),
  tags,
  subnets: z.array(z.strictObject({ id: id('subnet'), cidr: prefix, ipv6: prefix.optional(), zone: z.string(), tags })).min(1),
  /** Exactly one is `main`; a subnet that no other names uses it. */
  routeTables: z.array(z.strictObject({ id: id('rtb'), main: z.boolean().default(false), subnets: z.array(z.string()).default([]), tags })).min(1),
  /**
   * What stands in the VPC. `groups`: security groups by id, `default`, or `tag:KEY` for every group that carries the
   * tag, because whoever runs the instances attaches the groups that a connector made.
   */
  hosts: z
    .array(z.strictObject({ name: z.string(), address, ipv6: address.optional(), subnet: z.string(), groups: z.array(z.string()).min(1) }))
    .default([]),
})
/** Defaults of a new account (Service Quotas). */
const quotas = z.strictObject({
  transitGateways: z.int().default(5),
  transitRouteTables: z.int().default(20),
  transitRoutes: z.int().default(10_000),
  attachments: z.int().default(5_000),
  customerGateways: z.int().default(50),
  vpnConnections: z.int().default(50),
  routes: z.int().default(50),
  securityGroups: z.int().default(2_500),
  securityGroupRules: z.int().default(60),
})
/** Milliseconds that a change of state takes, before `--time-scale`. */
const times = z.strictObject({
  transitGateway: z.int().default(2_500),
  attachment: z.int().default(2_000),
  routeTable: z.int().default(1_000),
  association: z.int().default(1_500),
  propagation: z.int().default(1_000),
  customerGateway: z.int().default(1_000),
  vpnConnection: z.int().default(3_000),
  tunnel: z.int().default(2_000),
  /** How long what was deleted is still described, as `deleted`. */
  deleted: z.int().default(3_600_000),
  /** Until what was just made is found: eventual consistency. */
  consistency: z.int().default(0),
})
const region = z.strictObject({
  name: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'must be a region, e.g. eu-west-1'),
  /** Addresses of the tunnels' outsides; AWS's own public ranges in truth. */
  outside: prefix,
  vpcs: z.array(vpc).default([]),
  quotas: quotas.prefault({}),
  times: times.prefault({}),
})
export const seedSchema = z.strictObject({
  account: z
    .string()
    .regex(/^\d{12}$/, 'must be 12 digits')
    .default('123456789012'),
  accessKeys: z.array(z.string().min(1)).min(1),
  /** Actions that the account may not call, e.g. `CreateVpnConnection`. */
  denied: z.array(z.string()).default([]),
  regions: z.array(region).min(1),
})
export type Seed = z.infer<typeof seedSchema>
export type SeedInput = z.input<typeof seedSchema>
export type RegionSeed = Seed['regions'][number]

/** Throws an Error that names each place of the seed that is wrong. */
export function parseSeed(input: unknown): Seed {
  const parsed = seedSchema.safeParse(input)
  if (!parsed.success) throw new Error(`the seed is not right:\n${z.prettifyError(parsed.error)}`)
  for (const [r, one] of parsed.data.regions.entries())
    for (const [v, { id: vpcId, subnets, routeTables, hosts }] of one.vpcs.entries()) {
      const at = `regions[${r}].vpcs[${v}]`
      const known = new Set(subnets.map((subnet) => subnet.id))
      if (routeTables.filter((table) => table.main).length !== 1)
        throw new Error(`the seed is not right:\n✖ ${vpcId} needs exactly one main route table\n  → at ${at}.routeTables`)
      for (const subnet of [...routeTables.flatMap((table) => table.subnets), ...hosts.map((host) => host.subnet)])
        if (!known.has(subnet)) throw new Error(`the seed is not right:\n✖ ${vpcId} has no subnet "${subnet}"\n  → at ${at}`)
    }
  return parsed.data
}
