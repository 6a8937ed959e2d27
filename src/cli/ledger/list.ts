import type { LedgerRow } from '../../ledger/ledger.ts'
import { EXIT_OK, type ExitCode } from '../exit-code.ts'
import type { Failed } from '../failure.ts'
import { foreignText } from '../foreign-text.ts'
import { table } from '../output.ts'
import { type Entry, priceText, toEntry } from './entry.ts'
import { readFilters } from './filters.ts'
import type { FilterOptions } from './options.ts'
import { newestRows } from './rows.ts'
import type { LedgerPlace } from './with-ledger.ts'

const HEADER = ['ID', 'TIME', 'STATE', 'ROUTE', 'AMOUNT', 'PAYER', 'TRANSACTION']

/** A table at a terminal, a line of JSON for each row elsewhere. */
export async function listRows(
  options: FilterOptions & { readonly limit: number },
  { output, config, ledger }: LedgerPlace,
): Promise<ExitCode | Failed> {
  const read = readFilters(options)
  if (read.kind === 'failed') return read
  const asked = { count: options.limit, now: Date.now() }
  const rows = await newestRows(ledger, read.filters, asked)
  const entries = rows.map((row: LedgerRow) => toEntry(row, config.networks))
  if (output.terminal) output.result(null, () => listText(entries))
  else for (const entry of entries) output.result(entry, () => '')
  return EXIT_OK
}

function listText(entries: readonly Entry[]): string {
  if (entries.length === 0) return 'No payment passes these filters.'
  return table([HEADER, ...entries.map(tableRow)])
}

function tableRow(entry: Entry): string[] {
  const { id, createdAt, state, route, payer, transaction } = entry
  return [
    ...[`${id}`, createdAt.replace(/\.\d+Z$/, 'Z'), state, foreignText(route, 60)],
    ...[priceText(entry), foreignText(payer, 60), shortened(transaction)],
  ]
}

/** Enough to find it by eye; `show` and JSON have all of it. */
function shortened(transaction: string | null): string {
  const text = foreignText(transaction ?? '')
  return text.length > 16 ? `${text.slice(0, 10)}…${text.slice(-4)}` : text
}
