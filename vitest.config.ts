import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const report = process.env['VITEST_JSON_REPORT']

// Every gateway and every ledger loads its sources anew, in a process or a thread of its own: they
// are compiled once.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, 'node_modules/.cache/compiled')

/** Files that take longer than their size lets expect. */
const LONG = [
  'fuzz/edge/differential',
  'simulation/simulation',
  'gateway/many-processes',
  'failures/database',
  'failures/recovery',
  'failures/failover',
  'facilitator/local/mishaps',
  'ledger/sqlite',
  'ledger/postgres',
  'kill/kill',
  'soak/reload',
]

/** The longest files first, so that none is left over when all others are done. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) =>
      LONG.some(name => moduleId.endsWith(`/test/${name}.test.ts`))
    const sorted = await super.sort(files)
    return [...sorted.filter(isLong), ...sorted.filter(file => !isLong(file))]
  }
}

/**
 * Rooms whose tests start no process and no server and leave nothing behind: one worker runs file
 * after file, and loads once what all of them need.
 */
const SHARED = ['config', 'core', 'flow', 'pricing', 'routing', 'x402'].map(
  room => `test/${room}/**/*.test.ts`,
)

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'shared', include: SHARED, isolate: false } },
      { extends: true, test: { name: 'alone', include: ['test/**/*.test.ts'], exclude: SHARED } },
    ],
    globalSetup: 'test/support/run-folder.ts',
    pool: 'forks',
    // More than processors, on two of them: many files wait for processes and timers more than they
    // compute.
    maxWorkers: 3,
    // Of the tests in a file that say they are concurrent: those that wait, each in its own world.
    maxConcurrency: 12,
    sequence: { sequencer: LongestFirst },
    // For a machine that is busy with something else, too: on a quiet one, nothing comes near.
    testTimeout: 40_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 30_000 } },
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
  },
})
