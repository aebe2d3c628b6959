/** Security groups of a VPC and their rules. */
import { action, find, fresh, kinds, tagsFor, tagSet, tagSpecifications } from '../action.ts'
import { filterList, matching, page, pageFields, select } from '../describe.ts'
import type { Prefix } from '#src/net/address.ts'
import { type DecodedFields, group, integer, list, needed, text } from '../query.ts'
import { invalidValue, missing, Refusal } from '../refusal.ts'
import { allOut, type Context, type Rule, type SecurityGroup, type Tags, type World } from '../world.ts'
import type { Xml } from '../xml.ts'
import { cidrOf } from './transit-routes.ts'

const arn = (world: World, kind: string, id: string): string => `arn:aws:ec2:${world.seed.name}:${world.account}:${kind}/${id}`
const portsXml = (rule: Rule): { [name: string]: Xml } => ({
  ipProtocol: rule.protocol,
  ...(rule.protocol === '-1' ? {} : { fromPort: rule.from, toPort: rule.to }),
})
const isSix = (cidr: string): boolean => cidr.includes(':')
const cidrXml = (cidr: string): { [name: string]: Xml } => (isSix(cidr) ? { cidrIpv6: cidr } : { cidrIpv4: cidr })
/** Rules of one protocol and port range are one permission. */
function permissionsXml(world: World, rules: readonly Rule[]): Xml {
  const grouped = Map.groupBy(rules, (rule) => `${rule.protocol} ${rule.from} ${rule.to}`)
  return [...grouped.values()].map((same) => ({
    ...portsXml(same[0]!),
    groups: same.flatMap(({ source, description }) => ('group' in source ? [{ userId: world.account, groupId: source.group, description }] : [])),
    ipRanges: same.flatMap(({ source, description }) => ('cidr' in source && !isSix(source.cidr) ? [{ cidrIp: source.cidr, description }] : [])),
    ipv6Ranges: same.flatMap(({ source, description }) => ('cidr' in source && isSix(source.cidr) ? [{ cidrIpv6: source.cidr, description }] : [])),
    prefixListIds: [],
  }))
}
const groupXml = (world: World, row: SecurityGroup): Xml => ({
  groupId: row.id,
  groupName: row.name,
  groupDescription: row.description,
  vpcId: row.vpc,
  ownerId: world.account,
  securityGroupArn: arn(world, 'security-group', row.id),
  ipPermissions: permissionsXml(
    world,
    row.rules.filter((rule) => !rule.egress),
  ),
  ipPermissionsEgress: permissionsXml(
    world,
    row.rules.filter((rule) => rule.egress),
  ),
  tagSet: tagSet(row.tags),
})
const ruleXml = (world: World, groupId: string, rule: Rule): Xml => ({
  securityGroupRuleId: rule.id,
  groupId,
  groupOwnerId: world.account,
  isEgress: rule.egress,
  ipProtocol: rule.protocol,
  fromPort: rule.from,
  toPort: rule.to,
  ...('cidr' in rule.source ? cidrXml(rule.source.cidr) : { referencedGroupInfo: { groupId: rule.source.group, userId: world.account } }),
  description: rule.description,
  tagSet: tagSet(rule.tags),
  securityGroupRuleArn: arn(world, 'security-group-rule', rule.id),
})

const permission = group({
  IpProtocol: needed(text),
  FromPort: integer,
  ToPort: integer,
  IpRanges: list(group({ CidrIp: needed(text), Description: text })),
  Ipv6Ranges: list(group({ CidrIpv6: needed(text), Description: text })),
  Groups: list(group({ GroupId: needed(text), UserId: text, Description: text })),
})
type Permission = DecodedFields<(typeof permission)['fields']>
const names: Readonly<Record<string, string>> = { '6': 'tcp', '17': 'udp', '1': 'icmp', '58': 'icmpv6' }
const isIcmp = (protocol: string): boolean => protocol === 'icmp' || protocol === 'icmpv6'

