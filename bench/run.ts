/**
 * `npm run bench`: what farebox costs per request, beside its peers, in one run, against the limits
 * of the design. `--quick` is a smoke test, `--json` is for programs, and `--strict` exits with 1 when
 * a limit is broken.
 */
import { cpus } from 'node:os'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { runClaimers } from './claimers.ts'
import { type DuelPlan, type DuelResult, runDuel } from './duel.ts'
import { fareboxEntry } from './farebox.ts'
import { type Latency, measureLatency } from './ledger-latency.ts'
import {
  type Effort,
  FULL,
  paymentsNeeded,
  planFree,
  planLedger,
  planPaid,
  planRoutes,
  planUnpaid,
  QUICK,
} from './paths.ts'
import { signPayments } from './payments.ts'
import { isWithinLimits, type Report, toText } from './report.ts'
import { measureStartUp } from './start-up.ts'
import { openWorld, type World } from './world.ts'

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    strict: { type: 'boolean', default: false },
  },
})

const report = await measureAll(options.quick ? QUICK : FULL)
console.log(options.json ? JSON.stringify(report) : toText(report))
if (options.strict && !isWithinLimits(report)) process.exitCode = 1

async function measureAll(effort: Effort): Promise<Report> {
  const begin = performance.now()
  const world = await openWorld()
  try {
    tell('start to ready')
    const startUp = await measureStartUp(world, effort.startUps)
    tell('signing payments')
    const payments = signPayments(paymentsNeeded(effort))
    const paths = [
      await duel(world, await planUnpaid(world, effort)),
      await duel(world, await planFree(world, effort)),
      await duel(world, await planPaid(world, effort, payments)),
      await duel(world, await planRoutes(world, effort)),
    ]
    const ledgerLatencies: Latency[] = []
    const ledgerPlan = await planLedger(world, effort, payments)
    for (const contestant of ledgerPlan.contestants) {
      ledgerLatencies.push(await measureLatency(contestant, effort.unhurried))
    }
    paths.push(await duel(world, ledgerPlan))
    tell('claims')
    const claims = await runClaimers({
      storeUrl: `sqlite:${join(world.folder, 'claims.db')}`,
      ...{ work: 'claims', processes: 1, callers: 32, milliseconds: effort.claimsMs },
    })
    return {
      node: process.versions.node,
      cpus: `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}`,
      entry: relative(process.cwd(), fareboxEntry()),
      rounds: effort.rounds,
      seconds: (performance.now() - begin) / 1000,
      paths,
      ledgerLatencies,
      claimsPerSecond: claims.perSecond,
      startUp,
    }
  } finally {
    await world.close()
  }
}

async function duel(world: World, plan: DuelPlan): Promise<DuelResult> {
  tell(plan.path)
  const result = await runDuel(plan)
  await world.stopContestants()
  return result
}

/** Progress, apart from the result. */
function tell(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`measuring: ${what}\n`)
}
