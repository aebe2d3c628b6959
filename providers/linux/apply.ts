/** Makes changes, in their order, with as few processes as the kernel's interfaces allow. */
import { join } from 'node:path'
import type { Finding } from '#src/fabric/fabric.ts'
import { addTunnel, changeSecret, removeTunnel, startCharon, stopCharon } from './charons.ts'
import { endDaemon, startDaemon } from './daemons.ts'
import type { Change } from './difference.ts'
import { DeviceError, finding } from './errors.ts'
import { stopFrr, tellFrr } from './frr.ts'
import { clearAssociations } from './ipsec.ts'
import { replacement } from './nft.ts'
import { firstLine, type Runner, type Started } from './run.ts'
import { nftTable } from './scheme.ts'
import { configure, remove, startUserspace, type WireguardKind } from './wireguard.ts'

export interface Means {
  readonly runner: Runner
  readonly stateDir: string
  readonly wireguard: WireguardKind
  readonly privateKeys: ReadonlyMap<string, string>
  /** Pre-shared keys by device. */
  readonly secrets: ReadonlyMap<string, Uint8Array>
  /** wireguard-go processes by device: read, and written when one is started or ended. */
  readonly daemons: Map<string, Started>
  /** Hears of each daemon that was started; one that ended at once keeps nothing else from being made. */
  readonly settled: (daemon: string, failure: Finding | undefined) => void
  /** Keeps a ruleset where an operator can read it; returns the path. */
  readonly keep: (name: string, text: string) => Promise<string>
}

type IpChange = Change & { readonly kind: 'ip' }
/** Things that go in one round: all of a kind, and `ip` lines up to where links must be up before routes. */
const roundOf = (change: Change): string =>
  change.kind === 'ip' ? (change.object === 'link' || change.object === 'addr' ? 'ip links' : 'ip routes') : change.kind

export async function batch(runner: Runner, changes: readonly IpChange[], tolerant: boolean): Promise<void> {
  await Promise.all(
    ([4, 6] as const).map(async (family) => {
      const lines = changes.filter((change) => change.family === family).map((change) => change.line)
      if (lines.length === 0) return
      const command = ['ip', `-${family}`, ...(tolerant ? ['-force'] : []), '-batch', '-']
      const output = await runner.change(command, { input: `${lines.join('\n')}\n`, show: lines.map((line) => `ip -${family} ${line}`) })
      if (output.code === 0) return
      // What is already gone (a route whose device vanished) is as good as deleted.
      const problems = output.stderr.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('Command failed'))
      if (
        tolerant &&
        problems.every((line) => /No such process|No such file|Cannot assign requested address|Cannot find device|does not exist/.test(line))
      )
        return
      const failed = Number(/Command failed -:(\d+)/.exec(output.stderr)?.[1] ?? 1)
      throw new DeviceError(
        finding(
          'D030',
          [],
          `"ip -${family} ${lines[failed - 1] ?? ''}" failed: ${firstLine(output)}`,
          'run the agent as root; if it is, another program may hold the same object: look with ip monitor',
        ),
      )
    }),
  )
}

export async function checkRuleset(runner: Runner, text: string): Promise<string> {
  const output = await runner.read(['nft', '-c', '-f', '-'], { input: replacement(text) })
  return output.code === 0 ? '' : firstLine(output)
}

async function load(means: Means, text: string): Promise<void> {
  const path = await means.keep('causeway.nft', replacement(text))
  const output = await means.runner.change(
    ['nft', '-f', path],
    means.runner.dryRun ? { show: ['nft -f - <<EOF', ...replacement(text).split('\n'), 'EOF'] } : {},
  )
  if (output.code !== 0)
    throw new DeviceError(
      finding(
        'D007',
        [nftTable],
        `nft refuses the ruleset, nothing of it was loaded: ${firstLine(output)}`,
        `look at ${path}; the previous table still stands`,
      ),
    )
}

