/** TunnelOptions of CreateVpnConnection and ModifyVpnTunnelOptions: their rules and defaults (AWS Site-to-Site VPN User Guide, "Tunnel options"). */
import { addressFromBits, contains, familyOf, lengthOf, parsePrefix, prefix, prefixFromBits, type Prefix, rangeOf } from '#src/net/address.ts'
import { type DecodedFields, flag, group, integer, list, needed, text } from './query.ts'
import { invalidValue, Refusal } from './refusal.ts'
import type { Context, InsideVersion, TunnelSettings, World } from './world.ts'

const values = list(group({ Value: needed(text) }))
const numbers = list(group({ Value: needed(integer) }))
export const tunnelFields = {
  TunnelInsideCidr: text,
  TunnelInsideIpv6Cidr: text,
  PreSharedKey: text,
  Phase1LifetimeSeconds: integer,
  Phase2LifetimeSeconds: integer,
  RekeyMarginTimeSeconds: integer,
  RekeyFuzzPercentage: integer,
  ReplayWindowSize: integer,
  DPDTimeoutSeconds: integer,
  DPDTimeoutAction: text,
  Phase1EncryptionAlgorithm: values,
  Phase2EncryptionAlgorithm: values,
  Phase1IntegrityAlgorithm: values,
  Phase2IntegrityAlgorithm: values,
  Phase1DHGroupNumber: numbers,
  Phase2DHGroupNumber: numbers,
  IKEVersion: values,
  StartupAction: text,
  EnableTunnelLifecycleControl: flag,
}
export type TunnelInput = DecodedFields<typeof tunnelFields>

const encryption = ['AES128', 'AES256', 'AES128-GCM-16', 'AES256-GCM-16']
const integrity = ['SHA1', 'SHA2-256', 'SHA2-384', 'SHA2-512']
const phase1Groups = [2, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]
const phase2Groups = [2, 5, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]
const linkLocal = prefix('169.254.0.0/16')
const uniqueLocal = prefix('fd00::/8')
const reserved = ['169.254.0.0/30', '169.254.1.0/30', '169.254.2.0/30', '169.254.3.0/30', '169.254.4.0/30', '169.254.5.0/30', '169.254.169.252/30']

/** Throws InvalidParameterValue. */
function insideCidr(value: string, taken: ReadonlySet<string>): Prefix {
  const parsed = parsePrefix(value)
  if (!parsed.ok || lengthOf(parsed.value) !== 30 || !value.startsWith('169.254.'))
    throw invalidValue(value, 'TunnelInsideCidr', `The CIDR must be a size /30 block from ${linkLocal}.`)
  if (reserved.includes(parsed.value)) throw invalidValue(value, 'TunnelInsideCidr', 'The CIDR is reserved.')
  if (taken.has(parsed.value)) throw invalidValue(value, 'TunnelInsideCidr', 'The CIDR is already in use by another tunnel of the same gateway.')
  return parsed.value
}
function insideIpv6Cidr(value: string, taken: ReadonlySet<string>): Prefix {
  const parsed = parsePrefix(value)
  if (!parsed.ok || lengthOf(parsed.value) !== 126 || familyOf(parsed.value) !== 6 || !contains(uniqueLocal, parsed.value))
    throw invalidValue(value, 'TunnelInsideIpv6Cidr', `The CIDR must be a size /126 block from ${uniqueLocal}.`)
  if (taken.has(parsed.value)) throw invalidValue(value, 'TunnelInsideIpv6Cidr', 'The CIDR is already in use by another tunnel of the same gateway.')
  return parsed.value
}
function freeInside(taken: ReadonlySet<string>): Prefix {
  for (let third = 6; third < 256; third++)
    for (let fourth = 0; fourth < 256; fourth += 4) {
      const candidate = prefixFromBits(4, BigInt((169 << 24) >>> 0) | BigInt((254 << 16) | (third << 8) | fourth), 30)
      if (!taken.has(candidate) && !reserved.includes(candidate)) return candidate
    }
  throw new Refusal('InsufficientCapacity', 'No inside CIDR is free', 500)
}
const between = (name: string, value: number | undefined, low: number, high: number, initial: number): number => {
  if (value !== undefined && (value < low || value > high)) throw invalidValue(String(value), name, `Expecting a value between ${low} and ${high}.`)
  return value ?? initial
}
const oneOf = (name: string, value: string | undefined, allowed: readonly string[], initial: string): string => {
  if (value !== undefined && !allowed.includes(value)) throw invalidValue(value, name, `Expecting one of ${allowed.join(', ')}.`)
  return value ?? initial
}
function subset<T extends string | number>(
  name: string,
  input: readonly { readonly Value: T }[] | undefined,
  allowed: readonly T[],
  initial: readonly T[],
): readonly T[] {
  for (const { Value } of input ?? [])
    if (!allowed.includes(Value)) throw invalidValue(String(Value), name, `Expecting some of ${allowed.join(', ')}.`)
  return input && input.length > 0 ? input.map((one) => one.Value) : initial
}
function preSharedKey(value: string): string {
  if (!/^[A-Za-z0-9._]{8,64}$/.test(value) || value.startsWith('0'))
    throw new Refusal(
      'InvalidParameterValue',
      'The pre-shared key is invalid. It must be 8 to 64 alphanumeric characters, periods and underscores, and must not start with zero.',
    )
  return value
}

