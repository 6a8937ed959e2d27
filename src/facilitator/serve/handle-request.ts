import type { NetworkId, Payment } from '../../core/payment.ts'
import type { Clock } from '../../core/time.ts'
import {
  ClientGoneError,
  FacilitatorUnavailableError,
  RequestBodyTooLargeError,
  SettlementUnknownError,
  StoreUnavailableError,
} from '../../errors.ts'
import { problemReply } from '../../flow/answers.ts'
import type { Exchange, Reply } from '../../flow/exchange.ts'
import type { Network } from '../../networks/registry.ts'
import type { FacilitatorServed, GatewayObserver } from '../../observe/events.ts'
import {
  checkFacilitatorRequest,
  decodeFacilitatorRequest,
  type FacilitatorRequest,
} from '../../x402/facilitator-request.ts'
import type { Facilitator } from '../facilitator.ts'
import { settleBody, supportedBody, verifyBody, type WireAnswer } from './answers.ts'
import type { Caller, Callers } from './callers.ts'
import type { Guesses } from './guesses.ts'
import type { Settlements } from './settlements.ts'

/** What a served facilitator works with. */
export interface ServiceParts {
  readonly facilitator: Facilitator
  readonly settlements: Settlements
  /** Asked for each request, because a reload may change them. */
  readonly callers: () => Callers
  readonly guesses: Guesses
  /** Those that it settles on. */
  readonly networks: readonly Network[]
  readonly clock: Clock
  readonly observer: Pick<GatewayObserver, 'facilitatorServed' | 'errorReported'>
}

type Operation = NonNullable<FacilitatorServed['operation']>

const OPERATIONS: ReadonlyMap<string, { readonly operation: Operation; readonly method: string }> =
  new Map([
    ['/verify', { operation: 'verify', method: 'POST' }],
    ['/settle', { operation: 'settle', method: 'POST' }],
    ['/supported', { operation: 'supported', method: 'GET' }],
  ])

export const REQUEST_BYTES_MAX = 64 * 1024

/** What is known of a request by the time it is answered. */
interface Visit {
  readonly exchange: Exchange
  operation: Operation | null
  caller: Caller | null
  payment: Payment | null
  transaction: string | null
}

/** Answers one request to the facilitator. Never rejects. */
export async function handleFacilitatorRequest(
  exchange: Exchange,
  parts: ServiceParts,
): Promise<void> {
  const startedAt = parts.clock()
  const visit: Visit = {
    ...{ exchange, operation: null, caller: null, payment: null, transaction: null },
  }
  const reply = await answer(visit, parts).catch((error: unknown) => failure(error, visit, parts))
  const delivery = await exchange.respond(reply)
  const { operation, caller, payment, transaction } = visit
  parts.observer.facilitatorServed({
    requestId: exchange.requestId,
    ...{ operation, transaction, status: reply.status },
    caller: caller?.name ?? null,
    outcome: delivery === 'delivered' ? reply.outcome : `${reply.outcome}_aborted`,
    durationMs: parts.clock() - startedAt,
    clientAddress: exchange.clientAddress,
    network: payment?.offer.requirements.network ?? null,
    payer: payment?.payer ?? null,
  })
}

async function answer(visit: Visit, parts: ServiceParts): Promise<Reply> {
  const { exchange } = visit
  if (exchange.flaw !== null) return problemReply(exchange.flaw.code, exchange.flaw)
  if (exchange.host === null) return problemReply('malformed_request')
  const found = OPERATIONS.get(exchange.rawTarget.split('?', 1)[0] ?? '')
  if (found === undefined) return problemReply('no_such_route')
  visit.operation = found.operation
  if (exchange.method !== found.method) {
    return problemReply('method_not_allowed', { headers: ['Allow', found.method] })
  }
  visit.caller = parts.callers().find(exchange.headerValues('authorization'))
  if (visit.caller === null) return refuseStranger(exchange, parts)
  const admission = visit.caller.admit()
  if (admission.kind === 'refused') {
    const { retryAfterSeconds } = admission
    return problemReply('rate_limited', { retryAfterSeconds })
  }
  try {
    return await perform(found.operation, visit.caller, visit, parts)
  } finally {
    admission.leave()
  }
}

