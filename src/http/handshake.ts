import type { IncomingMessage } from 'node:http'
import type { RequestFlaw } from '../flow/exchange.ts'

/** What a request that names `upgrade` in Connection asks for. */
export type Upgrade =
  /** It names no protocol, so there is nothing to change to. */
  | { readonly kind: 'none' }
  /** A WebSocket handshake, whole and well-formed. */
  | { readonly kind: 'handshake' }
  | { readonly kind: 'refused'; readonly flaw: RequestFlaw }

/** Sixteen bytes in base64 (RFC 6455 section 4.1). */
const KEY = /^[A-Za-z0-9+/]{22}==$/

/** The one version that was ever finished (RFC 6455 section 4.1). */
const VERSION = '13'

/** What Connection may name beside the upgrade: whatever else it named would be lost on the way. */
const CONNECTION_TOKENS: ReadonlySet<string> = new Set(['upgrade', 'keep-alive'])

const refused = (flaw: RequestFlaw): Upgrade => ({ kind: 'refused', flaw })

/** h2c, TLS and whatever else would leave us with bytes that nobody counts or prices. */
export const NO_SWITCH: RequestFlaw = { code: 'upgrade_refused', detail: 'protocol' }
const REFUSED = refused(NO_SWITCH)
const BAD_KEY = refused({ code: 'malformed_request', detail: 'sec-websocket-key' })
const BAD_CONNECTION = refused({ code: 'malformed_request', detail: 'connection' })
const HAS_BODY = refused({ code: 'malformed_request', detail: 'websocket-body' })
/** What it must say of the version (RFC 6455 section 4.4) and the protocol (RFC 9110, 15.5.22). */
const BAD_VERSION = refused({
  code: 'websocket_version_required',
  detail: 'sec-websocket-version',
  headers: ['Sec-WebSocket-Version', VERSION, 'Connection', 'Upgrade', 'Upgrade', 'websocket'],
})
const NONE: Upgrade = { kind: 'none' }
const HANDSHAKE: Upgrade = { kind: 'handshake' }

/**
 * Takes a WebSocket handshake over HTTP/1.1 (RFC 6455 section 4.2.1) for what it is, and refuses
 * every other change of protocol.
 *
 * @param bodyLength In bytes; null for chunks.
 */
export function readUpgrade(
  {
    method,
    httpVersion,
    rawHeaders,
  }: Pick<IncomingMessage, 'method' | 'httpVersion' | 'rawHeaders'>,
  bodyLength: number | null,
): Upgrade {
  const protocols = valuesOf(rawHeaders, 'upgrade')
  if (protocols.length === 0) return NONE
  const isWebSocket = protocols.length === 1 && protocols[0]?.toLowerCase() === 'websocket'
  if (!isWebSocket || method !== 'GET' || httpVersion !== '1.1') return REFUSED
  if (bodyLength !== 0) return HAS_BODY
  const named = valuesOf(rawHeaders, 'connection').flatMap(value => value.split(','))
  if (!named.every(token => CONNECTION_TOKENS.has(token.trim().toLowerCase()))) {
    return BAD_CONNECTION
  }
  if (!isOnly(valuesOf(rawHeaders, 'sec-websocket-version'), value => value === VERSION)) {
    return BAD_VERSION
  }
  return isOnly(valuesOf(rawHeaders, 'sec-websocket-key'), key => KEY.test(key))
    ? HANDSHAKE
    : BAD_KEY
}

function isOnly(values: readonly string[], isGood: (value: string) => boolean): boolean {
  return values.length === 1 && values.every(isGood)
}

function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter(
    (_value, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name,
  )
}
