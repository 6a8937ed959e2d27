import type { PaymentPayload, PaymentRequirements } from '../../src/core/payment.ts'
import { FacilitatorUnavailableError, SettlementUnknownError } from '../../src/errors.ts'
import type {
  Facilitator,
  SettleAnswer,
  Supported,
  VerifyAnswer,
} from '../../src/facilitator/facilitator.ts'
import type { Chain, Transaction } from './chain.ts'
import type { Invariants } from './invariants.ts'
import type { Plan } from './plan.ts'
import type { Process } from './process.ts'
import { NETWORK, PAYMENTS, SETTLE_MS_MAX, type SignedPayment, VERIFY_MS_MAX } from './shop.ts'
import type { World } from './world.ts'

export const SUPPORTED: Supported = {
  kinds: [{ x402Version: 2, scheme: 'exact', network: NETWORK }],
  extensions: [],
  signers: {},
}

/** What @x402/evm asks for between a settle's start and its block. */
const MARGIN_SECONDS = 6

type Answered = Omit<SettleAnswer, 'network' | 'payer'>

/** The service behind the simulated network. Its lies are told to the invariants. */
export class FacilitatorService {
  readonly #world: World
  readonly #plan: Plan
  readonly #chain: Chain
  readonly #invariants: Invariants

  constructor(world: World, parts: { plan: Plan; chain: Chain; invariants: Invariants }) {
    this.#world = world
    this.#plan = parts.plan
    this.#chain = parts.chain
    this.#invariants = parts.invariants
  }

