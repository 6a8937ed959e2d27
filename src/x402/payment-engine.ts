import type { FacilitatorClient } from '@x402/core/server'
import { x402ResourceServer } from '@x402/core/server'
import type {
  PaymentPayload as CorePayload,
  PaymentRequirements as CoreRequirements,
} from '@x402/core/types'
import { ExactEvmScheme } from '@x402/evm/exact/server'
import type {
  NetworkId,
  NotSent,
  Payment,
  PaymentPayload,
  PaymentRequirements,
  Settlement,
  Verdict,
} from '../core/payment.ts'
import { FacilitatorUnavailableError, SettlementUnknownError } from '../errors.ts'
import type { Facilitator, KnownFacilitator, Supported } from '../facilitator/facilitator.ts'
import type { V1Networks } from '../facilitator/v1-translation.ts'
import { shortReason } from './reason.ts'
import { readSettlement, readTransaction } from './settle-outcome.ts'
import type { StoredPayment } from './stored-payment.ts'

/** Verifies and settles through the first facilitator that supports a payment's kind. */
export interface PaymentEngine {
  supports(requirements: PaymentRequirements): boolean
  verify(payment: Payment): Promise<Verdict>
  /** Never rejects: a settle whose fate is not known is `unknown`. */
  settle(payment: Payment): Promise<Settlement | NotSent>
  /**
   * Sends the same bytes again. Only `settled` may be believed: a refusal says that nothing was
   * sent now, and nothing of the settle before. Never rejects.
   */
  resettle(stored: StoredPayment): Promise<Settlement | NotSent>
}

const RETRY_AFTER_SECONDS = 5

/** @param known In the order in which they are preferred. */
export async function createPaymentEngine(
  known: readonly KnownFacilitator[],
  v1Networks: V1Networks,
): Promise<PaymentEngine> {
  const clients = known.map(entry => new CoreClient(entry, v1Networks))
  const server = new x402ResourceServer([...clients])
  const exact = new ExactEvmScheme()
  // By name: the library makes a regular expression of "eip155:*", anew for each verify and settle.
  for (const network of evmNetworks(clients)) server.register(network, exact)
  // The library refuses to start without a single kind; without one, every offer is unsupported.
  if (clients.some(client => client.kinds.length > 0)) await server.initialize()

  const supports = ({ network, scheme }: PaymentRequirements): boolean =>
    server.getSupportedKind(2, network, scheme) !== undefined

  const clientFor = ({ network, scheme }: PaymentRequirements): CoreClient | undefined =>
    clients.find(({ kinds }) =>
      kinds.some(kind => kind.network === network && kind.scheme === scheme),
    )

  const send = async (payment: Omit<StoredPayment, 'unique'>): Promise<Settlement | NotSent> => {
    const { payload, requirements, payer, amount } = payment
    // Without this, the library would offer the payment to every facilitator in turn.
    if (!supports(requirements)) return notSent(RETRY_AFTER_SECONDS)
    try {
      const answer = await server.settlePayment(...forLibrary(payload, requirements))
      return readSettlement(answer, { payer, offer: { requirements, amount } })
    } catch (error) {
      if (error instanceof FacilitatorUnavailableError) return notSent(error.retryAfterSeconds)
      const named = error instanceof SettlementUnknownError ? error.transaction : null
      const transaction = readTransaction(named ?? '', requirements.network)
      return { kind: 'unknown', detail: String(error), transaction }
    }
  }

  return {
    supports,

    async verify(payment): Promise<Verdict> {
      const { requirements } = payment.offer
      const client = clientFor(requirements)
      if (client === undefined) return unavailable(RETRY_AFTER_SECONDS)
      try {
        // The library does not verify what is settled up front; a refused payment writes nothing
        // here, so it has to be verified before it is claimed.
        const answer =
          requirements.extra['paymentFlow'] === 'upfront'
            ? await client.verify(...forLibrary(payment.payload, requirements))
            : await server.verifyPayment(...forLibrary(payment.payload, requirements))
        if (answer.isValid) return { kind: 'valid' }
        return {
          kind: 'invalid',
          reason: shortReason(answer.invalidReason ?? 'unexpected_verify_error'),
        }
      } catch (error) {
        if (!(error instanceof FacilitatorUnavailableError)) throw error
        return unavailable(error.retryAfterSeconds)
      }
    },

    settle: payment => {
      const { payload, payer, offer } = payment
      const { requirements, amount } = offer
      return send({ payload, requirements, payer, amount })
    },

    resettle: send,
  }
}

function evmNetworks(clients: readonly CoreClient[]): Set<NetworkId> {
  const networks = clients.flatMap(({ kinds }) => kinds.map(({ network }) => network))
  return new Set(networks.filter(network => network.startsWith('eip155:')))
}

/** Our facilitator as the library sees it: version 2 only, and never asked for what is known. */
class CoreClient implements FacilitatorClient {
  readonly kinds: { x402Version: 2; scheme: string; network: NetworkId }[]
  readonly #facilitator: Facilitator
  readonly #supported: Supported

  constructor({ facilitator, supported }: KnownFacilitator, v1Networks: V1Networks) {
    this.#facilitator = facilitator
    this.#supported = supported
    this.kinds = supported.kinds.flatMap(({ x402Version, scheme, network }) => {
      const id = x402Version === 1 ? v1Networks.networkOf(network) : asNetworkId(network)
      return id === null ? [] : [{ x402Version: 2 as const, scheme, network: id }]
    })
  }

  async verify(payload: CorePayload, requirements: CoreRequirements) {
    return definedOnly(await this.#facilitator.verify(ours(payload), requirements))
  }

  async settle(payload: CorePayload, requirements: CoreRequirements) {
    const answer = await this.#facilitator.settle(ours(payload), requirements)
    // The library repeats a pending settle by itself. We never send one again unasked.
    if (!answer.success && answer.errorReason === 'settlement_pending') {
      throw new SettlementUnknownError('The facilitator has sent the payment and waits for it.', {
        fix: 'The payment stays claimed until the chain tells whether it moved.',
        transaction: answer.transaction === '' ? null : answer.transaction,
      })
    }
    return definedOnly(answer)
  }

  async getSupported() {
    const { extensions, signers } = this.#supported
    return {
      kinds: this.kinds,
      extensions: [...extensions],
      signers: Object.fromEntries(
        Object.entries(signers).map(([family, addresses]) => [family, [...addresses]]),
      ),
    }
  }
}

function asNetworkId(network: string): NetworkId | null {
  // Several services list v1 names under version 2; those say nothing about version 2.
  return network.includes(':') ? (network as NetworkId) : null // just checked
}

function unavailable(retryAfterSeconds: number): Verdict {
  return { kind: 'unavailable', retryAfterSeconds }
}

function notSent(retryAfterSeconds: number): NotSent {
  return { kind: 'not-sent', retryAfterSeconds }
}

/** The library's types are mutable; it does not write to what it is given. */
function forLibrary(
  payload: PaymentPayload,
  requirements: PaymentRequirements,
): [CorePayload, CoreRequirements] {
  return [payload as CorePayload, requirements as CoreRequirements] // see above
}

/** The library hands on the payload that we gave it. */
function ours(payload: CorePayload): PaymentPayload {
  return payload as PaymentPayload // see above
}

/** The library's optional members may be missing, but not undefined. */
function definedOnly<T extends object>(answer: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(answer).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> } // filtered
}