export async function apply(means: Means, changes: readonly Change[], { tolerant }: { readonly tolerant: boolean }): Promise<void> {
  const rounds: Change[][] = []
  for (const change of changes) {
    const last = rounds.at(-1)
    if (last && roundOf(last[0]!) === roundOf(change)) last.push(change)
    else rounds.push([change])
  }
  for (const round of rounds) {
    const lines = round.filter((change) => change.kind === 'ip')
    if (lines.length > 0) {
      await batch(means.runner, lines, tolerant)
      continue
    }
    const inKernel = round.flatMap((change): readonly IpChange[] =>
      change.kind === 'create' && (change.ifId !== undefined || means.wireguard === 'kernel')
        ? [{ kind: 'ip', object: 'link', family: 6, line: `link add dev ${change.device} type ${typeOf(change)}` }]
        : [],
    )
    if (inKernel.length > 0) await batch(means.runner, inKernel, false)
    let before: Promise<unknown> = Promise.resolve()
    const results = await Promise.allSettled(
      round.map((change) => {
        if (!makesTun(change)) return one(means, change)
        const mine = before.then(() => one(means, change))
        before = mine.catch(() => {})
        return mine
      }),
    )
    const failed = results.find((result) => result.status === 'rejected')
    if (failed) throw failed.reason
  }
}

/**
 * One after another: charon's TUN takes the first free name, and what keeps that name for it is made when the TUN has
 * another (`startTunnel`). In between a second charon would take the name.
 */
const makesTun = (change: Change): boolean => change.kind === 'ipsec' && change.work !== 'secret' && change.want.tunnel.esp === 'userspace'
const typeOf = ({ ifId }: Change & { readonly kind: 'create' }): string => (ifId === undefined ? 'wireguard' : `xfrm if_id ${ifId}`)

async function one(means: Means, change: Change): Promise<void> {
  switch (change.kind) {
    case 'create': {
      if (change.ifId !== undefined || means.wireguard === 'kernel') return
      const daemon = await startUserspace(means.runner, change.device, means.stateDir)
      if (daemon) means.daemons.set(change.device, daemon)
      return
    }
    case 'wireguard':
      return configure(means.runner, change.link, means.privateKeys.get(change.link.name)!)
    case 'ipsec': {
      const secret = means.secrets.get(change.want.tunnel.device)
      if (means.runner.dryRun || !secret) return
      if (change.work === 'secret') return changeSecret(means, change.want, secret)
      if (change.have) await removeTunnel(means, change.have)
      return addTunnel(means, change.want, secret)
    }
    case 'ipsec-stop':
      return means.runner.dryRun ? undefined : removeTunnel(means, change.have)
    case 'charon':
      return means.runner.dryRun ? undefined : startCharon(means, change.ifIds)
    case 'charon-stop':
      return means.runner.dryRun ? undefined : stopCharon(means, change.have)
    case 'frr':
      return means.runner.dryRun ? undefined : tellFrr(means, change)
    case 'frr-stop':
      return means.runner.dryRun ? undefined : stopFrr(means, change)
    case 'daemon': {
      if (means.runner.dryRun) return
      const why = await startDaemon(means.runner, means.stateDir, change.want, change.have)
      means.settled(
        change.want.name,
        why === ''
          ? undefined
          : finding(
              'D039',
              [change.want.name],
              `${change.want.name} does not run: ${why}`,
              'stop the other that this box may have; it is tried again by itself',
            ),
      )
      return
    }
    case 'daemon-stop':
      return means.runner.dryRun ? undefined : endDaemon(means.runner, change.have)
    case 'sysctl':
      return means.runner.writeFile(join('/proc/sys', change.key), change.value)
    case 'nft':
      return load(means, change.text)
    case 'remove':
      if (change.ifId !== undefined) await clearAssociations(means.runner, [change.ifId])
      await remove(means.runner, change.device, means.daemons.get(change.device))
      means.daemons.delete(change.device)
      return
    case 'ip':
      return batch(means.runner, [change], false)
    default:
      change satisfies never
  }
}
