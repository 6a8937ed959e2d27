import {
  type Address,
  type AddressRange,
  createRangeList,
  createRangeMatch,
  formatAddress,
  parseAddress,
  parseRange,
} from '../address-ranges.ts'
import { FareboxError } from '../errors.ts'

/** Who asked, and for what authority, as far as we may believe it. */
export interface ClientAddress {
  /** IP address in its shortest form; the peer's, or the one that trusted proxies speak for. */
  readonly address: string
  /** The address, then every trusted proxy in between, the peer last; by commas. */
  readonly forwardedFor: string
  /** Scheme that a trusted proxy was asked with; null: none said. */
  readonly proto: 'http' | 'https' | null
  /** Authority that a trusted proxy was asked for, in lower case; null: none said. */
  readonly host: string | null
}

/**
 * @param peer       Address at the other end of the connection, as node:net writes it.
 * @param rawHeaders Names and values in turn, as they came on the wire.
 */
export type ClientAddressReader = (peer: string, rawHeaders: readonly string[]) => ClientAddress

/** An entry of `server.trustedProxies` is not an address or a range. */
export class ProxyRangeError extends FareboxError {
  readonly code = 'bad_proxy_range'

  constructor(range: string) {
    super(`"${range}" is not an IP address or a CIDR range.`, {
      fix: 'Write server.trustedProxies entries like "10.0.0.0/8", "192.0.2.7" or "2001:db8::/32".',
    })
  }
}

type Trust = (address: Address) => boolean

/** Nobody has more proxies in a row; a longer list is an attempt to keep us busy. */
const HOPS_MAX = 32
/** Authority (RFC 9110 section 7.2), with the underscores that container names have. */
const AUTHORITY = /^(?:[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/

/**
 * Makes the reader of X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host. Anybody can send
 * these, so they are read only when the peer is a trusted proxy, and only what a trusted proxy
 * wrote in them is believed. What is malformed is taken as not sent.
 *
 * @param trustedProxies Addresses and CIDR ranges, like "10.0.0.0/8".
 * @throws ProxyRangeError when one of them is neither.
 */
export function createClientAddressReader(trustedProxies: readonly string[]): ClientAddressReader {
  if (trustedProxies.length === 0) {
    return peer => justPeer(canonicalPeer(peer))
  }
  const ranges = trustedProxies.map(readRange)
  const trusts = createRangeMatch(ranges)
  const isTrustedPeer = createRangeList(ranges)
  return (peer, rawHeaders) => {
    const own = canonicalPeer(peer)
    if (!isTrustedPeer(own)) return justPeer(own)
    const forwarded = readForwarded(rawHeaders)
    const chain = walkHops(own, forwarded.hops, trusts)
    return {
      address: chain[0] ?? own,
      forwardedFor: chain.join(', '),
      proto: readProto(forwarded.proto),
      host: readHost(forwarded.host),
    }
  }
}

function justPeer(peer: string): ClientAddress {
  return { address: peer, forwardedFor: peer, proto: null, host: null }
}

/**
 * Node writes IPv4 peers of a dual-stack socket as "::ffff:192.0.2.7", and adds zones ("%eth0").
 */
function canonicalPeer(peer: string): string {
  if (!peer.includes(':')) return peer
  if (peer.startsWith('::ffff:') && peer.includes('.')) return peer.slice(7)
  const zone = peer.indexOf('%')
  return zone === -1 ? peer : peer.slice(0, zone)
}

interface Forwarded {
  /** Every X-Forwarded-For entry, the nearest hop last. */
  readonly hops: readonly string[]
  /** Last entries of the other two: what the nearest proxy said. */
  readonly proto: string | null
  readonly host: string | null
}

function readForwarded(rawHeaders: readonly string[]): Forwarded {
  const hops: string[] = []
  let proto: string | null = null
  let host: string | null = null
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    // Lengths of the three names; most headers have another.
    if (name.length < 15 || name.length > 17) continue
    const lower = name.toLowerCase()
    const value = rawHeaders[index + 1] ?? ''
    if (lower === 'x-forwarded-for') hops.push(...value.split(',').slice(-HOPS_MAX))
    else if (lower === 'x-forwarded-proto') proto = lastEntry(value)
    else if (lower === 'x-forwarded-host') host = lastEntry(value)
  }
  return { hops, proto, host }
}

/**
 * Goes from hop to hop, away from us, for as long as a trusted proxy vouches for the next one. What
 * stands further left was written by somebody whom nobody vouches for.
 *
 * @returns The client first, the peer last.
 */
function walkHops(peer: string, hops: readonly string[], trusts: Trust): string[] {
  const chain = [peer]
  for (const hop of hops.slice(-HOPS_MAX).reverse()) {
    const address = parseAddress(hop.trim())
    if (address === null) break
    chain.push(formatAddress(address))
    if (!trusts(address)) break
  }
  return chain.reverse()
}

function readProto(value: string | null): 'http' | 'https' | null {
  const proto = value?.toLowerCase()
  return proto === 'http' || proto === 'https' ? proto : null
}

function readHost(value: string | null): string | null {
  const host = value?.toLowerCase() ?? ''
  return AUTHORITY.test(host) ? host : null
}

function lastEntry(value: string): string {
  return value.slice(value.lastIndexOf(',') + 1).trim()
}

function readRange(text: string): AddressRange {
  const range = parseRange(text)
  if (range === null) throw new ProxyRangeError(text)
  return range
}
