import { atomicAmount } from '../core/amount.ts'
import { isGatewayWallet } from '../core/gateway-wallet.ts'
import type { PaymentRequirements, Settlement } from '../core/payment.ts'
import type { SettleAnswer } from '../facilitator/facilitator.ts'
import { decodeBase58 } from './base58.ts'
import { shortReason } from './reason.ts'

/**
 * Refusals after which nothing was sent and nothing can land: the facilitator looked before it
 * leapt. Anything beyond this list may have left, so only the chain can tell.
 *
 * `nonce_already_used` is missing on purpose: anybody may submit a signed transfer, so a used nonce
 * can mean that the money did reach us. So is a transaction that reverted, for the same reason.
 *
 * Source: x402 specification v2, "Error codes"; @x402/evm and @x402/svm 2.27.0 error constants.
 */
const REFUSED_BEFORE_SENDING = [
  /^insufficient_funds$/,
  /^invalid_(network|scheme|payload|payment_requirements|x402_version)$/,
  /^unsupported_(scheme|payload_type)$/,
  /^invalid_exact_evm_payload_/,
  /^invalid_exact_evm_(scheme|signature|network_mismatch|recipient_mismatch)$/,
  /^invalid_exact_evm_(insufficient_balance|authorization_value|missing_eip712_domain)$/,
  /^invalid_exact_evm_(token_name_mismatch|token_version_mismatch|eip3009_not_supported)$/,
  /^invalid_exact_evm_transaction_simulation_failed$/,
  /^invalid_permit2_(signature|spender|recipient_mismatch)$/,
  /^permit2_(amount_mismatch|deadline_expired|insufficient_balance|invalid_amount)$/,
  /^permit2_(not_yet_valid|token_mismatch|allowance_required|simulation_failed)$/,
  /^invalid_exact_svm_payload_/,
  /^invalid_exact_svm_(unsupported_scheme|network_mismatch|fee_payer_mismatch)$/,
  /^invalid_exact_svm_(fee_payer_not_managed_by_facilitator|transaction_simulation_failed)$/,
  /^(asset_not_deployed_contract|eip6492_factory_not_allowed|smart_wallet_deployment_failed)$/,
]

/** What a settle was asked to move: a payment, or what was stored of one. */
export interface AskedSettlement {
  readonly payer: string
  readonly offer: {
    readonly requirements: Pick<PaymentRequirements, 'network' | 'extra'>
    /** Atomic units. */
    readonly amount: bigint
  }
}

/** What a facilitator's answer to a settle proves. */
export function readSettlement(
  answer: SettleAnswer,
  { payer, offer }: AskedSettlement,
): Settlement {
  const { network } = offer.requirements
  const transaction = readTransaction(answer.transaction, offer.requirements)
  if (answer.success && transaction === null) {
    return { kind: 'unknown', detail: 'success without a transaction', transaction }
  }
  if (answer.success && transaction !== null) {
    return {
      kind: 'settled',
      receipt: {
        transaction,
        network,
        payer,
        amount: atomicAmount(offer.amount),
      },
    }
  }
  const reason = answer.errorReason ?? 'unexpected_settle_error'
  if (answer.transaction === '' && REFUSED_BEFORE_SENDING.some(known => known.test(reason))) {
    return { kind: 'rejected', reason: shortReason(reason) }
  }
  return { kind: 'unknown', detail: shortReason(reason), transaction }
}

/**
 * The transaction that a facilitator named; null when what it wrote cannot be one, such as the id
 * of a job in its queue.
 */
export function readTransaction(
  named: string,
  { network, extra }: Pick<PaymentRequirements, 'network' | 'extra'>,
): string | null {
  // What Circle takes from a balance reaches a chain later, in a batch: it names its own entry.
  if (isGatewayWallet(extra)) return /^[\w-]{1,128}$/.test(named) ? named : null
  if (network.startsWith('eip155:')) return /^0x[0-9a-f]{64}$/i.test(named) ? named : null
  // A signature: 64 bytes in base58.
  if (network.startsWith('solana:')) return decodeBase58(named)?.length === 64 ? named : null
  return named === '' ? null : named
}
