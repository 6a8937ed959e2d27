/**
 * Every code that an HTTP answer can carry. Stable: never reworded into another meaning, never
 * reused. docs/errors.md is generated from this table.
 */
export interface Problem {
  readonly status: number
  /** What happened, for people. */
  readonly title: string
  /** What the caller should do. */
  readonly cure: string
  /** Seconds, for `Retry-After`. */
  readonly retryAfterSeconds?: number
}

export const PROBLEMS = {
  bad_request_target: {
    status: 400,
    title: 'The request target could be read in more than one way.',
    cure: 'Send a plain path without dot segments, doubled or encoded slashes, or broken escapes.',
  },
  malformed_request: {
    status: 400,
    title: 'The bytes on the connection are not an HTTP/1.1 request.',
    cure: 'Send one well-formed request with exactly one valid Host header.',
  },
  malformed_payment: {
    status: 400,
    title: 'The payment header is not one strict payload.',
    cure: 'Send one PAYMENT-SIGNATURE (or X-PAYMENT) header with base64 of one JSON payload.',
  },
  payment_identifier_required: {
    status: 400,
    title: 'Payments for this route must carry an identifier.',
    cure: 'Add an id to the extension payment-identifier of the payload. Nothing was charged.',
  },
  malformed_facilitator_request: {
    status: 400,
    title: 'The body is not one strict request to a facilitator.',
    cure: 'Send x402Version, paymentPayload and paymentRequirements as one JSON object.',
  },
  unknown_key: {
    status: 401,
    title: 'This facilitator does not know the key.',
    cure: 'Send Authorization: Bearer and a key that the operator has given out.',
  },
  access_denied: {
    status: 403,
    title: 'The operator of this gateway does not serve this client. Nothing was charged.',
    cure: 'Ask the operator. No payment changes it.',
  },
  no_such_route: {
    status: 404,
    title: 'No route of this gateway matches the path.',
    cure: 'Check the path. What is not listed is not served.',
  },
  method_not_allowed: {
    status: 405,
    title: 'The path is known, but not with this method.',
    cure: 'Use one of the methods in the Allow header.',
  },
  request_timeout: {
    status: 408,
    title: 'The request did not arrive in time.',
    cure: 'Send the whole request faster, or ask the operator for a longer limit.',
  },
  payment_in_progress: {
    status: 409,
    title: 'Another request is using this payment right now.',
    cure: 'Wait for Retry-After, then send the same request with the same payment again.',
    retryAfterSeconds: 1,
  },
  payment_already_used: {
    status: 409,
    title: 'This payment has already bought its response.',
    cure: 'Sign a new payment for a new request.',
  },
  payment_for_other_request: {
    status: 409,
    title: 'This payment belongs to another request.',
    cure: 'Send it with the request it was first used for, or sign a new payment.',
  },
  payment_identifier_reused: {
    status: 409,
    title: 'This payment identifier belongs to another request.',
    cure: 'Use a new identifier for a new request. Nothing was charged by this one.',
  },
  body_too_large: {
    status: 413,
    title: 'The request body is larger than this gateway takes.',
    cure: 'Send less, or ask the operator for a higher limit.',
  },
  target_too_long: {
    status: 414,
    title: 'The request target is longer than this gateway takes.',
    cure: 'Send a shorter path and query.',
  },
  expectation_failed: {
    status: 417,
    title: 'The request expects something that this gateway does not do.',
    cure: 'Send Expect: 100-continue, or no Expect header.',
  },
  misdirected_request: {
    status: 421,
    title: 'The request is for a host that this gateway does not serve.',
    cure: 'Send the public host name in Host; its operator lists it in server.hosts.',
  },
  websocket_version_required: {
    status: 426,
    title: 'The WebSocket handshake is not of version 13.',
    cure: 'Send Sec-WebSocket-Version: 13 (RFC 6455), once.',
  },
  too_many_headers: {
    status: 431,
    title: 'The request has more headers than this gateway takes.',
    cure: 'Send fewer headers.',
  },
  headers_too_large: {
    status: 431,
    title: 'The request headers are larger than this gateway takes.',
    cure: 'Send fewer or shorter headers, or ask the operator for a higher limit.',
  },
  verification_budget_spent: {
    status: 429,
    title: 'Too many payments with signatures that only the chain can check.',
    cure: 'Wait for Retry-After, then send the same payment again; or pay from an ordinary account.',
    retryAfterSeconds: 2,
  },
  rate_limited: {
    status: 429,
    title: 'More requests came than are allowed. Nothing was charged.',
    cure: 'Wait for Retry-After, or ask the operator for a higher limit.',
    retryAfterSeconds: 1,
  },
  too_many_unpaid_requests: {
    status: 429,
    title: 'Too many requests of this address came without a payment that could be taken.',
    cure: 'Wait for Retry-After, or pay: a request with a good payment is not counted.',
    retryAfterSeconds: 1,
  },
  too_many_refused_payments: {
    status: 429,
    title: 'Too many payments of this payer or address were refused. This one was not looked at.',
    cure: 'Wait for Retry-After, then send the same payment again. Nothing was charged.',
    retryAfterSeconds: 1,
  },
  too_many_verifications: {
    status: 429,
    title: 'Too many payments are being verified, or were refused just now.',
    cure: 'Wait for Retry-After, then send the same payment again. Nothing was charged.',
    retryAfterSeconds: 1,
  },
  internal_error: {
    status: 500,
    title: 'The gateway failed. Nothing was charged by this request.',
    cure: 'Send the same request with the same payment again, and tell the operator.',
  },
  upgrade_refused: {
    status: 501,
    title: 'This gateway changes to no protocol but WebSocket, and that by a GET over HTTP/1.1.',
    cure: 'Send the request without Upgrade, or one WebSocket handshake (RFC 6455). CONNECT is never taken.',
  },
  upstream_unreachable: {
    status: 502,
    title: 'The API behind this gateway could not be reached.',
    cure: 'Send the same request with the same payment again later.',
  },
  facilitator_unavailable: {
    status: 503,
    title: 'Payments cannot be checked right now. Nothing was charged.',
    cure: 'Wait for Retry-After, then send the same request with the same payment again.',
    retryAfterSeconds: 5,
  },
  upstream_unavailable: {
    status: 503,
    title: 'The API behind this gateway is down. Nothing was charged by this request.',
    cure: 'Wait for Retry-After, then send the same request with the same payment again.',
    retryAfterSeconds: 1,
  },
  upstream_overloaded: {
    status: 503,
    title: 'The API behind this gateway has all the requests that it may have.',
    cure: 'Wait for Retry-After, then send the same request with the same payment again.',
    retryAfterSeconds: 1,
  },
  settlement_pending: {
    status: 503,
    title: 'The payment was sent to the chain and its fate is not known yet.',
    cure: 'Do not pay again. Wait for Retry-After, then send the same payment again.',
    retryAfterSeconds: 5,
  },
  store_unavailable: {
    status: 503,
    title: 'The gateway cannot record payments right now, so it takes none.',
    cure: 'Wait for Retry-After, then send the same request with the same payment again.',
    retryAfterSeconds: 5,
  },
  too_many_tunnels: {
    status: 503,
    title: 'As many WebSockets are open on this route as may be. Nothing was charged.',
    cure: 'Wait for Retry-After, then send the same handshake with the same payment again.',
    retryAfterSeconds: 5,
  },
  shutting_down: {
    status: 503,
    title: 'The gateway is shutting down and takes no new requests.',
    cure: 'Send the request again; another instance will take it.',
    retryAfterSeconds: 1,
  },
  upstream_timeout: {
    status: 504,
    title: 'The API behind this gateway did not answer in time.',
    cure: 'Send the same request with the same payment again later.',
  },
} as const satisfies Record<string, Problem>

export type ProblemCode = keyof typeof PROBLEMS
