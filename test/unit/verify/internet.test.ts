/** What is expected of the internet: examples of the language, and a comparison with packets sent one by one. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Fabric, Failure, Hop, Lan, NodeId, Site, Survives, TunnelId } from '#src/fabric/fabric.ts'
import { isSecondGateway, nodeOf, siteEnds } from '#src/fabric/ids.ts'
import { familiesOf } from '#src/fabric/uplinks.ts'
import { address, type Family, familyOf, nth, type Prefix, prefix } from '#src/net/address.ts'
import { downWith } from '#src/verify/failures.ts'
import { walk } from '#src/verify/forward.ts'
import { modelOf } from '#src/verify/model.ts'
import type { InternetExpect } from '#src/verify/internet.ts'
import { createVerifier, verify, verifyTransition } from '#src/verify/verify.ts'
import { demo } from './demo.ts'
import { anyFabric, kinds, type Reader, reader, risky } from './random.ts'

const said = (fabric: Fabric) =>
  verify(fabric).findings.flatMap(({ code, says, witness }) => (/^V0(08|09|14)$/.test(code) ? [`${code} ${says}: ${witness.join('; ')}`] : []))
const expecting = (internet: string, ...lines: readonly string[]): Fabric =>
  demo(['services:', `${internet}services:`], ['expect:', `expect:\n${lines.map((line) => `  - ${line}\n`).join('')}`]).fabric
const local = 'internet: { cameras: local }\n'
const hub = 'internet: { cameras: hub }\n'

describe('an expectation of the internet', () => {
  test('holds where the segment leaves, at its site or at the hub, and survives what leaves it a way', () => {
    for (const internet of [local, hub])
      expect(said(expecting(internet, '{ reach: cameras -> internet, survives: [uplink, tunnel, hub] }'))).toEqual([])
  })
  test('V008: the segment stays inside', () => {
    expect(said(expecting('', 'reach: cameras -> internet'))).toEqual([
      "V008 berlin/cameras can't leave to the internet: hosts of cameras at berlin may not leave to the internet",
    ])
  })
  test('V009: a failure takes the only exit', () => {
    const never = demo(
      ['services:', `${local}services:`],
      ['classes:', 'classes:\n  default: { never: lte }'],
      ['expect:', 'expect:\n  - { reach: cameras -> internet, survives: uplink }'],
    ).fabric
    expect(said(never)).toEqual(['V009 berlin/cameras loses the internet if berlin.fiber fails: no uplink of berlin leads to the internet then'])
    expect(said(expecting(local, '{ reach: cameras -> internet, survives: any two uplinks }'))).toEqual([
      'V009 berlin/cameras loses the internet if berlin.fiber and berlin.lte fail: no uplink of berlin leads to the internet then',
    ])
  })
  test('V014: who is to stay inside leaves', () => {
    expect(said(expecting('', 'isolate: cameras -> internet'))).toEqual([])
    expect(said(expecting(local, 'isolate: cameras -> internet'))).toEqual([
      "V014 cameras can leave to the internet, and this line expects that it can't: hosts of berlin/cameras leave at berlin",
    ])
    expect(said(expecting(hub, 'isolate: cameras -> internet'))[0]).toContain('leave at the hub')
  })
  test('is lost between the waves when the hubs stop letting out before the edge has another way', () => {
    const [before, after] = [expecting(hub, 'reach: cameras -> internet'), expecting(local, 'reach: cameras -> internet')]
    expect(verifyTransition(after, before).findings).toEqual([])
    const [finding] = verifyTransition(before, after).findings
    expect(finding).toMatchObject({ code: 'V042' })
    expect(finding!.says).toContain("berlin/cameras can't leave to the internet between the waves")
  })
})

/** The same with LANs that leave, sound or not: hubs may forget guests, sites may have no exit. */
function breakouts(of: Reader, fabric: Fabric): Fabric {
  const hubs = fabric.sites.filter((site) => site.hub).map((site) => site.id)
  // Both gateways of a pair have the same LANs.
  const said = new Map<Prefix, Pick<Lan, 'internet'>>()
  const sites = fabric.sites.map((site): Site => {
    const lans = site.lans.map((lan) => {
      const way = said.get(lan.prefix) ?? (of.chance(60) ? { internet: of.chance(50) || site.hub ? 'local' : 'hub' } : {})
      said.set(lan.prefix, way)
      return { ...lan, ...way }
    })
    const uplinks = site.uplinks.map((uplink) => ({
      ...uplink,
      endpoint: { kind: 'dynamic', families: of.pick<readonly Family[]>([[4], [6], [4, 6], [4, 6], [4, 6], [4, 6]]) } as const,
    }))
    const exits = uplinks.filter(() => of.chance(90)).map(({ id }) => id)
    const [home] = site.hubs
    return { ...site, lans, uplinks, ...(exits.length > 0 ? { exits } : {}), ...(home !== undefined && of.chance(90) ? { exitHub: home } : {}) }
  })
  const firsts = sites.filter(({ id }) => !isSecondGateway(id))
  const guests = firsts.flatMap((site) => site.lans.filter((lan) => lan.internet === 'hub').map((lan) => ({ lan: lan.prefix, hubs: site.hubs })))
  const from = firsts.flatMap((site) =>
    [...Map.groupBy(site.lans, (lan) => lan.segment)].map(([segment, lans]) => ({
      node: site.id as NodeId,
      segment,
      prefixes: lans.map(({ prefix }) => prefix),
    })),
  )
  const expects = from.map(
    (place, n): InternetExpect => ({
      kind: 'internet',
      id: `expect ${n}`,
      text: `${place.segment} -> internet`,
      from: [place],
      to: [],
      reachable: of.chance(80),
      // Few: most sites have no second gateway.
      survives: kinds.filter((kind) => of.chance(kind === 'gateway' ? 10 : 25)),
    }),
  )
  return {
    ...fabric,
    network: { ...fabric.network, pool: ['10.0.0.0/8', 'fc00::/7'].map(prefix) },
    sites: sites.map((site) => {
      const exitsFor = hubs.includes(site.id) ? guests.filter(() => of.chance(90)).map(({ lan }) => lan) : []
      return exitsFor.length > 0 ? { ...site, exitsFor } : site
    }),
    expects,
  }
}

