/** Feeds the state machine of a path from STAMP over its socket, at both ends: probes sent, reflected, and answered. */
import { probeAnswered } from '#src/path/machine.ts'
import { nextProbeAt } from '#src/path/timing.ts'
import { decodeProbe, decodeReply, encodeProbe, encodeReply, type EndView, maximumUnpadded, type Probe, type Reply } from '#src/wire/stamp.ts'
import { type Burst, createBurst, type Measured, type Shots } from './burst.ts'
import { paddedAnswered, paddedPayload, paddedSent } from './mtu.ts'
import { countAnswered, countSent, type ProbedPath, remember, sentTick } from './paths.ts'
import type { OpenSocket } from './sockets.ts'

export interface StampsOptions {
  readonly open: OpenSocket
  /** Monotonic, ms. */
  readonly tick: () => number
  /** Since 1970, ms. */
  readonly wall: () => number
  /** [0, 1). */
  readonly random: () => number
  /** Of the overlay: what padded probes are as long as. */
  readonly mtu: () => number
  /** What this end says in each packet. */
  readonly view: (record: ProbedPath) => EndView
  /** A packet came: `work` tells the path, between a look at its state before and after. */
  readonly heard: (record: ProbedPath, work: (now: number) => void) => void
  /** What the far end says, whether in a probe or in a reply. */
  readonly said: (record: ProbedPath, view: EndView, sentAt: number, now: number) => void
  /** Full packets pass again. */
  readonly widthChanged: (record: ProbedPath) => void
}
export interface Stamps {
  open(record: ProbedPath): void
  send(record: ProbedPath, now: number): void
  /** The same, as long as the overlay's packets may be; it counts neither as sent nor as lost. */
  sendPadded(record: ProbedPath, now: number): void
  /** Probes of their own, which count as little. */
  burst(record: ProbedPath, shots: Shots): Promise<Measured>
}

const reopenMs = 1_000
/** A padded probe is told by its length: without padding none is as long. */
const isPadded = (packet: Buffer): boolean => packet.length > maximumUnpadded
/** Whatever MTU a tunnel may have. */
const longest = 9_216

export function createStamps({ open, tick, wall, random, mtu, view, heard, said, widthChanged }: StampsOptions): Stamps {
  const packet = Buffer.alloc(longest)
  const bursts = new Map<ProbedPath, Burst>()

  function transmit(record: ProbedPath, sequence: number, sentAt: number, isFull: boolean): void {
    if (!record.socket) return
    const probe = { ...view(record), sequence: sequence >>> 0, session: record.session, sentAt }
    const length = encodeProbe(packet, probe, isFull ? Math.min(longest - 4, paddedPayload(mtu())) : 0)
    record.socket.send(packet, length, record.tunnel.farInside)
  }
  /** Of the probe before: a lost one that is no ordinary one must leave no gap, which would count towards silence. */
  const lastSequence = (record: ProbedPath): number => record.sequence - 1

  function onProbe(record: ProbedPath, probe: Probe, now: number, padTo: number): void {
    if (probe.session !== record.farSession) {
      // The far end started again and counts from 0.
      record.farSession = probe.session
      record.received = 0
      record.highest = 0
      record.path.repliedSeq = -1
      record.path.seen = 0
    }
    const stale = record.received > 0 && probe.sequence < record.highest
    if (padTo === 0) record.received++
    record.highest = Math.max(record.highest, probe.sequence)
    if (!stale) said(record, probe, probe.sentAt, now)
    if (record.path.follows) {
      probeAnswered(record.path, now, probe.sequence, Number.NaN)
      record.suspect = false
    }
    const at = wall()
    const reply = {
      ...view(record),
      sequence: record.reflected++ >>> 0,
      session: probe.session,
      sentAt: at,
      receivedAt: at,
      probeSequence: probe.sequence,
      probeSentAt: probe.sentAt,
      probeTtl: 255,
    }
    record.socket?.send(packet, encodeReply(packet, reply, padTo), record.tunnel.farInside)
  }

  function onReply(record: ProbedPath, reply: Reply, now: number, padded: boolean): void {
    if (reply.session !== record.session || bursts.get(record)?.answered(reply.probeSentAt, now)) return
    if (padded) {
      if (paddedAnswered(record, now, reply.probeSequence)) widthChanged(record)
      return
    }
    const sent = sentTick(record, reply.probeSequence)
    if (sent === undefined) return
    if (reply.probeSequence >= record.path.repliedSeq) said(record, reply, reply.sentAt, now)
    record.suspect = false
    countAnswered(record, now, reply.probeSequence, now - sent)
  }

  return {
    open(record) {
      const { inside, farInside } = record.tunnel
      record.socket = open(
        inside,
        (data, from) => {
          if (from !== farInside) return
          heard(record, (now) => {
            const { index } = record.tunnel
            const probe = decodeProbe(data)
            if (probe?.tunnel === index) return onProbe(record, probe, now, isPadded(data) ? data.length : 0)
            const reply = decodeReply(data)
            if (reply?.tunnel === index) onReply(record, reply, now, isPadded(data))
          })
        },
        () => {
          record.socket = null
          record.reopenAt = tick() + reopenMs
        },
      )
    },
    send(record, now) {
      const sequence = countSent(record, now)
      remember(record, sequence, now)
      record.nextAt = nextProbeAt(now, record.path.timing.intervalMs, random())
      transmit(record, sequence, wall(), false)
    },
    sendPadded(record, now) {
      const sequence = lastSequence(record)
      paddedSent(record, now, sequence)
      transmit(record, sequence, wall(), true)
    },
    burst(record, shots) {
      const mine = createBurst()
      bursts.set(record, mine)
      const send = (sentAt: number, isFull: boolean) => transmit(record, Math.max(0, lastSequence(record)), sentAt, isFull)
      return mine.run(shots, send, tick, wall).finally(() => bursts.delete(record))
    },
  }
}
