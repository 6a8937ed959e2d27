import { ExactEvmScheme } from '@x402/evm/exact/facilitator'
import { type Address, type Hex, isErc6492Signature } from 'viem'
import type { LocalFacilitatorConfig } from '../../config/gateway-config.ts'
import type { PaymentPayload, PaymentRequirements } from '../../core/payment.ts'
import { ChainUnavailableError } from '../../networks/chain-reader.ts'
import type { Facilitator, SettleAnswer, Supported, VerifyAnswer } from '../facilitator.ts'
import type { Desk } from './desk.ts'
import type { Outgoing } from './outgoing.ts'
import { PayerLoads } from './payer-loads.ts'
import { createSchemeSigner, type Operation } from './scheme-signer.ts'
import { type AskedTransfer, isPaidBy, readTransfer } from './transfer.ts'

type Library = Parameters<ExactEvmScheme['settle']>

/** Reasons by which the library says that a payment's nonce is used, by whomever. */
const MAY_BE_USED = new Set([
  'invalid_exact_evm_nonce_already_used',
  'invalid_exact_evm_transaction_simulation_failed',
  'permit2_simulation_failed',
  'permit2_insufficient_balance',
  'invalid_exact_evm_insufficient_balance',
  'invalid_exact_evm_payload_authorization_valid_before',
  'permit2_deadline_expired',
])

/**
 * Verifies and settles on chain without anybody in between. What a payment must be is for
 * @x402/evm to say; what is sent, how often, and what a receipt proves is ours.
 */
export class LocalFacilitator implements Facilitator {
  readonly name: string
  readonly #config: LocalFacilitatorConfig
  readonly #desks: ReadonlyMap<string, Desk>
  readonly #loads = new PayerLoads()
  /** A payment is settled once at a time. */
  readonly #settling = new Map<string, Promise<SettleAnswer>>()

  /** @param desks By network. */
  constructor(config: LocalFacilitatorConfig, desks: ReadonlyMap<string, Desk>) {
    this.name = config.name
    this.#config = config
    this.#desks = desks
  }

