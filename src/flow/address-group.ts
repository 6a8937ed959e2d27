/** Parts of an IPv6 address that a customer of a network is given, of eight. */
const NETWORK_PARTS = 4
const PARTS = 8

/**
 * Whose requests an address's are counted with: an IPv4 address stands for itself, an IPv6 address
 * for its /64, of which one customer has every address.
 *
 * @param address In its shortest form, as `Exchange.clientAddress`.
 */
export function addressGroup(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('::', 2)
  const first = partsOf(head)
  const last = tail === undefined ? [] : partsOf(tail)
  // An IPv4 address at the end stands for two.
  const missing = PARTS - first.length - last.length - (address.includes('.') ? 1 : 0)
  const zeros = Array.from({ length: Math.max(0, missing) }, () => '0')
  return `${[...first, ...zeros, ...last].slice(0, NETWORK_PARTS).join(':')}::/64`
}

function partsOf(text: string): string[] {
  return text === '' ? [] : text.split(':')
}
