/**
 * What agent and controller say to each other: JSON over TLS 1.3, client certificate except for `enrol`.
 * Unknown optional fields are ignored, so that a controller talks to agents two versions older.
 *
 * POST /v1/enrol    EnrolRequest  → EnrolAnswer     (server TLS only; the CA pin is in the token)
 * POST /v1/renew    RenewRequest  → RenewAnswer
 * POST /v1/report   Report        → ReportAnswer    (also the heartbeat)
 * GET  /v1/bundle?term=&generation=&revision=  → Signed (payload BundlePayload)
 * POST /v1/permit   PermitRequest → Signed (payload PermitPayload), 409 when the triple is no longer assigned
 * GET  /v1/trust    → Signed (payload TrustPayload)
 * GET  /v1/secret?id=&version=  → SealedSecret   (only what the assigned bundle names)
 * GET  /v1/hints    → text/event-stream of Hint
 * Errors: application/problem+json { type, title, status, code, detail, instead }.
 */
import * as z from 'zod/mini'

export const Triple = z.object({ term: z.int().check(z.minimum(1)), generation: z.int().check(z.minimum(1)), revision: z.int().check(z.minimum(0)) })

/** Base64url JSON bytes exactly as signed, and Ed25519 signatures over them by key id (first 16 hex of the key's SHA-256). */
export const Signed = z.object({ payload: z.string(), signatures: z.array(z.object({ keyId: z.string(), signature: z.string() })) })
export type Signed = z.infer<typeof Signed>

export const InventoryInterface = z.object({ name: z.string(), up: z.boolean(), addresses: z.array(z.string()), router: z.string() })
export const Inventory = z.object({
  serial: z.string(),
  hostname: z.string(),
  os: z.string(),
  kernel: z.string(),
  agentVersion: z.string(),
  wireguard: z.enum(['kernel', 'userspace', 'none']),
  /** Who encrypts tunnels to clouds: ESP in the kernel, or in user space. Older agents don't say. */
  ipsec: z._default(z.enum(['kernel', 'userspace', 'none']), 'none'),
  interfaces: z.array(InventoryInterface),
})
export type Inventory = z.infer<typeof Inventory>

export const EnrolRequest = z.object({
  /** base64url of the token's 16-byte secret. */
  secret: z.string(),
  /** PKCS#10 in PEM, key Ed25519 or P-256; its thumbprint (SHA-256 of the SPKI, hex) is the device. */
  csr: z.string(),
  /** Raw X25519 public key, base64. */
  sealingKey: z.string(),
  inventory: Inventory,
})
export type EnrolRequest = z.infer<typeof EnrolRequest>
export const EnrolAnswer = z.object({
  network: z.string(),
  site: z.string(),
  role: z.enum(['edge', 'core']),
  /** `claimed`: an operator must approve (cores); ask again with the same request. */
  state: z.enum(['claimed', 'enrolled']),
  certificate: z.nullable(z.string()),
  /** CA certificates in PEM. */
  ca: z.array(z.string()),
  trust: Signed,
  /** Seen by the engineer and the installer alike. */
  confirmationCode: z.string(),
  /** RFC 3339. */
  serverTime: z.string(),
})
export type EnrolAnswer = z.infer<typeof EnrolAnswer>

export const RenewRequest = z.object({ csr: z.string(), previousSerial: z.string() })
export type RenewRequest = z.infer<typeof RenewRequest>
export const RenewAnswer = z.object({ certificate: z.string(), serverTime: z.string() })
export type RenewAnswer = z.infer<typeof RenewAnswer>

/** Where the ways to a remote are apart by family. */
const ofOneFamily = z.optional(z.literal([4, 6]))

