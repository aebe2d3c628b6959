import { defineConfig } from 'vitest/config'

// `forks`: Temporal's native module crashes in worker threads.
export default defineConfig({
  test: {
    pool: 'forks',
    projects: [
      { test: { name: 'fast', include: ['test/{unit,cases,replay}/**/*.test.ts'], testTimeout: 30_000, pool: 'forks' } },
      {
        test: {
          name: 'system',
          include: ['test/{contract,system}/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          pool: 'forks',
          // They share two cores and measure liveness: one file at a time.
          fileParallelism: false,
        },
      },
    ],
  },
})
