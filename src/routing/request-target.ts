import { type AmbiguousText, canonicalText } from './percent-encoding.ts'

export type RequestTarget =
  | {
      readonly kind: 'target'
      /** Canonical and percent-encoded; begins with "/". */
      readonly path: string
      /** Empty, or begins with "?". */
      readonly query: string
      /** What is forwarded: path and query. */
      readonly full: string
    }
  | { readonly kind: 'ambiguous'; readonly reason: AmbiguousTarget }

/** Why a target is refused. Stable, safe to show and to log. */
export type AmbiguousTarget =
  | AmbiguousText
  | 'empty'
  | 'too-long'
  | 'too-many-segments'
  | 'empty-segment'
  | 'dot-segment'
  | 'asterisk-form'
  | 'not-a-path'
  | 'userinfo'
  | 'other-host'

/** Longest target in bytes, before and after canonicalisation. */
export const TARGET_BYTES_MAX = 8192
export const SEGMENTS_MAX = 128

/**
 * Targets that are canonical as they stand, which is nearly all of them: no escape in the path,
 * none of an unreserved character in the query, and no segment that begins with "." or ";". Each
 * alternative begins with another character, so that matching takes linear time.
 */
const ORDINARY_PATH = /(?:\/[\w\-~!$&'()*+,=:@][\w.\-~!$&'()*+,;=:@]*)*\/?/.source
const KEPT_ESCAPE = /%(?:[0189A-F][0-9A-F]|2[0-9A-CF]|3[A-F]|[46]0|5[B-E]|7[B-DF])/.source
const QUERY_CHARACTER = /[\w.\-~!$&'()*+,;=:@/?]/.source
const ORDINARY = new RegExp(`^${ORDINARY_PATH}(?:\\?(?:${QUERY_CHARACTER}|${KEPT_ESCAPE})*)?$`)
/** An ordinary path has two bytes a segment at least: one this short cannot have too many. */
const SHORT_PATH_BYTES = 2 * SEGMENTS_MAX
const SLASH = 0x2f

/**
 * Reads a request target (RFC 9112 section 3.2) into its one canonical form, or refuses it. What
 * this returns is both what routes are matched against and what the upstream is sent, so that no
 * two parsers can disagree about which resource was paid for.
 *
 * @param raw  The target as it came on the wire.
 * @param host The request's Host field, against which an absolute form is checked; null: none.
 */
export function readRequestTarget(raw: string, host: string | null): RequestTarget {
  if (raw.length > TARGET_BYTES_MAX) return ambiguous('too-long')
  if (raw.charCodeAt(0) !== SLASH) return readOtherForm(raw, host)
  if (!ORDINARY.test(raw)) return readOriginForm(raw)
  const mark = raw.indexOf('?')
  const pathBytes = mark === -1 ? raw.length : mark
  if (pathBytes > SHORT_PATH_BYTES) return readOriginForm(raw)
  if (mark === -1) return { kind: 'target', path: raw, query: '', full: raw }
  return { kind: 'target', path: raw.slice(0, mark), query: raw.slice(mark), full: raw }
}

/** Whether a canonical path (or pattern) has one reading only, segment by segment. */
export function checkSegments(path: string): AmbiguousTarget | null {
  const segments = path.split('/')
  // The first one is what stands before the leading slash.
  if (segments.length - 1 > SEGMENTS_MAX) return 'too-many-segments'
  for (let index = 1; index < segments.length; index++) {
    const segment = segments[index] ?? ''
    if (segment === '' && index < segments.length - 1) return 'empty-segment'
    // Servers that strip ";parameters" see an empty or a dot segment in what is left.
    const name = segment.replace(/(?:;|%3B).*$/, '')
    if (name === '.' || name === '..') return 'dot-segment'
    if (name === '' && segment !== '') return 'empty-segment'
  }
  return null
}

function readOriginForm(raw: string): RequestTarget {
  const mark = raw.indexOf('?')
  const path = canonicalText(mark === -1 ? raw : raw.slice(0, mark), 'path')
  if (path.kind === 'ambiguous') return ambiguous(path.reason)
  const query = canonicalText(mark === -1 ? '' : raw.slice(mark), 'query')
  if (query.kind === 'ambiguous') return ambiguous(query.reason)
  const refused = checkSegments(path.text)
  if (refused !== null) return ambiguous(refused)
  const full = path.text + query.text
  if (full.length > TARGET_BYTES_MAX) return ambiguous('too-long')
  return { kind: 'target', path: path.text, query: query.text, full }
}

/** Asterisk, authority and absolute form. Only the last can name a resource of ours. */
function readOtherForm(raw: string, host: string | null): RequestTarget {
  if (raw === '') return ambiguous('empty')
  if (raw === '*') return ambiguous('asterisk-form')
  const absolute = /^(https?):\/\/([^/?#]*)(.*)$/is.exec(raw)
  if (absolute === null) return ambiguous('not-a-path')
  const [, scheme = '', authority = '', rest = ''] = absolute
  if (authority.includes('@')) return ambiguous('userinfo')
  if (host === null || authority === '') return ambiguous('other-host')
  if (withoutDefaultPort(authority, scheme) !== withoutDefaultPort(host, scheme)) {
    return ambiguous('other-host')
  }
  return readOriginForm(rest.startsWith('/') ? rest : `/${rest}`)
}

function withoutDefaultPort(authority: string, scheme: string): string {
  const port = scheme.length === 5 ? ':443' : ':80'
  const lower = authority.toLowerCase()
  return lower.endsWith(port) ? lower.slice(0, -port.length) : lower
}

function ambiguous(reason: AmbiguousTarget): RequestTarget {
  return { kind: 'ambiguous', reason }
}
