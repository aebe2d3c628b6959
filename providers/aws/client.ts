/** The SDK's client with what we need of it: counted, redacted, and without retries where a second call would make a second thing. */
import { EC2Client, type EC2ClientConfig } from '@aws-sdk/client-ec2'

/** `once`: no retry of its own, for calls that are not idempotent; `again`: adaptive retries, for those that are. */
export type Retries = 'once' | 'again'
export type ClientOf = (location: string, retries: Retries) => EC2Client

export interface Counter {
  /** Requests on the wire by action, the SDK's retries included. */
  readonly calls: ReadonlyMap<string, number>
  total(): number
}
const timeouts = { connectionTimeout: 5000, requestTimeout: 30_000, throwOnRequestTimeout: true }

/** Credentials and endpoint by the SDK's own chains: `AWS_PROFILE`, `AWS_ENDPOINT_URL_EC2` and so on. */
export function createClient(location: string, retries: Retries, more: EC2ClientConfig = {}): EC2Client {
  return new EC2Client({
    region: location,
    ...(retries === 'once' ? { maxAttempts: 1 } : { retryMode: 'adaptive', maxAttempts: 8 }),
    requestHandler: timeouts,
    ...more,
  })
}

export function createCounter(): Counter & { count(action: string): void } {
  const calls = new Map<string, number>()
  return {
    calls,
    count: (action) => void calls.set(action, (calls.get(action) ?? 0) + 1),
    total: () => [...calls.values()].reduce((sum, n) => sum + n, 0),
  }
}

/**
 * Counts each request; takes what holds secrets out of every answer before anybody sees it (the configuration document
 * for customer gateways contains the pre-shared keys); names the action in every error and removes our own secrets and
 * the raw response from it.
 */
export function instrument(client: EC2Client, count: (action: string) => void): EC2Client {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      count(actionOf(context))
      return next(args)
    },
    // After the retry middleware, so that its repetitions are seen.
    { step: 'finalizeRequest', priority: 'low' },
  )
  client.middlewareStack.add(
    (next, context) => async (args) => {
      try {
        const result = await next(args)
        dropConfiguration(result.output)
        return result
      } catch (error) {
        throw redact(error, actionOf(context), secretsIn(args.input))
      }
    },
    { step: 'initialize', priority: 'high' },
  )
  return client
}
const actionOf = (context: { readonly commandName?: string }): string => (context.commandName ?? 'Unknown').replace(/Command$/, '')

function dropConfiguration(output: object): void {
  const holders = [...asList((output as { VpnConnections?: unknown }).VpnConnections), (output as { VpnConnection?: unknown }).VpnConnection]
  for (const holder of holders) if (typeof holder === 'object' && holder !== null) Reflect.deleteProperty(holder, 'CustomerGatewayConfiguration')
}
const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

function secretsIn(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => (key === 'PreSharedKey' && typeof inner === 'string' ? [inner] : secretsIn(inner)))
}
function redact(error: unknown, action: string, secrets: readonly string[]): unknown {
  if (!(error instanceof Error)) return error
  const clean = (text: string): string => secrets.reduce((rest, secret) => rest.replaceAll(secret, '(redacted)'), text)
  error.message = clean(error.message)
  if (error.stack !== undefined) error.stack = clean(error.stack)
  for (const key of ['$response', 'Message', '$responseBodyText']) Reflect.deleteProperty(error, key)
  Object.defineProperty(error, 'action', { value: action, enumerable: false, configurable: true })
  return error
}
