/**
 * `npm run test:kill`: kills the gateway with SIGKILL at random instants, and proves from the
 * chain, the ledger, the upstream and the clients that no money and no response was lost.
 * `--seed N` (or KILL_SEED) repeats the choices of a run; `--kills N` is for both stores together;
 * `--store sqlite` or `--store postgres` is for one alone.
 */
import { parseArgs } from 'node:util'
import { killOverStores, STORES } from './over-stores.ts'
import { lanesToText, violationsToText } from './report.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: process.env['KILL_SEED'] ?? String(Date.now() % 1_000_000) },
    kills: { type: 'string', default: '300' },
    store: { type: 'string', default: 'both' },
  },
})
const seed = Number(values.seed)
const kills = Number(values.kills)
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(kills) || kills < 2) {
  throw new RangeError('--seed is a whole number, and --kills one from 2.')
}
const stores = STORES.filter(store => values.store === 'both' || values.store === store)
if (stores.length === 0) throw new RangeError(`--store is one of ${STORES.join(', ')} and both.`)

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const elapsed = (): string => `${(performance.now() / 1000).toFixed(1)} s`
say(`seed ${seed}, ${kills} kills`)
let done = 0
const onLife = (): void => {
  done += 1
  if (done % 20 === 0) say(`${elapsed()}  ${done} kills`)
}
const lanes = await killOverStores({ seed, kills, stores, onLife })
say(`\n${lanesToText(lanes)}\n\n${elapsed()}`)
const violations = lanes.flatMap(lane => lane.violations)
if (violations.length > 0) {
  say(`\n${violationsToText(violations)}\n\nAgain with: npm run test:kill -- --seed ${seed}`)
  // At once: what ends PostgreSQL with this process would end it with 0.
  process.exit(1)
}
