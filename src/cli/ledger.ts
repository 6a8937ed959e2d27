import { type Command, Option } from 'commander'
import { EXIT_USAGE, type ExitCode } from './exit-code.ts'
import type { Failed } from './failure.ts'
import {
  type FilterOptions,
  type FromBlock,
  parseFromBlock,
  parseRowCount,
  parseShownCount,
  parseState,
  parseTime,
} from './ledger/options.ts'
import type { LedgerPlace } from './ledger/with-ledger.ts'
import { createOutput } from './output.ts'
import type { Surroundings } from './surroundings.ts'

interface CommonOptions {
  readonly config: string
  readonly json?: true
}

const RECONCILE_EXPLANATION = `
Compares every row with its chain, through the nodes in networks.<name>.rpc, and names each
difference. docs/ledger.md explains all of them.

Exit codes:
  0  everything was compared, and nothing differs
  1  at least one difference
  2  wrong usage, a ledger that cannot be read, or a network that could not be compared: no node is
     configured, or none answers
`

export function registerLedger(program: Command, surroundings: Surroundings): void {
  const ledger = program
    .command('ledger')
    .description('show, export and check the payments that a gateway has taken')
  registerList(ledger, surroundings)
  registerShow(ledger, surroundings)
  registerExport(ledger, surroundings)
  registerReconcile(ledger, surroundings)
}

function registerList(ledger: Command, surroundings: Surroundings): void {
  filtered(common(ledger.command('list').description('the newest payments, oldest first')))
    .option('--limit <rows>', 'how many to show', parseShownCount, 50)
    .action(async (options: CommonOptions & FilterOptions & { limit: number }) => {
      await perform(options, surroundings, async place => {
        const { listRows } = await import('./ledger/list.ts')
        return listRows(options, place)
      })
    })
}

function registerShow(ledger: Command, surroundings: Surroundings): void {
  common(ledger.command('show').description('everything about one payment'))
    .argument('<id|transaction>', 'id of a row, or hash of a transaction')
    .option('--payload', 'show what the client signed as well, without the signature')
    .action(async (wanted: string, options: CommonOptions & { payload?: true }) => {
      await perform(options, surroundings, async place => {
        const { showRow } = await import('./ledger/show.ts')
        return showRow({ wanted, payload: options.payload === true }, place)
      })
    })
}

interface ExportOptions extends CommonOptions, FilterOptions {
  readonly format: 'csv' | 'jsonl'
  readonly output?: string
  readonly limit?: number
}

function registerExport(ledger: Command, surroundings: Surroundings): void {
  filtered(common(ledger.command('export').description('every payment, for a spreadsheet')))
    .addOption(new Option('--format <format>').choices(['csv', 'jsonl']).default('csv'))
    .option('-o, --output <file>', 'write there instead of standard output')
    .option('--limit <rows>', 'stop after so many', parseRowCount)
    .action(async (options: ExportOptions) => {
      await perform(options, surroundings, async place => {
        const { exportRows } = await import('./ledger/export.ts')
        const { format, output: file = null, limit = Number.POSITIVE_INFINITY } = options
        return exportRows(options, { format, file, limit }, place)
      })
    })
}

interface ReconcileOptions extends CommonOptions, FilterOptions {
  readonly fromBlock?: readonly FromBlock[]
}

function registerReconcile(ledger: Command, surroundings: Surroundings): void {
  filtered(common(ledger.command('reconcile').description('compare the payments with the chain')))
    .addOption(
      new Option(
        '--from-block <[network:]number>',
        'find transfers as well that no row knows, from this block on; may be repeated',
      )
        .argParser(parseFromBlock)
        .conflicts(['since', 'until', 'route', 'payer', 'state']),
    )
    .addHelpText('after', RECONCILE_EXPLANATION)
    .action(async (options: ReconcileOptions) => {
      await perform(options, surroundings, async place => {
        const { reconcileRows } = await import('./ledger/reconcile-rows.ts')
        return reconcileRows(options, options.fromBlock ?? [], place)
      })
    })
}

function common(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file', 'gateway.yaml')
    .option('--json', 'print JSON lines, as when piped')
}

function filtered(command: Command): Command {
  return command
    .option('--since <time>', 'taken at or after, like 2026-01-31T09:00Z or 24h (ago)', parseTime)
    .option('--until <time>', 'taken before', parseTime)
    .option('--route <route>', 'as the configuration writes it, like "GET /v1/weather/{city}"')
    .option('--payer <address>', 'who paid')
    .option('--state <state>', 'may be repeated', parseState)
}

async function perform(
  options: CommonOptions,
  surroundings: Surroundings,
  work: (place: LedgerPlace) => Promise<ExitCode | Failed>,
): Promise<void> {
  const output = createOutput({ json: options.json === true }, surroundings)
  const { withLedger } = await import('./ledger/with-ledger.ts')
  const done = await withLedger(options.config, { output, env: surroundings.env }, work)
  if (typeof done === 'number') {
    surroundings.exitCode = done
    return
  }
  if (done.kind === 'failed') output.failure(done.failure)
  surroundings.exitCode = done.kind === 'failed' ? done.failure.exitCode : EXIT_USAGE
}
