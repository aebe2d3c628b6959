/** The Linux device driver: SiteConfig → kernel. README.md says what it makes there. */
import type { Choice, DeviceDriver, Features, KeyStore, Learning, Leaving, TunnelCounters } from '../device.ts'
import type { Finding, Group, SiteConfig, SiteId, TunnelId } from '#src/fabric/fabric.ts'
import { groupKey, groupsOf, nameOf } from '#src/fabric/groups.ts'
import { speaking } from '#src/fabric/lan-routing.ts'
import { apply, batch, checkRuleset, type Means } from './apply.ts'
import { charonState, ipsecKind, reinitiate } from './charons.ts'
import { missingEspOverSix, missingFrr, missingFeatures, missingIpsec, missingLanServices, missingVrrp, misfits } from './check.ts'
import { leases } from './dnsmasq.ts'
import { type Choices, choicesBy, chosenDevice, type Desired, desired, nexthopPlan } from './desired.ts'
import { type Change, type Difference, difference, type Sysctls } from './difference.ts'
import { drifted, vectorFindings } from './drift.ts'
import { DeviceError, finding } from './errors.ts'
import { exitDevices, leavingSeen } from './exits.ts'
import { follow, type Follower } from './follow.ts'
import { frrHome, observeFrr, programsFor, readLearning, tellFrr, vtyshOf } from './frr.ts'
import { readKeys, readSecrets } from './keys.ts'
import { deviceOf, familiesOf, groupOf, interfaceOf } from './lookup.ts'
import { forget, keep, remember, store, type Stored } from './memory.ts'
import { type Observed, observe, readInterfaces, readTransit, readWireguard } from './observe.ts'
import { dutyBy, dutyScript, dutySettings, isDutyAlone } from './ospf.ts'
import { frrSettings } from './routers.ts'
import { advertises } from './radvd.ts'
import { reservedPorts, reservedWithout } from './reserved-ports.ts'
import { createSwitch } from './routes.ts'
import { createRunner, type Runner } from './run.ts'
import { type Esp, exitTable, isOurs, listenedPorts, nftTable, pinnedTable, uplinkTable } from './scheme.ts'
import { createVrrp, standingAddress } from './vrrp.ts'
import { forgetSource, renew, type WireguardKind, wireguardKind } from './wireguard.ts'

/** How long a LAN may be without its DHCP server when that ends. */
const daemonWatchMs = 5000
/** At a kernel that is steered all the time. */
const mostLooks = 8

export { DeviceError } from './errors.ts'

export interface LinuxDriverOptions {
  /** 0700; holds device.json, the loaded ruleset and the logs of wireguard-go. */
  readonly stateDir: string
  /** Prints what would be done and does nothing. */
  readonly dryRun?: boolean
  /** Where `[#] …` lines go; default standard error. */
  readonly echo?: (line: string) => void
  /** Another kernel, for tests. */
  readonly run?: Runner
  /** Follow address and router changes of uplinks by `ip monitor`. Default true. */
  readonly follow?: boolean
}
export interface LinuxDriver extends DeviceDriver {
  /** Fills the uplinks' tables again from what the OS has now; the follower calls it. */
  refresh(): Promise<void>
}

