import { readdirSync, readFileSync } from 'node:fs'
import { DescribeVpnConnectionsCommand, EC2Client, ModifyVpnTunnelOptionsCommand } from '@aws-sdk/client-ec2'
import { describe, expect, test } from 'vitest'
import { createCounter, instrument } from '#providers/aws/client.ts'
import { awsCodes } from '#providers/aws/codes.ts'
import { classify, CloudError, finding, isAmbiguous, trouble } from '#providers/aws/errors.ts'
import { permissions } from '#providers/aws/permissions.ts'

const aws = (name: string, message = 'It says so. And more.', status = 400, action?: string): Error =>
  Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status }, ...(action === undefined ? {} : { action }) })
const node = (code: string): Error => Object.assign(new Error(code), { code })
const old = 'You are not authorized to perform this operation. Encoded authorization failure message: 4Gxyz'
const named =
  'You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/net is not authorized to perform: ec2:CreateTransitGateway on resource: arn:aws:ec2:eu-west-1:123456789012:transit-gateway/* because no identity-based policy allows the ec2:CreateTransitGateway action. Encoded authorization failure message: 4Gabc'

describe('what AWS may answer', () => {
  test.each([
    [
      aws('AuthFailure', 'AWS was not able to validate the provided access credentials'),
      'credentials R001',
      'AWS does not accept the credentials: AWS was not able to validate the provided access credentials',
    ],
    [
      aws('CredentialsProviderError', 'Could not load credentials from any providers'),
      'credentials R001',
      'AWS does not accept the credentials: Could not load credentials from any providers',
    ],
    [aws('ExpiredTokenException'), 'credentials R001', 'AWS does not accept the credentials: It says so'],
    [aws('OptInRequired'), 'credentials R001', "The account can't use EC2 here: It says so"],
    [aws('UnauthorizedOperation', named, 403), 'permission R002', 'arn:aws:iam::123456789012:user/net may not ec2:CreateTransitGateway'],
    [aws('UnauthorizedOperation', old, 403, 'CreateVpnConnection'), 'permission R002', 'The identity may not ec2:CreateVpnConnection'],
    [
      aws('AccessDenied', `${named} with an explicit deny in a service control policy`, 403),
      'permission R002',
      'arn:aws:iam::123456789012:user/net may not ec2:CreateTransitGateway (an explicit deny forbids it)',
    ],
    [aws('VpnConnectionLimitExceeded'), 'quota R003', 'The quota "Site-to-Site VPN connections per Region" is used up (VpnConnectionLimitExceeded)'],
    [aws('TransitGatewayLimitExceeded'), 'quota R003', 'The quota "Transit gateways per account" is used up (TransitGatewayLimitExceeded)'],
    [aws('SomethingNewLimitExceeded'), 'quota R003', 'The quota "SomethingNew" is used up (SomethingNewLimitExceeded)'],
    [aws('RequestLimitExceeded', 'Request limit exceeded.', 503), 'retry R004', 'AWS is throttling: Request limit exceeded'],
    [aws('ConcurrentMutationLimitExceeded'), 'retry R004', 'AWS is throttling: It says so'],
    [
      aws('InternalError', 'An internal error has occurred', 500, 'CreateVpnConnection'),
      'retry R005',
      'AWS, asked for ec2:CreateVpnConnection, gave no answer (HTTP 500)',
    ],
    [node('ECONNRESET'), 'retry R005', 'AWS gave no answer (ECONNRESET)'],
    [node('ECONNREFUSED'), 'retry R005', 'AWS gave no answer (ECONNREFUSED)'],
    [aws('TimeoutError', 'Connection timed out', 0), 'retry R005', 'AWS gave no answer (TimeoutError)'],
    [
      aws('InvalidTransitGatewayID.NotFound', "The transitGateway ID 'tgw-1' does not exist."),
      'missing R006',
      "AWS says: The transitGateway ID 'tgw-1' does not exist (InvalidTransitGatewayID.NotFound)",
    ],
    [
      aws('DependencyViolation', 'resource sg-1 has a dependent object'),
      'conflict R007',
      'Something still uses it: resource sg-1 has a dependent object',
    ],
    [aws('IncorrectState', 'tgw-1 is in invalid state'), 'retry R008', 'It is being changed at the moment: tgw-1 is in invalid state'],
    [aws('InvalidParameterValue', 'Value (x) is invalid.'), 'fatal R009', 'AWS refuses a value: Value (x) is invalid (InvalidParameterValue)'],
    [aws('Mystery', 'Who knows.'), 'fatal R010', 'AWS says: Who knows (Mystery)'],
    [new DOMException('This operation was aborted', 'AbortError'), 'retry R011', 'The call was cancelled'],
    [node('ENOTFOUND'), 'missing R012', 'There is no EC2 at this location: ENOTFOUND'],
    [aws('InvalidGroup.Duplicate', 'The security group exists.'), 'conflict R013', 'It exists already: The security group exists'],
    [aws('RouteAlreadyExists'), 'conflict R013', 'It exists already: It says so'],
    ['a text', 'fatal R010', 'AWS says: a text (Error)'],
  ])('%s', (error, kind, says) => {
    const found = classify(error)
    expect(`${found.kind} ${found.finding.code}`).toBe(kind)
    expect(found.finding.says).toBe(says)
  })

  test('an encoded reason comes with the command that decodes it', () => {
    expect(classify(aws('UnauthorizedOperation', old)).finding.witness).toEqual(['aws sts decode-authorization-message --encoded-message 4Gxyz'])
  })
  test('our own errors keep their trouble', () => {
    const own = trouble('conflict', finding('R023', [], 'A route', ''))
    expect(classify(new CloudError(own))).toBe(own)
  })

  test.each([
    ['a reset connection', node('ECONNRESET'), true],
    ['a timeout', aws('TimeoutError', '', 0), true],
    ['a server error', aws('InternalError', '', 500), true],
    ['unavailable', aws('Unavailable', '', 503), true],
    ['an answer cut short', new SyntaxError('Unexpected end of data\n  Deserialization error: to see the raw response'), true],
    ['throttling, although it is a 503', aws('RequestLimitExceeded', '', 503), false],
    ['a refusal', aws('InvalidParameterValue'), false],
    ['nobody listening', node('ECONNREFUSED'), false],
  ])('%s leaves open whether it was done: %s', (_name, error, expected) => {
    expect(isAmbiguous(error)).toBe(expected)
  })
})