  /** The service as one gateway's HTTP client shows it: bounded in time, and sometimes broken. */
  clientOf(process: Process): Facilitator {
    const ask = <T>(begin: () => Promise<T>): Promise<T> => process.ask(begin)
    return {
      name: 'simulated',
      supported: async () => SUPPORTED,
      verify: payload => ask(() => this.#verifyOverNetwork(process, paymentOf(payload))),
      settle: (payload, requirements) =>
        ask(() => this.#settleOverNetwork(process, payload, requirements)),
      close: async () => {},
    }
  }

  async #verifyOverNetwork(process: Process, payment: SignedPayment): Promise<VerifyAnswer> {
    const { facilitatorFault } = this.#plan
    await this.#network()
    if (this.#world.mishap(facilitatorFault / 3)) {
      process.tell(`hears nothing of its verify of ${payment.name}`)
      throw new FacilitatorUnavailableError('Simulated.', { fix: 'Wait.' })
    }
    const isSlow = this.#world.mishap(facilitatorFault)
    await this.#world.sleep(this.#world.random.between(5, isSlow ? VERIFY_MS_MAX - 500 : 50))
    const answer = this.#verify(payment)
    await this.#network()
    process.tell(`hears that ${payment.name} is ${answer.invalidReason ?? 'valid'}`)
    return answer
  }

  #verify(payment: SignedPayment): VerifyAnswer {
    const reason = this.#refutation(payment)
    if (!this.#world.mishap(this.#plan.facilitatorLie)) return toVerifyAnswer(reason)
    this.#world.tell('facilitator', `lies about whether ${payment.name} is valid`)
    if (reason !== null) return toVerifyAnswer(null)
    this.#invariants.excuse(payment, 'called invalid')
    return toVerifyAnswer('insufficient_funds')
  }

  #refutation(payment: SignedPayment): string | null {
    if (this.#world.seconds + MARGIN_SECONDS > payment.validBefore) {
      return 'invalid_exact_evm_payload_authorization_valid_before'
    }
    if (this.#chain.useOf(payment) !== null) return 'invalid_exact_evm_nonce_already_used'
    return this.#chain.poor.has(payment.nonce) ? 'insufficient_funds' : null
  }

  /** Rejects as the interface says: unavailable only when nothing can have been sent. */
  async #settleOverNetwork(
    process: Process,
    payload: PaymentPayload,
    requirements: PaymentRequirements,
  ): Promise<SettleAnswer> {
    const payment = paymentOf(payload)
    const world = this.#world
    const { facilitatorFault } = this.#plan
    if (world.mishap(facilitatorFault / 4)) {
      process.tell(`cannot connect to settle ${payment.name}`)
      throw new FacilitatorUnavailableError('Simulated.', { fix: 'Wait.' })
    }
    this.#invariants.settleLeaves(process, payment, { payload, requirements })
    process.tell(`sends settle of ${payment.name}`)
    const timeout = Promise.withResolvers<never>()
    const cancel = world.after(SETTLE_MS_MAX, () => {
      process.tell(`hears nothing of its settle of ${payment.name} in time`)
      timeout.reject(new SettlementUnknownError('Simulated: no answer.', { fix: 'Wait.' }))
    })
    const answer = await Promise.race([this.#settleOnce(payment), timeout.promise]).finally(cancel)
    process.tell(`hears of its settle of ${payment.name}: ${describe(answer)}`)
    return { ...answer, network: NETWORK }
  }

  async #settleOnce(payment: SignedPayment): Promise<Answered> {
    const { facilitatorFault } = this.#plan
    await this.#network()
    if (this.#world.mishap(facilitatorFault / 4)) return lost()
    if (this.#world.mishap(facilitatorFault / 6)) {
      this.#world.tell('network', `delivers the settle of ${payment.name} twice`)
      void this.#settle(payment)
    }
    const answer = await this.#settle(payment)
    await this.#network()
    if (this.#world.mishap(facilitatorFault / 4)) return lost()
    if (!this.#world.mishap(facilitatorFault / 4)) return answer
    this.#world.tell('facilitator', `answers the settle of ${payment.name} with a 500`)
    throw new SettlementUnknownError('Simulated: 500.', { fix: 'Wait.' })
  }

  async #settle(payment: SignedPayment): Promise<Answered> {
    const lies = this.#world.mishap(this.#plan.facilitatorLie)
    const reason = this.#refutation(payment)
    if (lies && this.#world.random.chance(0.3)) return this.#inventSuccess(payment)
    if (reason !== null) return refusal(reason)
    const transaction = this.#chain.submit('transfer', payment, 'facilitator')
    const patience = this.#world.mishap(this.#plan.facilitatorFault) ? 2_000 : 20_000
    await Promise.race([minedOrReverted(transaction), this.#world.sleep(patience)])
    return lies ? this.#lieAbout(payment, transaction) : toAnswer(transaction)
  }

  #inventSuccess(payment: SignedPayment): Answered {
    this.#world.tell('facilitator', `invents that it settled ${payment.name}`)
    this.#invariants.excuse(payment, 'invented success')
    return { success: true, transaction: `0x${'ee'.repeat(32)}` }
  }

  #lieAbout(payment: SignedPayment, transaction: Transaction): Answered {
    const lie = this.#world.random.pick(['no hash', 'other hash', 'denied'] as const)
    this.#world.tell('facilitator', `lies about its settle of ${payment.name}: ${lie}`)
    if (lie === 'no hash') return { success: true, transaction: '' }
    if (lie === 'denied') {
      this.#invariants.excuse(payment, 'denied transfer')
      return refusal('insufficient_funds')
    }
    if (transaction.state !== 'mined') this.#invariants.excuse(payment, 'invented success')
    this.#invariants.excuse(payment, 'other hash')
    return { success: true, transaction: `0x${'dd'.repeat(32)}` }
  }

  #network(): Promise<void> {
    const most = this.#world.mishap(this.#plan.facilitatorFault / 2) ? 1_500 : 60
    return this.#world.sleep(this.#world.random.latency(2, most))
  }
}

function paymentOf({ payload }: PaymentPayload): SignedPayment {
  const { authorization } = payload as { authorization?: { nonce?: string } } // of our own pool
  const payment = PAYMENTS.find(({ nonce }) => nonce === authorization?.nonce)
  if (payment === undefined) throw new Error('Nobody has signed this payment.')
  return payment
}

function minedOrReverted(transaction: Transaction): Promise<void> {
  if (transaction.state === 'mined' || transaction.state === 'reverted') return Promise.resolve()
  return new Promise(resolve => void transaction.watchers.push(resolve))
}

function toVerifyAnswer(invalidReason: string | null): VerifyAnswer {
  return invalidReason === null ? { isValid: true } : { isValid: false, invalidReason }
}

function toAnswer({ state, hash }: Transaction): Answered {
  if (state === 'mined') return { success: true, transaction: hash }
  const errorReason = state === 'reverted' ? 'invalid_transaction_state' : 'settlement_pending'
  return { success: false, errorReason, transaction: hash }
}

function refusal(errorReason: string): Answered {
  return { success: false, errorReason, transaction: '' }
}

/** Waits for an answer that never comes. */
function lost(): Promise<never> {
  return new Promise(() => {})
}

function describe({ success, errorReason, transaction }: Answered): string {
  const hash = transaction === '' ? 'no hash' : transaction.slice(0, 8)
  return `${success ? 'success' : errorReason}, ${hash}`
}