function portsOf({ IpProtocol, FromPort, ToPort }: Permission): Pick<Rule, 'protocol' | 'from' | 'to'> {
  const protocol = names[IpProtocol] ?? IpProtocol
  if (!['tcp', 'udp', 'icmp', 'icmpv6', '-1'].includes(protocol))
    throw invalidValue(IpProtocol, 'ipProtocol', 'The emulator knows tcp, udp, icmp, icmpv6 and -1.')
  if (protocol === '-1') return { protocol, from: -1, to: -1 }
  if (FromPort === undefined) throw missing('fromPort')
  if (ToPort === undefined) throw missing('toPort')
  const low = isIcmp(protocol) ? -1 : 0
  const high = isIcmp(protocol) ? 255 : 65_535
  if (FromPort < low || FromPort > high || ToPort < low || ToPort > high || (!isIcmp(protocol) && FromPort > ToPort))
    throw invalidValue(`${FromPort}-${ToPort}`, 'portRange', `Invalid port range for ${protocol}.`)
  return { protocol, from: FromPort, to: ToPort }
}
function rulesOf(world: World, egress: boolean, input: readonly Permission[], tags: Tags, context: Context): readonly Rule[] {
  return input.flatMap((one): Rule[] => {
    const base = { egress, ...portsOf(one), tags }
    const from = (cidr: Prefix, Description: string | undefined): Rule => {
      if ((base.protocol === 'icmp' && isSix(cidr)) || (base.protocol === 'icmpv6' && !isSix(cidr)))
        throw new Refusal('InvalidParameterValue', `Protocol ${base.protocol} can't be used with ${cidr}`)
      return { ...base, id: `sgr-${context.hex(17)}`, source: { cidr }, description: described(Description) }
    }
    const made = [
      ...(one.IpRanges ?? []).map(({ CidrIp, Description }) => from(cidrOf(4, CidrIp, 'cidrIp'), Description)),
      ...(one.Ipv6Ranges ?? []).map(({ CidrIpv6, Description }) => from(cidrOf(6, CidrIpv6, 'cidrIpv6'), Description)),
      ...(one.Groups ?? []).map(
        ({ GroupId, Description }): Rule => ({
          ...base,
          id: `sgr-${context.hex(17)}`,
          source: { group: find(kinds.securityGroup, world.securityGroups, GroupId, context).id },
          description: described(Description),
        }),
      ),
    ]
    if (made.length === 0) throw missing('ipPermissions.ipRanges')
    return made
  })
}
function described(text: string | undefined): string | undefined {
  if (text !== undefined && !/^[a-zA-Z0-9. _\-:/()#,@[\]+=&;{}!$*]{0,255}$/.test(text))
    throw invalidValue(text, 'description', 'Invalid rule description.')
  return text
}
const same = (a: Rule, b: Rule): boolean =>
  a.egress === b.egress && a.protocol === b.protocol && a.from === b.from && a.to === b.to && JSON.stringify(a.source) === JSON.stringify(b.source)

/** Rules are counted in each family by itself, those that name a group in both (Amazon VPC quotas). */
function mostIn(rules: readonly Rule[]): number {
  const [fours, sixes] = [false, true].map((six) => rules.filter(({ source }) => !('cidr' in source) || isSix(source.cidr) === six).length)
  return Math.max(fours ?? 0, sixes ?? 0)
}

const authorize = (direction: 'Ingress' | 'Egress') =>
  action(
    `AuthorizeSecurityGroup${direction}`,
    { GroupId: needed(text), IpPermissions: needed(list(permission)), TagSpecification: tagSpecifications },
    (world, { GroupId, IpPermissions, TagSpecification }, context) => {
      const row = find(kinds.securityGroup, world.securityGroups, GroupId, context)
      const added = rulesOf(world, direction === 'Egress', IpPermissions, tagsFor('security-group-rule', TagSpecification), context)
      for (const [n, rule] of added.entries()) {
        if ([...row.rules, ...added.slice(0, n)].some((other) => same(other, rule)))
          throw new Refusal(
            'InvalidPermission.Duplicate',
            `the specified rule "peer: ${JSON.stringify(rule.source)}, ${rule.protocol}, from port: ${rule.from}, to port: ${rule.to}, ALLOW" already exists`,
          )
      }
      if (mostIn([...row.rules.filter((rule) => rule.egress === (direction === 'Egress')), ...added]) > world.seed.quotas.securityGroupRules)
        throw new Refusal(
          'RulesPerSecurityGroupLimitExceeded',
          `The maximum number of rules per security group has been reached: ${world.seed.quotas.securityGroupRules}`,
        )
      row.rules = [...row.rules, ...added]
      return { return: true, securityGroupRuleSet: added.map((rule) => ruleXml(world, row.id, rule)) }
    },
  )
const revoke = (direction: 'Ingress' | 'Egress') =>
  action(
    `RevokeSecurityGroup${direction}`,
    { GroupId: needed(text), IpPermissions: list(permission), SecurityGroupRuleId: list(text) },
    (world, { GroupId, IpPermissions, SecurityGroupRuleId }, context) => {
      const row = find(kinds.securityGroup, world.securityGroups, GroupId, context)
      const egress = direction === 'Egress'
      if (!IpPermissions && !SecurityGroupRuleId) throw missing('ipPermissions')
      const gone = [
        ...(SecurityGroupRuleId ?? []).map((id) => {
          const rule = row.rules.find((one) => one.id === id && one.egress === egress)
          if (!rule) throw new Refusal('InvalidSecurityGroupRuleId.NotFound', `The security group rule ID '${id}' does not exist`)
          return rule
        }),
        ...rulesOf(world, egress, IpPermissions ?? [], {}, context).map((asked) => {
          const rule = row.rules.find((one) => same(one, asked))
          if (!rule) throw new Refusal('InvalidPermission.NotFound', 'The specified rule does not exist in this security group.')
          return rule
        }),
      ]
      row.rules = row.rules.filter((rule) => !gone.includes(rule))
      return {
        return: true,
        revokedSecurityGroupRuleSet: gone.map((rule) => ({
          securityGroupRuleId: rule.id,
          groupId: row.id,
          isEgress: rule.egress,
          ipProtocol: rule.protocol,
          fromPort: rule.from,
          toPort: rule.to,
          ...('cidr' in rule.source ? cidrXml(rule.source.cidr) : { referencedGroupId: rule.source.group }),
        })),
      }
    },
  )

/** Ids of the groups that a host of the seed is in. */
export const groupsOfHost = (world: World, vpc: string, groups: readonly string[]): readonly string[] =>
  Object.values(world.securityGroups)
    .filter(
      (row) =>
        row.vpc === vpc &&
        groups.some(
          (one) =>
            one === row.id || (one === 'default' && row.name === 'default') || (one.startsWith('tag:') && Object.hasOwn(row.tags, one.slice(4))),
        ),
    )
    .map((row) => row.id)

export const securityGroupActions = [
  action(
    'CreateSecurityGroup',
    { GroupName: needed(text), GroupDescription: needed(text), VpcId: needed(text), TagSpecification: tagSpecifications },
    (world, { GroupName, GroupDescription, VpcId, TagSpecification }, context) => {
      const vpc = find(kinds.vpc, world.vpcs, VpcId, context)
      if (!/^[a-zA-Z0-9 ._\-:/()#,@[\]+=&;{}!$*]{1,255}$/.test(GroupName) || GroupName.startsWith('sg-'))
        throw invalidValue(GroupName, 'GroupName', 'Character sets beyond ASCII are not supported, and it must not start with sg-.')
      if (!/^[a-zA-Z0-9 ._\-:/()#,@[\]+=&;{}!$*]{1,255}$/.test(GroupDescription))
        throw invalidValue(GroupDescription, 'GroupDescription', 'Character sets beyond ASCII are not supported.')
      const rows = Object.values(world.securityGroups)
      if (rows.some((row) => row.vpc === vpc.id && row.name === GroupName))
        throw new Refusal('InvalidGroup.Duplicate', `The security group '${GroupName}' already exists for VPC '${vpc.id}'`)
      if (rows.length >= world.seed.quotas.securityGroups)
        throw new Refusal('SecurityGroupLimitExceeded', `The maximum number of security groups has been reached: ${world.seed.quotas.securityGroups}`)
      const row: SecurityGroup = {
        ...fresh(kinds.securityGroup, world, context),
        state: 'available',
        tags: tagsFor('security-group', TagSpecification),
        vpc: vpc.id,
        name: GroupName,
        description: GroupDescription,
        rules: [...allOut(vpc, context.hex)],
      }
      world.securityGroups[row.id] = row
      return { groupId: row.id, securityGroupArn: arn(world, 'security-group', row.id), tagSet: tagSet(row.tags) }
    },
  ),
  action(
    'DescribeSecurityGroups',
    { GroupId: list(text), GroupName: list(text), Filter: filterList, ...pageFields },
    (world, { GroupId, GroupName, ...asked }, context) => {
      if (GroupName?.length)
        throw new Refusal(
          'InvalidParameterCombination',
          'You may not reference Amazon VPC security groups by name. Please use the corresponding id for this operation.',
        )
      const { rows, nextToken } = select(
        kinds.securityGroup,
        world.securityGroups,
        { ids: GroupId, ...asked },
        {
          'group-id': (row) => [row.id],
          'group-name': (row) => [row.name],
          'vpc-id': (row) => [row.vpc],
          description: (row) => [row.description],
          'owner-id': () => [world.account],
        },
        context,
      )
      return { securityGroupInfo: rows.map((row) => groupXml(world, row)), nextToken }
    },
  ),
  action('DeleteSecurityGroup', { GroupId: needed(text) }, (world, { GroupId }, context) => {
    const row = find(kinds.securityGroup, world.securityGroups, GroupId, context)
    if (row.name === 'default') throw new Refusal('CannotDelete', `the specified group: "${row.id}" name: "default" cannot be deleted by a user`)
    const vpc = world.seed.vpcs.find((one) => one.id === row.vpc)
    // A host that is in a group by its tag lets go of it, as whoever attached it would; one that names it does not.
    const held = vpc?.hosts.some((host) => host.groups.includes(row.id))
    const referenced = Object.values(world.securityGroups).some(
      (other) => other.id !== row.id && other.rules.some((rule) => 'group' in rule.source && rule.source.group === row.id),
    )
    if (held === true || referenced) throw new Refusal('DependencyViolation', `resource ${row.id} has a dependent object`)
    delete world.securityGroups[row.id]
    return { return: true, groupId: row.id }
  }),
  authorize('Ingress'),
  authorize('Egress'),
  revoke('Ingress'),
  revoke('Egress'),
  action(
    'DescribeSecurityGroupRules',
    { SecurityGroupRuleId: list(text), Filter: filterList, ...pageFields },
    (world, { SecurityGroupRuleId, Filter, ...asked }, { now }) => {
      const all = Object.values(world.securityGroups)
        .filter((row) => row.visibleAt <= now)
        .flatMap((row) => row.rules.map((rule) => ({ group: row.id, rule })))
      for (const id of SecurityGroupRuleId ?? [])
        if (!all.some(({ rule }) => rule.id === id))
          throw new Refusal('InvalidSecurityGroupRuleId.NotFound', `The security group rule ID '${id}' does not exist`)
      const named = SecurityGroupRuleId?.length ? all.filter(({ rule }) => SecurityGroupRuleId.includes(rule.id)) : all
      const { rows, nextToken } = page(
        matching(named, Filter, { 'group-id': (row) => [row.group], 'security-group-rule-id': (row) => [row.rule.id] }, (row) => row.rule.tags),
        (row) => row.rule.id,
        asked,
      )
      return { securityGroupRuleSet: rows.map((row) => ruleXml(world, row.group, row.rule)), nextToken }
    },
  ),
]
