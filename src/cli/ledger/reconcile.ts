import type { NetworkId } from '../../core/payment.ts'
import type { LedgerRow } from '../../ledger/ledger.ts'
import { ChainUnavailableError } from '../../networks/chain-reader.ts'
import type { FoundLog } from '../../networks/evm-wire.ts'
import {
  type Compared,
  type CompareParts,
  compareRow,
  type NotComparedReason,
  type RowDifference,
} from './compare-row.ts'
import type { Filters } from './filters.ts'
import { pagesOf } from './rows.ts'

export type Difference =
  | {
      readonly kind: 'row'
      readonly difference: RowDifference
      readonly row: LedgerRow
      readonly transaction: string | null
      /** The other row that the same transfer paid for. */
      readonly otherRow: number | null
    }
  /** A transfer to the receiver that no row knows. */
  | { readonly kind: 'transfer'; readonly network: NetworkId; readonly log: FoundLog }

export interface NotCompared {
  readonly network: NetworkId
  readonly reason: NotComparedReason
  /** 0: only the search for transfers that no row knows. */
  readonly rows: number
}

export interface Reconciled {
  readonly rows: number
  readonly compared: number
  /** Rows that a gateway was working on. */
  readonly inFlight: number
  readonly differences: number
  readonly notCompared: readonly NotCompared[]
}

/** Who is paid in what on one network. */
export interface PaidTo {
  readonly network: NetworkId
  readonly asset: string
  readonly payTo: string
}

export interface ReconcileParts extends CompareParts {
  readonly filters: Filters
  /** Where the search for transfers that no row knows begins; without an entry there is none. */
  readonly fromBlocks: ReadonlyMap<NetworkId, bigint>
  /** Beside what the rows name. */
  readonly paidTo: readonly PaidTo[]
}

/** Rows that are compared at once: each asks its nodes some questions, one after the other. */
const AT_ONCE = 8

/** Compares the ledger with the chain, and gives every difference as soon as it is found. */
export async function* reconcile(parts: ReconcileParts): AsyncGenerator<Difference, Reconciled> {
  const books = openBooks(parts.paidTo)
  // Fixed before the first row is read: whatever was paid until then has a row by now.
  const ends = await lastBlocks(parts, books)
  for await (const page of pagesOf(parts.ledger, parts.filters)) {
    for (let from = 0; from < page.length; from += AT_ONCE) {
      const rows = page.slice(from, from + AT_ONCE)
      const compared = await Promise.all(rows.map(row => compareUnlessDown(row, parts, books)))
      for (const [index, one] of compared.entries()) {
        const row = rows[index]
        if (row === undefined) continue
        const difference = books.enter(row, one)
        if (difference !== null) yield difference
      }
    }
  }
  for (const [network, to] of ends) yield* unknownTransfers(network, { to, parts, books })
  return books.reconciled()
}

function compareUnlessDown(row: LedgerRow, parts: CompareParts, books: Books): Promise<Compared> {
  // One that did not answer would cost every further row its time-outs.
  if (!books.isDown(row.network)) return compareRow(row, parts)
  const left = row.state === 'forwarded'
  return Promise.resolve(
    left ? { kind: 'left-out' } : { kind: 'not-compared', reason: 'chain_unavailable' },
  )
}

async function lastBlocks(
  { fromBlocks, readers }: ReconcileParts,
  books: Books,
): Promise<ReadonlyMap<NetworkId, bigint>> {
  const ends = new Map<NetworkId, bigint>()
  for (const network of fromBlocks.keys()) {
    const found = readers(network)
    if (found === null) books.miss(network, 'no_rpc', 0)
    else if (found.audit === null) books.miss(network, 'not_evm', 0)
    else {
      const latest = await unlessUnavailable(found.audit.latestBlock())
      if (latest === null) books.miss(network, 'chain_unavailable', 0)
      else ends.set(network, latest)
    }
  }
  return ends
}

