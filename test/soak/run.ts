/**
 * `npm run soak -- --minutes 10`: drives a gateway in a process of its own with all that callers do,
 * reloads it all the while, and fails when anything in it grows, or when a caller sees something
 * that it must not see.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { seller } from '../support/accounts.ts'
import { lookInside } from '../support/look-inside.ts'
import { figuresOf } from '../support/process-figures.ts'
import { PRICE } from './faces.ts'
import { FIGURE_NAMES, FIGURES, judge, type Look, lookEverySeconds } from './judgement.ts'
import { type LoadPlan, startLoad } from './load.ts'
import { booksOf, openFacesShop } from './shop.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '1000' },
  },
})
const seconds = Number(values.minutes) * 60
const rate = Number(values.rate)
// What is resident still grows in the first minute.
if (!(seconds >= 120) || !(rate >= 1)) {
  throw new RangeError(
    '--minutes is a number from 2, and --rate (of cheap visits a second) one from 1.',
  )
}

const MEGABYTE = 1024 ** 2
const RELOAD_EVERY_MS = 5_000
const PLAN: LoadPlan = {
  lanes: { free: 6, unpaid: 6, upload: 2, events: 8, paid: 2, upFront: 1, paidEvents: 2 },
  nuisancesPerSecond: 10,
  cheapPerSecond: rate,
}

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const shop = await openFacesShop()
const { gateway, world, counter } = shop
const looks: { readonly seconds: number; readonly found: Look }[] = []

async function look(): Promise<Look> {
  const inside = await lookInside(gateway)
  const { residentBytes, sockets, descriptors } = figuresOf(gateway.pid)
  const handles = Object.values(inside.resources).reduce((sum, count) => sum + count, 0)
  return {
    resident: residentBytes / MEGABYTE,
    heap: inside.heapUsed / MEGABYTE,
    external: inside.external / MEGABYTE,
    ...{ handles, sockets, descriptors },
  }
}

const shown = (texts: readonly string[]): string => texts.map(text => text.padStart(12)).join('')

await world.startCounting()
const beganAt = performance.now()
const elapsed = (): number => (performance.now() - beganAt) / 1_000
const load = startLoad(counter, PLAN)
let reloads = 0
let reloading = true
const reloader = (async () => {
  while (reloading) {
    await shop.turn()
    reloads++
    await sleep(RELOAD_EVERY_MS)
  }
})()

say(shown(['seconds', 'visits/s', 'failed', ...FIGURE_NAMES.map(name => FIGURES[name].name)]))
let visitsBefore = 0
let lookedAt = 0
while (elapsed() < seconds) {
  await sleep(lookEverySeconds(seconds) * 1_000)
  const found = await look()
  const at = elapsed()
  looks.push({ seconds: at, found })
  const { visits, failed } = load.report()
  const perSecond = (visits - visitsBefore) / (at - lookedAt)
  ;[visitsBefore, lookedAt] = [visits, at]
  const figures = FIGURE_NAMES.map(name => found[name].toFixed(FIGURES[name].unit === '' ? 0 : 1))
  say(shown([at.toFixed(0), perSecond.toFixed(0), String(failed), ...figures]))
}
reloading = false
await reloader
const report = await load.stop()
for (const failure of report.failures) say(failure)

const faults: string[] = []
say(`\n${'after the warm-up'.padEnd(20)}${shown(['before', 'after', 'per minute'])}`)
for (const { figure, trend, isFlat } of judge(looks, seconds)) {
  const numbers = [trend.before, trend.after, trend.perMinute].map(one => one.toFixed(2))
  const title = `${figure.name} ${figure.unit}`.padEnd(20)
  say(`${title}${shown(numbers)}  ${isFlat ? 'flat' : 'GROWS'}`)
  if (!isFlat) faults.push(`${figure.name} grows`)
}
say(`\n${report.visits} visits, ${report.perSecond.toFixed(0)} a second, ${reloads} reloads`)
say(
  Object.entries(report.byKind)
    .map(([kind, count]) => `${kind} ${count}`)
    .join(', '),
)
if (report.failed > 0) faults.push(`${report.failed} visits went wrong`)

// Whoever left what it paid for is settled and not delivered; nothing else may be open.
const exitCode = await gateway.stop()
if (exitCode !== 0) faults.push(`the gateway ended with ${exitCode}`)
const books = booksOf(shop.storeFile)
const earned = await world.earned()
say(
  `${seller.address} earned ${earned}, the ledger says ${books.settled}: ${JSON.stringify(books.states)}`,
)
if (earned !== books.settled) faults.push('the chain and the ledger differ')
if (
  Object.keys(books.states).some(state => !['delivered', 'settled', 'released'].includes(state))
) {
  faults.push('a payment was left open')
}
if (BigInt(PRICE.red) * BigInt(report.byKind['paid'] ?? 0) > earned)
  faults.push('too little came in')
await shop.close()
say(faults.length === 0 ? '\nflat' : `\n${faults.join('\n')}`)
process.exit(faults.length === 0 ? 0 : 1)
