import type { IncomingMessage } from 'node:http'
import type { RequestFlaw } from '../flow/exchange.ts'
import { NO_SWITCH, readUpgrade, type Upgrade } from './handshake.ts'

/** What the head of a request says about the request itself. */
export interface RequestHead {
  /** The one well-formed Host field; null: none was sent. */
  readonly host: string | null
  /** Bytes of the body; null for chunks. */
  readonly bodyLength: number | null
  /** What follows on this connection must not be read as a request. */
  readonly isLast: boolean
  /** A WebSocket handshake, whole and well-formed. */
  readonly isHandshake: boolean
  readonly flaw: RequestFlaw | null
}

/**
 * Apache and gunicorn take as many. Some upstreams drop what is beyond their own limit without a
 * word (node:http: 1000), and the last ones, which they would drop first, are those that we add.
 */
export const HEADERS_MAX = 100

/** An authority without user information (RFC 9110 section 7.2): name or address, and port. */
export const AUTHORITY =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/

/** No leading zero, which some read as octal, and less than 2^53, which all can count. */
export const LENGTH = /^(?:0|[1-9]\d{0,14})$/

/** What stands here without a length has no body, to most servers. */
export const NO_CHUNKS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])

/** A next hop that obeyed would lose what the request means, or who pays for it. */
const NOT_FOR_ONE_HOP: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'payment-signature',
  'x-payment',
])

/** The fields that are looked at, by the length of their names: no two are equally long. */
const FIELDS: readonly (string | undefined)[] = ((): (string | undefined)[] => {
  const byLength: (string | undefined)[] = Array(18).fill(undefined)
  for (const name of ['host', 'expect', 'connection', 'content-length', 'transfer-encoding']) {
    byLength[name.length] = name
  }
  return byLength
})()

const NO_TOKENS: readonly string[] = []

export const flaw = (detail: string): RequestFlaw => ({ code: 'malformed_request', detail })
export const BAD_LENGTH = flaw('content-length')
const BAD_CODING = flaw('transfer-encoding')
const BAD_CONNECTION = flaw('connection')
const BAD_VERSION = flaw('http-version')
export const TOO_MANY: RequestFlaw = {
  code: 'too_many_headers',
  detail: `more than ${HEADERS_MAX}`,
}
export const BAD_EXPECTATION: RequestFlaw = { code: 'expectation_failed', detail: 'expect' }
export const BAD_HOST: RequestFlaw = { code: 'bad_request_target', detail: 'bad-host' }
export const OTHER_HOST: RequestFlaw = { code: 'misdirected_request', detail: 'host' }

type Head = Pick<IncomingMessage, 'method' | 'httpVersion' | 'rawHeaders'>

/**
 * Refuses what node:http's parser (llhttp 9, strict) lets through although another parser could
 * read another request, or another number of requests, in it. What the parser itself refuses never
 * comes here: docs/edge.md lists both, and test/corpus holds it to that.
 */
export function readHead(head: Head): RequestHead {
  const { method = '', httpVersion, rawHeaders } = head
  if (rawHeaders.length > 2 * HEADERS_MAX) return flawed(TOO_MANY)
  // "GET /" without a version is HTTP/0.9 to the parser, and 2.0 has no business in these bytes.
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return flawed(BAD_VERSION)
  // Whatever came through it would be neither counted nor priced.
  if (method === 'CONNECT') return flawed(NO_SWITCH)
  let host: string | null = null
  let bodyLength: number | null = 0
  let framed = false
  let isLast = false
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    const field = FIELDS[name.length]
    if (field === undefined || name.toLowerCase() !== field) continue
    const value = rawHeaders[index + 1] ?? ''
    if (field === 'host') {
      // Two of them are two requests to two parsers.
      if (host !== null || !AUTHORITY.test(value)) return flawed(BAD_HOST)
      host = value
    } else if (field === 'content-length') {
      if (framed || !LENGTH.test(value)) return flawed(BAD_LENGTH)
      framed = true
      bodyLength = Number(value)
    } else if (field === 'transfer-encoding') {
      const isChunked = value.toLowerCase() === 'chunked' && httpVersion === '1.1'
      if (framed || !isChunked || NO_CHUNKS.has(method)) return flawed(BAD_CODING)
      framed = true
      bodyLength = null
    } else if (field === 'connection') {
      const tokens = tokensOf(value)
      if (tokens.some(token => NOT_FOR_ONE_HOP.has(token))) return flawed(BAD_CONNECTION)
      // The parser loses bytes that come in one packet with an upgrade that nobody takes.
      if (tokens.includes('upgrade')) isLast = true
    } else if (value.toLowerCase() !== '100-continue') return flawed(BAD_EXPECTATION)
  }
  const upgrade: Upgrade = isLast ? readUpgrade(head, bodyLength) : { kind: 'none' }
  if (upgrade.kind === 'refused') return flawed(upgrade.flaw)
  return { host, bodyLength, isLast, isHandshake: upgrade.kind === 'handshake', flaw: null }
}

function tokensOf(value: string): readonly string[] {
  if (value === 'keep-alive' || value === 'close') return NO_TOKENS
  return value.split(',').map(token => token.trim().toLowerCase())
}

/** Nothing that such a head says is believed, and nothing that follows it. */
function flawed(flaw: RequestFlaw): RequestHead {
  return { host: null, bodyLength: null, isLast: true, isHandshake: false, flaw }
}
