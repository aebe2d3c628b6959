/** What clouds ask, US dollars an hour, list prices without tax or traffic. A plan prints the date, because prices move. */
export const pricesOf = '2026-11-01'
/** AWS: Site-to-Site VPN, and Transit Gateway attachments of either kind. Data is 0.02 a GB more. */
export const awsPrices = { vpnConnection: 0.05, transitGatewayAttachment: 0.05 } as const