/** Every failure, and every two uplinks, that `survives` names. */
function failuresOf({ sites, tunnels, risks }: Fabric, survives: readonly Survives[]): readonly (readonly Failure[])[] {
  const uplinks = sites.flatMap((site) => site.uplinks.map(({ id }): Failure => ({ kind: 'uplink', site: site.id, uplink: id })))
  const of: Partial<Record<Survives, readonly (readonly Failure[])[]>> = {
    uplink: uplinks.map((one) => [one]),
    tunnel: tunnels.map(({ id }) => [{ kind: 'tunnel', tunnel: id }]),
    hub: sites.filter((site) => site.hub).map((site) => [{ kind: 'hub', site: site.id }]),
    gateway: sites.filter((site) => !site.hub).map((site) => [{ kind: 'gateway', site: site.id }]),
    shared_risk: risks.map(({ id }) => [{ kind: 'shared_risk', risk: id }]),
    // The other may be one that changes nothing, or there is none.
    'any two uplinks': uplinks.flatMap((one, n) => [[one], ...uplinks.slice(n + 1).map((other) => [one, other])]),
  }
  return [[], ...survives.flatMap((kind) => of[kind] ?? [])]
}

/** Of each family that leaves a packet has to; that IPv6 stays inside is no promise broken where IPv4 leaves beside it. */
function judged(fabric: Fabric, { from: [place] }: InternetExpect): readonly Lan[] {
  const lans = fabric.sites.find(({ id }) => id === place!.node)!.lans.filter(({ prefix }) => place!.prefixes.includes(prefix))
  const fourLeaves = lans.some(({ prefix, internet }) => familyOf(prefix) === 4 && internet)
  return lans.filter(({ prefix, internet }) => internet || familyOf(prefix) === 4 || !fourLeaves)
}
/** A packet from the LAN to somebody outside leaves over a line that works, whichever of the first tunnels that are up it takes. */
function leaves(fabric: Fabric, expect: InternetExpect, lan: Lan, failures: readonly Failure[], waits: boolean): boolean {
  const model = modelOf(fabric)
  const { down, dead } = downWith(fabric, failures)
  const [place] = expect.from
  // Nobody calls from a hub that is gone; hosts of a site that is would.
  if (dead.has(place!.node)) return failures.every(({ kind }) => kind !== 'gateway')
  const family = familyOf(lan.prefix)
  const isBroken = (site: NodeId, uplink: string): boolean =>
    failures.some(
      (failure) =>
        (failure.kind === 'uplink' && failure.site === site && failure.uplink === uplink) ||
        (failure.kind === 'shared_risk' &&
          fabric.risks.find(({ id }) => id === failure.risk)!.uplinks.some((one) => one.site === site && one.uplink === uplink)),
    )
  const destination = address(family === 4 ? '198.51.100.1' : '3fff::1')
  const packet = { family, source: nth(lan.prefix, 1)!, destination, protocol: 'tcp', port: 443 } as const
  return onDuty(fabric, place!.node, down, failures, waits).every((home) => leavesBy(home))

  function leavesBy(home: Site): boolean {
    const first = Math.max(1, ...home.groups.map((group) => group.via.length))
    return Array.from({ length: first }, (_, n) => n).every((n) => {
      const { outcome } = walk(model, packet, down, {
        from: home.id,
        choose: (node, group, isDown) => {
          // A tunnel that does not join the two never comes up.
          const joins = ({ tunnel, next }: Hop): boolean =>
            fabric.tunnels.some(({ id, ends }) => id === tunnel && next !== node && ends.every((end) => [node, next].includes(nodeOf(end))))
          const alive = group.via.flatMap((hop, i) => (isDown(hop.tunnel) || !joins(hop) ? [] : [{ hop, i }]))
          const stage = Math.min(...alive.map(({ hop }) => hop.stage))
          const same = alive.filter(({ hop }) => hop.stage === stage)
          return same.length === 0 ? 'unreachable' : same[n % same.length]!.i
        },
      })
      if (outcome.kind !== 'left') return false
      const { exits = [], uplinks } = fabric.sites.find(({ id }) => id === outcome.at)!
      return uplinks.some(({ id, endpoint }) => exits.includes(id) && familiesOf(endpoint).includes(family) && !isBroken(outcome.at, id))
    })
  }
}
/** Who may have the LANs of a site: of a pair the first that is there and has a tunnel left; while traffic waits whoever has. */
function onDuty(
  { sites, tunnels }: Fabric,
  site: NodeId,
  down: (tunnel: TunnelId) => boolean,
  failures: readonly Failure[],
  waits: boolean,
): readonly Site[] {
  const all = sites.filter(({ id }) => id === site || id === `${site}.b`)
  if (all.length === 1) return all
  const there = all.filter(({ id }) => !failures.some((failure) => failure.kind === 'gateway' && failure.site === id))
  const own = (of: readonly Site[]) => tunnels.filter((tunnel) => siteEnds(tunnel).some((end) => of.some(({ id }) => end.site === id)))
  const able = there.filter((gateway) => own([gateway]).some((tunnel) => !down(tunnel.id)))
  if (able.length === 0) return there.slice(0, 1)
  return waits ? able : able.slice(0, 1)
}

