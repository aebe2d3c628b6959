/** The Authorization header's form (Signature Version 4). The signature itself is not computed: the seed has no secrets. */
import { Refusal } from './refusal.ts'

const header =
  /^AWS4-HMAC-SHA256 Credential=([^/\s,]+)\/(\d{8})\/([^/\s,]+)\/([^/\s,]+)\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/
const refused = (): Refusal => new Refusal('AuthFailure', 'AWS was not able to validate the provided access credentials', 401)

/** The region of the credential's scope. Throws AuthFailure. */
export function regionOf(authorization: string | undefined, date: string | undefined, accessKeys: readonly string[]): string {
  const match = header.exec(authorization ?? '')
  if (!match) throw refused()
  const [, accessKey = '', day = '', region = '', service, signed = ''] = match
  if (!accessKeys.includes(accessKey) || service !== 'ec2') throw refused()
  // A signature that does not cover host and date could be replayed against another endpoint or later.
  if (!signed.split(';').includes('host') || !/^\d{8}T\d{6}Z$/.test(date ?? '') || !date!.startsWith(day)) throw refused()
  return region
}
