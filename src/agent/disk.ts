/**
 * What the agent remembers: IDLE → STAGED → PENDING(triple, nonce, deadline) → CONFIRMED | ROLLED_BACK, or REFUSED.
 * Every step is one atomic, fsynced write, so a kill between any two leaves a state that boots right: `load` turns a
 * PENDING that nobody confirmed into ROLLED_BACK, and the box runs its last confirmed bundle.
 */
import type { Triple } from '#src/fabric/fabric.ts'
import { compareTriples } from '#src/wire/bundle.ts'
import type { Signed } from '#src/wire/messages.ts'
import type { Files } from './files.ts'
import { AgentError } from './trouble.ts'

export type Commit =
  | { readonly state: 'idle' }
  | { readonly state: 'staged'; readonly triple: Triple }
  | { readonly state: 'pending'; readonly triple: Triple; readonly nonce: string; readonly deadline: string; readonly deadlineBoot: number }
  | { readonly state: 'confirmed'; readonly triple: Triple }
  | { readonly state: 'rolled-back'; readonly triple: Triple; readonly code: string; readonly why: string }
  | { readonly state: 'refused'; readonly triple: Triple; readonly code: string; readonly why: string }

export interface State {
  readonly v: 1
  readonly commit: Commit
  /** The last good bundle: what a boot runs. */
  readonly confirmed: Triple | null
  readonly previous: Triple | null
  /** How often the present triple was PENDING: what keeps failing is not tried for ever. */
  readonly attempts: number
}
export const mostAttempts = 3
export type Verdict = 'confirmed' | 'rolled-back'

export const sameTriple = (a: Triple | null | undefined, b: Triple | null | undefined): boolean => !!a && !!b && compareTriples(a, b) === 0
const bundleName = (of: Triple): string => `bundles/${of.term}-${of.generation}-${of.revision}.json`
const decisionName = (nonce: string): string => `decisions/${nonce}`

export interface Disk {
  state(): State
  staged(triple: Triple, bundle: Signed): Promise<void>
  pending(triple: Triple, nonce: string, deadline: string, deadlineBoot: number): Promise<void>
  /** The one decision about a nonce: the first caller's verdict, in whichever process, is everybody's. */
  decide(nonce: string, verdict: Verdict): Promise<Verdict>
  confirmed(triple: Triple): Promise<void>
  rolledBack(triple: Triple, code: string, why: string): Promise<void>
  refused(triple: Triple, code: string, why: string): Promise<void>
  bundle(triple: Triple): Promise<Signed | null>
  /** Not to be tried again until something else is assigned. */
  giveUp(): Promise<void>
  /** The box leaves its network: nothing runs, nothing is remembered. */
  forget(): Promise<void>
  /** Where `decide` leaves its verdict, relative to the state folder: the guard looks there. */
  decisionName(nonce: string): string
}

const initial: State = { v: 1, commit: { state: 'idle' }, confirmed: null, previous: null, attempts: 0 }

async function read(files: Files): Promise<State> {
  const text = await files.read('state.json')
  if (text === null) return initial
  try {
    const state = JSON.parse(text) as State
    if (state.v === 1 && 'state' in state.commit) return state
  } catch {
    // Falls through: a file that is not ours is as bad as one that can't be parsed.
  }
  throw new AgentError('A12', 'state.json in the state folder is damaged', 'Run causeway-agent wipe, then ask for a new token: causeway site replace')
}

async function decide(files: Files, nonce: string, verdict: Verdict): Promise<Verdict> {
  if (await files.claim(decisionName(nonce), verdict)) return verdict
  return (await files.read(decisionName(nonce))) === 'confirmed' ? 'confirmed' : 'rolled-back'
}

export async function openDisk(files: Files): Promise<Disk> {
  let state = await read(files)
  const write = async (next: State) => {
    await files.write('state.json', JSON.stringify(next))
    state = next
  }
  /** Bundles and decisions that nothing refers to any more. */
  const tidy = async () => {
    const keep = new Set(
      [state.confirmed, state.previous, 'triple' in state.commit ? state.commit.triple : null].flatMap((triple) =>
        triple ? [bundleName(triple)] : [],
      ),
    )
    for (const name of await files.list('bundles')) if (!keep.has(`bundles/${name}`)) await files.remove(`bundles/${name}`)
    const nonce = state.commit.state === 'pending' ? state.commit.nonce : ''
    for (const name of await files.list('decisions')) if (name !== nonce) await files.remove(`decisions/${name}`)
  }
  const disk: Disk = {
    state: () => state,
    async staged(triple, bundle) {
      await files.write(bundleName(triple), JSON.stringify(bundle))
      const again = 'triple' in state.commit && sameTriple(state.commit.triple, triple)
      await write({ ...state, commit: { state: 'staged', triple }, attempts: again ? state.attempts : 0 })
      await tidy()
    },
    pending: (triple, nonce, deadline, deadlineBoot) =>
      write({ ...state, commit: { state: 'pending', triple, nonce, deadline, deadlineBoot }, attempts: state.attempts + 1 }),
    decide: (nonce, verdict) => decide(files, nonce, verdict),
    async confirmed(triple) {
      const previous = sameTriple(triple, state.confirmed) ? state.previous : state.confirmed
      await write({ ...state, commit: { state: 'confirmed', triple }, confirmed: triple, previous, attempts: 0 })
    },
    rolledBack: (triple, code, why) => write({ ...state, commit: { state: 'rolled-back', triple, code, why } }),
    refused: (triple, code, why) => write({ ...state, commit: { state: 'refused', triple, code, why } }),
    async bundle(triple) {
      const text = await files.read(bundleName(triple))
      return text === null ? null : (JSON.parse(text) as Signed)
    },
    giveUp: () => write({ ...state, attempts: mostAttempts }),
    async forget() {
      await write(initial)
      await tidy()
    },
    decisionName,
  }
  return disk
}

/**
 * At start: whoever finds PENDING decides it. The verdict may have fallen already (the agent was killed between its
 * decision and the write of CONFIRMED); otherwise nobody confirmed, and what nobody confirmed is rolled back.
 */
export async function settle(disk: Disk): Promise<void> {
  const { commit } = disk.state()
  if (commit.state !== 'pending') return
  if ((await disk.decide(commit.nonce, 'rolled-back')) === 'confirmed') await disk.confirmed(commit.triple)
  else await disk.rolledBack(commit.triple, 'A35', 'the box or its agent stopped before the change was confirmed')
}
