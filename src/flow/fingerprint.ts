import { createHash } from 'node:crypto'
import { type Fingerprint, fingerprint, type Payment } from '../core/payment.ts'
import type { ReadBody } from './exchange.ts'

/**
 * What a payment is spent on. Two requests with the same fingerprint may be answered by the same
 * execution; with any other, the payment is refused.
 *
 * A signature that we could not check ourselves is part of it: otherwise whoever knows a smart
 * wallet's nonce could redeem its payment with made-up signature bytes.
 */
export function fingerprintRequest(
  request: { readonly method: string; readonly origin: string; readonly target: string },
  route: string,
  paid: { readonly payment: Payment; readonly body: ReadBody },
): Fingerprint {
  const { payment, body } = paid
  const parts = [
    request.method,
    request.origin,
    request.target,
    route,
    body.kind === 'stream' ? `undigested:${body.length ?? 'chunked'}` : digest(body.bytes),
    payment.signature === 'recovered' ? '' : JSON.stringify(payment.payload.payload),
  ]
  return fingerprint(createHash('sha256').update(JSON.stringify(parts)).digest('base64url'))
}

function digest(bytes: Buffer): string {
  return bytes.length === 0 ? '' : createHash('sha256').update(bytes).digest('base64url')
}

/**
 * A stable name for a payment that reveals nothing: what the upstream may use as idempotency key.
 */
export function paymentId(payment: Payment): string {
  return createHash('sha256').update(payment.key).digest('base64url').slice(0, 22)
}
