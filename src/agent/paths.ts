/** One probed path: a tunnel of one link epoch, its state machine, and what its far end last said. */
import type { ReadyTunnel, SiteConfig, TunnelId } from '#src/fabric/fabric.ts'
import { probeEnds } from '#src/fabric/ipsec.ts'
import { createPath, hearRemote, type Path, probeAnswered, probeSent } from '#src/path/machine.ts'
import type { PathRole, ProbeTiming } from '#src/path/path.ts'
import { timingFor } from '#src/path/timing.ts'
import type { Echo } from './echo.ts'
import { type MtuProof, newProof } from './mtu.ts'
import type { ProbeSocket } from './sockets.ts'
import type { Trouble } from './trouble.ts'

const sentRing = 1024
/** More than a minute of probes at the fastest interval: as long as a drill may take. */
const answerRing = 2048

export interface ProbedPath {
  tunnel: ReadyTunnel
  path: Path
  /** Of a path that is probed by STAMP, or … */
  socket: ProbeSocket | null
  /** … by ICMP, at this interval. */
  echo: Echo | null
  echoMs: number
  readonly proof: MtuProof
  /** Why its tunnel does not come up, in the driver's words. */
  trouble: Trouble | null
  /** Tick at which a socket that broke is opened again. */
  reopenAt: number
  role: PathRole
  /** The next probe, tick in ms. */
  nextAt: number
  sequence: number
  readonly session: number
  readonly sentAt: Float64Array
  /** 1: the probe of that number, modulo the ring, was answered. */
  readonly answers: Uint8Array
  /** Of the far end's probes. */
  farSession: number
  received: number
  highest: number
  reflected: number
  /** Keeps the active interval for a moment, so that the far end learns of the change before it counts silence. */
  activeUntil: number
  rehandshakeAt: number
  rehandshakes: number
  /** Its uplink may be dead: not chosen until it answers. */
  suspect: boolean
  suspectSince: number
}

/** A handshake whose first packet was lost is tried again by WireGuard only after 5 s. */
export const rehandshakeFirstMs = 1_000

export const keyOf = (of: Pick<ReadyTunnel, 'id' | 'linkEpoch'>): string => `${of.linkEpoch} ${of.id}`
const searching: ProbeTiming = { intervalMs: 200, multiplier: 3 }

export function createProbed(tunnel: ReadyTunnel, config: SiteConfig, at: number, random: () => number): ProbedPath {
  return {
    tunnel,
    path: newPath(tunnel, config, at),
    socket: null,
    echo: null,
    echoMs: 0,
    proof: newProof(),
    trouble: null,
    reopenAt: at,
    role: standbyRole(tunnel),
    nextAt: at,
    sequence: 0,
    session: 1 + Math.floor(random() * 65_534),
    sentAt: new Float64Array(sentRing),
    answers: new Uint8Array(answerRing),
    farSession: 0,
    received: 0,
    highest: 0,
    reflected: 0,
    activeUntil: Number.NEGATIVE_INFINITY,
    rehandshakeAt: tunnel.initiates ? at + rehandshakeFirstMs : Number.POSITIVE_INFINITY,
    rehandshakes: 0,
    suspect: false,
    suspectSince: at,
  }
}
export function newPath(tunnel: ReadyTunnel, config: SiteConfig, at: number): Path {
  const path = createPath({ at, timing: searching, slas: config.classes.map((one) => one.sla), follows: !tunnel.decides })
  // What only echoes has no view of its own.
  if (tunnel.probe === 'icmp') hearRemote(path, at, 'UP', false)
  return path
}

/** Whether probes of the one are those of the other. */
export const sameProbeEnds = (a: ReadyTunnel, b: ReadyTunnel): boolean => {
  const [one, other] = [probeEnds(a), probeEnds(b)]
  return one.from === other.from && one.to === other.to && one.stated === other.stated
}

export const standbyRole = (tunnel: ReadyTunnel): PathRole => (tunnel.metered ? 'metered-standby' : 'standby')

export const remember = (of: ProbedPath, sequence: number, at: number): void => {
  of.sentAt[sequence % sentRing] = at
}
/** When the probe of this number left, or undefined when that is too long ago to be known. */
export const sentTick = (of: ProbedPath, sequence: number): number | undefined =>
  sequence < of.sequence && of.sequence - sequence <= sentRing ? of.sentAt[sequence % sentRing] : undefined

/** The next probe has left; its number. */
export function countSent(of: ProbedPath, at: number): number {
  const sequence = of.sequence++
  of.answers[sequence % answerRing] = 0
  probeSent(of.path, at, sequence)
  return sequence
}
export function countAnswered(of: ProbedPath, at: number, sequence: number, rttMs: number): void {
  of.answers[sequence % answerRing] = 1
  probeAnswered(of.path, at, sequence, rttMs)
}
/** Unanswered ones of the probes numbered `first` up to, but without, `next`; older ones than the ring holds are left out. */
export function lostOf(of: ProbedPath, first: number, next: number): number {
  let lost = 0
  for (let sequence = Math.max(first, of.sequence - answerRing); sequence < next; sequence++) if (of.answers[sequence % answerRing] === 0) lost++
  return lost
}

/** A probe the sender would send now; the follower counts silence by the same rule. */
export function timingOf(of: ProbedPath, at: number, silentMs: number, primaryDegraded: boolean): ProbeTiming {
  // As long as the far end isn't sure of the path, it needs probes as fast as we did.
  const unsure = of.path.alive === 'UP' && of.tunnel.decides && of.path.remoteState !== 'UP' && of.path.remoteState !== 'DEGRADED'
  const active = of.role === 'active' || at < of.activeUntil || (of.suspect && of.tunnel.decides)
  return timingFor({ state: unsure ? 'INIT' : of.path.alive, role: active ? 'active' : of.role, silentMs, primaryDegraded })
}

/** The record that stands for a tunnel: while link epochs overlap, the newest that is up. */
export function standsFor(records: Iterable<ProbedPath>): ReadonlyMap<TunnelId, ProbedPath> {
  const chosen = new Map<TunnelId, ProbedPath>()
  for (const one of records) {
    const held = chosen.get(one.tunnel.id)
    const better =
      !held || (one.path.alive === 'UP') !== (held.path.alive === 'UP')
        ? !held || one.path.alive === 'UP'
        : one.tunnel.linkEpoch > held.tunnel.linkEpoch
    if (better) chosen.set(one.tunnel.id, one)
  }
  return chosen
}
