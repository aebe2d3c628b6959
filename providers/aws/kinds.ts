/** How each type is found, made, changed and deleted. No waiting here but what one call needs; `apply.ts` does that. */
import type { Kind } from './kind.ts'
import { vpnConnection } from './kinds-connection.ts'
import { association, customerGateway, routeTable, transitGateway, transitGatewayRoute, vpcAttachment } from './kinds-gateway.ts'
import { securityGroup, vpcRoute } from './kinds-vpc.ts'
import type { AwsType } from './scheme.ts'

export const kinds: { readonly [T in AwsType]: Kind<T> } = {
  'transit-gateway': transitGateway,
  'transit-gateway-route-table': routeTable,
  'customer-gateway': customerGateway,
  'vpn-connection': vpnConnection,
  'vpc-attachment': vpcAttachment,
  'transit-gateway-association': association,
  'transit-gateway-route': transitGatewayRoute,
  'vpc-route': vpcRoute,
  'security-group': securityGroup,
}