test('an error about a key does not repeat the key', async () => {
  const client = instrument(new EC2Client({ region: 'eu-west-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } }), createCounter().count)
  client.middlewareStack.add(
    () => async () =>
      Promise.reject(
        Object.assign(new Error('Value (hunter2.hunter2) for parameter PreSharedKey is invalid'), { $response: { body: 'hunter2.hunter2' } }),
      ),
    {
      step: 'build',
    },
  )
  const input = { VpnConnectionId: 'vpn-1', VpnTunnelOutsideIpAddress: '203.0.113.1', TunnelOptions: { PreSharedKey: 'hunter2.hunter2' } }
  const error: unknown = await client.send(new ModifyVpnTunnelOptionsCommand(input)).catch((reason: unknown) => reason)
  expect((error as Error).message).toBe('Value ((redacted)) for parameter PreSharedKey is invalid')
  expect((error as Error).stack).not.toContain('hunter2')
  expect(error).not.toHaveProperty('$response')
  expect(error).toHaveProperty('action', 'ModifyVpnTunnelOptions')
})

test.each(['VpnConnections', 'VpnConnection'])('the configuration document with the keys does not leave the client: %s', async (field) => {
  const client = instrument(new EC2Client({ region: 'eu-west-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } }), createCounter().count)
  const connection = { VpnConnectionId: 'vpn-1', CustomerGatewayConfiguration: '<pre_shared_key>hunter2</pre_shared_key>' }
  const output = { $metadata: {}, [field]: field.endsWith('s') ? [connection] : connection }
  client.middlewareStack.add(() => async () => ({ output: output as never, response: {} }), { step: 'build' })
  const answer = JSON.stringify(await client.send(new DescribeVpnConnectionsCommand({})))
  expect(answer).toContain('vpn-1')
  expect(answer).not.toContain('hunter2')
})

const sources = readdirSync('providers/aws')
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(`providers/aws/${name}`, 'utf8'))
  .join('\n')

test('the policy has every action that is called, and no other', () => {
  const called = [...sources.matchAll(/new (\w+)Command\(|paginate(\w+)\(with_/g)].map(([, command, paginated]) => `ec2:${command ?? paginated}`)
  const statements = permissions()['Statement'] as { Sid: string; Action: string[] }[]
  const allowed = statements
    .flatMap(({ Action }) => Action)
    .filter((action) => action !== 'ec2:CreateTags' && action !== 'iam:CreateServiceLinkedRole')
  expect(new Set(called).size).toBeGreaterThan(30)
  expect([...new Set(allowed)].sort()).toEqual([...new Set(called)].sort())
  expect(new Set(statements.map(({ Sid }) => Sid)).size).toBe(statements.length)
})

test('every code that can be said has a page, and every page a code', () => {
  const said = new Set([...sources.replace(/code: '.*'/g, '').matchAll(/'(R\d{3})'/g)].map(([, code]) => code))
  expect(awsCodes.map(({ code }) => code)).toEqual([...said].map(String).sort())
})
