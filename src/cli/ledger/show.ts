import type { LedgerReader, LedgerRow } from '../../ledger/ledger.ts'
import { EXIT_FAILED, EXIT_OK, type ExitCode } from '../exit-code.ts'
import { type Failed, failed } from '../failure.ts'
import { foreignText } from '../foreign-text.ts'
import { table } from '../output.ts'
import { toEntry } from './entry.ts'
import { pagesOf, rowById } from './rows.ts'
import type { LedgerPlace } from './with-ledger.ts'

export interface Wanted {
  /** Id of a row, or hash of a transaction. */
  readonly wanted: string
  readonly payload: boolean
}

/** Everything about one row, but never the signature: whoever has it can have the payment made. */
export async function showRow(
  { wanted, payload }: Wanted,
  { output, config, ledger }: LedgerPlace,
): Promise<ExitCode | Failed> {
  let found = 0
  for await (const row of rowsNamed(ledger, wanted)) {
    const shown = {
      ...toEntry(row, config.networks),
      identifier: row.identifier,
      requirements: withoutSignatures(row.requirements),
      ...(payload ? { payload: withoutSignatures(row.payload) } : {}),
    }
    output.result(shown, () => `${found > 0 ? '\n' : ''}${showText(shown)}`)
    found++
  }
  if (found > 0) return EXIT_OK
  return failed({
    code: 'no_such_row',
    message: 'no row has this id or transaction',
    fix: 'See "farebox ledger list". Rows that are final are forgotten after store.retention.',
    exitCode: EXIT_FAILED,
  })
}

/** A transaction may have paid for several rows. */
async function* rowsNamed(ledger: LedgerReader, wanted: string): AsyncGenerator<LedgerRow> {
  if (/^\d{1,15}$/.test(wanted)) {
    const row = await rowById(ledger, Number(wanted))
    if (row !== null) yield row
    return
  }
  const transaction = wanted.toLowerCase()
  for await (const page of pagesOf(ledger, {})) {
    yield* page.filter(row => row.transaction?.toLowerCase() === transaction)
  }
}

/** Reads JSON that a claim wrote down. Null when it is none. */
function withoutSignatures(json: string): unknown {
  try {
    return JSON.parse(json, (name, value) => (/signature/i.test(name) ? '(not shown)' : value))
  } catch {
    return null
  }
}

function showText(shown: Readonly<Record<string, unknown>>): string {
  const rows = Object.entries(shown).flatMap(([name, value]) => {
    if (value === null || value === undefined) return []
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
    return [[name, foreignText(text, 20_000)]]
  })
  return table(rows)
}
