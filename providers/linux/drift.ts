/** Is the kernel what the model says? By comparison, and by asking the kernel itself where packets would go. */
import type { Finding, SiteConfig } from '#src/fabric/fabric.ts'
import { contains, type Family, familyOf } from '#src/net/address.ts'
import { chosenDevice, type Choices } from './desired.ts'
import { type Change, type Difference, say } from './difference.ts'
import { finding } from './errors.ts'
import { deviceOf, groupFor } from './lookup.ts'
import type { Runner } from './run.ts'
import { type RouteVector, routeVectors } from './vectors.ts'

const pageOf: Record<Change['kind'], string> = {
  create: 'D020',
  remove: 'D020',
  ipsec: 'D026',
  'ipsec-stop': 'D026',
  charon: 'D026',
  'charon-stop': 'D026',
  frr: 'D027',
  'frr-stop': 'D027',
  daemon: 'D028',
  'daemon-stop': 'D028',
  wireguard: 'D021',
  ip: 'D022',
  nft: 'D023',
  sysctl: 'D025',
}

export function drifted({ make, prune }: Difference): readonly Finding[] {
  const inWords = (change: Change, extra: boolean): string =>
    change.kind === 'ip' ? `${extra ? 'left over, to be undone by' : 'missing'}: ${say(change)}` : say(change)
  return [...make.map((change) => ({ change, extra: false })), ...prune.map((change) => ({ change, extra: true }))].map(({ change, extra }) =>
    finding(pageOf[change.kind], [], inWords(change, extra), 'the agent puts it right; who changed it stands in the system log'),
  )
}

interface Question {
  readonly vector: RouteVector
  readonly line: string
  /** Devices of which any is right; [] = unreachable. */
  readonly devices: readonly string[]
}

function questions(config: SiteConfig, choices: Choices, exits: readonly string[]): readonly Question[] {
  return routeVectors(config).flatMap((vector): readonly Question[] => {
    const { from, expect } = vector
    const mark = config.classes.find((one) => one.id === vector.trafficClass)?.index ?? 0
    // Where the source is: a segment may have several LANs.
    const iif =
      from.kind === 'lan'
        ? config.lans.find((lan) => lan.segment === from.segment && contains(lan.prefix, vector.source))?.interface
        : deviceOf(config, from.tunnel)
    if (iif === undefined) return []
    let devices: readonly string[]
    switch (expect.kind) {
      case 'lan':
        devices = config.lans.filter((lan) => lan.segment === expect.segment && contains(lan.prefix, vector.to)).map((lan) => lan.interface)
        break
      case 'remote': {
        const group = groupFor(config, {
          remote: expect.remote,
          trafficClass: vector.trafficClass,
          arrived: from.kind === 'mesh' ? 'mesh' : 'anywhere',
          family: familyOf(vector.to),
        })
        const device = group ? chosenDevice(config, group, choices) : ''
        devices = device === '' ? [] : [device]
        break
      }
      case 'exit':
        devices = exits
        break
      case 'unreachable':
        devices = []
        break
      default:
        return expect satisfies never
    }
    return [{ vector, devices, line: `route get ${vector.to} from ${vector.source} iif ${iif} mark ${mark}` }]
  })
}

/** `exits`: devices by which hosts leave to the internet now, by family. */
export async function vectorFindings(
  runner: Runner,
  config: SiteConfig,
  choices: Choices,
  exits: Readonly<Record<Family, readonly string[]>>,
): Promise<readonly Finding[]> {
  const found = await Promise.all(
    ([4, 6] as const).map(async (family) => {
      const asked = questions(config, choices, exits[family]).filter((one) => familyOf(one.vector.to) === family)
      if (asked.length === 0) return []
      const output = await runner.read(['ip', `-${family}`, '-j', '-force', '-batch', '-'], { input: `${asked.map((one) => one.line).join('\n')}\n` })
      const failed = new Set([...output.stderr.matchAll(/Command failed -:(\d+)/g)].map((match) => Number(match[1]) - 1))
      const answers = [...output.stdout.matchAll(/"dev":"([^"]+)"/g)].map((match) => match[1]!)
      return asked.flatMap((one, index): readonly Finding[] => {
        const device = failed.has(index) ? '' : (answers.shift() ?? '')
        if (device === '' ? one.devices.length === 0 : one.devices.includes(device)) return []
        return [
          finding(
            'D024',
            [],
            `${one.vector.source} to ${one.vector.to} in class ${one.vector.trafficClass} goes to ${device || 'nowhere'} instead of ${one.devices.join(' or ') || 'nowhere'}`,
            'look for a foreign route or rule: ip rule',
            { witness: [`ip -${family} ${one.line}`] },
          ),
        ]
      })
    }),
  )
  return found.flat()
}
