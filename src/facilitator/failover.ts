import { isGatewayWallet } from '../core/gateway-wallet.ts'
import type { PaymentPayload, PaymentRequirements } from '../core/payment.ts'
import { FacilitatorUnavailableError } from '../errors.ts'
import { gasSponsoringOf } from '../x402/gas-sponsoring.ts'
import type { Facilitator, KnownFacilitator, SettleAnswer, VerifyAnswer } from './facilitator.ts'
import { bind, isBoundTo, kindFor } from './kinds.ts'
import type { V1Networks } from './v1-translation.ts'

/**
 * Several facilitators as one. Whoever rejects with `FacilitatorUnavailableError` has sent nothing,
 * so the next one is asked; every other outcome, a refusal included, is final.
 */
export interface Failover {
  /**
   * What an offer asks for, tied to the first facilitator where its kind of payment has to be tied
   * to one. Null when none takes such payments. Who is up now makes no difference: a challenge must
   * not change with the weather.
   */
  bind(requirements: PaymentRequirements): PaymentRequirements | null
  /** Extensions that the facilitator lists which such an offer would go to. */
  extensionsFor(requirements: PaymentRequirements): readonly string[]
  verify: Facilitator['verify']
  /** Whoever has verified the payment is asked first: the others may be down. */
  settle: Facilitator['settle']
  /** For a payment that was sent before and is unused: not first to whoever failed to settle. */
  resettle: Facilitator['settle']
}

/** @param known In the order in which they are preferred. */
export function createFailover(
  known: readonly KnownFacilitator[],
  v1Networks: V1Networks,
): Failover {
  const verifiedBy = new WeakMap<PaymentPayload, Facilitator>()
  const doubtful = new Set<Facilitator>()

  const supporting = createIndex(known, v1Networks)
  const allowed = (
    payload: PaymentPayload,
    requirements: PaymentRequirements,
  ): readonly Facilitator[] => {
    const needed = gasSponsoringOf(payload)
    return supporting(requirements)
      .filter(one => isBoundTo(one, requirements, v1Networks))
      .filter(({ supported }) => needed.every(name => supported.extensions.includes(name)))
      .map(({ facilitator }) => facilitator)
  }

  const settleWith = async (
    facilitator: Facilitator,
    ...payment: Parameters<Facilitator['settle']>
  ): Promise<SettleAnswer> => {
    const answer = await facilitator.settle(...payment).catch((error: unknown) => {
      doubtful.add(facilitator)
      throw error
    })
    if (answer.success) doubtful.delete(facilitator)
    else doubtful.add(facilitator)
    return answer
  }

  return {
    bind(requirements) {
      const [first] = supporting(requirements)
      const kind = first && kindFor(first.supported, requirements, v1Networks)
      return kind ? bind(requirements, kind) : null
    },

    extensionsFor(requirements) {
      const [first] = supporting(requirements)
      return first?.supported.extensions ?? []
    },

    verify(payload, requirements): Promise<VerifyAnswer> {
      return firstToAnswer(allowed(payload, requirements), async facilitator => {
        const answer = await facilitator.verify(payload, requirements)
        verifiedBy.set(payload, facilitator)
        return answer
      })
    },

    settle(payload, requirements): Promise<SettleAnswer> {
      const verifier = verifiedBy.get(payload)
      const inOrder = putFirst(allowed(payload, requirements), one => one === verifier)
      return firstToAnswer(inOrder, one => settleWith(one, payload, requirements))
    },

    resettle(payload, requirements): Promise<SettleAnswer> {
      const inOrder = putFirst(allowed(payload, requirements), one => !doubtful.has(one))
      return firstToAnswer(inOrder, one => settleWith(one, payload, requirements))
    },
  }
}

/** Looks the kinds up once per scheme and network: a service may list thousands. */
function createIndex(known: readonly KnownFacilitator[], v1Networks: V1Networks) {
  const index = new Map<string, readonly KnownFacilitator[]>()
  return (requirements: PaymentRequirements): readonly KnownFacilitator[] => {
    const { scheme, network, extra } = requirements
    const wallet = isGatewayWallet(extra) ? extra['version'] : 'none'
    const key = `${scheme} ${network} ${extra['assetTransferMethod']} ${wallet}`
    const found = index.get(key)
    if (found !== undefined) return found
    const supporting = known.filter(
      ({ supported }) => kindFor(supported, requirements, v1Networks) !== null,
    )
    if (index.size < KEYS_MAX) index.set(key, supporting)
    return supporting
  }
}

/** More than any configuration has; what a ledger asks to settle again is not bounded by that. */
const KEYS_MAX = 1_000

function putFirst<T>(all: readonly T[], isFirst: (one: T) => boolean): T[] {
  return [...all.filter(isFirst), ...all.filter(one => !isFirst(one))]
}

/** Rejects with the word of whoever may be back first when nobody answers. */
async function firstToAnswer<T>(
  facilitators: readonly Facilitator[],
  ask: (facilitator: Facilitator) => Promise<T>,
): Promise<T> {
  let soonest: FacilitatorUnavailableError | null = null
  for (const facilitator of facilitators) {
    try {
      return await ask(facilitator)
    } catch (error) {
      if (!(error instanceof FacilitatorUnavailableError)) throw error
      if (soonest === null || error.retryAfterSeconds < soonest.retryAfterSeconds) soonest = error
    }
  }
  throw soonest ?? nobody()
}

function nobody(): FacilitatorUnavailableError {
  return new FacilitatorUnavailableError('No facilitator takes payments of this kind now.', {
    fix: 'Name a facilitator that supports the scheme and network of the offer.',
  })
}
