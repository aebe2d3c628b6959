import type { Group, SharedGroup } from '#src/fabric/fabric.ts'

/** A group that its remote shares with nobody. */
export const alone = ({ remote, ...group }: Group): SharedGroup => ({ ...group, remotes: [remote] })
