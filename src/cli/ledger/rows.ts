import { unixMs } from '../../core/time.ts'
import { claimId, type LedgerReader, type LedgerRow } from '../../ledger/ledger.ts'
import type { Filters } from './filters.ts'

/** A row may carry some kilobytes of payload, and a page is held whole. */
const PAGE_ROWS = 500

type Reader = Pick<LedgerReader, 'list'>

/**
 * All rows that pass, by id, a page at a time; the next page is read when it is asked for.
 *
 * Only the first question goes by time. From the row that it finds, the walk goes by id: a store
 * that had to search by time and sort by id would read everything again for each page.
 */
export async function* pagesOf(
  ledger: Reader,
  filters: Filters,
): AsyncGenerator<readonly LedgerRow[]> {
  const { since = 0, ...rest } = filters
  let after = claimId(0)
  if (since > 0) {
    const [first] = await ledger.list({ ...filters, limit: 1 })
    if (first === undefined) return
    after = claimId(first.id - 1)
  }
  for (;;) {
    const page = await ledger.list({ ...rest, after, limit: PAGE_ROWS })
    const passed = page.filter(row => row.createdAt >= since)
    if (passed.length > 0) yield passed
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE_ROWS) return
    after = last.id
  }
}

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
/** How far back to look for enough rows, each time some eight times as far as before. */
const LOOK_BACK_MS = [MINUTE_MS, 8 * MINUTE_MS, 60 * MINUTE_MS, 8 * 60 * MINUTE_MS].concat(
  [3, 24, 180].map(days => days * DAY_MS),
)

/** The newest rows that pass, oldest first: a ledger can be read forwards only. */
export async function newestRows(
  ledger: Reader,
  filters: Filters,
  { count, now }: { readonly count: number; readonly now: number },
): Promise<readonly LedgerRow[]> {
  const { since = 0, until = now } = filters
  const starts = LOOK_BACK_MS.map(back => Math.min(until, now) - back).filter(at => at > since)
  for (const start of [...starts, since]) {
    const rows = await lastOf(pagesOf(ledger, { ...filters, since: unixMs(start) }), count)
    if (rows.length === count || start === since) return rows
  }
  return []
}

async function lastOf(
  pages: AsyncIterable<readonly LedgerRow[]>,
  count: number,
): Promise<readonly LedgerRow[]> {
  let rows: readonly LedgerRow[] = []
  for await (const page of pages) rows = [...rows, ...page].slice(-count)
  return rows
}

/** One row as it is now; null when it is gone, or another request took the payment over. */
export async function rowById(ledger: Reader, id: number): Promise<LedgerRow | null> {
  const [row] = await ledger.list({ after: claimId(id - 1), limit: 1 })
  return row?.id === id ? row : null
}
