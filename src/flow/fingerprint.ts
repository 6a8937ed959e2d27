import { createHash } from 'node:crypto'
import { type Fingerprint, fingerprint, type Payment, type PaymentKey } from '../core/payment.ts'
import type { ReadBody } from './exchange.ts'

/**
 * What a payment is spent on. Two requests with the same fingerprint may be answered by the same
 * execution; with any other, the payment is refused.
 *
 * A signature that we could not check ourselves binds it: otherwise whoever knows a smart wallet's
 * nonce could redeem its payment with made-up signature bytes.
 */
export function fingerprintRequest(
  request: { readonly method: string; readonly origin: string; readonly target: string },
  route: string,
  paid: { readonly payment: Payment; readonly body: ReadBody },
): Fingerprint {
  const { payment, body } = paid
  const isRecovered = payment.signature === 'recovered'
  const parts = [
    request.method,
    request.origin,
    request.target,
    route,
    body.kind === 'stream' ? `undigested:${body.length ?? 'chunked'}` : digest(body.bytes),
    // A smart wallet's address may be somebody else's on another network.
    isRecovered ? '' : payment.offer.requirements.network,
  ]
  const binding = isRecovered ? '' : sha256(JSON.stringify(payment.payload.payload))
  return fingerprint(sha256(JSON.stringify(parts)), binding)
}

function digest(bytes: Buffer): string {
  return bytes.length === 0 ? '' : sha256(bytes)
}

function sha256(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('base64url')
}

/**
 * A stable name for a payment that reveals nothing: what the upstream may use as idempotency key.
 */
export function paymentId(key: PaymentKey): string {
  return sha256(key).slice(0, 22)
}
