import { createHash } from 'node:crypto'
import { type Clock, unixMs } from '../core/time.ts'
import { decodeTransaction, type SolanaTransaction } from '../x402/solana-transaction.ts'
import {
  type ChainReader,
  type ChainView,
  LOOK_MS_PER_NODE_MAX,
  type LookHints,
  type NonceUse,
  type SignedTransferOnChain,
} from './chain-reader.ts'
import { type Ask, ImplausibleAnswer } from './evm-rpc.ts'
import { hearNodes } from './hear-nodes.ts'
import type { Network } from './registry.ts'
import type { RpcPool } from './rpc-pool.ts'
import {
  clockAnswer,
  genesisAnswer,
  signaturesAnswer,
  transactionAnswer,
  validityAnswer,
} from './solana-wire.ts'

/** As many as a node gives at once. */
const PAGE = 1000

/** The chain's clock may differ from ours by that much. */
const CLOCK_SECONDS = 300

const CLOCK_SYSVAR = 'SysvarC1ock11111111111111111111111111111111'
const FINALIZED = { commitment: 'finalized' } as const
const CONFIRMED = { commitment: 'confirmed' } as const

export interface SolanaChainOptions {
  readonly pool: RpcPool
  /** After how long a look asks a node nothing more. Default: so that it ends in time. */
  readonly lookMs?: number
  /** Tells which nodes lag behind. Default: the machine's. */
  readonly clock?: Clock
}

/**
 * Reads Solana over JSON-RPC. The chain keeps no list of nonces: a message that was executed is
 * found among the transactions of the account that the money comes from, by its very bytes.
 *
 * @param network Its `rpc` must not be empty. The URLs are never logged, nor is what a node says.
 */
export function createSolanaChain(network: Network, options: SolanaChainOptions): ChainReader {
  const { pool, lookMs = LOOK_MS_PER_NODE_MAX - 3_000 } = options
  const { clock = () => unixMs(Date.now()) } = options
  const hearing = { name: network.name, pool, lookMs, clock }
  return {
    look: (transfer, hints) =>
      hearNodes(hearing, transfer, ask => lookAt(ask, transfer, { ...hints, network })),
  }
}

/**
 * The order matters. What a final block no longer takes lies in a block before it, if anywhere, and
 * only a search that begins after that was asked can prove that it does not.
 */
async function lookAt(
  ask: Ask,
  transfer: SignedTransferOnChain,
  hints: LookHints & { readonly network: Network },
): Promise<ChainView> {
  const sought = decodeTransaction(transfer.nonce)
  if (sought === null) throw new ImplausibleAnswer('the payment is no transaction')
  const [final] = await Promise.all([clockAt(ask, FINALIZED), proveGenesis(hints.network, ask)])
  const minContextSlot = Number(final.number)
  const validity = [sought.blockhash, { ...FINALIZED, minContextSlot }]
  const stillValid = await ask('isBlockhashValid', validity, validityAnswer)
  const use = await findUse(ask, sought, { ...hints, minContextSlot })
  const latest = await clockAt(ask, CONFIRMED)
  if (final.number > latest.number) throw new ImplausibleAnswer('its blocks do not fit together')
  return { latest, final, use, stillValid }
}

function clockAt(ask: Ask, at: typeof FINALIZED | typeof CONFIRMED) {
  return ask('getAccountInfo', [CLOCK_SYSVAR, { ...at, encoding: 'base64' }], clockAnswer)
}

/** CAIP-2 names a chain by the beginning of its genesis hash (namespace solana). */
async function proveGenesis({ id }: Network, ask: Ask): Promise<void> {
  const genesis = await ask('getGenesisHash', [], genesisAnswer)
  if (id !== `solana:${genesis.slice(0, 32)}`)
    throw new ImplausibleAnswer('it serves another chain')
}

type Search = LookHints & { readonly minContextSlot: number }

async function findUse(
  ask: Ask,
  sought: SolanaTransaction,
  search: Search,
): Promise<NonceUse | null> {
  const named = search.transaction
  const use = named === null ? null : await useIn(ask, sought, named)
  if (use !== null) return use
  for (const signature of await recentSignatures(ask, sought, search)) {
    const found = signature === named ? null : await useIn(ask, sought, signature)
    if (found !== null) return found
  }
  return null
}

/** Those of the account that the money comes from, since shortly before the payment came. */
async function recentSignatures(
  ask: Ask,
  sought: SolanaTransaction,
  { createdAt, minContextSlot }: Search,
): Promise<readonly string[]> {
  const source = sought.keys[sought.instructions[2]?.accounts[0] ?? -1]
  const since = createdAt / 1000 - CLOCK_SECONDS
  const found: string[] = []
  for (;;) {
    const before = found.at(-1)
    const from = before === undefined ? {} : { before }
    const params = [source, { ...CONFIRMED, ...from, minContextSlot, limit: PAGE }]
    const page = await ask('getSignaturesForAddress', params, signaturesAnswer)
    const recent = page.filter(({ blockTime }) => blockTime === null || blockTime >= since)
    found.push(...recent.map(({ signature }) => signature))
    if (recent.length < PAGE) return found
  }
}

async function useIn(
  ask: Ask,
  sought: SolanaTransaction,
  signature: string,
): Promise<NonceUse | null> {
  const options = { ...CONFIRMED, encoding: 'base64', maxSupportedTransactionVersion: 0 }
  const found = await ask('getTransaction', [signature, options], transactionAnswer)
  const executed = found && decodeTransaction(found.transaction[0])
  if (!executed || digest(executed) !== digest(sought)) return null
  // It was checked, before it was taken, that this message moves exactly the amount to us.
  return found.meta.err === null
    ? { kind: 'transfer', transaction: signature, block: found.slot }
    : { kind: 'voided', how: 'other-use', block: found.slot }
}

function digest({ message }: SolanaTransaction): string {
  return createHash('sha256').update(message).digest('hex')
}
