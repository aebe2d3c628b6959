/** What lines mean, told without the compiler: a packet passes when some allow covers it and no deny does. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import type { NodeId } from '#src/fabric/fabric.ts'
import type { Intent, IntentLine, Selector } from '#src/intent/intent.ts'
import { type Address, address, contains, prefix } from '#src/net/address.ts'
import { walk } from '#src/verify/forward.ts'
import { modelOf } from '#src/verify/model.ts'
import { allow, berlin, cloud, dublin, edge, frankfurt, group, network, partner } from './networks.ts'

const oslo = edge('oslo', { inference: ['10.1.12.0/24'], cameras: ['192.168.2.0/25', '192.168.2.128/25'] }, { labels: ['north'] })
const services = network().services.map((one) => (one.id === 'model-api' ? { ...one, endpoints: ['10.10.0.9/32', '10.11.0.0/28'].map(prefix) } : one))
const base = network({
  services,
  sites: [berlin, dublin, frankfurt, oslo],
  regions: [cloud],
  peers: [partner],
  groups: [group('printers', '10.1.10.32/28', '192.168.2.200/32', '10.10.0.9/32'), group('admins', '10.1.12.128/25', '10.96.0.9/32')],
})
interface Host {
  readonly node: NodeId
  readonly role: string
  readonly labels: readonly string[]
  readonly segment: string
  readonly lan: string
  readonly address: Address
}
const at = (
  host: string,
  lan: string,
  { id, role, labels = [] }: { id: NodeId; role: string; labels?: readonly string[] },
  segment: string,
): Host => ({
  node: id,
  role,
  labels,
  segment,
  lan,
  address: address(host),
})
const hosts: readonly Host[] = [
  at('10.1.10.5', 'b1', berlin, 'inference'),
  at('10.1.10.40', 'b1', berlin, 'inference'),
  at('192.168.1.7', 'b2', berlin, 'cameras'),
  at('10.1.12.7', 'o1', oslo, 'inference'),
  at('10.1.12.200', 'o1', oslo, 'inference'),
  at('192.168.2.5', 'o2', oslo, 'cameras'),
  at('192.168.2.200', 'o3', oslo, 'cameras'),
  at('10.10.0.9', 'f1', frankfurt, 'inference'),
  at('10.10.1.1', 'f1', frankfurt, 'inference'),
  at('10.20.0.1', 'f2', frankfurt, 'training'),
  at('10.11.0.1', 'd1', dublin, 'inference'),
  at('10.96.0.9', 'c1', { id: cloud.id, role: 'region' }, 'inference'),
  at('10.96.7.7', 'c1', { id: cloud.id, role: 'region' }, 'inference'),
  at('172.20.0.7', 'p1', { id: partner.id, role: 'peer' }, 'inference'),
]

function selects(intent: Intent, { where, what }: Selector, host: Host, caller: Host): boolean {
  const here =
    where.kind === 'any' ||
    (where.kind === 'same' && host.node === caller.node) ||
    (where.kind === 'role' && host.role === where.role) ||
    (where.kind === 'site' && host.node === where.site) ||
    (where.kind === 'label' && host.labels.includes(where.label))
  if (!here) return false
  if (what.kind === 'segment') return host.segment === what.segment
  if (what.kind === 'group') return intent.groups.some((one) => one.id === what.group && one.hosts.some((each) => contains(each, host.address)))
  return intent.services.some(
    ({ id, at, endpoints }) =>
      what.kind === 'service' &&
      id === what.service &&
      at.some((place) => selects(intent, place, host, caller)) &&
      (endpoints.length === 0 || endpoints.some((each) => contains(each, host.address))),
  )
}
function covers(intent: Intent, line: IntentLine, from: Host, to: Host, protocol: string, port: number): boolean {
  const { what } = line.to
  const ports = what.kind === 'service' ? intent.services.find((one) => one.id === what.service)!.ports : line.ports
  return (
    ports.some(
      (range) => range.protocol === 'any' || (range.protocol === protocol && (protocol === 'icmp' || (range.from <= port && port <= range.to))),
    ) &&
    selects(intent, line.from, from, from) &&
    selects(intent, line.to, to, from)
  )
}

const end = fc.constantFrom(
  'inference',
  'cameras',
  'edge/inference',
  'core/inference',
  'berlin/inference',
  'printers',
  'edge/printers',
  'admins',
  'label:north/cameras',
  'region/inference',
  'partner/inference',
)
const line = fc
  .record({
    from: end,
    to: fc.oneof(end, fc.constantFrom('model-api', 'camera-rtp', 'same/inference', 'same/printers')),
    ports: fc.constantFrom('any', 'any', 'tcp/8443', 'tcp/1-8442', 'udp', 'icmp'),
  })
  .map(({ from, to, ports }) => allow(`${from} -> ${to}`, ...(/model-api|camera-rtp/.test(to) ? [] : [ports])))
const packets = [
  ['tcp', 8443],
  ['tcp', 22],
  ['udp', 5005],
  ['icmp', 0],
  ['other', 0],
] as const

test('what some allow covers and no deny does passes, and nothing else', () => {
  const seen = { passed: 0, denied: 0 }
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 4 }), fc.array(line, { maxLength: 3 }), (allows, denies) => {
      const intent = { ...base, allow: allows, deny: denies, expect: [] }
      const model = modelOf(compile(intent, []).fabric!)
      for (const from of hosts) {
        for (const to of hosts.filter((one) => one.lan !== from.lan)) {
          for (const [protocol, port] of packets) {
            const opened = allows.some((one) => covers(intent, one, from, to, protocol, port))
            const denied = denies.some((one) => covers(intent, one, from, to, protocol, port))
            const packet = { source: from.address, destination: to.address, protocol, port }
            const { outcome } = walk(model, packet, () => false)
            expect([from.address, to.address, protocol, port, outcome.kind]).toEqual([
              from.address,
              to.address,
              protocol,
              port,
              opened && !denied ? 'delivered' : 'dropped',
            ])
            if (opened && !denied) {
              const back = { ...packet, source: to.address, destination: from.address }
              expect(walk(model, back, () => false, { direction: 'reply', trafficClass: outcome.trafficClass! }).outcome.kind).toBe('delivered')
              seen.passed++
            } else if (denied) {
              if (outcome.kind === 'dropped') expect(outcome.why).toBe('denied')
              seen.denied++
            }
          }
        }
      }
    }),
    { numRuns: 80, seed: 3 },
  )
  expect(Math.min(seen.passed, seen.denied)).toBeGreaterThan(1_000)
})