export const PathReport = z.object({
  tunnel: z.string(),
  state: z.enum(['INIT', 'UP', 'DEGRADED', 'DOWN']),
  since: z.string(),
  rttMs: z.nullable(z.number()),
  jitterMs: z.nullable(z.number()),
  loss: z.nullable(z.number()),
  /** Classes whose traffic this end sends over the tunnel now. */
  classes: z.array(z.string()),
  /** The same by the remotes that they go to, which may lie behind the tunnel's far end. */
  uses: z.optional(z.array(z.object({ remote: z.string(), family: ofOneFamily, classes: z.array(z.string()) }))),
  /** Classes whose SLA it breaches now: what makes it DEGRADED. */
  breaches: z.optional(z.array(z.string())),
  /** bit/s through the tunnel, away from the site and towards it, over the time since the report before. */
  load: z.optional(z.object({ up: z.number(), down: z.number() })),
  /** Of WireGuard, once there was one. */
  handshakeAt: z.optional(z.string()),
})
export type PathReport = z.infer<typeof PathReport>
/** A class whose traffic to a remote takes a tunnel over the uplink that is to be cut. */
export const DrillMove = z.object({ trafficClass: z.string(), remote: z.string(), family: ofOneFamily, from: z.string() })
export type DrillMove = z.infer<typeof DrillMove>
/** What a box saw of the exercise that it was ordered. Times by its own clock. */
export const DrillReport = z.object({
  drill: z.string(),
  /** Of the order that this answers; 1 when it had none. */
  attempt: z.optional(z.int()),
  state: z.enum(['broken', 'healed', 'refused']),
  /** Refused, because other classes use the uplink now than the order says: nothing was cut, it may be ordered again. */
  outdated: z.optional(z.boolean()),
  brokenAt: z.nullable(z.string()),
  healedAt: z.nullable(z.string()),
  /** Classes that used the uplink: milliseconds from the cut until each went another way; null: it never did. */
  classes: z.array(
    z.object({
      trafficClass: z.string(),
      remote: z.optional(z.string()),
      from: z.string(),
      to: z.nullable(z.string()),
      movedAfterMs: z.nullable(z.number()),
      /** Longest time without a word from the far end on the way that the class took. */
      gapMs: z.optional(z.number()),
      /** Of the probes on that way since the cut; null where the far end sends them. */
      probes: z.optional(z.nullable(z.object({ sent: z.int(), lost: z.int() }))),
    }),
  ),
  /** Classes that did not use the uplink, and went another way all the same. */
  disturbed: z.optional(z.array(z.object({ trafficClass: z.string(), remote: z.string(), from: z.string(), to: z.nullable(z.string()) }))),
  why: z.string(),
})
export type DrillReport = z.infer<typeof DrillReport>
/** Of a box that drains: what it still passes on from tunnel to tunnel. */
export const DrainReport = z.object({
  /** Of the window that this is about, as the bundle states it. */
  until: z.string(),
  /** Passed on since it began to drain. */
  packets: z.int(),
  bytes: z.int(),
  /** Nothing was passed on for long enough: the box may be serviced. */
  drained: z.boolean(),
})
export type DrainReport = z.infer<typeof DrainReport>
/** A burst over one path. */
export const PathMeasured = z.object({
  tunnel: z.string(),
  sent: z.int(),
  received: z.int(),
  rttMs: z.nullable(z.object({ min: z.number(), median: z.number(), max: z.number() })),
  /** Mean difference of neighbouring round trips (RFC 3393). */
  jitterMs: z.nullable(z.number()),
  /** Packets of the overlay's MTU pass. */
  fullPackets: z.boolean(),
})
export type PathMeasured = z.infer<typeof PathMeasured>
export const MeasureReport = z.object({
  test: z.string(),
  /** Without those that the box does not have. */
  paths: z.array(PathMeasured),
  /** Why there is nothing; '' if there is. */
  why: z.string(),
})
export type MeasureReport = z.infer<typeof MeasureReport>
export const Report = z.object({
  /** Last confirmed and running bundle. */
  running: z.nullable(Triple),
  commit: z.discriminatedUnion('state', [
    z.object({ state: z.literal('idle') }),
    z.object({ state: z.literal('staged'), triple: Triple }),
    z.object({ state: z.literal('pending'), triple: Triple, nonce: z.string(), deadline: z.string() }),
    z.object({ state: z.literal('confirmed'), triple: Triple }),
    z.object({ state: z.literal('rolled-back'), triple: Triple, code: z.string(), why: z.string() }),
    z.object({ state: z.literal('refused'), triple: Triple, code: z.string(), why: z.string() }),
  ]),
  keys: z.array(z.object({ interface: z.string(), linkEpoch: z.int(), publicKey: z.string() })),
  endpoints: z.array(z.object({ tunnel: z.string(), address: z.string(), port: z.int() })),
  paths: z.array(PathReport),
  findings: z.array(z.object({ code: z.string(), severity: z.enum(['error', 'warning', 'note']), says: z.string(), instead: z.string() })),
  /** Sent at start and when it changed. */
  inventory: z.optional(Inventory),
  /** The agent was without its controller since then. */
  headlessSince: z.nullable(z.string()),
  drill: z.optional(DrillReport),
  drain: z.optional(DrainReport),
  /** Of one of two gateways: whether it has the LANs of the site. */
  carries: z.optional(z.boolean()),
  measured: z.optional(MeasureReport),
})
export type Report = z.infer<typeof Report>
export const ReportAnswer = z.object({
  assigned: z.nullable(z.object({ triple: Triple, hash: z.string() })),
  trustVersion: z.int(),
  serverTime: z.string(),
  reportEverySeconds: z.number(),
  /** The site is decommissioned and its peers have let go: remove everything, report `running: null` once more, then destroy the keys. */
  wipe: z.optional(z.boolean()),
  /** With `wipe`: another box has taken the place of this one at its site. */
  replaced: z.optional(z.boolean()),
  /** Payload DrillPayload: until the box has told what it saw. */
  drill: z.optional(Signed),
  /** Payload MeasurePayload: until the box has told what it measured. */
  measure: z.optional(Signed),
})
export type ReportAnswer = z.infer<typeof ReportAnswer>
/** Whatever it says, the box reports at once and reads the answer. */
export const Hint = z.object({
  assigned: z.nullable(Triple),
  /** A path test waits. */
  test: z.optional(z.string()),
})

