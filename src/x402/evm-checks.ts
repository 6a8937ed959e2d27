import { atomicAmount } from '../core/amount.ts'
import { isGatewayWallet } from '../core/gateway-wallet.ts'
import { type EvmPaymentMethod, type Offer, type Payment, paymentKey } from '../core/payment.ts'
import { checksumAddress } from './address.ts'
import type { Circumstances, FamilyChecks, RefusalReason } from './check-outcome.ts'
import type { PresentedPayment } from './decode-payment.ts'
import { recoverSigner } from './eip712.ts'
import { eip3009, gatewayWallet } from './eip3009.ts'
import { permit2 } from './permit2.ts'
import type { SignedTransfer, TransferMethod } from './signed-transfer.ts'
import { evmAddress } from './wire.ts'

const TRANSFER_METHODS: Record<EvmPaymentMethod, TransferMethod> = {
  eip3009,
  permit2,
  'gateway-wallet': gatewayWallet,
}

/** Scheme `exact` on EVM (x402 specification, scheme_exact_evm). */
export const evmChecks: FamilyChecks = {
  isSame: (one, other) => one.toLowerCase() === other.toLowerCase(),

  offerOf(accepted, payload) {
    if (!/^eip155:[1-9]\d{0,17}$/.test(accepted.network)) return null
    if (!evmAddress.safeParse(accepted.asset).success) return null
    return {
      requirements: accepted,
      amount: atomicAmount(BigInt(accepted.amount)),
      symbol: accepted.asset,
      decimals: 0,
      transferMethod: methodOf(accepted, payload),
      v1Network: null,
    }
  },

  read(presented, offer, circumstances) {
    const { transferMethod: method } = offer
    const isSpl = method === 'spl-token' || method === 'spl-token-2022'
    const transfer = isSpl ? null : TRANSFER_METHODS[method].read(presented.payload, offer)
    if (transfer === null) return { kind: 'unreadable', reason: 'invalid_payload' }
    return {
      kind: 'read',
      payment: toPayment(presented, { offer, transfer, circumstances }),
      terms: refuteTerms(transfer, offer),
      time: refuteTime(transfer, circumstances),
    }
  },
}

function methodOf(
  { extra }: Offer['requirements'],
  payload: Readonly<Record<string, unknown>>,
): EvmPaymentMethod {
  if (isGatewayWallet(extra)) return 'gateway-wallet'
  return 'permit2Authorization' in payload ? 'permit2' : 'eip3009'
}

/** Whether what was signed is what the offer asks for: receiver, token and amount. */
function refuteTerms(transfer: SignedTransfer, offer: Offer): RefusalReason | null {
  const { requirements } = offer
  if (transfer.payTo !== requirements.payTo.toLowerCase()) {
    return 'invalid_exact_evm_payload_recipient_mismatch'
  }
  if (transfer.asset !== null && transfer.asset !== requirements.asset.toLowerCase()) {
    return 'invalid_payment_requirements'
  }
  if (transfer.amount !== offer.amount) return 'invalid_exact_evm_payload_authorization_value'
  return null
}

function refuteTime(
  transfer: SignedTransfer,
  { nowSeconds, headroomSeconds }: Circumstances,
): RefusalReason | null {
  if (transfer.validAfter > BigInt(nowSeconds)) {
    return 'invalid_exact_evm_payload_authorization_valid_after'
  }
  if (transfer.validBefore < BigInt(nowSeconds + headroomSeconds)) {
    return 'invalid_exact_evm_payload_authorization_valid_before'
  }
  return null
}

function toPayment(
  presented: PresentedPayment,
  read: {
    readonly offer: Offer
    readonly transfer: SignedTransfer
    readonly circumstances: Circumstances
  },
): Payment {
  const { offer, transfer, circumstances } = read
  const signer = recoverSigner(transfer.digest(offer), transfer.signature)
  return {
    key: paymentKey(offer.requirements.network, ...transfer.uniqueBy),
    payer: checksumAddress(transfer.payer),
    offer,
    payload: {
      x402Version: 2,
      resource: { url: circumstances.resourceUrl },
      accepted: offer.requirements,
      payload: transfer.payload,
      extensions: presented.extensions,
    },
    identifier: presented.identifier,
    validBefore: Number(transfer.validBefore > FAR_FUTURE ? FAR_FUTURE : transfer.validBefore),
    signature: signer === transfer.payer ? 'recovered' : 'not-recovered',
  }
}

/** Year 9999 in Unix seconds: keeps a uint256 within what a number carries exactly. */
const FAR_FUTURE = 253_402_300_799n
