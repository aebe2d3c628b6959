import { defineConfig } from 'vitest/config'

/** What runs in the guest: its own tests, and those of the driver and the lab that take the kernel as they find it. */
export default defineConfig({
  root: new URL('../..', import.meta.url).pathname,
  cacheDir: '/dev/shm/vite',
  test: {
    include: ['test/uml/**/*.test.ts', 'test/system/linux.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
