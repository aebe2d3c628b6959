import { defineConfig } from 'vitest/config'

/** What starts servers, namespaces or whole labs: two files at a time, for they mostly wait. */
const slow = { testTimeout: 180_000, hookTimeout: 120_000, pool: 'forks', maxWorkers: 2, sequence: { groupOrder: 1 } } as const

// `forks`: Temporal's native module crashes in worker threads.
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      { test: { name: 'fast', include: ['test/{unit,cases,replay}/**/*.test.ts'], testTimeout: 30_000, pool: 'forks', sequence: { groupOrder: 0 } } },
      { test: { name: 'system', include: ['test/{contract,system}/**/*.test.ts'], ...slow } },
    ],
  },
})
