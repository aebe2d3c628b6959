/** The commands, each loaded when it is named: to load them all takes a tenth of `causeway check`. */
import type { Command } from 'commander'

interface Part {
  /** What may come first on the command line. */
  readonly names: readonly string[]
  readonly load: () => Promise<(program: Command) => void>
}
/** In the order of the help. */
export const parts: readonly Part[] = [
  { names: ['init'], load: async () => (await import('./commands/init.ts')).init },
  { names: ['check'], load: async () => (await import('./commands/check.ts')).check },
  { names: ['plan', 'apply'], load: async () => (await import('./commands/plan.ts')).planCommands },
  { names: ['pull'], load: async () => (await import('./commands/pull.ts')).pull },
  { names: ['status'], load: async () => (await import('./commands/status.ts')).status },
  { names: ['explain'], load: async () => (await import('./commands/explain.ts')).explain },
  { names: ['trace'], load: async () => (await import('./commands/trace.ts')).trace },
  { names: ['export'], load: async () => (await import('./commands/export.ts')).exportCommand },
  { names: ['serve'], load: async () => (await import('./commands/serve.ts')).serve },
  { names: ['login'], load: async () => (await import('./commands/login.ts')).login },
  { names: ['doctor'], load: async () => (await import('./commands/doctor.ts')).doctor },
  { names: ['site'], load: async () => (await import('./commands/site.ts')).site },
  { names: ['region'], load: async () => (await import('./commands/region.ts')).region },
  { names: ['cloud'], load: async () => (await import('./commands/region.ts')).cloud },
  { names: ['peer'], load: async () => (await import('./commands/peer.ts')).peer },
  { names: ['drill'], load: async () => (await import('./commands/drill.ts')).drill },
  { names: ['path'], load: async () => (await import('./commands/path.ts')).path },
  { names: ['key'], load: async () => (await import('./commands/key.ts')).key },
  { names: ['rollout', 'generation'], load: async () => (await import('./commands/history.ts')).history },
  { names: ['event'], load: async () => (await import('./commands/event.ts')).event },
  { names: ['lab'], load: async () => (await import('./commands/lab.ts')).lab },
  // Completes the names of all, so it needs all.
  { names: [], load: async () => (await import('./commands/completion.ts')).completion },
]
