import { type AtomicAmount, atomicAmount } from '../core/amount.ts'
import { isGatewayWallet } from '../core/gateway-wallet.ts'
import type {
  AssetTransferMethod,
  EvmPaymentMethod,
  PaymentPayload,
  PaymentRequirements,
} from '../core/payment.ts'
import { decodeTransaction } from './solana-transaction.ts'
import { eip3009Payload, exactSvmPayload, paymentPayloadV2, permit2Payload } from './wire.ts'

/** A payment as the ledger keeps it: what a settle needs, and nothing of today's configuration. */
export interface StoredPayment {
  readonly payload: PaymentPayload
  readonly requirements: PaymentRequirements
  readonly payer: string
  readonly amount: AtomicAmount
  /**
   * What makes it unique: the chain, or with `gateway-wallet` Circle's books, of which no chain
   * tells. A settle of it may be repeated: it can move money only once.
   */
  readonly unique: {
    readonly method: EvmPaymentMethod | 'solana'
    /** On Solana, the transaction in base64. */
    readonly nonce: string
  }
}

const OF_PAYLOAD = paymentPayloadV2.pick({ x402Version: true, payload: true })

/**
 * Reads what a claim wrote down. The texts are parsed and not rebuilt, so that a settle sends the
 * same bytes again.
 *
 * @returns Null when nothing makes it unique, as far as we know: then it must not be repeated.
 */
export function readStoredPayment(row: {
  readonly payload: string
  readonly requirements: string
  readonly payer: string
  readonly amount: bigint
}): StoredPayment | null {
  const payload = parse(row.payload)
  const requirements = parse(row.requirements)
  const checked = OF_PAYLOAD.safeParse(payload)
  const asked = paymentPayloadV2.shape.accepted.safeParse(requirements)
  if (!checked.success || !asked.success || asked.data.scheme !== 'exact') return null
  const { network, extra } = asked.data
  const unique = network.startsWith('solana:')
    ? readSolanaMessage(checked.data.payload)
    : readUnique(checked.data.payload, isGatewayWallet(extra))
  if (unique === null) return null
  return {
    payload: payload as PaymentPayload, // checked, and parsed from what we wrote
    requirements: requirements as PaymentRequirements, // checked as well
    payer: row.payer,
    amount: atomicAmount(row.amount),
    unique,
  }
}

/** What makes a signed EVM payload unique; null where nothing that we know of. */
export function readUnique(
  payload: Readonly<Record<string, unknown>>,
  fromGatewayWallet: boolean,
): StoredPayment['unique'] | null {
  const eip3009 = eip3009Payload.safeParse(payload)
  if (eip3009.success) {
    const { nonce } = eip3009.data.authorization
    return { method: fromGatewayWallet ? 'gateway-wallet' : 'eip3009', nonce }
  }
  if (fromGatewayWallet) return null
  const permit2 = permit2Payload.safeParse(payload)
  if (!permit2.success) return null
  return { method: 'permit2', nonce: permit2.data.permit2Authorization.nonce }
}

/**
 * What identifies it on its chain; null where no chain may be asked. The token's
 * `authorizationState` of a nonce that was signed for another contract would read as unused
 * forever, and a payment that was taken would be released.
 */
export function onChain({ unique }: Pick<StoredPayment, 'unique'>): {
  readonly method: AssetTransferMethod | 'solana'
  readonly nonce: string
} | null {
  const { method, nonce } = unique
  return method === 'gateway-wallet' ? null : { method, nonce }
}

function readSolanaMessage(
  payload: Readonly<Record<string, unknown>>,
): StoredPayment['unique'] | null {
  const parsed = exactSvmPayload.safeParse(payload)
  if (!parsed.success || decodeTransaction(parsed.data.transaction) === null) return null
  return { method: 'solana', nonce: parsed.data.transaction }
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return null
  }
}
