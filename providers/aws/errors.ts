/** What AWS and the way to it can answer, told apart by whose problem it is. Pure; knows errors by their shape, not the SDK. */
import type { Finding } from '#src/fabric/fabric.ts'
import type { Trouble } from '../cloud.ts'

/** What the provider throws: `classify` gives its trouble back. */
export class CloudError extends Error {
  readonly trouble: Trouble
  constructor(trouble: Trouble) {
    super(`${trouble.finding.code} ${trouble.finding.says}${trouble.finding.instead === '' ? '' : `; ${trouble.finding.instead}`}`)
    this.name = 'CloudError'
    this.trouble = trouble
  }
}
export const finding = (
  code: string,
  at: readonly string[],
  says: string,
  instead: string,
  more: { readonly severity?: Finding['severity']; readonly witness?: readonly string[] } = {},
): Finding => ({ code, severity: more.severity ?? 'error', at, says, instead, witness: more.witness ?? [] })
export const trouble = (kind: Trouble['kind'], of: Finding, after = 0): Trouble => ({ kind, finding: of, after })
export const conflict = (of: Finding): CloudError => new CloudError(trouble('conflict', of))

interface AwsError {
  readonly name: string
  readonly message: string
  readonly code?: string
  /** Put there by our middleware: the EC2 action that was called. */
  readonly action?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
}

const quotas: Readonly<Record<string, string>> = {
  VpnConnectionLimitExceeded: 'Site-to-Site VPN connections per Region',
  CustomerGatewayLimitExceeded: 'Customer gateways per Region',
  VpnGatewayLimitExceeded: 'Virtual private gateways per Region',
  TransitGatewayLimitExceeded: 'Transit gateways per account',
  TransitGatewayRouteTableLimitExceeded: 'Transit gateway route tables per transit gateway',
  TransitGatewayRouteLimitExceeded: 'Routes per transit gateway',
  TransitGatewayAttachmentLimitExceeded: 'Attachments per transit gateway',
  TransitGatewayVpcAttachmentLimitExceeded: 'Attachments per VPC',
  RouteLimitExceeded: 'Routes per route table',
  SecurityGroupLimitExceeded: 'VPC security groups per Region',
  RulesPerSecurityGroupLimitExceeded: 'Inbound or outbound rules per security group',
  TagLimitExceeded: 'Tags per resource',
}
const credentials = [
  'AuthFailure',
  'InvalidClientTokenId',
  'UnrecognizedClientException',
  'SignatureDoesNotMatch',
  'IncompleteSignature',
  'MissingAuthenticationToken',
  'MissingAuthenticationTokenException',
  'RequestExpired',
  'ExpiredToken',
  'ExpiredTokenException',
  'CredentialsProviderError',
  'TokenProviderError',
]
const throttled = [
  'RequestLimitExceeded',
  'Throttling',
  'ThrottlingException',
  'ThrottledException',
  'TooManyRequestsException',
  'ConcurrentMutationLimitExceeded',
  'EC2ThrottledException',
  'SlowDown',
]
const busy = ['IncorrectState', 'ResourceNotReady', 'InvalidState', 'InvalidTransitGatewayState', 'OperationNotPermitted']
const taken = [
  'RouteAlreadyExists',
  'Resource.AlreadyAssociated',
  'TransitGatewayRouteTable.AlreadyAssociated',
  'DuplicateTransitGatewayAttachment',
  'InvalidGroup.Duplicate',
  'InvalidPermission.Duplicate',
]
const broken = [
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'TimeoutError',
  'SocketError',
  'UND_ERR_SOCKET',
]
const noHost = ['ENOTFOUND', 'UnknownEndpoint', 'EndpointError']

const asError = (error: unknown): AwsError => {
  if (error instanceof Error) return error
  return { name: 'Error', message: String(error) }
}
/** Both, because the SDK puts AWS's code into `name` and Node's into `code`. */
const namesOf = (error: AwsError): readonly string[] => [error.name, error.code ?? '']
const statusOf = (error: AwsError): number => error.$metadata?.httpStatusCode ?? 0
const isOneOf = (error: AwsError, names: readonly string[]): boolean => namesOf(error).some((name) => names.includes(name))

export const isNotFound = (error: unknown): boolean => namesOf(asError(error)).some((name) => /\.NotFound$|^InvalidRoute\.NotFound$/.test(name))
export const isTaken = (error: unknown): boolean => isOneOf(asError(error), taken)
/** It stands there already and may be ours, or its parts are still settling. */
export const isDependency = (error: unknown): boolean => isOneOf(asError(error), ['DependencyViolation', ...busy])

/**
 * The call may have been carried out although it failed: an answer that was lost, or one of the server's that says
 * nothing about it. Throttling is refused before anything is done.
 */
export function isAmbiguous(error: unknown): boolean {
  if (error instanceof CloudError) return false
  const of = asError(error)
  if (isOneOf(of, throttled) || isOneOf(of, noHost) || isOneOf(of, ['ECONNREFUSED'])) return false
  return isOneOf(of, broken) || statusOf(of) >= 500 || isUnreadable(of)
}
/** An answer cut short: the SDK can't read it, so nobody knows what it said. */
const isUnreadable = (error: AwsError): boolean =>
  isOneOf(error, ['SyntaxError']) || /deserialization error|socket hang up|aborted/i.test(error.message)

