import ipaddr from 'ipaddr.js'

export type Address = ipaddr.IPv4 | ipaddr.IPv6

/** An address and how many of its leading bits count. */
export type AddressRange = readonly [Address, number]

/** "192.0.2.7:4711" and "[2001:db8::1]:4711": some proxies write the client's port too. */
const WITH_PORT = /^(?:\[([^\]]*)\]|([0-9.]+))(?::\d{1,5})?$/

/** Decisions that a list remembers. Beyond this many the memory begins anew. */
const ADDRESSES_REMEMBERED = 1024

/**
 * Strict: "010.1", "0x7f.1" and zones are addresses to some parsers and not to others. IPv4 written
 * as IPv6 ("::ffff:192.0.2.7") is the IPv4 address.
 */
export function parseAddress(text: string): Address | null {
  const match = WITH_PORT.exec(text)
  const bare = match?.[1] ?? match?.[2] ?? text
  if (bare.length > 45 || bare.includes('%')) return null
  if (ipaddr.IPv4.isValidFourPartDecimal(bare)) return ipaddr.IPv4.parse(bare)
  if (!bare.includes(':') || !ipaddr.IPv6.isValid(bare)) return null
  const address = ipaddr.IPv6.parse(bare)
  return address.isIPv4MappedAddress() ? address.toIPv4Address() : address
}

/** The shortest form (RFC 5952). */
export function formatAddress(address: Address): string {
  return address.kind() === 'ipv6'
    ? (address as ipaddr.IPv6).toRFC5952String() // `kind` tells the two classes apart
    : address.toString()
}

/** "10.0.0.0/8", "192.0.2.7" or "2001:db8::/32"; null for anything else. */
export function parseRange(text: string): AddressRange | null {
  const [, base = '', length] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const isBare = !/[[\]]/.test(base) && !/\.\d+:/.test(base)
  const address = isBare ? parseAddress(base) : null
  if (address === null) return null
  const width = address.kind() === 'ipv4' ? 32 : 128
  // A range of mapped addresses counts its prefix from the IPv6 address's beginning.
  const offset = width === 32 && base.includes(':') ? 96 : 0
  const bits = length === undefined ? width : Number(length) - offset
  return bits < 0 || bits > width ? null : [address, bits]
}

/** Whether an address is in one of the ranges, at a cost that does not grow with their number. */
export function createRangeMatch(ranges: readonly AddressRange[]): (address: Address) => boolean {
  const byLength = new Map<string, { kind: string; shift: bigint; prefixes: Set<bigint> }>()
  for (const [base, bits] of ranges) {
    const kind = base.kind()
    const shift = BigInt((kind === 'ipv4' ? 32 : 128) - bits)
    const known = byLength.get(`${kind}/${bits}`) ?? { kind, shift, prefixes: new Set() }
    known.prefixes.add(numberOf(base) >> shift)
    byLength.set(`${kind}/${bits}`, known)
  }
  const lengths = [...byLength.values()]
  return address => {
    const number = numberOf(address)
    const own = address.kind()
    return lengths.some(
      ({ kind, shift, prefixes }) => kind === own && prefixes.has(number >> shift),
    )
  }
}

function numberOf(address: Address): bigint {
  return BigInt(`0x${Buffer.from(address.toByteArray()).toString('hex')}`)
}

/**
 * Whether an address is in one of the ranges; what is no address is in none. Remembers what it
 * decided: parsing an address takes longer than everything else here.
 */
export function createRangeList(ranges: readonly AddressRange[]): (address: string) => boolean {
  const known = new Map<string, boolean>()
  const matches = createRangeMatch(ranges)
  return text => {
    const decided = known.get(text)
    if (decided !== undefined) return decided
    if (known.size >= ADDRESSES_REMEMBERED) known.clear()
    const address = parseAddress(text)
    const fresh = address !== null && matches(address)
    known.set(text, fresh)
    return fresh
  }
}
