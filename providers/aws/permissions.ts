/**
 * The least IAM policy, one statement a purpose. Reads of EC2 can't be limited to resources; writes are limited to what
 * carries our tag wherever the thing can carry one.
 */
import { tagOf } from './scheme.ts'

const arn = (...types: readonly string[]): readonly string[] => types.map((type) => `arn:*:ec2:*:*:${type}/*`)
const requested = { Null: { [`aws:RequestTag/${tagOf.network}`]: 'false' } }
const tagged = { Null: { [`aws:ResourceTag/${tagOf.network}`]: 'false' } }

const makes = {
  CreateTransitGateway: 'transit-gateway',
  CreateTransitGatewayRouteTable: 'transit-gateway-route-table',
  CreateTransitGatewayVpcAttachment: 'transit-gateway-attachment',
  CreateCustomerGateway: 'customer-gateway',
  CreateVpnConnection: 'vpn-connection',
  CreateSecurityGroup: 'security-group',
  AuthorizeSecurityGroupIngress: 'security-group-rule',
  AuthorizeSecurityGroupEgress: 'security-group-rule',
} as const
const routing = [
  'AssociateTransitGatewayRouteTable',
  'DisassociateTransitGatewayRouteTable',
  'CreateTransitGatewayRoute',
  'ReplaceTransitGatewayRoute',
  'DeleteTransitGatewayRoute',
]
const ec2 = (actions: readonly string[]): readonly string[] => actions.map((action) => `ec2:${action}`).sort()

export const permissions = (): Readonly<Record<string, unknown>> => ({
  Version: '2012-10-17',
  Statement: [
    {
      Sid: 'Look',
      Effect: 'Allow',
      Action: ec2([
        'DescribeCustomerGateways',
        'DescribeRouteTables',
        'DescribeSecurityGroups',
        'DescribeSubnets',
        'DescribeTransitGatewayAttachments',
        'DescribeTransitGatewayRouteTables',
        'DescribeTransitGatewayVpcAttachments',
        'DescribeTransitGateways',
        'DescribeVpcs',
        'DescribeVpnConnections',
        'SearchTransitGatewayRoutes',
      ]),
      Resource: '*',
    },
    { Sid: 'MakeTagged', Effect: 'Allow', Action: ec2(Object.keys(makes)), Resource: arn(...new Set(Object.values(makes))), Condition: requested },
    {
      Sid: 'MakeOnOurs',
      Effect: 'Allow',
      Action: ec2(['CreateTransitGatewayRouteTable', 'CreateTransitGatewayVpcAttachment', 'CreateVpnConnection']),
      Resource: arn('transit-gateway', 'customer-gateway'),
      Condition: tagged,
    },
    {
      Sid: 'MakeInVpc',
      Effect: 'Allow',
      Action: ec2(['CreateSecurityGroup', 'CreateTransitGatewayVpcAttachment', 'ModifyTransitGatewayVpcAttachment']),
      Resource: arn('vpc', 'subnet'),
    },
    {
      Sid: 'TagWhatIsMade',
      Effect: 'Allow',
      Action: ['ec2:CreateTags'],
      Resource: arn(...new Set(Object.values(makes))),
      Condition: { StringEquals: { 'ec2:CreateAction': Object.keys(makes) } },
    },
    {
      Sid: 'ChangeAndDeleteOurs',
      Effect: 'Allow',
      Action: ec2([
        ...routing,
        'AuthorizeSecurityGroupEgress',
        'AuthorizeSecurityGroupIngress',
        'DeleteCustomerGateway',
        'DeleteSecurityGroup',
        'DeleteTransitGateway',
        'DeleteTransitGatewayRouteTable',
        'DeleteTransitGatewayVpcAttachment',
        'DeleteVpnConnection',
        'ModifyTransitGateway',
        'ModifyTransitGatewayVpcAttachment',
        'ModifyVpnTunnelOptions',
        'RevokeSecurityGroupEgress',
        'RevokeSecurityGroupIngress',
      ]),
      Resource: arn(...new Set(Object.values(makes))),
      Condition: tagged,
    },
    // The attachment of a VPN connection is made by AWS without tags; the route table of each of these calls has ours.
    { Sid: 'RouteAttachments', Effect: 'Allow', Action: ec2(routing), Resource: arn('transit-gateway-attachment') },
    { Sid: 'RouteInVpc', Effect: 'Allow', Action: ec2(['CreateRoute', 'DeleteRoute', 'ReplaceRoute']), Resource: arn('route-table') },
    {
      Sid: 'FirstTransitGatewayOfAnAccount',
      Effect: 'Allow',
      Action: ['iam:CreateServiceLinkedRole'],
      Resource: ['arn:*:iam::*:role/aws-service-role/transitgateway.amazonaws.com/*'],
      Condition: { StringEquals: { 'iam:AWSServiceName': 'transitgateway.amazonaws.com' } },
    },
  ],
})
