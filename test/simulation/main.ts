/**
 * `npm run test:simulate -- --seed 1 --seeds 2000` runs seeds one after the other and prints the
 * story of the first that breaks a rule. With `--mutations`, it plants one fault after the other and
 * tells in which seed, and by which rule, each is caught. `--json` says the same for a program.
 */
import { parseArgs } from 'node:util'
import { MUTATIONS, type Mutation } from './mutations.ts'
import { simulateWith } from './plant.ts'
import { RULES, type Rule } from './rules.ts'
import { type Course, simulate } from './simulate.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    /** Whatever becomes of it. */
    story: { type: 'boolean', default: false },
    mutations: { type: 'boolean', default: false },
    /** Of one mutation alone. */
    mutation: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const first = Number(values.seed)
const count = Number(values.seeds)
const say = (text: string): void => void process.stdout.write(`${text}\n`)

/** What became of some seeds: the first that broke a rule is the last that was run. */
export interface Outcome {
  /** Null: the sources as they are. */
  readonly mutation: string | null
  readonly seeds: number
  readonly seed: number | null
  readonly rule: Rule | null
  readonly detail: string | null
}

async function runSeeds(run: (seed: number) => Promise<Course>, planted: Mutation | null) {
  const mutation = planted?.name ?? null
  const range = Array.from({ length: count }, (_, index) => first + index)
  const seeds = planted?.shownBy === undefined ? range : [planted.shownBy, ...range]
  for (const [index, seed] of seeds.entries()) {
    const course = await run(seed)
    const { violation } = course
    if (values.story || (violation !== null && mutation === null)) say(course.story())
    if (violation === null) continue
    const outcome: Outcome = { mutation, seeds: index + 1, seed, ...violation }
    return outcome
  }
  const outcome: Outcome = { mutation, seeds: seeds.length, seed: null, rule: null, detail: null }
  return outcome
}

function report({ mutation, seeds, seed, rule, detail }: Outcome): void {
  const name = mutation === null ? '' : `${mutation}: `
  if (rule === null) {
    say(`${name}${seeds} seeds, every rule held`)
    return
  }
  say(`${name}seed ${seed} breaks "${rule}": ${detail}`)
  if (mutation === null) say(`${RULES[rule]}\nAgain: npm run test:simulate -- --seed ${seed}`)
}

async function main(): Promise<void> {
  const { mutations, mutation: only } = values
  if (!mutations && only === undefined) {
    const outcome = await runSeeds(simulate, null)
    if (values.json) say(JSON.stringify(outcome))
    else report(outcome)
    process.exitCode = outcome.rule === null ? 0 : 1
    return
  }
  for (const mutation of MUTATIONS.filter(({ name }) => only === undefined || name === only)) {
    const outcome = await runSeeds(await simulateWith(mutation), mutation)
    if (values.json) say(JSON.stringify(outcome))
    else report(outcome)
  }
}

const startedAt = performance.now()
await main()
if (!values.json) {
  const { user, system } = process.cpuUsage()
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  say(`${seconds} s, of which on a processor ${((user + system) / 1e6).toFixed(1)} s`)
}
