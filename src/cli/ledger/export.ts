import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { LedgerReader } from '../../ledger/ledger.ts'
import type { Network } from '../../networks/registry.ts'
import { EXIT_FAILED, EXIT_OK, type ExitCode } from '../exit-code.ts'
import { type Failed, failed } from '../failure.ts'
import { csvRecord } from './csv.ts'
import { ENTRY_COLUMNS, type Entry, toEntry } from './entry.ts'
import { type Filters, readFilters } from './filters.ts'
import type { FilterOptions } from './options.ts'
import { pagesOf } from './rows.ts'
import type { LedgerPlace } from './with-ledger.ts'

export interface ExportForm {
  readonly format: 'csv' | 'jsonl'
  /** Null: standard output. */
  readonly file: string | null
  readonly limit: number
}

/** Writes rows as they are read: a page at a time, and the next when the last one has gone. */
export async function exportRows(
  options: FilterOptions,
  { format, file, limit }: ExportForm,
  { output, config, ledger }: LedgerPlace,
): Promise<ExitCode | Failed> {
  const read = readFilters(options)
  if (read.kind === 'failed') return read
  let rows = 0
  const pages = exportPages(ledger, read.filters, { networks: config.networks, limit })
  const chunks = exportText(pages, format, count => {
    rows += count
  })
  const source = Readable.from(chunks, { objectMode: true, highWaterMark: 1 })
  try {
    if (file === null) await pipeline(source, output.stdout, { end: false })
    else await pipeline(source, createWriteStream(file, { mode: 0o600 }))
  } catch (error) {
    if (file === null && isReaderGone(error)) return EXIT_OK
    if (!isSystemError(error)) throw error
    return notWritten(file, error)
  }
  if (file !== null) output.result({ rows, file }, () => `${rows} rows written to ${file}`)
  return EXIT_OK
}

/** Rows as they are printed, a page at a time. */
export async function* exportPages(
  ledger: Pick<LedgerReader, 'list'>,
  filters: Filters,
  { networks, limit }: { readonly networks: readonly Network[]; readonly limit: number },
): AsyncGenerator<readonly Entry[]> {
  let left = limit
  for await (const page of pagesOf(ledger, filters)) {
    yield page.slice(0, left).map(row => toEntry(row, networks))
    left -= page.length
    if (left <= 0) return
  }
}

async function* exportText(
  pages: AsyncIterable<readonly Entry[]>,
  format: ExportForm['format'],
  onPage: (rows: number) => void,
): AsyncGenerator<string> {
  if (format === 'csv') yield csvRecord(ENTRY_COLUMNS)
  for await (const page of pages) {
    const line = format === 'csv' ? csvLine : jsonLine
    yield page.map(line).join('')
    onPage(page.length)
  }
}

function csvLine(entry: Entry): string {
  return csvRecord(ENTRY_COLUMNS.map(column => entry[column]))
}

function jsonLine(entry: Entry): string {
  return `${JSON.stringify(entry)}\n`
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error
}

/** As after `| head`: it has what it wanted. */
function isReaderGone(error: unknown): boolean {
  return isSystemError(error) && error.code === 'EPIPE'
}

function notWritten(file: string | null, error: NodeJS.ErrnoException): Failed {
  return failed({
    code: 'export_not_written',
    message: `${file ?? 'standard output'} could not be written (${error.code})`,
    fix: 'Check the path and the free space. What is there may be a part only: export it again.',
    exitCode: EXIT_FAILED,
  })
}
