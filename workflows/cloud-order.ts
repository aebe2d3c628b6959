/** What waits for what: pure. Creations follow `after` as far as they can at once; deletions go type by type, in the order given. */
export interface OrderedStep {
  readonly kind: 'create' | 'update' | 'replace' | 'delete'
  readonly id: string
  readonly type: string
  readonly after: readonly string[]
}

/** For each step the indices of those that must be done before it. */
export function needsOf(steps: readonly OrderedStep[]): readonly (readonly number[])[] {
  const needs: number[][] = []
  let phase = 0
  /** Where the group of equal deletions that this one is in began, and the group before that. */
  let group = 0
  let previous: readonly number[] = []
  steps.forEach((step, index) => {
    const last = steps[index - 1]
    const deletes = step.kind === 'delete'
    if (last !== undefined && (last.kind === 'delete') !== deletes) {
      // From making to deleting or back: everything of the phase before.
      previous = range(phase, index)
      phase = index
      group = index
    } else if (deletes && last !== undefined && last.type !== step.type) {
      previous = range(group, index)
      group = index
    }
    const behind = phase > 0 && !deletes ? previous : []
    const own = deletes ? previous : range(phase, index).filter((at) => step.after.includes(steps[at]?.id ?? ''))
    needs.push([...new Set([...behind, ...own])])
  })
  return needs
}

const range = (from: number, to: number): readonly number[] => Array.from({ length: to - from }, (_, at) => from + at)
