const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** Digit by character code; -1 for characters that are none. */
const DIGITS = Int8Array.from({ length: 128 }, (_, code) =>
  ALPHABET.indexOf(String.fromCharCode(code)),
)

/** Long enough for the 64 bytes of a signature: the work grows with the square of the length. */
const CHARACTERS_MAX = 88

/** Base58 as Bitcoin and Solana write it. Only for short values, such as keys and signatures. */
export function encodeBase58(bytes: Uint8Array): string {
  const digits: number[] = []
  for (const byte of bytes) {
    let carry = byte
    for (let index = 0; index < digits.length; index++) {
      carry += (digits[index] ?? 0) * 256
      digits[index] = carry % 58
      carry = Math.floor(carry / 58)
    }
    for (; carry > 0; carry = Math.floor(carry / 58)) digits.push(carry % 58)
  }
  const zeros = bytes.findIndex(byte => byte !== 0)
  const leading = '1'.repeat(zeros === -1 ? bytes.length : zeros)
  return leading + digits.reduceRight((text, digit) => text + ALPHABET.charAt(digit), '')
}

/** @returns Null for what is no base58, or longer than a signature is. */
export function decodeBase58(text: string): Uint8Array | null {
  if (text.length > CHARACTERS_MAX) return null
  const bytes: number[] = []
  for (let place = 0; place < text.length; place++) {
    let carry = DIGITS[text.charCodeAt(place)] ?? -1
    if (carry === -1) return null
    for (let index = 0; index < bytes.length; index++) {
      carry += (bytes[index] ?? 0) * 58
      bytes[index] = carry & 255
      carry >>= 8
    }
    for (; carry > 0; carry >>= 8) bytes.push(carry & 255)
  }
  const leading = text.length - text.replace(/^1+/, '').length
  return Uint8Array.from([...new Array<number>(leading).fill(0), ...bytes.reverse()])
}
