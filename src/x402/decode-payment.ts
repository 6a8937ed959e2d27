import type { PaymentPayload } from '../core/payment.ts'
import { decodeBase64Text } from './base64.ts'
import { readIdentifier, withoutIdentifier } from './payment-identifier.ts'
import { parseStrictJson } from './strict-json.ts'
import { paymentPayloadV1, paymentPayloadV2 } from './wire.ts'

/** How the client speaks, kept only to answer it in kind. */
export type X402Version = 1 | 2

/** What a client presents, before we know which of our offers it means. */
export interface PresentedPayment {
  readonly scheme: string
  /** CAIP-2 when the client spoke v2, a v1 name when it spoke v1. */
  readonly network: string
  /** The offer as the client read it; v1 does not repeat it. */
  readonly accepted: PaymentPayload['accepted'] | null
  readonly payload: Readonly<Record<string, unknown>>
  /** Those that concern the facilitator. */
  readonly extensions: PaymentPayload['extensions']
  /** The client's own name for what it buys; null when it gave none, as v1 cannot. */
  readonly identifier: string | null
}

export type MalformedReason =
  | 'two-payment-headers'
  | 'header-too-long'
  | 'not-base64'
  | 'not-json'
  | 'too-deep'
  | 'duplicate-key'
  | 'unknown-version'
  | 'v1-payload-in-v2-header'
  | 'wrong-shape'
  | 'bad-payment-identifier'

export type DecodedPayment =
  | { readonly kind: 'absent' }
  | { readonly kind: 'malformed'; readonly reason: MalformedReason }
  | {
      readonly kind: 'payment'
      readonly presented: PresentedPayment
      readonly version: X402Version
    }

/** Headers of the two protocol versions (x402 specification, HTTP transport v1 and v2). */
const PAYMENT_HEADER_V1 = 'x-payment'
const PAYMENT_HEADER_V2 = 'payment-signature'

const HEADER_CHARACTERS_MAX = 12 * 1024
const JSON_DEPTH_MAX = 12

/**
 * Reads the one payment that a request may carry.
 *
 * @param headerValues Values of a header by lower-case name, in the order they came.
 */
export function decodePayment(headerValues: (name: string) => readonly string[]): DecodedPayment {
  const v1 = headerValues(PAYMENT_HEADER_V1)
  const v2 = headerValues(PAYMENT_HEADER_V2)
  if (v1.length + v2.length > 1) return malformed('two-payment-headers')
  const encoded = v2[0] ?? v1[0]
  if (encoded === undefined) return { kind: 'absent' }
  return decodePaymentHeader(encoded, v2.length === 1 ? 2 : 1)
}

function decodePaymentHeader(encoded: string, header: X402Version): DecodedPayment {
  if (encoded.length > HEADER_CHARACTERS_MAX) return malformed('header-too-long')
  const text = decodeBase64Text(encoded)
  if (text === null) return malformed('not-base64')
  const json = parseStrictJson(text, JSON_DEPTH_MAX)
  if (json.kind === 'flawed') return malformed(json.flaw)

  const version = readVersion(json.value)
  // AWS agents send version 2 payloads in the version 1 header; the reverse has no known sender.
  if (version === 1) return header === 1 ? readV1(json.value) : malformed('v1-payload-in-v2-header')
  if (version === 2) return readV2(json.value)
  return malformed('unknown-version')
}

function readVersion(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'x402Version' in value
    ? value.x402Version
    : undefined
}

function readV1(value: unknown): DecodedPayment {
  const parsed = paymentPayloadV1.safeParse(value)
  if (!parsed.success) return malformed('wrong-shape')
  const { scheme, network, payload } = parsed.data
  const presented = {
    scheme,
    network,
    accepted: null,
    payload,
    extensions: undefined,
    identifier: null,
  }
  return { kind: 'payment', presented, version: 1 }
}

function readV2(value: unknown): DecodedPayment {
  const parsed = paymentPayloadV2.safeParse(value)
  if (!parsed.success) return malformed('wrong-shape')
  const { accepted, payload } = parsed.data
  const { scheme, network } = accepted
  const read = readIdentifier(parsed.data.extensions)
  if (read.kind === 'malformed') return malformed('bad-payment-identifier')
  const identifier = read.kind === 'identifier' ? read.id : null
  const extensions = withoutIdentifier(parsed.data.extensions)
  const presented = { scheme, network, accepted, payload, extensions, identifier }
  return { kind: 'payment', presented, version: 2 }
}

function malformed(reason: MalformedReason): DecodedPayment {
  return { kind: 'malformed', reason }
}
