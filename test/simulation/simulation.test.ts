import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Outcome } from './main.ts'
import { MUTATIONS } from './mutations.ts'
import { mutate } from './plant.ts'

const SEEDS = 150
/** A fault that no seed up to this one shows is not caught. Most show within the first ten. */
const SEEDS_PER_MUTATION_MAX = 1_000
const MINUTES_MAX = 4

/** In a process of its own: type stripping and loader hooks are Node's, not the test runner's. */
async function run(
  ...options: readonly string[]
): Promise<{ stories: string; outcomes: Outcome[] }> {
  const main = new URL('main.ts', import.meta.url).pathname
  const flags = ['--disable-warning=ExperimentalWarning', main, '--json', ...options]
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'pipe'] })
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
  if (errors !== '') throw new Error(errors)
  const lines = output.trimEnd().split('\n')
  const outcomes = lines.filter(line => line.startsWith('{"mutation"'))
  const stories = lines.filter(line => !outcomes.includes(line)).join('\n')
  return { stories, outcomes: outcomes.map(line => JSON.parse(line)) }
}

test(`no rule is broken in ${SEEDS} seeds`, { timeout: MINUTES_MAX * 60_000 }, async () => {
  const { stories, outcomes } = await run('--seeds', `${SEEDS}`)
  expect(stories).toBe('')
  expect(outcomes).toEqual([{ mutation: null, seeds: SEEDS, seed: null, rule: null, detail: null }])
})

test('a seed has one course, whatever ran before it', { timeout: 60_000 }, async () => {
  const { stories: alone } = await run('--seed', '7', '--story')
  const { stories: second } = await run('--seed', '6', '--seeds', '2', '--story')
  expect(alone.split('\n').length).toBeGreaterThan(20)
  expect(second.endsWith(alone)).toBe(true)
})

describe('a planted fault', () => {
  let outcomes: Outcome[] = []
  beforeAll(async () => {
    outcomes = (await run('--mutations', '--seeds', `${SEEDS_PER_MUTATION_MAX}`)).outcomes
  }, MINUTES_MAX * 60_000)

  test('is one of at least ten, over the flow and the ledger', () => {
    const rooms = new Set(MUTATIONS.map(({ file }) => file.split('/')[0]))
    expect(MUTATIONS.length).toBeGreaterThanOrEqual(10)
    expect([...rooms]).toEqual(expect.arrayContaining(['flow', 'ledger', 'x402']))
  })

  test.each(MUTATIONS)('is caught: $name', mutation => {
    const { rule, detail } = outcomes.find(one => one.mutation === mutation.name) ?? {}
    expect(mutation.caughtBy, detail ?? 'No seed broke a rule.').toContain(rule)
  })

  test('is refused when its text is no longer in the sources', () => {
    const { file, caughtBy } = MUTATIONS[0]
    const rotten = { name: 'rotten', file, source: 'of another day', replacement: '', caughtBy }
    expect(() => mutate(rotten)).toThrow(/0 times, not once/)
  })
})