  async supported(): Promise<Supported> {
    const signers = new Set([...this.#desks.values()].flatMap(({ addresses }) => addresses))
    return {
      kinds: [...this.#desks.keys()].map(network => ({ x402Version: 2, scheme: 'exact', network })),
      // The library reads it from a payment and calls the proxy so. A payer's own approval would
      // need coins of ours sent to the payer first, who may spend them on something else.
      extensions: ['eip2612GasSponsoring'],
      signers: { 'eip155:*': [...signers] },
    }
  }

  async verify(payload: PaymentPayload, requirements: PaymentRequirements): Promise<VerifyAnswer> {
    const desk = this.#desks.get(requirements.network)
    if (desk === undefined) return { isValid: false, invalidReason: 'invalid_network' }
    const transfer = readTransfer(payload, requirements)
    if (transfer === null) return { isValid: false, invalidReason: 'invalid_payload' }
    const { scheme, operation } = this.#schemeFor(transfer, desk)
    const answer = await scheme
      .verify(...forLibrary(payload, requirements))
      .catch((error: unknown) => {
        throw operation.failure ?? error
      })
    if (!answer.isValid && operation.failure !== null) throw operation.failure
    // The library's messages hold what nodes say.
    const { isValid, invalidReason, payer } = answer
    return { isValid, invalidReason, payer }
  }

  async settle(payload: PaymentPayload, requirements: PaymentRequirements): Promise<SettleAnswer> {
    const desk = this.#desks.get(requirements.network)
    const transfer = readTransfer(payload, requirements)
    const { network } = requirements
    const refused = { success: false, transaction: '', network } as const
    if (desk === undefined) return { ...refused, errorReason: 'invalid_network' }
    if (transfer === null) return { ...refused, errorReason: 'invalid_payload' }
    const name = `${network}/${transfer.purpose}`
    const running = this.#settling.get(name)
    if (running !== undefined) return running
    const settling = this.#settle(desk, transfer, forLibrary(payload, requirements)).finally(() =>
      this.#settling.delete(name),
    )
    this.#settling.set(name, settling)
    return settling
  }

  /** Whether the journal has a transaction for a payment. */
  hasSent(payload: PaymentPayload, requirements: PaymentRequirements): boolean {
    const transfer = readTransfer(payload, requirements)
    const desk = this.#desks.get(requirements.network)
    return transfer !== null && (desk?.find(transfer.purpose) ?? null) !== null
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#settling.values())
    for (const desk of this.#desks.values()) await desk.close()
  }

  async #settle(desk: Desk, transfer: AskedTransfer, asked: Library): Promise<SettleAnswer> {
    const known = desk.find(transfer.purpose)
    if (known !== null) {
      await known.landed(this.#config.settleTimeoutMs)
      return answerOf(known, transfer, desk)
    }
    const { scheme, operation } = this.#schemeFor(transfer, desk)
    const answer = await scheme.settle(...asked).catch((error: unknown) => {
      throw operation.failure ?? error
    })
    if (operation.payment !== null) return answerOf(operation.payment, transfer, desk)
    if (operation.failure !== null) throw operation.failure
    const reason = operation.wouldRevert
      ? await this.#whyItReverts(desk, transfer, asked)
      : (answer.errorReason ?? 'unexpected_settle_error')
    const landed = MAY_BE_USED.has(reason) ? await landedBefore(desk, transfer) : null
    return landed ?? answerWith(transfer, { success: false, errorReason: reason, transaction: '' })
  }

  /** The library looks more closely when it verifies: at the balance, the nonce and the token. */
  async #whyItReverts(desk: Desk, transfer: AskedTransfer, asked: Library): Promise<string> {
    const { scheme, operation } = this.#schemeFor(transfer, desk)
    const verdict = await scheme.verify(asked[0], asked[1])
    if (operation.failure !== null) throw operation.failure
    const otherwise =
      transfer.method === 'eip3009'
        ? 'invalid_exact_evm_transaction_simulation_failed'
        : 'permit2_simulation_failed'
    return verdict.isValid ? otherwise : (verdict.invalidReason ?? otherwise)
  }

  #schemeFor(
    transfer: AskedTransfer,
    desk: Desk,
  ): { readonly scheme: ExactEvmScheme; readonly operation: Operation } {
    const { purpose, signature } = transfer
    const { deployers, settleTimeoutMs } = this.#config
    const endsAt = performance.now() + settleTimeoutMs
    const operation: Operation = { payment: null, failure: null, wouldRevert: false }
    const signer = createSchemeSigner({
      ...{ addresses: desk.addresses, client: desk.client, operation },
      sendPayment: (to: Address, data: Hex) =>
        this.#loads.during(
          transfer,
          () => desk.balanceOf(transfer.token, transfer.payer),
          () => desk.send(purpose, to, data),
        ),
      sendDeployment: (to: Address, data: Hex) => desk.send(`deploy/${purpose}`, to, data),
      waitMs: () => endsAt - performance.now(),
    })
    const scheme = new ExactEvmScheme(signer, {
      eip6492AllowedFactories: [...deployers],
      // Otherwise the gas estimate is the simulation; this one is needed before a deployment.
      simulateInSettle: isErc6492Signature(signature),
    })
    return { scheme, operation }
  }
}

/** What became of a transaction of ours, as far as is known now. */
async function answerOf(
  outgoing: Outgoing,
  transfer: AskedTransfer,
  desk: Desk,
): Promise<SettleAnswer> {
  const { receipt } = outgoing
  if (receipt === null) {
    const transaction = outgoing.newest.hash
    return answerWith(transfer, { success: false, errorReason: 'settlement_pending', transaction })
  }
  const { transaction } = receipt
  if (isPaidBy(outgoing, transfer)) return answerWith(transfer, { success: true, transaction })
  // Anybody may submit a signed transfer, and then ours reverts although the money has moved.
  const landed = await landedBefore(desk, transfer)
  const errorReason = 'invalid_exact_evm_transaction_failed'
  return landed ?? answerWith(transfer, { success: false, errorReason, transaction })
}

/** Whether a transaction that we do not know of has moved the money already; null: not proven. */
async function landedBefore(desk: Desk, transfer: AskedTransfer): Promise<SettleAnswer | null> {
  try {
    const { createdAt } = transfer
    const { use } = await desk.reader.look(transfer, { transaction: null, createdAt })
    if (use?.kind !== 'transfer') return null
    return answerWith(transfer, { success: true, transaction: use.transaction })
  } catch (error) {
    if (error instanceof ChainUnavailableError) return null
    throw error
  }
}

function answerWith(
  { network, payer, amount }: AskedTransfer,
  outcome: Pick<SettleAnswer, 'success' | 'errorReason' | 'transaction'>,
): SettleAnswer {
  return { ...outcome, network, payer, ...(outcome.success ? { amount: String(amount) } : {}) }
}

/** The library's types are mutable; it does not write to what it is given. */
function forLibrary(payload: PaymentPayload, requirements: PaymentRequirements): Library {
  return [payload, requirements] as unknown as Library // see above
}
