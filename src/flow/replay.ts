import { createHash } from 'node:crypto'
import { unixMs } from '../core/time.ts'
import type { ClaimId, KnownClaim, StoredResponse } from '../ledger/ledger.ts'
import type { UpstreamOutcome } from '../upstream/upstream.ts'
import { problemReply } from './answers.ts'
import { BodyCopy } from './body-copy.ts'
import type { Exchange, Reply } from './exchange.ts'
import { KeptBody, StoredBody } from './kept-body.ts'
import type { Purchase } from './purchase.ts'
import { withReceipt } from './receipts.ts'

type UpstreamResponse = Extract<UpstreamOutcome, { kind: 'response' }>

/** How long an upstream is read on after its client has left. */
const READ_ON_MS_MAX = 30_000

/** Tells a client that it gets what was made for an earlier request. */
const REPLAYED = ['Farebox-Replayed', 'true']

/**
 * Gathers a paid response on its way to the client. Null where nothing is to be gathered: it cannot
 * be given again, or has no body and is kept already, because its head is all of it.
 */
export async function keepForReplay(
  { visit, route }: Purchase,
  id: ClaimId,
  { status, headers, body }: UpstreamResponse,
): Promise<KeptBody | null> {
  const { replay } = route
  const length = lengthOf(headers)
  const variant = variantOf(visit.exchange, headers)
  const isTooLong = visit.exchange.method !== 'HEAD' && (length ?? 0) > (replay?.bytesMax ?? 0)
  // What follows a 101 is a conversation.
  if (replay === null || variant === null || isTooLong || status === 101) return null
  const { house, exchange } = visit
  const keep = async (bytes: Buffer, trailers: readonly string[]): Promise<void> => {
    const until = unixMs(house.clock() + replay.forMs)
    const response: StoredResponse = { status, headers, body: bytes, trailers, variant }
    await house.ledger
      .keepResponse(id, response, until)
      .catch((error: unknown) => house.reportError(error, visit))
  }
  const isBodiless = exchange.method === 'HEAD' || status === 204 || status === 304
  if (isBodiless || length === 0 || body.isEmpty === true) {
    await keep(Buffer.alloc(0), [])
    return null
  }
  const copy = new BodyCopy(house.replayRoom, replay.bytesMax)
  return new KeptBody(body, { copy, length, keep, readOnMsMax: READ_ON_MS_MAX })
}

/** Gives a response again, with the receipt of the payment that bought it. */
export async function replay(
  purchase: Purchase,
  known: Extract<KnownClaim, { kind: 'stored' }>,
): Promise<Reply> {
  const { id, receipt, key, response, bodyBytes } = known
  const { visit, payment } = purchase
  const { ledger, deliveries, replayRoom } = visit.house
  const { status, headers, trailers, variant } = response
  if (variantOf(visit.exchange, headers) !== variant) {
    return problemReply('payment_for_other_request')
  }
  visit.receipt = receipt
  // Soon there is room again; and what is over meanwhile is answered for as without replay then.
  if (!replayRoom.take(bodyBytes)) return problemReply('payment_in_progress')
  const body = await ledger.readBody(key).catch((error: unknown) => {
    replayRoom.giveBack(bodyBytes)
    throw error
  })
  if (body === null) {
    replayRoom.giveBack(bodyBytes)
    return problemReply('payment_in_progress')
  }
  const stored = new StoredBody(body, trailers)
  const reply = { status, headers: [...headers, ...REPLAYED], body: stored, outcome: 'replayed' }
  return {
    ...withReceipt(reply, purchase, receipt),
    async afterDelivery(delivery) {
      replayRoom.giveBack(bodyBytes)
      if (id === null || delivery !== 'delivered') return
      // Two may get it at once, and then one of them says so first.
      const end = { id, key: payment.key, isDelivered: true }
      await deliveries.write(end).catch((error: unknown) => {
        if (!isTransition(error)) throw error
      })
    },
  }
}

function lengthOf(headers: readonly string[]): number | null {
  const [length] = valuesOf(headers, 'content-length')
  return length === undefined ? null : Number(length)
}

/**
 * Digest of what the response may depend on beyond the fingerprint: who the client said it is, and
 * whatever the upstream names in Vary (RFC 9110 section 12.5.5). A payment's signature is public
 * once it is on the chain, so that it alone must not open what was made for a session. Null: the
 * response is good for this request only.
 */
function variantOf(exchange: Exchange, headers: readonly string[]): string | null {
  const named = valuesOf(headers, 'vary')
    .flatMap(value => value.split(','))
    .map(name => name.trim().toLowerCase())
    .filter(name => name !== '')
  if (named.includes('*')) return null
  const names = [...new Set(['authorization', 'cookie', ...named])].sort()
  const said = names.map(name => [name, exchange.headerValues(name)])
  return createHash('sha256').update(JSON.stringify(said)).digest('base64url')
}

function valuesOf(headers: readonly string[], name: string): string[] {
  return headers.filter(
    (_value, index) => index % 2 === 1 && headers[index - 1]?.toLowerCase() === name,
  )
}

function isTransition(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ledger_transition'
}
