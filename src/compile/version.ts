/** Raised when the same intent and allocations would give other bytes: a fabric rendered by another version is recompiled and rolled out, never patched. */
export const compilerVersion = '4'
