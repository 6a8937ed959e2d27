import { formatAmount } from '../../core/amount.ts'
import type { Network } from '../../networks/registry.ts'
import { foreignText } from '../foreign-text.ts'
import { styled } from '../output.ts'
import type { OutputStream } from '../surroundings.ts'
import { type NotComparedReason, ROW_DIFFERENCES } from './compare-row.ts'
import { type Entry, findToken, priceText, toEntry } from './entry.ts'
import type { Difference, NotCompared, Reconciled } from './reconcile.ts'

/** A transfer that no row knows, as it is printed. */
interface PrintedTransfer
  extends Pick<Entry, 'symbol' | 'amountTokens' | 'amountAtomic' | 'asset' | 'payTo'> {
  readonly network: string
  readonly networkName: string | null
  /** Who sent it: whether it was signed for is not known. */
  readonly from: string
  readonly transaction: string
  readonly block: string
  readonly logIndex: number
}

/** A difference as it is printed. */
export interface PrintedDifference {
  readonly difference: string
  readonly message: string
  readonly row: Entry | null
  /** What the chain, or else the row, names. */
  readonly transaction: string | null
  readonly otherRow: number | null
  readonly transfer: PrintedTransfer | null
}

const TRANSFER_UNKNOWN = 'The chain has a transfer to the receiver that no row knows.'

export function describeDifference(
  found: Difference,
  networks: readonly Network[],
): PrintedDifference {
  if (found.kind === 'transfer') {
    const transfer = describeTransfer(found, networks)
    const { transaction } = transfer
    const named = { difference: 'transfer_unknown', message: TRANSFER_UNKNOWN }
    return { ...named, row: null, transaction, otherRow: null, transfer }
  }
  const { difference, transaction, otherRow } = found
  const message = ROW_DIFFERENCES[difference]
  const row = toEntry(found.row, networks)
  return { difference, message, row, transaction, otherRow, transfer: null }
}

function describeTransfer(
  { network, log }: Difference & { kind: 'transfer' },
  networks: readonly Network[],
): PrintedTransfer {
  const token = findToken(networks, network, log.address)
  const amount = BigInt(log.data)
  return {
    network,
    networkName: networks.find(({ id }) => id === network)?.name ?? null,
    from: addressIn(log.topics[1]),
    payTo: addressIn(log.topics[2]),
    symbol: token?.symbol ?? null,
    amountTokens: token === null ? null : formatAmount(amount, token.decimals),
    amountAtomic: amount.toString(),
    asset: token?.address ?? log.address,
    transaction: log.transactionHash,
    block: log.blockNumber.toString(),
    logIndex: Number(log.logIndex),
  }
}

/** An address as an indexed argument has it: the last 20 of 32 bytes. */
function addressIn(topic = ''): string {
  return `0x${topic.slice(-40)}`
}

export function differenceText(printed: PrintedDifference, stream: OutputStream): string {
  const { difference, message, row, transaction, otherRow, transfer } = printed
  const facts = row === null ? transferFacts(transfer) : rowFacts(row)
  const lines = [
    `${styled('red', difference, stream)}: ${facts}`,
    `  ${message}${otherRow === null ? '' : ` It is row ${otherRow}.`}`,
    ...(transaction === null ? [] : [`  transaction ${foreignText(transaction)}`]),
  ]
  return lines.join('\n')
}

function rowFacts(row: Entry): string {
  const { id, state, route, payer, networkName, network } = row
  const place = `${priceText(row)} from ${foreignText(payer, 60)} on ${networkName ?? network}`
  return `row ${id} (${state}), ${foreignText(route, 60)}, ${place}`
}

function transferFacts(transfer: PrintedTransfer | null): string {
  if (transfer === null) return ''
  const { from, payTo, networkName, network, block } = transfer
  return `${priceText(transfer)} from ${from} to ${payTo} on ${networkName ?? network}, block ${block}`
}

const REASONS: Readonly<Record<NotComparedReason, string>> = {
  not_on_chain: "paid from balances at Circle Gateway: Circle's statement has them, no chain",
  not_evm: "only EVM networks can be searched; look the receiver's account up in an explorer",
  no_rpc: 'no node is configured; write its URL under networks.<name>.rpc',
  chain_unavailable: 'no node answered, or none could be trusted; run it again',
  payload_unreadable: 'what the client signed cannot be read, so that the chain cannot be asked',
}

export function missedText({ network, reason, rows }: NotCompared, name: string | null): string {
  const what = rows === 0 ? 'not searched for transfers' : `${rowCount(rows)} not compared`
  return `${name ?? network}: ${what}: ${REASONS[reason].replace('<name>', name ?? network)}.`
}

export function summaryText(reconciled: Reconciled, stream: OutputStream): string {
  const { rows, compared, inFlight, differences, notCompared } = reconciled
  const busy = inFlight === 0 ? '' : `, ${inFlight} being settled now`
  const found = differences === 1 ? '1 difference' : `${differences} differences`
  const good = differences === 0 && notCompared.length === 0
  const color = differences > 0 ? 'red' : good ? 'green' : 'yellow'
  return styled(color, `${rowCount(rows)}, ${compared} compared${busy}: ${found}`, stream)
}

function rowCount(rows: number): string {
  return rows === 1 ? '1 row' : `${rows} rows`
}
