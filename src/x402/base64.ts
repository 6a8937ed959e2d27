const STANDARD_ALPHABET = /^[A-Za-z0-9+/]+={0,2}$/

// A byte order mark stays, so that JSON refuses it: dropped, it would be a second spelling.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Decodes base64 (RFC 4648 section 4) that has exactly one spelling: the standard alphabet, right
 * padding, no stray bits, valid UTF-8 inside. Null for anything else.
 */
export function decodeBase64Text(encoded: string): string | null {
  if (encoded.length % 4 !== 0 || !STANDARD_ALPHABET.test(encoded)) return null
  const bytes = Buffer.from(encoded, 'base64')
  if (bytes.toString('base64') !== encoded) return null
  try {
    return utf8.decode(bytes)
  } catch {
    return null
  }
}

/**
 * Encodes a value for a header. Everything beyond ASCII is written as a JSON escape, so that a
 * client that decodes base64 to Latin-1 (as `atob` does) still reads it right.
 */
export function encodeBase64Json(value: unknown): string {
  return Buffer.from(asciiJson(JSON.stringify(value)), 'latin1').toString('base64')
}

/** Rewrites JSON text so that it holds only ASCII. */
export function asciiJson(json: string): string {
  return json.replace(
    /[\u007f-\uffff]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
