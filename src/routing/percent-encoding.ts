export type CanonicalText =
  | { readonly kind: 'canonical'; readonly text: string }
  | { readonly kind: 'ambiguous'; readonly reason: AmbiguousText }

/** Why a piece of a request target has more than one reading. */
export type AmbiguousText =
  | 'control-character'
  | 'space'
  | 'non-ascii'
  | 'fragment'
  | 'backslash'
  | 'encoded-slash'
  | 'encoded-backslash'
  | 'encoded-control-character'
  | 'bad-percent-encoding'
  | 'not-utf-8'

export type TargetPart = 'path' | 'query'

const UNRESERVED = /[A-Za-z0-9\-._~]/
/** One escape, or one character that RFC 3986 lets stand neither in a path nor in a query. */
const NEEDS_WORK = /%(?:[0-9A-Fa-f]{2})?|[^A-Za-z0-9\-._~!$&'()*+,;=:@/?]/g
/** Escapes of the sub-delimiters, ":" and "@": the characters that may stand in a segment bare. */
const ESCAPED_DELIMITER = /%(?:2[146-9A-C]|3[ABD]|40)/g

/**
 * Brings a path or a query into its one canonical form (RFC 3986 sections 2.1, 6.2.2): escapes of
 * unreserved characters are undone, the hex digits of all others are upper case, and characters
 * that should have been escaped are. Nothing is decoded twice: "%2561" stays.
 */
export function canonicalText(raw: string, part: TargetPart): CanonicalText {
  let reason: AmbiguousText | null = null
  const text = raw.replace(NEEDS_WORK, found => {
    const result = found.charCodeAt(0) === 0x25 ? readEscape(found, part) : readBare(found, part)
    if (result.kind === 'canonical') return result.text
    reason ??= result.reason
    return ''
  })
  if (reason !== null) return { kind: 'ambiguous', reason }
  if (part === 'path' && !isUtf8(text)) return { kind: 'ambiguous', reason: 'not-utf-8' }
  return { kind: 'canonical', text }
}

/**
 * A canonical path or segment as routes are compared by: ":" and "%3A" are the same here, likewise
 * for every other character that may stand bare in a segment. Most upstreams decode before they
 * route, so telling the two apart would let a request for a priced path pass as one for a cheaper
 * route.
 */
export function comparablePath(path: string): string {
  if (!path.includes('%')) return path
  return path.replace(ESCAPED_DELIMITER, found => decodeURIComponent(found))
}

function readEscape(found: string, part: TargetPart): CanonicalText {
  if (found.length !== 3) return { kind: 'ambiguous', reason: 'bad-percent-encoding' }
  const code = Number.parseInt(found.slice(1), 16)
  if (part === 'path') {
    if (code === 0x2f) return { kind: 'ambiguous', reason: 'encoded-slash' }
    if (code === 0x5c) return { kind: 'ambiguous', reason: 'encoded-backslash' }
    if (isControl(code)) return { kind: 'ambiguous', reason: 'encoded-control-character' }
  }
  const character = String.fromCharCode(code)
  return {
    kind: 'canonical',
    text: code < 0x80 && UNRESERVED.test(character) ? character : found.toUpperCase(),
  }
}

function readBare(found: string, part: TargetPart): CanonicalText {
  const code = found.charCodeAt(0)
  if (isControl(code)) return { kind: 'ambiguous', reason: 'control-character' }
  if (code >= 0x80) return { kind: 'ambiguous', reason: 'non-ascii' }
  if (found === ' ') return { kind: 'ambiguous', reason: 'space' }
  if (found === '#') return { kind: 'ambiguous', reason: 'fragment' }
  if (found === '\\' && part === 'path') return { kind: 'ambiguous', reason: 'backslash' }
  return { kind: 'canonical', text: `%${code.toString(16).toUpperCase()}` }
}

function isControl(code: number): boolean {
  return code < 0x20 || code === 0x7f
}

/**
 * Overlong forms of "/" and "." are not UTF-8, but lenient decoders take them for the real thing.
 */
function isUtf8(text: string): boolean {
  if (!/%[89A-F]/.test(text)) return true
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}
