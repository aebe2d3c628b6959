import { defineConfig } from 'vitest/config'

/** What runs in the guest, whose one processor is slow to start programs. */
export default defineConfig({
  root: new URL('../..', import.meta.url).pathname,
  cacheDir: '/dev/shm/vite',
  test: { include: ['test/uml/**/*.test.ts'], pool: 'forks', fileParallelism: false, testTimeout: 120_000, hookTimeout: 120_000 },
})
