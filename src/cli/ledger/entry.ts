import { formatAmount } from '../../core/amount.ts'
import type { LedgerRow } from '../../ledger/ledger.ts'
import type { Asset, Network } from '../../networks/registry.ts'

/** A row as it is printed: flat, every amount as text, every time in ISO 8601. */
export interface Entry {
  readonly id: number
  readonly createdAt: string
  readonly state: string
  readonly route: string
  readonly payer: string
  readonly payTo: string
  /** CAIP-2. */
  readonly network: string
  /** Null for a network that the configuration does not know, as the next two for a token. */
  readonly networkName: string | null
  readonly symbol: string | null
  /** Whole tokens, as a plain decimal. */
  readonly amountTokens: string | null
  readonly amountAtomic: string
  /** The token's address. */
  readonly asset: string
  readonly transaction: string | null
  /** Link to the transaction; null where the network's explorer is not known. */
  readonly explorer: string | null
  readonly settledAt: string | null
  readonly deliveredAt: string | null
  readonly updatedAt: string
  /** When the chain begins to refuse the payment; null beyond the year 275760. */
  readonly validBefore: string | null
  readonly detail: string | null
  readonly key: string
}

/** In the order in which files have them. */
export const ENTRY_COLUMNS: readonly (keyof Entry)[] = [
  ...(['id', 'createdAt', 'state', 'route', 'payer', 'payTo', 'network', 'networkName'] as const),
  ...(['symbol', 'amountTokens', 'amountAtomic', 'asset', 'transaction', 'explorer'] as const),
  ...(['settledAt', 'deliveredAt', 'updatedAt', 'validBefore', 'detail', 'key'] as const),
]

export function toEntry(row: LedgerRow, networks: readonly Network[]): Entry {
  const network = networks.find(({ id }) => id === row.network)
  const token = findToken(networks, row.network, row.asset)
  return {
    id: row.id,
    createdAt: isoTime(row.createdAt) ?? '',
    state: row.state,
    route: row.route,
    payer: row.payer,
    payTo: row.payTo,
    network: row.network,
    networkName: network?.name ?? null,
    symbol: token?.symbol ?? null,
    amountTokens: token === null ? null : formatAmount(row.amount, token.decimals),
    amountAtomic: row.amount.toString(),
    asset: row.asset,
    transaction: row.transaction,
    explorer: linkTo(row.transaction, network?.explorer ?? null),
    settledAt: isoTime(row.settledAt),
    deliveredAt: isoTime(row.deliveredAt),
    updatedAt: isoTime(row.updatedAt) ?? '',
    validBefore: isoTime(row.validBefore * 1000),
    detail: row.detail,
    key: row.key,
  }
}

function linkTo(transaction: string | null, explorer: string | null): string | null {
  if (transaction === null || explorer === null) return null
  return explorer.replace('{transaction}', () => encodeURIComponent(transaction))
}

export function findToken(
  networks: readonly Network[],
  network: string,
  address: string,
): Asset | null {
  const { assets = [] } = networks.find(({ id }) => id === network) ?? {}
  const spelled = address.toLowerCase()
  return assets.find(asset => asset.address.toLowerCase() === spelled) ?? null
}

/** Like "0.001 USDC"; what is not known is said in atomic units. */
export function priceText({
  amountTokens,
  amountAtomic,
  symbol,
}: Pick<Entry, 'amountTokens' | 'amountAtomic' | 'symbol'>): string {
  return amountTokens === null ? `${amountAtomic} atomic units` : `${amountTokens} ${symbol}`
}

const TIME_MAX_MS = 8.64e15

function isoTime(milliseconds: number | null): string | null {
  if (milliseconds === null || milliseconds > TIME_MAX_MS) return null
  return new Date(milliseconds).toISOString()
}