test('the proof and packets sent one by one agree about fifteen hundred small networks', () => {
  const seen = new Map<string, number>()
  const network = fc.array(fc.nat(9_999), { minLength: 120, maxLength: 120 }).map((tape) => {
    const of = reader(tape)
    return breakouts(of, risky(of, anyFabric(of, 4)))
  })
  fc.assert(
    fc.property(network, (fabric) => {
      for (const one of fabric.expects as readonly InternetExpect[]) {
        const { findings } = verify({ ...fabric, expects: [one] })
        const own = findings.filter(({ at }) => at.includes(one.id)).map(({ code }) => code)
        const verdict = own.some((code) => /^V0(08|09|14)$/.test(code)) ? 'no' : own.includes('V004') ? 'waiting' : 'yes'
        const lans = judged(fabric, one)
        const all = failuresOf(fabric, one.survives)
        const holds = (these: typeof all, waits: boolean) => lans.every((lan) => these.every((failures) => leaves(fabric, one, lan, failures, waits)))
        const fact = !one.reachable
          ? lans.every((lan) => lan.internet === undefined)
            ? 'yes'
            : 'no'
          : !holds(all, false)
            ? 'no'
            : // One of a pair that waits has outlived one failure.
              !holds(
                  all.filter((failures) => failures.length < 2),
                  true,
                )
              ? 'waiting'
              : 'yes'
        const families = ([4, 6] as const).filter((family) => lans.some(({ prefix }) => familyOf(prefix) === family)).join('+')
        const way = lans[0]?.internet ?? 'none'
        // Rare, of whatever family.
        const key = !one.reachable ? `isolate ${fact}` : fact === 'waiting' ? `${way} ${fact}` : `${way} ${families} ${fact}`
        seen.set(key, (seen.get(key) ?? 0) + 1)
        expect({ [one.id]: verdict }).toEqual({ [one.id]: fact })
      }
    }),
    { numRuns: 1_500, seed: 5 },
  )
  expect(
    [...seen]
      .filter(([, count]) => count > 3)
      .map(([key]) => key)
      .sort(),
  ).toEqual(
    [
      ...['hub', 'local'].flatMap((way) => ['4', '4+6', '6'].flatMap((families) => [`${way} ${families} no`, `${way} ${families} yes`])),
      'hub waiting',
      'local waiting',
      'isolate no',
      'isolate yes',
      'none 4 no',
      'none 4+6 no',
      'none 6 no',
    ].sort(),
  )
})

test('after an edit what is said is what a proof from the start says', () => {
  const lines = ['{ reach: cameras -> internet, survives: [uplink, hub] }', 'isolate: inference -> internet']
  const remembering = createVerifier(2)
  for (const internet of [local, '', hub, 'internet: { cameras: hub, inference: local }\n', local]) {
    const fabric = expecting(internet, ...lines)
    expect(remembering(fabric).findings).toEqual(verify(fabric).findings)
  }
})