export function createLinuxDriver(options: LinuxDriverOptions): LinuxDriver {
  const { stateDir } = options
  const echo = options.echo ?? ((line: string) => void process.stderr.write(`${line}\n`))
  const runner = options.run ?? createRunner({ echo, dryRun: options.dryRun ?? false })
  const hotPath = createSwitch(runner, echo)
  const vrrp = createVrrp(runner, stateDir)
  const chosen = new Map<string, Choice>()
  let applied: SiteConfig | undefined
  let leaving: Leaving | null = null
  let follower: Follower | undefined
  let known: Promise<Features> | undefined
  let lacking: readonly Finding[] = []
  /** Daemons that ended at once, by name. */
  const idle = new Map<string, Finding>()
  let watch: NodeJS.Timeout | undefined
  let last: Promise<unknown> = Promise.resolve()
  /** Settles when the kernel has all that was chosen. */
  let steering: Promise<unknown> = Promise.resolve()

  /** One at a time, or two would compute their differences from the same kernel. Steering does not wait for it. */
  function serially<T>(work: () => Promise<T>): Promise<T> {
    const result = last.then(work, work)
    last = result.catch(() => {})
    return result
  }

  async function readFeatures(): Promise<Features> {
    const [wireguard, nft, nexthops, charon] = await Promise.all([
      wireguardKind(runner),
      runner.read(['nft', 'list', 'tables']),
      runner.read(['ip', 'nexthop', 'show']),
      ipsecKind(runner),
    ])
    return { wireguard, nftables: nft.code === 0, nexthops: nexthops.code === 0, ipsec: wireguard === 'none' ? 'none' : charon }
  }
  const features = (): Promise<Features> => (known ??= readFeatures())

  const espHere = async (): Promise<Esp> => ((await features()).ipsec === 'kernel' ? 'kernel' : 'userspace')

  async function readSysctls(want: Desired['sysctls']): Promise<Sysctls> {
    const entries = await Promise.all(want.map(async ({ key }) => [key, (await runner.readFile(`/proc/sys/${key}`))?.trim()] as const))
    return Object.fromEntries(entries)
  }

  /** What was asked for last; else what the kernel does, if a config still has it; else the first hop that is ready. */
  function choicesNow(config: SiteConfig, kernel: Observed): Choices {
    const { idOf } = nexthopPlan(config)
    const devices = new Map(kernel.nexthops.map((hop) => [hop.id, hop.device]))
    const choices = groupsOf(config).flatMap((group): readonly Choice[] => {
      const asked = chosen.get(groupKey(group))
      if (asked && (asked.hop === 'unreachable' || asked.hop < group.via.length)) return [asked]
      const device =
        familiesOf(config, group)
          .map((family) => devices.get(idOf(group, family)) ?? '')
          .find((one) => one !== '') ?? ''
      const hop = device === '' ? -1 : group.via.findIndex((one) => deviceOf(config, one.tunnel) === device)
      return hop < 0 ? [] : [{ ...nameOf(group), hop }]
    })
    return choicesBy(choices)
  }

  interface Comparison extends Difference {
    readonly kernel: Observed
    readonly memory: Stored
    readonly want: Desired
    readonly choices: Choices
  }
  async function compare(config: SiteConfig, publicKeys: ReadonlyMap<string, string> | undefined, prune: boolean): Promise<Comparison> {
    const [kernel, stored] = await Promise.all([observe(runner, stateDir), remember(stateDir)])
    const choices = choicesNow(config, kernel)
    const want = desired(config, {
      interfaces: kernel.interfaces,
      defaults: kernel.defaults,
      tentative: kernel.tentative,
      esp: await espHere(),
      // Who has no keys at hand (drift, refresh) compares peers, and takes each device's own key for granted.
      publicKeys: publicKeys ?? new Map(kernel.links.map((link) => [link.name, link.publicKey])),
      choices,
      leaving: leaving ?? leavingSeen(config, kernel),
      keptPorts: prune
        ? []
        : kernel.links.filter((link) => !config.interfaces.some((one) => one.device === link.name)).map((link) => link.listenPort),
    })
    const memory: Stored = { ...stored, ulas: [...new Set([...stored.ulas, config.network.ula])] }
    return { ...difference(want, kernel, await readSysctls(want.sysctls), memory), kernel, memory, want, choices }
  }

  function meansOf(memory: Stored, given: Pick<Means, 'wireguard'> & Partial<Pick<Means, 'privateKeys' | 'secrets'>>): Means {
    return {
      runner,
      stateDir,
      privateKeys: new Map(),
      secrets: new Map(),
      ...given,
      daemons: new Map(Object.entries(memory.daemons)),
      settled: (name, failure) => void (failure ? idle.set(name, failure) : idle.delete(name)),
      keep: (name, text) => (runner.dryRun ? Promise.resolve(name) : keep(stateDir, name, text)),
    }
  }

  async function make(
    { make: changes, prune: leftovers, kernel, memory }: Comparison,
    config: SiteConfig,
    prune: boolean,
    privateKeys: ReadonlyMap<string, string>,
    secrets: ReadonlyMap<string, Uint8Array>,
  ): Promise<void> {
    const all = [...changes, ...(prune ? leftovers : [])]
    if (all.length === 0) return
    const { wireguard } = await features()
    const means = meansOf(memory, { wireguard, privateKeys, secrets })
    const { daemons } = means
    const loads = changes.find((change) => change.kind === 'nft')
    const refused = loads ? await checkRuleset(runner, loads.text) : ''
    if (refused !== '')
      throw new DeviceError(
        finding(
          'D007',
          [nftTable],
          `nft refuses the ruleset, nothing was changed: ${refused}`,
          'this is a fault in the bundle or an old nft; report it',
        ),
      )
    // Before the first change: a crash in the middle must not lose what the box was like.
    const originals = Object.fromEntries(
      changes
        .filter((change) => change.kind === 'sysctl')
        .flatMap(({ key, was }) => (was === undefined || isOurs(key.split('/')[3] ?? '') ? [] : [[key, was]])),
    )
    const lanDevices = new Set(config.lans.map((lan) => lan.interface))
    const added = changes.flatMap((change) => {
      const match = change.kind === 'ip' && change.object === 'addr' ? /^addr add (\S+) dev (\S+)/.exec(change.line) : null
      return match && lanDevices.has(match[2]!) ? [{ address: match[1]!, device: match[2]! }] : []
    })
    let next: Stored = { ...memory, sysctls: { ...originals, ...memory.sysctls }, addedAddresses: [...memory.addedAddresses, ...added] }
    const save = async (): Promise<void> => {
      next = { ...next, daemons: Object.fromEntries(daemons) }
      if (!runner.dryRun) await store(stateDir, next)
    }
    await save()
    try {
      const isTold = ({ kind }: Change): boolean => kind === 'frr'
      await apply(
        means,
        changes.filter((change) => !isTold(change)),
        { tolerant: false },
      )
      if (prune)
        await apply(
          means,
          leftovers.filter((change) => !isTold(change)),
          { tolerant: true },
        )
      await speak(all)
      if (loads) next = { ...next, nft: { text: loads.text, listing: (await observe(runner, stateDir)).nft } }
      if (prune)
        next = {
          ...next,
          ulas: [config.network.ula],
          addedAddresses: next.addedAddresses.filter((one) =>
            config.lans.some((lan) => lan.interface === one.device && standingAddress(lan) === one.address),
          ),
        }
    } finally {
      for (const link of kernel.links) if (prune && !config.interfaces.some((one) => one.device === link.name)) daemons.delete(link.name)
      await save()
    }
  }

  async function set(
    whole: SiteConfig,
    how: { readonly prune: boolean; readonly choices: readonly Choice[]; readonly keys: KeyStore },
  ): Promise<void> {
    const blocking = missingFeatures(await features(), (await runner.readFile('/proc/sys/net/ipv6/conf/all/forwarding')) !== undefined)
    if (blocking[0]) throw new DeviceError(blocking[0])
    for (const choice of how.choices) chosen.set(groupKey(choice), choice)
    const { config, secrets, ...opened } = await readSecrets(whole, how.keys, await espHere())
    lacking = opened.lacking
    const { privateKeys, publicKeys } = await readKeys(config, how.keys)
    const before = new Map(chosen)
    const comparison = await compare(config, publicKeys, how.prune)
    await make(comparison, config, how.prune, privateKeys, secrets)
    // By now it has its own addresses, and the policy lets the other hear of it.
    await vrrp.set(config, dutyScript(config, await vtyshOf({ runner, stateDir })))
    applied = config
    // Whoever was steered meanwhile was perhaps overwritten by what was compared before.
    const moved = [...chosen.values()].filter((choice) => before.get(groupKey(choice)) !== choice)
    if (moved.length > 0) await steer(moved)
    if (options.follow === false) return
    follower ??= follow(runner, refresh)
    watch ??= setInterval(() => void keepDaemons().catch(() => {}), daemonWatchMs).unref()
  }

  /**
   * What the operating system changes: uplinks' addresses and routers, and what the kernel drops of ours when a LAN's
   * address or link goes. Never tunnels, nexthops or policy: those only drift by a hand, and the agent decides on that.
   */
  async function refresh(): Promise<void> {
    await serially(async () => {
      const config = applied
      if (config === undefined) return
      const comparison = await compare(config, undefined, false)
      const isOf = (change: Change, table: number): boolean =>
        change.kind === 'ip' && (change.line.includes(`table ${table} `) || change.line.includes(`lookup ${table} `))
      const exits = [exitTable, ...config.uplinks.map(({ slot }) => pinnedTable(slot))]
      const moved = config.uplinks
        .map((uplink) => ({ uplink, changes: [...comparison.make, ...comparison.prune].filter((change) => isOf(change, uplinkTable(uplink.slot))) }))
        .filter(({ changes }) => changes.length > 0)
      const lost = comparison.make.filter((change) => change.kind === 'ip' && (change.object === 'addr' || change.object === 'route'))
      // Leads nowhere any more: a router that went, with its link still up.
      const closed = comparison.prune.filter((change) => exits.some((table) => isOf(change, table)))
      const changes = new Set([...lost, ...closed, ...moved.flatMap((one) => one.changes)])
      await batch(
        runner,
        [...changes].filter((change) => change.kind === 'ip'),
        true,
      )
      for (const { uplink } of moved) {
        for (const link of comparison.want.links.filter((one) =>
          config.interfaces.some((each) => each.device === one.name && each.uplink === uplink.id),
        )) {
          for (const peer of link.peers) if (peer.endpoint !== '') await forgetSource(runner, link.name, peer)
        }
      }
    })
  }

  /**
   * One of FRR that died is started again: nobody else looks after it, and its routes went with it. So is told who has the LAN,
   * if that changed while FRR was told something else, or wasn't there.
   */
  async function keepSpeaking(config: SiteConfig): Promise<void> {
    const [{ daemons, settings }, { interfaces }] = await Promise.all([observeFrr(runner, stateDir), readInterfaces(runner)])
    const duty = dutyBy(config, interfaces)
    const isTold = dutySettings(config, duty).every((one) => settings.some((other) => other.join() === one.join()))
    if (isTold && programsFor(frrSettings(config, duty)).every((one) => daemons.has(one))) return
    const { make: changes } = await compare(config, undefined, false)
    await speak(changes)
  }
  async function learning(): Promise<Learning> {
    const config = applied
    if (!config || speaking(config).length === 0) return { sessions: [], missing: [] }
    await keepSpeaking(config)
    return readLearning({ runner, stateDir }, config)
  }
  /**
   * What can't be said to FRR is printed, and told by `drift` and `learning`: a daemon that doesn't start must not keep a
   * box from its tunnels, and whoever has none is told before a change.
   */
  async function speak(changes: readonly Change[]): Promise<void> {
    for (const change of changes) {
      if (change.kind !== 'frr' || runner.dryRun) continue
      await tellFrr({ runner, stateDir }, change).catch((error: unknown) => {
        if (!(error instanceof DeviceError)) throw error
        echo(`[!] ${error.finding.says}`)
      })
    }
  }
  /** A daemon that ended is started again: nothing else of the box has to be touched for that. */
  async function keepDaemons(): Promise<void> {
    await serially(async () => {
      if (applied === undefined || !applied.lans.some((lan) => leases(lan) || advertises(lan))) return
      const { make: changes, memory } = await compare(applied, undefined, false)
      await apply(
        meansOf(memory, { wireguard: (await features()).wireguard }),
        changes.filter((change) => change.kind === 'daemon'),
        { tolerant: true },
      )
    })
  }

  function findGroup(config: SiteConfig, choice: Choice): Group {
    const group = groupOf(config, choice)
    const hop = choice.hop === 'unreachable' ? undefined : group?.via[choice.hop]
    if (group && (choice.hop === 'unreachable' || (hop && deviceOf(config, hop.tunnel) !== undefined))) return group
    throw new DeviceError(
      finding(
        'D036',
        [choice.remote],
        group
          ? `the way to ${choice.remote} for class ${choice.trafficClass} has no hop ${choice.hop} that is ready`
          : `there is no way to ${choice.remote} for class ${choice.trafficClass} (${choice.arrived}) in this configuration`,
        'choose a hop of the configuration that was applied last',
      ),
    )
  }
  async function steer(choices: readonly Choice[]): Promise<void> {
    const config = applied
    if (config === undefined) throw new DeviceError(finding('D037', [], 'nothing was applied yet, so there is nothing to steer', 'call set() first'))
    const { idOf } = nexthopPlan(config)
    const hops = choices.flatMap((choice) => {
      const group = findGroup(config, choice)
      return familiesOf(config, group).map((family) => ({
        id: idOf(group, family),
        family,
        device: chosenDevice(config, group, choicesBy([choice])),
      }))
    })
    for (const choice of choices) chosen.set(groupKey(choice), choice)
    const done = hotPath.replace(hops)
    steering = Promise.allSettled([steering, done])
    await done
  }
  /**
   * What is amiss, seen while nothing was steered: else the kernel is behind what was chosen meanwhile, and that is no drift.
   * Of a kernel that is steered all the time, what every look sees.
   */
  async function whileStill(look: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
    let always: readonly Finding[] | undefined
    for (let looks = 1; ; looks++) {
      const before = steering
      await before
      const found = await look()
      if (steering === before) return found
      always = always === undefined ? found : always.filter(({ says }) => found.some((one) => one.says === says))
      if (always.length === 0 || looks === mostLooks) return always
    }
  }

  return {
    features,
    inventory: async () => (await readInterfaces(runner)).interfaces,
    async check(config) {
      const [found, installed, kernel, ipv6] = await Promise.all([
        features(),
        frrHome(runner),
        readInterfaces(runner),
        runner.readFile('/proc/sys/net/ipv6/conf/all/forwarding'),
      ])
      const findings = [
        ...missingFeatures(found, ipv6 !== undefined),
        ...missingIpsec(found, config),
        ...(await missingEspOverSix(runner, found, config)),
        ...missingFrr(installed !== undefined, config),
        ...(await missingVrrp(runner, config)),
        ...(await missingLanServices(runner, config)),
        ...misfits(config, kernel),
      ]
      if (found.nftables) {
        const want = desired(config, {
          interfaces: kernel.interfaces,
          defaults: kernel.defaults,
          tentative: kernel.tentative,
          esp: await espHere(),
          publicKeys: new Map(),
          choices: new Map(),
          leaving,
          keptPorts: [],
        })
        const refused = await checkRuleset(runner, want.nft)
        if (refused !== '')
          findings.push(finding('D007', [nftTable], `nft refuses the ruleset: ${refused}`, 'this is a fault in the bundle or an old nft; report it'))
      }
      return findings
    },
    set: (config, how) => serially(() => set(config, how)),
    steer,
    async leave(now) {
      leaving = now
      await refresh()
    },
    refresh,
    async rehandshake(tunnel: TunnelId) {
      const ready = applied?.tunnels.filter((one) => one.id === tunnel) ?? []
      const lack = lacking.find((one) => one.at.includes(tunnel))
      if (lack) throw new DeviceError(lack)
      if (applied === undefined || ready.length === 0)
        throw new DeviceError(
          finding('D038', [tunnel], `tunnel ${tunnel} is not in the configuration that was applied last`, 'name one of its tunnels'),
        )
      const [cloud] = ready
      if (cloud?.peer.kind === 'ipsec') {
        const device = interfaceOf(applied, cloud)?.device
        if (device !== undefined) await reinitiate(stateDir, { tunnel, device, esp: await espHere(), to: cloud.peer.address })
        return
      }
      const { interfaces, defaults, tentative } = await readInterfaces(runner)
      const want = desired(applied, {
        interfaces,
        defaults,
        tentative,
        esp: await espHere(),
        publicKeys: new Map(),
        choices: new Map(),
        leaving,
        keptPorts: [],
      })
      for (const one of ready) {
        const device = interfaceOf(applied, one)?.device
        const peer = want.links
          .find((link) => link.name === device)
          ?.peers.find((each) => one.peer.kind === 'wireguard' && each.publicKey === one.peer.publicKey)
        if (device !== undefined && peer) await renew(runner, device, peer)
      }
    },
    offer: (able) => vrrp.offer(able),
    carries: () => vrrp.carries(),
    async counters() {
      const config = applied
      if (config === undefined) return []
      const [links, esp] = await Promise.all([readWireguard(runner), espHere()])
      const clouds = await Promise.all(
        config.tunnels.map(async (tunnel): Promise<readonly TunnelCounters[]> => {
          const { peer } = tunnel
          const device = interfaceOf(config, tunnel)?.device
          if (peer.kind !== 'ipsec' || device === undefined) return []
          const state = await charonState(stateDir, { device, esp }).catch(() => undefined)
          if (!state) return []
          const { rxBytes, txBytes, establishedFor } = state
          const lastHandshake = state.child === 'INSTALLED' ? Math.floor(Date.now() / 1000) - establishedFor : 0
          return [{ tunnel: tunnel.id, lastHandshake, rxBytes, txBytes, endpoint: `${peer.address}:${peer.port}` }]
        }),
      )
      const wireguard = config.tunnels.flatMap((tunnel): readonly TunnelCounters[] => {
        const peer = links
          .get(interfaceOf(config, tunnel)?.device ?? '')
          ?.peers.find((one) => tunnel.peer.kind === 'wireguard' && one.publicKey === tunnel.peer.publicKey)
        return peer
          ? [{ tunnel: tunnel.id, lastHandshake: peer.lastHandshake, rxBytes: peer.rxBytes, txBytes: peer.txBytes, endpoint: peer.endpoint }]
          : []
      })
      return [...wireguard, ...clouds.flat()]
    },
    transit: () => readTransit(runner),
    learning: () => serially(learning),
    drift: (whole) =>
      serially(() =>
        whileStill(async () => {
          // What can't be made is said by `lacking`, and is no drift.
          const config = lacking.length > 0 && applied ? applied : whole
          const comparison = await compare(config, undefined, true)
          const known = (change: Change): boolean =>
            // Who has the LAN keepalived tells FRR, perhaps at this moment.
            change.kind === 'frr'
              ? change.start === undefined && isDutyAlone(config, change.lines)
              : change.kind === 'daemon' && idle.has(change.want.name)
          const differs = { ...comparison, make: comparison.make.filter((change) => !known(change)) }
          return [
            ...lacking,
            ...idle.values(),
            ...drifted(differs),
            ...(await vectorFindings(runner, config, comparison.choices, exitDevices(comparison.want))),
          ]
        }),
      ),
    wipe: () =>
      serially(async () => {
        const [kernel, memory] = await Promise.all([observe(runner, stateDir), remember(stateDir)])
        const wireguard: WireguardKind = (await features()).wireguard
        const none: Desired = {
          sysctls: [],
          links: [],
          xfrm: [],
          tunnels: [],
          frr: [],
          announces: false,
          daemons: [],
          addresses: [],
          nexthops: [],
          routes: [],
          rules: [],
          nft: '',
        }
        await vrrp.set({ site: '' as SiteId, lans: [] }, '')
        const { prune } = difference(none, kernel, {}, memory)
        const means = meansOf(memory, { wireguard })
        await apply(means, prune, { tolerant: true })
        if (kernel.nft !== '') await runner.change(['nft', 'delete', 'table', 'inet', nftTable])
        for (const [key, before] of Object.entries(memory.sysctls)) {
          const now = (await runner.readFile(`/proc/sys/${key}`))?.trim()
          // An interface that is gone took its settings with it.
          if (now === undefined) continue
          await runner.writeFile(`/proc/sys/${key}`, key === reservedPorts ? reservedWithout(now, listenedPorts, before) : before)
        }
        if (!runner.dryRun) await forget(stateDir)
        applied = undefined
        idle.clear()
        leaving = null
        chosen.clear()
      }),
    async close() {
      follower?.close()
      clearInterval(watch)
      await last
      hotPath.close()
    },
  }
}
