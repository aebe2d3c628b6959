/** Evidence of a drill, checked without a controller: its signature against a trust document that the reader keeps. */
import { openSigned } from './bundle.ts'
import { type DrillReport, type DrillVerdict, EvidencePayload, type Signed, TrustPayload } from './messages.ts'
import { refuse, type Refusal } from './refusal.ts'

export type CheckedEvidence = { readonly ok: true; readonly evidence: EvidencePayload; readonly keyId: string } | Refusal

/**
 * The trust document must be signed by its own root; the evidence by one of its evidence signers, and for the same network.
 * A20 not signed, A21 not what it says, A22 another network's.
 */
export function openEvidence(evidence: Signed, trust: Signed): CheckedEvidence {
  let document: TrustPayload
  try {
    document = TrustPayload.parse(JSON.parse(Buffer.from(trust.payload, 'base64url').toString('utf8')))
  } catch {
    return refuse('A21', 'The trust file is not a trust document', 'Take the one that causeway drill trust wrote')
  }
  const rooted = openSigned(trust, [document.root])
  if (!rooted.ok)
    return refuse(
      'A20',
      'The trust document is not signed by the root key that it names',
      'It was changed: get it again from somebody whom you trust',
    )
  const opened = openSigned(evidence, document.evidenceSigners)
  if (!opened.ok)
    return refuse('A20', 'The evidence is not signed by a key of this trust document', 'It was changed, or it belongs to another network')
  const parsed = EvidencePayload.safeParse(opened.payload)
  if (!parsed.success) return refuse('A21', 'It is signed, but it is no evidence of a drill', 'Take the file that causeway drill show --out wrote')
  if (parsed.data.network !== document.network)
    return refuse(
      'A22',
      `The evidence is of network "${parsed.data.network}", and the trust document of "${document.network}"`,
      'Take the trust document of that network',
    )
  return { ok: true, evidence: parsed.data, keyId: opened.keyId }
}

export function verdictOf({ classes, disturbed = [] }: Pick<DrillReport, 'classes' | 'disturbed'>): DrillVerdict {
  if (classes.length === 0) return disturbed.length === 0 ? 'standby' : 'disturbed'
  return classes.every(({ movedAfterMs }) => movedAfterMs !== null) ? 'moved' : 'stayed'
}