/** Counted after the keys were looked at: who has one is not stopped by a neighbour's guesses. */
function refuseStranger({ clientAddress }: Exchange, { guesses }: ServiceParts): Reply {
  const retryAfterSeconds = guesses.count(clientAddress)
  if (retryAfterSeconds !== null) return problemReply('rate_limited', { retryAfterSeconds })
  return problemReply('unknown_key', { headers: ['WWW-Authenticate', 'Bearer'] })
}

async function perform(
  operation: Operation,
  caller: Caller,
  visit: Visit,
  parts: ServiceParts,
): Promise<Reply> {
  if (operation === 'supported') {
    return jsonReply(supportedBody(await parts.facilitator.supported(), parts.networks))
  }
  const body = await visit.exchange.readBody(REQUEST_BYTES_MAX)
  if (body.kind === 'stream') return problemReply('body_too_large')
  const decoded = decodeFacilitatorRequest(body.bytes)
  if (decoded.kind === 'malformed') {
    return problemReply('malformed_facilitator_request', { detail: decoded.reason })
  }
  const { request } = decoded
  const network = networkOf(request, parts.networks)
  const checked = checkFacilitatorRequest(request, network, Math.floor(parts.clock() / 1000))
  if (checked.kind === 'refused') return refusal(operation, request, checked.reason)
  const { payment } = checked
  visit.payment = payment
  if (!caller.mayMove(payment)) return refusal(operation, request, 'invalid_payment_requirements')
  if (operation === 'verify') {
    const { payload, offer } = payment
    return jsonReply(verifyBody(await parts.facilitator.verify(payload, offer.requirements)))
  }
  const settled = await parts.settlements.settle(payment, caller.name)
  visit.transaction = settled.transaction === '' ? null : settled.transaction
  return jsonReply(settleBody(settled, request))
}

/** Version 1 has names of its own, and version 2 ids: neither is read in the other. */
function networkOf(
  { version, network }: FacilitatorRequest,
  networks: readonly Network[],
): NetworkId | null {
  const spelled = (one: Network): string | null => (version === 1 ? one.v1Name : one.id)
  return networks.find(one => spelled(one) === network)?.id ?? null
}

/** As the reference answers: it is no failure of the request. */
function refusal(
  operation: 'verify' | 'settle',
  request: FacilitatorRequest,
  reason: string,
): Reply {
  if (operation === 'verify')
    return jsonReply(verifyBody({ isValid: false, invalidReason: reason }))
  return jsonReply(
    settleBody({ success: false, errorReason: reason, transaction: '', network: NOWHERE }, request),
  )
}

/** The body has the network as the request wrote it. */
const NOWHERE: NetworkId = 'eip155:0'

function jsonReply({ body, outcome }: WireAnswer): Reply {
  const headers = ['Content-Type', 'application/json', 'Cache-Control', 'no-store']
  return { status: 200, headers, body: Buffer.from(JSON.stringify(body)), outcome }
}

function failure(error: unknown, visit: Visit, parts: ServiceParts): Reply {
  if (error instanceof ClientGoneError) return problemReply('malformed_request')
  if (error instanceof RequestBodyTooLargeError) return problemReply('body_too_large')
  if (error instanceof FacilitatorUnavailableError) {
    const { retryAfterSeconds } = error
    return problemReply('facilitator_unavailable', { retryAfterSeconds })
  }
  if (error instanceof SettlementUnknownError) return problemReply('settlement_pending')
  const { requestId } = visit.exchange
  parts.observer.errorReported({ error, requestId })
  const isStore = error instanceof StoreUnavailableError
  return problemReply(isStore ? 'store_unavailable' : 'internal_error')
}