/** One for a tunnel that carries IPv6, besides its /30; none for another. */
function settleIpv6(
  given: string | undefined,
  version: InsideVersion,
  before: TunnelSettings | undefined,
  taken: ReadonlySet<string>,
  context: Context,
): Prefix | null {
  if (version === 'ipv6') {
    if (given !== undefined) return insideIpv6Cidr(given, taken)
    return before?.insideIpv6Cidr ?? prefixFromBits(6, (0xfdn << 120n) | (BigInt(`0x${context.hex(16)}`) << 2n), 126)
  }
  if (given !== undefined)
    throw new Refusal(
      'InvalidParameterCombination',
      'TunnelInsideIpv6Cidr can only be specified for a VPN connection whose TunnelInsideIpVersion is ipv6',
    )
  return null
}

/** `before`: what stands for the fields that are not given; AWS's defaults for a new tunnel. */
export function settle(
  input: TunnelInput,
  version: InsideVersion,
  before: TunnelSettings | undefined,
  taken: ReadonlySet<string>,
  context: Context,
): TunnelSettings {
  const settled: TunnelSettings = {
    insideCidr: input.TunnelInsideCidr === undefined ? (before?.insideCidr ?? freeInside(taken)) : insideCidr(input.TunnelInsideCidr, taken),
    insideIpv6Cidr: settleIpv6(input.TunnelInsideIpv6Cidr, version, before, taken, context),
    preSharedKey: input.PreSharedKey === undefined ? (before?.preSharedKey ?? `a${context.hex(31)}`) : preSharedKey(input.PreSharedKey),
    phase1Lifetime: between('Phase1LifetimeSeconds', input.Phase1LifetimeSeconds, 900, 28_800, before?.phase1Lifetime ?? 28_800),
    phase2Lifetime: between('Phase2LifetimeSeconds', input.Phase2LifetimeSeconds, 900, 3_600, before?.phase2Lifetime ?? 3_600),
    rekeyMargin: between('RekeyMarginTimeSeconds', input.RekeyMarginTimeSeconds, 60, 1_800, before?.rekeyMargin ?? 270),
    rekeyFuzz: between('RekeyFuzzPercentage', input.RekeyFuzzPercentage, 0, 100, before?.rekeyFuzz ?? 100),
    replayWindow: between('ReplayWindowSize', input.ReplayWindowSize, 64, 2_048, before?.replayWindow ?? 1_024),
    dpdTimeout: between('DPDTimeoutSeconds', input.DPDTimeoutSeconds, 30, 86_400, before?.dpdTimeout ?? 30),
    dpdAction: oneOf('DPDTimeoutAction', input.DPDTimeoutAction, ['clear', 'none', 'restart'], before?.dpdAction ?? 'clear'),
    phase1Encryption: subset('Phase1EncryptionAlgorithms', input.Phase1EncryptionAlgorithm, encryption, before?.phase1Encryption ?? encryption),
    phase2Encryption: subset('Phase2EncryptionAlgorithms', input.Phase2EncryptionAlgorithm, encryption, before?.phase2Encryption ?? encryption),
    phase1Integrity: subset('Phase1IntegrityAlgorithms', input.Phase1IntegrityAlgorithm, integrity, before?.phase1Integrity ?? integrity),
    phase2Integrity: subset('Phase2IntegrityAlgorithms', input.Phase2IntegrityAlgorithm, integrity, before?.phase2Integrity ?? integrity),
    phase1Groups: subset('Phase1DHGroupNumbers', input.Phase1DHGroupNumber, phase1Groups, before?.phase1Groups ?? phase1Groups),
    phase2Groups: subset('Phase2DHGroupNumbers', input.Phase2DHGroupNumber, phase2Groups, before?.phase2Groups ?? phase2Groups),
    ikeVersions: subset('IKEVersions', input.IKEVersion, ['ikev1', 'ikev2'], before?.ikeVersions ?? ['ikev1', 'ikev2']),
    startup: oneOf('StartupAction', input.StartupAction, ['add', 'start'], before?.startup ?? 'add'),
    lifecycleControl: input.EnableTunnelLifecycleControl ?? before?.lifecycleControl ?? false,
  }
  if (settled.phase2Lifetime >= settled.phase1Lifetime)
    throw invalidValue(String(settled.phase2Lifetime), 'Phase2LifetimeSeconds', 'It must be less than Phase1LifetimeSeconds.')
  if (settled.rekeyMargin > settled.phase2Lifetime / 2)
    throw invalidValue(String(settled.rekeyMargin), 'RekeyMarginTimeSeconds', 'It must be at most half of Phase2LifetimeSeconds.')
  if (settled.startup === 'start' && !settled.ikeVersions.every((version) => version === 'ikev2'))
    throw invalidValue('start', 'StartupAction', 'It needs IKEv2 alone.')
  return settled
}

export const insidesIn = ({ insideCidr: four, insideIpv6Cidr: six }: TunnelSettings): readonly Prefix[] => (six === null ? [four] : [four, six])
/** Inside CIDRs are unique per gateway. `except`: the outside address of a tunnel that is being changed. */
export const insidesOf = (world: World, gateway: string, except = ''): Set<string> =>
  new Set(
    Object.values(world.vpnConnections)
      .filter((row) => row.gateway === gateway && row.state !== 'deleted')
      .flatMap((row) => row.tunnels.filter((tunnel) => tunnel.outside !== except).flatMap(({ settings }) => insidesIn(settings))),
  )

/** `n`th host of an inside CIDR: AWS takes the first, the customer the second. */
export function hostOfInside(inside: Prefix, n: 1 | 2): string {
  const { family, low } = rangeOf(inside)
  return addressFromBits(family, low + BigInt(n))
}
