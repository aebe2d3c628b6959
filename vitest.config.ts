import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

// A time limit finds what hangs; on a machine that others use a property test may take long.
/** What starts servers, namespaces or whole labs. */
const slow = { testTimeout: 240_000, hookTimeout: 240_000, pool: 'forks' } as const

const longest = ['product/drain', 'product/drill', 'product/hub-off', 'workflows/workflows', 'model-kernel', 'controller-trouble', 'workflows/kill']
/** What takes longest begins first, so that no file is left alone at the end; a new clone remembers no durations. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => longest.some((name) => moduleId.includes(`/${name}.test.`))
    const sorted = await super.sort(files)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

// `forks`: Temporal's native module crashes in worker threads.
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/{unit,cases,replay}/**/*.test.ts'],
          testTimeout: 120_000,
          pool: 'forks',
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      // More files than cores at a time, for they mostly wait.
      {
        test: {
          name: 'system',
          include: ['test/{contract,system}/**/*.test.ts'],
          exclude: ['test/system/{product,kills}/**'],
          ...slow,
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      // Every boundary at which a worker can die; `npm run test:kills`. They mostly wait until Temporal gives a dead worker up.
      {
        test: {
          name: 'kills',
          include: ['test/system/kills/**/*.test.ts'],
          ...slow,
          testTimeout: 600_000,
          maxWorkers: 3,
          sequence: { groupOrder: 3 },
        },
      },
      // The whole product is a load of its own: two at once starve each other's probes, and what they measure is the machine.
      {
        test: {
          name: 'product',
          include: ['test/system/product/**/*.test.ts'],
          ...slow,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
