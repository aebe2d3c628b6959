/** What AWS reports equals what was asked for, else a finding each. Pure. */
import type { Finding } from '#src/fabric/fabric.ts'
import type { Observed, Resource } from '../cloud.ts'
import { difference } from './difference.ts'
import { finding } from './errors.ts'
import { match } from './steps.ts'

export function verify(wanted: readonly Resource[], observed: readonly Observed[]): readonly Finding[] {
  const { chosen, surplus } = match(wanted, observed)
  const resolve = (id: Resource['id']): string => chosen.get(id)?.cloudId ?? ''
  const again = '`causeway apply` puts it right'
  return [
    ...wanted.flatMap((of): readonly Finding[] => {
      const seen = chosen.get(of.id)
      if (!seen) return [finding('R040', [of.id], `The ${words(of.type)} ${of.id} does not exist in AWS`, `was it deleted by hand? ${again}`)]
      if (seen.state === 'failed') return [finding('R043', [of.id], `AWS reports ${of.id} (${seen.cloudId}) as failed`, `${again}: it is replaced`)]
      if (seen.state !== 'ready')
        return [finding('R044', [of.id], `AWS is still working on ${of.id} (${seen.cloudId})`, 'wait, then ask again', { severity: 'note' })]
      return difference(of, seen, resolve).map(({ key, wanted: want, observed: there }) =>
        key.endsWith(' psk')
          ? finding(
              'R025',
              [key.slice(0, -' psk'.length), of.id],
              `AWS has another pre-shared key for ${key.slice(0, -' psk'.length)} than the vault`,
              again,
            )
          : finding(
              'R041',
              [of.id],
              `${key} of ${of.id} (${seen.cloudId}) is ${text(there)} in AWS, it must be ${text(want)}`,
              `was it changed by hand? ${again}`,
            ),
      )
    }),
    ...surplus.map((seen) =>
      finding(
        'R042',
        [seen.id],
        `The ${words(seen.type)} ${seen.cloudId} carries our tag ${seen.id === '' ? 'and no name' : seen.id}, and nothing wants it`,
        `${again} and deletes it`,
        {
          severity: 'warning',
        },
      ),
    ),
  ]
}
const words = (type: string): string => type.replaceAll('-', ' ')
const text = (value: unknown): string => (Array.isArray(value) ? value.map(text).join(', ') || 'nothing' : value === '' ? 'nothing' : String(value))
