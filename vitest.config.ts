import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

const report = process.env['VITEST_JSON_REPORT']

// Every gateway and every ledger loads its sources anew, in a process or a thread of its own: they
// are compiled once.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, 'node_modules/.cache/compiled')

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // Many files wait for processes and timers more than they compute.
    maxWorkers: 2,
    // Of the tests in a file that say they are concurrent: those that wait, each in its own world.
    maxConcurrency: 12,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
  },
})
