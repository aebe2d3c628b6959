/** What lab main answers on its UNIX socket: one JSON document a line, one line back. */
import type { Ran } from './box.ts'
import type { PeerText } from './peer.ts'
import type { Line } from './underlay.ts'

export type Request =
  | { readonly op: 'status' }
  | { readonly op: 'exec'; readonly box: string; readonly argv: readonly string[]; readonly stdin?: string; readonly timeoutMs?: number }
  /** Starts a process that goes on, by a name that is unique in the lab; replaces nothing. */
  | {
      readonly op: 'start'
      readonly box: string
      readonly name: string
      readonly argv: readonly string[]
      readonly stdin?: string
      readonly env?: Readonly<Record<string, string>>
    }
  /** What the owner of a third party's gateway was told: a swanctl.conf of `causeway peer config`. */
  | { readonly op: 'peer'; readonly peer: string; readonly text: string }
  | { readonly op: 'stop'; readonly name: string; readonly signal: 'SIGTERM' | 'SIGKILL' | 'SIGINT' }
  | { readonly op: 'line'; readonly link: string; readonly change: Partial<Line> }
  /** The line as it was built, or `all`. */
  | { readonly op: 'heal'; readonly link: string }

export interface Status {
  readonly impairment: 'netem' | 'relay'
  readonly boxes: readonly { readonly name: string; readonly pid: number }[]
  readonly links: readonly {
    readonly id: string
    readonly interface: string
    readonly address: string
    /** The other family's of a line that has both. */
    readonly six: string | null
    readonly nat: string | null
    readonly line: Line
    readonly healthy: boolean
  }[]
  readonly processes: readonly { readonly name: string; readonly box: string; readonly pid: number; readonly running: boolean }[]
}
export type Answer =
  | { readonly ok: true; readonly status?: Status; readonly ran?: Ran; readonly pid?: number; readonly line?: Line; readonly told?: PeerText }
  | { readonly ok: false; readonly code: string; readonly says: string; readonly instead: string }
