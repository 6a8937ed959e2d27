import { Agent } from 'undici'
import type { FacilitatorConfig } from '../config/gateway-config.ts'
import { isGatewayWallet } from '../core/gateway-wallet.ts'
import type { NetworkId, PaymentPayload, PaymentRequirements } from '../core/payment.ts'
import { FacilitatorUnavailableError, SettlementUnknownError } from '../errors.ts'
import { openCredentials } from './auth/credentials.ts'
import { type ExtensionResponse, readExtensionResponses } from './extension-responses.ts'
import type { Facilitator, SettleAnswer, Supported, VerifyAnswer } from './facilitator.ts'
import { type Answer, type Call, callJson } from './json-call.ts'
import { kindFor } from './kinds.ts'
import { askSupported, assumeSupported } from './supported-call.ts'
import { requestV1, requestV2, requestWithoutVersion, type V1Networks } from './v1-translation.ts'
import { readSettleAnswer, readVerifyAnswer } from './wire.ts'

/**
 * A facilitator behind HTTP. Follows no redirect (it would send the payment elsewhere), repeats
 * nothing by itself, reads a bounded answer, and believes only what its schema proves.
 *
 * @param lastSaid What it said it supports, as far as is known; null: version 2 is assumed until it
 *                 has been asked.
 * @param onExtension Told what it says that it did with an extension of a payment.
 */
export function createHttpFacilitator(
  config: FacilitatorConfig,
  v1Networks: V1Networks,
  lastSaid: Supported | null = null,
  onExtension: (response: ExtensionResponse) => void = () => {},
): Facilitator {
  const agent = new Agent({
    // A place for each call that may be made at once, and one to ask what is supported.
    connections: config.concurrency + 1,
    pipelining: 1,
    connect: { timeout: config.timeoutMs },
  })
  let known = lastSaid

  const { timeoutMs, quirks } = config
  const credentials = openCredentials(config)
  /** Another one of the service's own, once its /supported was found there. */
  let { baseUrl } = credentials

  const requestBody = (payload: PaymentPayload, requirements: PaymentRequirements): unknown => {
    if (isGatewayWallet(requirements.extra)) return requestWithoutVersion(payload, requirements)
    const kind = known && kindFor(known, requirements, v1Networks)
    return kind?.x402Version === 1
      ? requestV1(payload, requirements, kind.network)
      : requestV2(payload, requirements)
  }

  const post = async (
    operation: 'verify' | 'settle',
    call: Omit<Call, 'url' | 'headers'>,
  ): Promise<Answer> => {
    const url = new URL(`${baseUrl}/${operation}`)
    const headers = credentials.headersFor({ method: 'POST', url })
    const answer = await callJson(agent, { ...call, url, headers })
    for (const one of readExtensionResponses(answer.extensionResponses)) onExtension(one)
    return answer
  }

  return {
    name: config.name,

    async supported(): Promise<Supported> {
      if (quirks.supported !== null) {
        known = assumeSupported(quirks.supported)
        return known
      }
      const places = { baseUrl, otherUrls: [credentials.baseUrl, ...quirks.otherUrls] }
      const asked = await askSupported(agent, places, { credentials, timeoutMs }).catch(cause => {
        throw unavailable(config, 'supported', cause)
      })
      if (asked.supported === null) throw untrustworthy(config, 'supported', asked.answer)
      baseUrl = asked.baseUrl
      known = asked.supported
      return known
    },

    async verify(payload, requirements): Promise<VerifyAnswer> {
      const body = requestBody(payload, requirements)
      const answer = await post('verify', { timeoutMs, body }).catch(cause => {
        throw unavailable(config, 'verify', cause)
      })
      const verdict = readVerifyAnswer(answer.json)
      // A refusal may come as a 4xx with a body; a server's failure never decides a payment.
      const isSilent = verdict === null || answer.status >= 500 || answer.status === TOO_MANY
      if (isSilent || (verdict.isValid && answer.status !== 200)) {
        throw untrustworthy(config, 'verify', answer)
      }
      return verdict
    },

    async settle(payload, requirements): Promise<SettleAnswer> {
      const body = requestBody(payload, requirements)
      let sent = false
      const answer = await post('settle', {
        timeoutMs: config.settleTimeoutMs,
        body,
        onSend() {
          sent = true
        },
      }).catch(cause => {
        if (!sent) throw unavailable(config, 'settle', cause)
        throw settlementUnknown(config, 'gave no complete answer to a settle', { cause })
      })
      return readSettle(config, answer, requirements.network)
    },

    close: () => agent.close(),
  }
}

const TOO_MANY = 429
/** Statuses by which a service says that it did not take the request up at all. */
const NOT_TAKEN_UP = new Set([401, 403, 404, 405, 413, TOO_MANY])

function readSettle(config: FacilitatorConfig, answer: Answer, network: NetworkId): SettleAnswer {
  const settled = readSettleAnswer(answer.json, network)
  // It has the payment already, from a settle before this one, and says nothing of its outcome.
  if (settled?.success === false && settled.errorReason === 'duplicate_settlement') {
    const transaction = settled.transaction || null
    throw settlementUnknown(config, 'is already settling the payment', { transaction })
  }
  const hasMoved = settled !== null && (settled.success || settled.transaction !== '')
  if (answer.status === TOO_MANY && !hasMoved) throw untrustworthy(config, 'settle', answer)
  if (settled !== null && answer.status < 500) {
    const proven = !settled.success || (answer.status === 200 && settled.transaction !== '')
    if (proven) return settled
  }
  if (settled === null && NOT_TAKEN_UP.has(answer.status)) {
    throw untrustworthy(config, 'settle', answer)
  }
  const what = `answered a settle with status ${answer.status} and no proof`
  const transaction = settled?.transaction || null
  throw settlementUnknown(config, what, { transaction, restSeconds: restOf(answer) })
}

function unavailable(config: FacilitatorConfig, operation: string, cause: unknown): Error {
  return new FacilitatorUnavailableError(
    `Facilitator ${config.name} gave no answer to ${operation}.`,
    {
      fix: 'Check its URL, its status page and the network between; payments wait meanwhile.',
      cause,
    },
  )
}

function untrustworthy(config: FacilitatorConfig, operation: string, answer: Answer): Error {
  return new FacilitatorUnavailableError(
    `Facilitator ${config.name} answered ${operation} with status ${answer.status} and no usable body.`,
    {
      fix: 'Check the facilitator URL and its credentials in the configuration.',
      ...(answer.retryAfterSeconds === undefined
        ? {}
        : { retryAfterSeconds: answer.retryAfterSeconds }),
      restSeconds: restOf(answer),
    },
  )
}

/** Enough for the limits per second that services have. */
const REST_SECONDS_UNTOLD = 1

/** How long the service wants to be left alone; null when it did not say so. */
function restOf({ status, retryAfterSeconds }: Answer): number | null {
  if (status === TOO_MANY) return retryAfterSeconds ?? REST_SECONDS_UNTOLD
  return status === 503 ? (retryAfterSeconds ?? null) : null
}

function settlementUnknown(
  config: FacilitatorConfig,
  what: string,
  known: {
    readonly cause?: unknown
    readonly transaction?: string | null
    readonly restSeconds?: number | null
  },
): Error {
  return new SettlementUnknownError(`Facilitator ${config.name} ${what}.`, {
    fix: 'The payment stays claimed until the chain tells whether it moved.',
    ...known,
  })
}