export const BundlePayload = z.object({
  kind: z.literal('bundle'),
  schema: z.literal(1),
  network: z.string(),
  site: z.string(),
  device: z.string(),
  term: z.int(),
  generation: z.int(),
  revision: z.int(),
  /** SHA-256 hex of the canonical JSON of `config`. */
  hash: z.string(),
  /** RFC 3339: limits acceptance, never running. */
  acceptBefore: z.string(),
  /** A fabric SiteConfig; `hash` and the signature vouch for its form. */
  config: z.unknown(),
})
export type BundlePayload = z.infer<typeof BundlePayload>
/** For the X25519 key of the box that asks: `openSealed` of seal.ts. */
export const SealedSecret = z.object({ sealed: z.string() })
export type SealedSecret = z.infer<typeof SealedSecret>
export const PermitRequest = z.object({ triple: Triple, nonce: z.string() })
export const PermitPayload = z.object({
  kind: z.literal('permit'),
  network: z.string(),
  site: z.string(),
  device: z.string(),
  triple: Triple,
  nonce: z.string(),
})
export type PermitPayload = z.infer<typeof PermitPayload>
/** Break one uplink for some seconds; signed like a permit. */
export const DrillPayload = z.object({
  kind: z.literal('drill'),
  network: z.string(),
  site: z.string(),
  device: z.string(),
  drill: z.string(),
  uplink: z.string(),
  seconds: z.number().check(z.minimum(1), z.maximum(60)),
  /** RFC 3339: not begun after this. */
  beginBefore: z.string(),
  /** Counts from 1: an order that was refused as outdated is given again. */
  attempt: z.optional(z.int()),
  /** All that uses the uplink, and may move: with anything else the box cuts nothing. */
  moves: z.optional(z.array(DrillMove)),
})
export type DrillPayload = z.infer<typeof DrillPayload>
export const DrillVerdict = z.enum(['moved', 'stayed', 'standby', 'disturbed'])
export type DrillVerdict = z.infer<typeof DrillVerdict>
/** A burst of probes over each of these paths, which the box decides; signed like a permit. */
export const MeasurePayload = z.object({
  kind: z.literal('measure'),
  network: z.string(),
  site: z.string(),
  device: z.string(),
  test: z.string(),
  tunnels: z.array(z.string()),
  count: z.int().check(z.minimum(1), z.maximum(500)),
  intervalMs: z.number().check(z.minimum(10), z.maximum(1_000)),
  /** RFC 3339: not begun after this. */
  beginBefore: z.string(),
})
export type MeasurePayload = z.infer<typeof MeasurePayload>
/** What a drill proved; signed by an evidence signer of the trust document. */
export const EvidencePayload = z.object({
  kind: z.literal('evidence'),
  network: z.string(),
  evidence: z.string(),
  drill: z.string(),
  site: z.string(),
  uplink: z.string(),
  seconds: z.number(),
  generation: z.int(),
  /** What was proved before the cut. */
  gate: z.unknown(),
  measured: DrillReport,
  /**
   * `moved`: every class that used the uplink went another way. `stayed`: one did not. `standby`: no class used it, and
   * none moved, so nothing is said of a failover. `disturbed`: no class used it, and one moved all the same.
   */
  verdict: z.optional(DrillVerdict),
  /** Of the classes that moved, those that the intent promises to go on within a time, and how long each was silent. */
  promises: z.optional(z.array(z.object({ trafficClass: z.string(), remote: z.string(), withinMs: z.number(), gapMs: z.number() }))),
  /** What was expected happened: `moved` within what is promised, or `standby`. */
  held: z.boolean(),
  signedAt: z.string(),
})
export type EvidencePayload = z.infer<typeof EvidencePayload>
export const TrustPayload = z.object({
  kind: z.literal('trust'),
  network: z.string(),
  version: z.int(),
  /** CA certificates in PEM. */
  ca: z.array(z.string()),
  /** Ed25519 public keys (SPKI PEM) that may sign bundles and permits; evidence is signed by its own. */
  bundleSigners: z.array(z.object({ keyId: z.string(), publicKey: z.string() })),
  evidenceSigners: z.array(z.object({ keyId: z.string(), publicKey: z.string() })),
  /** The root key that signs version + 1. */
  root: z.object({ keyId: z.string(), publicKey: z.string() }),
  minimumAgent: z.string(),
})
export type TrustPayload = z.infer<typeof TrustPayload>
