import { valuesOf, withoutHeaders } from '../core/header-list.ts'
import { canonicalHeaderName } from '../core/header-name.ts'

/**
 * Which headers pass, which stop here, and why. Both directions, one table.
 */
type Direction = 'request' | 'reply'

interface Dropped {
  readonly from: readonly Direction[]
  readonly why: string
}

const both: readonly Direction[] = ['request', 'reply']
const request: readonly Direction[] = ['request']
const reply: readonly Direction[] = ['reply']

const HOP_BY_HOP = 'Says something about one connection only (RFC 9110 section 7.6.1).'
const PAYMENT = 'A payment is for us; who holds its header could spend it.'
const OURS = 'Only we may say whether money moved.'
const REBUILT = 'Rebuilt from the peer and the trusted proxies; a client could lie in it.'
const OTHER_REQUEST = 'Some upstreams obey it instead of the method and target that were priced.'

const DROPPED: Readonly<Record<string, Dropped>> = {
  connection: { from: both, why: HOP_BY_HOP },
  'http2-settings': { from: both, why: HOP_BY_HOP },
  'keep-alive': { from: both, why: HOP_BY_HOP },
  'proxy-authenticate': { from: both, why: HOP_BY_HOP },
  'proxy-authorization': { from: both, why: HOP_BY_HOP },
  'proxy-connection': { from: both, why: HOP_BY_HOP },
  te: { from: both, why: HOP_BY_HOP },
  trailer: { from: request, why: 'Trailers of a request are not passed on.' },
  'transfer-encoding': { from: both, why: HOP_BY_HOP },
  upgrade: { from: both, why: HOP_BY_HOP },
  expect: { from: request, why: 'Answered by us: we have already asked for the body.' },
  host: { from: request, why: "The upstream's own name stands here." },
  'payment-signature': { from: both, why: PAYMENT },
  'x-payment': { from: both, why: PAYMENT },
  'payment-required': { from: both, why: OURS },
  'payment-response': { from: both, why: OURS },
  'x-payment-response': { from: both, why: OURS },
  forwarded: { from: request, why: REBUILT },
  'x-real-ip': { from: request, why: REBUILT },
  'x-http-method': { from: request, why: OTHER_REQUEST },
  'x-http-method-override': { from: request, why: OTHER_REQUEST },
  'x-method-override': { from: request, why: OTHER_REQUEST },
  'x-rewrite-url': { from: request, why: OTHER_REQUEST },
  'alt-svc': { from: reply, why: 'Would lead the client past us to the upstream.' },
}

/** Whole families, whatever names join them one day. */
const DROPPED_PREFIXES: readonly (Dropped & { readonly prefix: string })[] = [
  { prefix: 'farebox-', from: both, why: OURS },
  { prefix: 'x-forwarded-', from: request, why: REBUILT },
  { prefix: 'x-original-', from: request, why: OTHER_REQUEST },
]

/** Pass, but only under the one spelling that frames the body: CGI would read any other as it. */
const NO_LOOK_ALIKES: ReadonlySet<string> = new Set(['content-length'])

const DECISIONS_KEPT_MAX = 4096

/** True: this header stops here. Remembers what it decided, because names repeat. */
function createFilter(
  direction: Direction,
  alsoDrop: readonly string[],
): (name: string) => boolean {
  const also = new Set(alsoDrop.map(canonicalHeaderName))
  const decided = new Map<string, boolean>()
  return name => {
    const known = decided.get(name)
    if (known !== undefined) return known
    const canonical = canonicalHeaderName(name)
    const drops =
      also.has(canonical) ||
      findDropped(canonical)?.from.includes(direction) === true ||
      (NO_LOOK_ALIKES.has(canonical) && name.toLowerCase() !== canonical)
    if (decided.size < DECISIONS_KEPT_MAX) decided.set(name, drops)
    return drops
  }
}

function findDropped(canonical: string): Dropped | undefined {
  if (Object.hasOwn(DROPPED, canonical)) return DROPPED[canonical]
  return DROPPED_PREFIXES.find(({ prefix }) => canonical.startsWith(prefix))
}

/** Header names that the connection's own header declares to be for this hop only. */
function namedByConnection(rawHeaders: readonly string[]): Set<string> | null {
  let named: Set<string> | null = null
  for (const value of valuesOf(rawHeaders, 'connection')) {
    for (const token of value.split(',')) {
      const lower = token.trim().toLowerCase()
      if (lower === 'keep-alive' || lower === 'close' || lower === '') continue
      named ??= new Set()
      named.add(lower)
    }
  }
  return named
}

export interface HeaderRules {
  /** What the upstream gets of the client's headers: names and values in turn. */
  forRequest(rawHeaders: readonly string[], added: readonly string[]): string[]
  /** What the client gets of the upstream's headers: names and values in turn. */
  forReply(rawHeaders: readonly string[]): string[]
}

/** @param ownHeaders Set on every request to this upstream, whatever the client sent. */
export function createHeaderRules(ownHeaders: Readonly<Record<string, string>>): HeaderRules {
  const own = Object.entries(ownHeaders).flat()
  const stopsRequest = createFilter('request', Object.keys(ownHeaders))
  const ownNames = new Set(Object.keys(ownHeaders).map(canonicalHeaderName))
  const stopsReply = createFilter('reply', [])
  return {
    forRequest: (rawHeaders, added) => {
      const passed = pass(rawHeaders, stopsRequest)
      for (let index = 0; index < added.length; index += 2) {
        const name = added[index] ?? ''
        if (ownNames.size > 0 && ownNames.has(canonicalHeaderName(name))) continue
        passed.push(name, added[index + 1] ?? '')
      }
      for (const text of own) passed.push(text)
      return passed
    },
    forReply: rawHeaders => pass(rawHeaders, stopsReply),
  }
}

function pass(rawHeaders: readonly string[], stops: (name: string) => boolean): string[] {
  const named = namedByConnection(rawHeaders)
  if (named === null) return withoutHeaders(rawHeaders, stops)
  return withoutHeaders(rawHeaders, name => stops(name) || named.has(name.toLowerCase()))
}
