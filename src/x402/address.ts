import { keccak256 } from './keccak.ts'

/**
 * Spells an EVM address with its checksum in the letters' case: a letter is a capital where the
 * same hex digit of the lower-case address's hash is 8 or more (EIP-55).
 *
 * @param address "0x" and 40 hex digits of any case.
 */
export function checksumAddress(address: string): string {
  const digits = address.slice(2).toLowerCase()
  const hashed = keccak256(Buffer.from(digits, 'latin1')).toString('hex')
  let spelled = '0x'
  for (let index = 0; index < digits.length; index++) {
    const digit = digits.charAt(index)
    // Both are one lower-case hex digit, and as text "8" and above sort as their values do.
    spelled += hashed.charAt(index) >= '8' ? digit.toUpperCase() : digit
  }
  return spelled
}
