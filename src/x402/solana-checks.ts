import { atomicAmount } from '../core/amount.ts'
import { type Offer, type Payment, paymentKey, type SplTransferMethod } from '../core/payment.ts'
import type { Circumstances, FamilyChecks, RefusalReason } from './check-outcome.ts'
import type { PresentedPayment } from './decode-payment.ts'
import { associatedTokenAccount, TOKEN_2022_PROGRAM, TOKEN_PROGRAM } from './solana-address.ts'
import { readTransfer, type SolanaTransfer } from './solana-transfer.ts'
import { exactSvmPayload } from './wire.ts'

const PROGRAMS: Readonly<Record<SplTransferMethod, string>> = {
  'spl-token': TOKEN_PROGRAM,
  'spl-token-2022': TOKEN_2022_PROGRAM,
}

/**
 * A blockhash is good for 150 blocks from its own on (Solana, MAX_PROCESSING_AGE), which is a
 * minute at 0.4 s each. How old it is already, only the chain can tell; that it is no younger than
 * now, we know. So the payment is refused by the chain 150 blocks from now at the latest, whatever
 * `maxTimeoutSeconds` says, and a block of two seconds, five times the usual, is ample. Should the
 * chain be slower still, no harm is done: a payment is given up only when the chain itself no
 * longer takes the blockhash.
 */
const LIFETIME_BLOCKS = 150
const BLOCK_SECONDS_MAX = 2

/** Scheme `exact` on Solana (x402 specification, scheme_exact_svm). */
export const solanaChecks: FamilyChecks = {
  // Base58 has one spelling.
  isSame: (one, other) => one === other,

  offerOf(accepted, payload) {
    const read = readPayload(payload)
    if (read?.kind !== 'transfer') return null
    const { program, decimals } = read.transfer
    return {
      requirements: accepted,
      amount: atomicAmount(BigInt(accepted.amount)),
      symbol: accepted.asset,
      decimals,
      transferMethod: program === TOKEN_PROGRAM ? 'spl-token' : 'spl-token-2022',
      v1Network: null,
    }
  },

  read(presented, offer, circumstances) {
    const read = readPayload(presented.payload)
    if (read === null) return { kind: 'unreadable', reason: 'invalid_payload' }
    if (read.kind === 'flawed') {
      return { kind: 'unreadable', reason: `invalid_exact_svm_payload_${read.flaw}` }
    }
    const { transfer } = read
    return {
      kind: 'read',
      payment: toPayment(presented, { offer, transfer, circumstances }),
      terms: refuteTerms(transfer, offer),
      // Only the chain knows how old the blockhash is: the facilitator is asked.
      time: null,
    }
  },
}

function readPayload(payload: Readonly<Record<string, unknown>>) {
  const parsed = exactSvmPayload.safeParse(payload)
  return parsed.success ? readTransfer(parsed.data.transaction) : null
}

/** Whether what was signed is what the offer asks for. */
function refuteTerms(transfer: SolanaTransfer, offer: Offer): RefusalReason | null {
  const { requirements } = offer
  if (transfer.feePayer !== requirements.extra['feePayer']) {
    return 'invalid_exact_svm_fee_payer_mismatch'
  }
  const { transferMethod: method } = offer
  const isSpl = method === 'spl-token' || method === 'spl-token-2022'
  const program = isSpl ? PROGRAMS[method] : null
  const isToken = transfer.mint === requirements.asset && transfer.program === program
  // A token that the client alone tells of has as many decimals as it says.
  if (!isToken || transfer.decimals !== offer.decimals) {
    return 'invalid_exact_svm_payload_mint_mismatch'
  }
  if (transfer.amount !== offer.amount) return 'invalid_exact_svm_payload_amount_mismatch'
  if (transfer.destination !== receivingAccount(requirements, transfer.program)) {
    return 'invalid_exact_svm_payload_recipient_mismatch'
  }
  return null
}

const accounts = new WeakMap<Offer['requirements'], string | null>()

/** Of one offer it is always the same, and takes a millisecond to find. */
function receivingAccount(requirements: Offer['requirements'], program: string): string | null {
  const known = accounts.get(requirements)
  if (known !== undefined) return known
  const account = associatedTokenAccount(requirements.payTo, program, requirements.asset)
  accounts.set(requirements, account)
  return account
}

function toPayment(
  presented: PresentedPayment,
  read: {
    readonly offer: Offer
    readonly transfer: SolanaTransfer
    readonly circumstances: Circumstances
  },
): Payment {
  const { offer, transfer, circumstances } = read
  const { nowSeconds, resourceUrl } = circumstances
  return {
    key: paymentKey(offer.requirements.network, transfer.messageHash),
    payer: transfer.payer,
    offer,
    payload: {
      x402Version: 2,
      resource: { url: resourceUrl },
      accepted: offer.requirements,
      payload: { transaction: transfer.transaction },
      extensions: presented.extensions,
    },
    identifier: presented.identifier,
    validBefore: nowSeconds + LIFETIME_BLOCKS * BLOCK_SECONDS_MAX,
    // Checked by `readTransfer`, and nobody but the key's owner can sign on Solana.
    signature: 'recovered',
  }
}
