/** What the tunnels of a configuration need to be opened with, out of the agent's store. */
import type { Finding, SiteConfig } from '#src/fabric/fabric.ts'
import { isIpsecInterface } from '#src/fabric/ipsec.ts'
import type { KeyStore } from '../device.ts'
import { wantedTunnels } from './charons.ts'
import { finding } from './errors.ts'
import { interfaceOf } from './lookup.ts'
import type { Esp } from './scheme.ts'
import { publicKeyOf } from './wireguard.ts'

/** By device. */
export async function readKeys(
  config: SiteConfig,
  keys: KeyStore,
): Promise<{ readonly privateKeys: ReadonlyMap<string, string>; readonly publicKeys: ReadonlyMap<string, string> }> {
  const privateKeys = new Map(
    await Promise.all(
      config.interfaces
        .filter((one) => !isIpsecInterface(one))
        .map(async (one) => [one.device, await keys.privateKey({ interface: one.id, linkEpoch: one.linkEpoch })] as const),
    ),
  )
  return { privateKeys, publicKeys: new Map([...privateKeys].map(([device, key]) => [device, publicKeyOf(key)])) }
}

/** The secrets that could be opened. A tunnel without one is left out and said; the others must not wait for it. */
export async function readSecrets(
  whole: SiteConfig,
  keys: KeyStore,
  esp: Esp,
): Promise<{ readonly config: SiteConfig; readonly secrets: ReadonlyMap<string, Uint8Array>; readonly lacking: readonly Finding[] }> {
  const secrets = new Map<string, Uint8Array>()
  const without = new Set<string>()
  const lacking: Finding[] = []
  for (const { tunnel, psk } of wantedTunnels(whole, esp)) {
    try {
      secrets.set(tunnel.device, await keys.secret(psk))
    } catch (error) {
      without.add(tunnel.device)
      lacking.push(
        finding(
          'D046',
          whole.tunnels.filter((one) => interfaceOf(whole, one)?.device === tunnel.device).map((one) => one.id),
          `the IPsec tunnel ${tunnel.device} to ${tunnel.remote.address} has no pre-shared key here: ${(error as Error).message}`,
          'it comes with the next bundle, when the controller can be reached',
        ),
      )
    }
  }
  if (without.size === 0) return { config: whole, secrets, lacking }
  const gone = new Set(whole.interfaces.filter((one) => without.has(one.device)).map((one) => one.id))
  const config = {
    ...whole,
    interfaces: whole.interfaces.filter((one) => !gone.has(one.id)),
    tunnels: whole.tunnels.filter((one) => !gone.has(one.interface)),
  }
  return { config, secrets, lacking }
}
