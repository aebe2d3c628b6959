/**
 * The hot path of failover: `nexthop replace` over an `ip -batch -` that stays open, so that a switch costs no process
 * start. `nexthop get` behind each replacement is the acknowledgement.
 */
import type { Family } from '#src/net/address.ts'
import { DeviceError, finding } from './errors.ts'
import { type Nexthop, nexthopArguments } from './kernel.ts'
import type { Conversation, Runner } from './run.ts'

export interface Switch {
  /** Resolves when the kernel has told back each of them. */
  replace(hops: readonly Nexthop[]): Promise<void>
  close(): void
}
interface Pending {
  readonly hop: Nexthop
  /** Line numbers of this batch process, from 1. */
  readonly lines: { readonly replace: number; readonly get: number }
  said: string
  readonly settle: (problem: string | undefined) => void
}

function createLine(runner: Runner, family: Family): { readonly replace: (hop: Nexthop) => Promise<string | undefined>; readonly close: () => void } {
  let conversation: Conversation | null = null
  let sent = 0
  let lastSaid = ''
  let closed = false
  let pending: Pending[] = []

  const settle = (one: Pending, problem: string | undefined): void => {
    pending = pending.filter((each) => each !== one)
    one.settle(problem)
  }
  function heard(line: string, from: 'stdout' | 'stderr'): void {
    if (from === 'stderr') {
      const failed = /^Command failed -:(\d+)/.exec(line)
      if (!failed) {
        if (line.trim() !== '') lastSaid = line
        return
      }
      const one = pending.find((each) => each.lines.replace === Number(failed[1]) || each.lines.get === Number(failed[1]))
      if (one === undefined) return
      // A failed replacement is settled by its `get`, or that answer would be taken for the next one's.
      if (one.lines.replace === Number(failed[1])) one.said = lastSaid
      else settle(one, one.said || lastSaid)
      return
    }
    const id = /^id (\d+) (?:dev (\S+)|(blackhole))/.exec(line)
    const one = id && pending.find((each) => each.hop.id === Number(id[1]))
    if (one) settle(one, (id[2] ?? '') === one.hop.device ? undefined : one.said || `it points to ${id[2] ?? 'nothing'}`)
  }
  /** Some mistakes (a device that is gone) end `ip` even under -force: the one at fault fails, the others are asked again. */
  function ended(): void {
    conversation = null
    const [fault, ...innocent] = pending
    const why = fault?.said || lastSaid || 'ip ended'
    pending = []
    lastSaid = ''
    fault?.settle(why)
    if (!closed) for (const one of innocent) send(one.hop, one.settle)
  }
  function send(hop: Nexthop, settled: Pending['settle']): void {
    if (conversation === null) {
      sent = 0
      conversation = runner.talk(['ip', `-${family}`, '-force', '-batch', '-'], heard, ended)
    }
    if (conversation === null) {
      settled(undefined)
      return
    }
    const lines = { replace: sent + 1, get: sent + 2 }
    sent += 2
    pending.push({ hop, lines, said: '', settle: settled })
    conversation.say(`nexthop replace ${nexthopArguments(hop)}\nnexthop get id ${hop.id}\n`)
  }
  return {
    replace: (hop) => new Promise((resolve) => send(hop, resolve)),
    close: () => {
      closed = true
      conversation?.close()
    },
  }
}

export function createSwitch(runner: Runner, echo: (line: string) => void): Switch {
  const lines: Partial<Record<Family, ReturnType<typeof createLine>>> = {}
  return {
    async replace(hops) {
      const answers = await Promise.all(
        hops.map(async (hop) => {
          echo(`[#] ip -${hop.family} nexthop replace ${nexthopArguments(hop)}`)
          lines[hop.family] ??= createLine(runner, hop.family)
          return { hop, problem: await lines[hop.family]!.replace(hop) }
        }),
      )
      const failed = answers.find((answer) => answer.problem !== undefined)
      if (failed) {
        throw new DeviceError(
          finding(
            'D035',
            [String(failed.hop.id)],
            `nexthop ${failed.hop.id} could not be pointed to ${failed.hop.device || 'unreachable'}: ${failed.problem}`,
            'apply the configuration again; it makes what is missing',
          ),
        )
      }
    },
    close: () => {
      lines[4]?.close()
      lines[6]?.close()
    },
  }
}