async function* unknownTransfers(
  network: NetworkId,
  at: { readonly to: bigint; readonly parts: ReconcileParts; readonly books: Books },
): AsyncGenerator<Difference> {
  const { to, parts, books } = at
  const from = parts.fromBlocks.get(network)
  const audit = parts.readers(network)?.audit
  if (from === undefined || audit == null || books.isDown(network)) return
  try {
    for (const [token, payTo] of books.receivers(network)) {
      for await (const log of audit.transfersTo({ token, payTo, from, to })) {
        // Anybody may send nothing to anybody, and some do to be seen in lists.
        if (BigInt(log.data) > 0n && !books.isTaken(network, log)) {
          yield books.differ({ kind: 'transfer', network, log })
        }
      }
    }
  } catch (error) {
    if (!(error instanceof ChainUnavailableError)) throw error
    books.miss(network, 'chain_unavailable', 0)
  }
}

async function unlessUnavailable<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof ChainUnavailableError) return null
    throw error
  }
}

type Books = ReturnType<typeof openBooks>

/** What has been seen so far. Holds a short entry for each paid row: that is what it costs. */
function openBooks(paidTo: readonly PaidTo[]) {
  const taken = new Map<string, { readonly id: number; readonly key: string }>()
  const receivers = new Map<NetworkId, Map<string, Set<string>>>()
  const missed = new Map<string, NotCompared>()
  const counts = { rows: 0, compared: 0, inFlight: 0, differences: 0 }

  const addReceiver = ({ network, asset, payTo }: PaidTo) => {
    const tokens = receivers.get(network) ?? new Map<string, Set<string>>()
    const known = tokens.get(asset.toLowerCase()) ?? new Set<string>()
    receivers.set(network, tokens.set(asset.toLowerCase(), known.add(payTo.toLowerCase())))
  }
  /** Null when one of the transfers was free; else the row that has the first of them. */
  const take = (row: LedgerRow, logs: readonly FoundLog[]): number | null => {
    let holder: number | null = null
    for (const log of logs) {
      const place = placeOf(row.network, log)
      const other = taken.get(place)
      // A payment that is redeemed while we read shows again, under a new id.
      if (other === undefined || other.key === row.key) {
        taken.set(place, { id: row.id, key: row.key })
        return null
      }
      holder ??= other.id
    }
    return holder
  }
  const miss = (network: NetworkId, reason: NotComparedReason, rows: number) => {
    const before = missed.get(`${network} ${reason}`)?.rows ?? 0
    missed.set(`${network} ${reason}`, { network, reason, rows: before + rows })
  }
  const differ = (difference: Difference): Difference => {
    counts.differences++
    return difference
  }
  paidTo.forEach(addReceiver)
  return {
    ...{ miss, differ },
    isDown: (network: NetworkId) => missed.has(`${network} chain_unavailable`),
    isTaken: (network: NetworkId, log: FoundLog) => taken.has(placeOf(network, log)),
    receivers: (network: NetworkId): (readonly [token: string, payTo: readonly string[]])[] =>
      [...(receivers.get(network) ?? [])].map(([token, payTo]) => [token, [...payTo]] as const),
    reconciled: (): Reconciled => ({ ...counts, notCompared: [...missed.values()] }),
    enter(row: LedgerRow, compared: Compared): Difference | null {
      counts.rows++
      addReceiver(row)
      if (compared.kind === 'left-out') return null
      if (compared.kind === 'not-compared') {
        miss(row.network, compared.reason, 1)
        return null
      }
      counts.compared++
      if (compared.kind === 'same') return null
      const holder = take(compared.row, compared.logs)
      if (compared.kind === 'in-flight') {
        counts.inFlight++
        return null
      }
      const { row: read } = compared
      if (compared.kind === 'differs') {
        const { difference, transaction } = compared
        return differ({ kind: 'row', difference, row: read, transaction, otherRow: null })
      }
      if (holder === null) return null
      const shared = { difference: 'transfer_shared', transaction: read.transaction } as const
      return differ({ kind: 'row', ...shared, row: read, otherRow: holder })
    },
  }
}

function placeOf(network: NetworkId, { transactionHash, logIndex }: FoundLog): string {
  return `${network} ${transactionHash} ${logIndex}`
}
