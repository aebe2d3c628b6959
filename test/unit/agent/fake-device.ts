/** A device driver whose kernel is a variable, and files whose disk can lose power before any write. */
import type { Choice, DeviceDriver, Learning, OsInterface } from '#providers/device.ts'
import type { Finding, SiteConfig } from '#src/fabric/fabric.ts'
import type { Files } from '#src/agent/files.ts'

export interface FakeDevice extends DeviceDriver {
  /** What the kernel runs; null = nothing of ours. */
  running: SiteConfig | null
  readonly steered: Choice[]
  readonly calls: string[]
  findings: readonly Finding[]
  drifts: readonly Finding[]
  interfaces: readonly OsInterface[]
  learned: Learning
  /** Throws on the next `set` of a config for which this is true. */
  breaks: (config: SiteConfig) => boolean
  /** Of a pair: it has the LANs, by what VRRP decided. */
  onDuty: boolean
}

export const interfaceNamed = (name: string, address: string): OsInterface => ({
  name,
  up: true,
  addresses: [address],
  router: '192.0.2.1',
  mtu: 1500,
})

export function fakeDevice(interfaces: readonly OsInterface[] = [{ ...interfaceNamed('eth0', '192.0.2.7/24'), router: '' }]): FakeDevice {
  const device: FakeDevice = {
    running: null,
    steered: [],
    calls: [],
    findings: [],
    drifts: [],
    interfaces,
    learned: { sessions: [], missing: [] },
    breaks: () => false,
    onDuty: true,
    features: async () => ({ wireguard: 'userspace', nftables: true, nexthops: true, ipsec: 'none' }),
    inventory: async () => device.interfaces,
    check: async () => device.findings,
    async set(config, { prune }) {
      device.calls.push(`set ${config.interfaces.length} prune=${prune}`)
      if (device.breaks(config)) throw new Error('ip: no such device')
      device.running = config
    },
    async steer(choices) {
      device.steered.push(...choices)
    },
    leave: async ({ by }) => void device.calls.push(`leave ${by}`),
    rehandshake: async (tunnel) => void device.calls.push(`rehandshake ${tunnel}`),
    offer: async (able) => void device.calls.push(`offer ${able}`),
    carries: () => device.onDuty,
    counters: async () => [],
    learning: async () => device.learned,
    transit: async () => ({ packets: 0, bytes: 0 }),
    drift: async () => device.drifts,
    async wipe() {
      device.calls.push('wipe')
      device.running = null
    },
    close: async () => {},
  }
  return device
}

export class PowerCut extends Error {}

/** @param writesLeft how many changes reach the disk; the next one throws PowerCut, and so does every later one. */
export function memoryFiles(disk: Map<string, string>, writesLeft = Number.POSITIVE_INFINITY): Files {
  let left = writesLeft
  const spend = () => {
    if (left-- <= 0) throw new PowerCut('the power is gone')
  }
  return {
    read: async (name) => disk.get(name) ?? null,
    async write(name, text) {
      spend()
      disk.set(name, text)
    },
    async claim(name, text) {
      spend()
      if (disk.has(name)) return false
      disk.set(name, text)
      return true
    },
    async remove(name) {
      spend()
      for (const key of disk.keys()) if (key === name || key.startsWith(`${name}/`)) disk.delete(key)
    },
    list: async (folder) =>
      [...disk.keys()]
        .filter((key) => key.startsWith(`${folder}/`))
        .map((key) => key.slice(folder.length + 1))
        .sort(),
  }
}