const firstSentence = (message: string): string =>
  message
    .split(/(?<=\.)\s|\n/)[0]!
    .replace(/\.$/, '')
    .slice(0, 300)

export function classify(error: unknown): Trouble {
  if (error instanceof CloudError) return error.trouble
  const of = asError(error)
  const action = of.action === undefined ? '' : `ec2:${of.action}`
  const at = action === '' ? [] : [action]
  const asked = action === '' ? 'AWS' : `AWS, asked for ${action},`
  const says = firstSentence(of.message)

  if (of.name === 'AbortError') return trouble('retry', finding('R011', at, 'The call was cancelled', 'it is taken up again by the operation'), 0)
  if (isOneOf(of, ['UnauthorizedOperation', 'AccessDenied', 'AccessDeniedException'])) return permission(of, at)
  if (isOneOf(of, ['OptInRequired', 'Blocked', 'PendingVerification']))
    return trouble('credentials', finding('R001', at, `The account can't use EC2 here: ${says}`, "enable the Region or the account in AWS's console"))
  if (isOneOf(of, credentials) || /could not load credentials|credential/i.test(of.name))
    return trouble(
      'credentials',
      finding(
        'R001',
        at,
        `AWS does not accept the credentials: ${says}`,
        'set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, of an account that exists',
      ),
    )
  const limit = namesOf(of).find((name) => /LimitExceeded$|^LimitExceeded/.test(name) && !throttled.includes(name))
  if (limit !== undefined)
    return trouble(
      'quota',
      finding(
        'R003',
        at,
        `The quota "${quotas[limit] ?? limit.replace(/LimitExceeded$/, '')}" is used up (${limit})`,
        'have it raised in Service Quotas, or delete what is not needed; what is done so far stays and is taken up',
      ),
    )
  if (isOneOf(of, throttled)) return trouble('retry', finding('R004', at, `${asked} is throttling: ${says}`, 'nothing, it is asked again'), 2000)
  if (isOneOf(of, noHost))
    return trouble('missing', finding('R012', at, `There is no EC2 at this location: ${says}`, "the name of one of AWS's Regions, e.g. eu-west-1"))
  if (isOneOf(of, ['ECONNREFUSED']) || isAmbiguous(of))
    return trouble(
      'retry',
      finding('R005', at, `${asked} gave no answer (${reason(of)})`, 'nothing, it is asked again; what it may have done is looked for first'),
      2000,
    )
  if (isNotFound(of))
    return trouble(
      'missing',
      finding('R006', at, `${asked} says: ${says} (${of.name})`, 'it was deleted, or is so new that AWS does not know it everywhere yet'),
      2000,
    )
  if (isOneOf(of, ['DependencyViolation']))
    return trouble(
      'conflict',
      finding('R007', at, `Something still uses it: ${says}`, 'take it off what uses it, e.g. instances that carry the security group'),
      5000,
    )
  if (isOneOf(of, taken))
    return trouble(
      'conflict',
      finding('R013', at, `It exists already: ${says}`, 'delete it, or leave it and change the intent; foreign things are never touched'),
    )
  if (isOneOf(of, busy))
    return trouble('retry', finding('R008', at, `It is being changed at the moment: ${says}`, 'nothing, it is asked again'), 2000)
  if (isOneOf(of, ['DryRunOperation'])) return trouble('fatal', finding('R010', at, 'It was only tried', ''))
  if (/^(InvalidParameter|MissingParameter|UnknownParameter|Invalid|Malformed|Validation)/.test(of.name))
    return trouble(
      'fatal',
      finding('R009', at, `${asked} refuses a value: ${says} (${of.name})`, 'the intent must change, asking again would not help'),
    )
  return trouble('fatal', finding('R010', at, `${asked} says: ${says} (${of.name})`, ''))
}

function permission(of: AwsError, at: readonly string[]) {
  const named = /(?:perform(?:ing)?|allows the|the):?\s+([a-z0-9-]+:[A-Za-z*]+)/.exec(of.message)?.[1] ?? at[0]
  const who = /User: (arn:\S+)/.exec(of.message)?.[1]
  const encoded = /Encoded authorization failure message: (\S+)/i.exec(of.message)?.[1]
  const explicit = /explicit deny/i.test(of.message) ? ' (an explicit deny forbids it)' : ''
  return trouble(
    'permission',
    finding(
      'R002',
      at,
      `${who ?? 'The identity'} may not ${named ?? 'do this'}${explicit}`,
      '`causeway region permissions` prints the policy that is needed',
      {
        witness: encoded === undefined ? [] : [`aws sts decode-authorization-message --encoded-message ${encoded}`],
      },
    ),
  )
}
const reason = (of: AwsError): string => {
  const status = statusOf(of)
  if (status >= 500) return `HTTP ${status}`
  return of.code ?? (of.name === 'Error' ? firstSentence(of.message) : of.name)
}
