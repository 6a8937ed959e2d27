import { canonicalText, comparablePath } from './percent-encoding.ts'
import { checkSegments, TARGET_BYTES_MAX } from './request-target.ts'

/** One step of a route's path. */
export type Segment =
  /** Exactly this text, as `comparablePath` writes it; empty: a trailing slash. */
  | { readonly kind: 'literal'; readonly text: string }
  /** One whole segment that is not empty. */
  | { readonly kind: 'parameter'; readonly name: string }
  /** One or more segments, a trailing slash included. Always the last step. */
  | { readonly kind: 'rest' }

export type ParsedRouteKey =
  | {
      readonly kind: 'route'
      /** Null: every method. */
      readonly method: string | null
      /** The path in canonical form, with its parameters as they were written. */
      readonly path: string
      readonly segments: readonly Segment[]
    }
  /** `reason` names what is wrong and how to cure it; safe to show. */
  | { readonly kind: 'invalid'; readonly reason: string }

/** What a route may name: the methods that Node's HTTP parser lets through, but for two. */
const METHODS = new Set(
  (
    'GET HEAD POST PUT PATCH DELETE OPTIONS QUERY ACL BIND CHECKOUT COPY LINK LOCK M-SEARCH ' +
    'MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY PROPFIND PROPPATCH PURGE REBIND REPORT ' +
    'SEARCH SOURCE SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE'
  ).split(' '),
)
const PARAMETER = /^\{([A-Za-z_][A-Za-z0-9_-]{0,63})\}$/

const CURES: Readonly<Record<string, string>> = {
  'control-character': 'remove it',
  'encoded-control-character': 'remove it',
  backslash: 'write "/" between segments',
  'encoded-backslash': 'no request can carry one; write "/" between segments',
  'encoded-slash': 'no request can carry one; write "/" between segments',
  'bad-percent-encoding': 'write "%" as "%25", and every other escape with two hex digits',
  'not-utf-8': 'write the characters themselves, and leave escaping to us',
  'empty-segment': 'write one "/" between segments, and none before ";"',
  'dot-segment': 'write the path that is meant, without "." and ".."',
  'too-many-segments': 'use at most 128 segments',
}

/** Reads a key of `routes`: "GET /v1/weather/{city}", "/files/*" or "/health". */
export function parseRouteKey(key: string): ParsedRouteKey {
  const parts = /^(?:([^\s/]+)[ \t]+)?(\/\S*)$/.exec(key)
  if (parts === null) return invalid(explainForm(key))
  const [, method = null, path = ''] = parts
  const refused = (method === null ? null : refuseMethod(method)) ?? refusePath(path)
  if (refused !== null) return invalid(refused)
  return parsePath(method, path)
}

function parsePath(method: string | null, path: string): ParsedRouteKey {
  const written = path.slice(1).split('/')
  const segments: Segment[] = []
  const canonical: string[] = []
  const names = new Set<string>()
  for (const [index, text] of written.entries()) {
    const step = parseSegment(text, index === written.length - 1)
    if (step.kind === 'invalid') return invalid(`${step.reason} (in "${text}")`)
    if (step.segment.kind === 'parameter') {
      const { name } = step.segment
      if (names.has(name)) return invalid(`"{${name}}" stands twice: give each its own name`)
      names.add(name)
    }
    segments.push(step.segment)
    canonical.push(step.canonical)
  }
  const whole = `/${canonical.join('/')}`
  const ambiguous = checkSegments(whole)
  if (ambiguous !== null) return invalid(explainAmbiguous(ambiguous))
  return { kind: 'route', method, path: whole, segments }
}

type ParsedSegment =
  | { readonly kind: 'segment'; readonly segment: Segment; readonly canonical: string }
  | { readonly kind: 'invalid'; readonly reason: string }

function parseSegment(text: string, isLast: boolean): ParsedSegment {
  if (text === '*' && isLast) return { kind: 'segment', segment: { kind: 'rest' }, canonical: text }
  if (text.includes('*')) {
    return noSegment('"*" may only stand alone at the end, as "/*": write "%2A" for the character')
  }
  const name = PARAMETER.exec(text)?.[1]
  if (name !== undefined) {
    return { kind: 'segment', segment: { kind: 'parameter', name }, canonical: text }
  }
  if (/[{}]/.test(text)) return noSegment(explainBraces(text))
  if (!text.isWellFormed()) return noSegment('it is not well-formed Unicode: write it anew')
  // People write paths readably; requests carry UTF-8 escapes.
  const escaped = text.replace(/[^\0-\x7f]+/g, found => encodeURIComponent(found))
  const canonical = canonicalText(escaped, 'path')
  if (canonical.kind === 'ambiguous') return noSegment(explainAmbiguous(canonical.reason))
  const literal = comparablePath(canonical.text)
  return {
    kind: 'segment',
    segment: { kind: 'literal', text: literal },
    canonical: canonical.text,
  }
}

function refusePath(path: string): string | null {
  if (path.includes('?')) return 'a route has no query: remove "?" and what follows it'
  if (path.includes('#')) return 'a route has no fragment: remove "#" and what follows it'
  return path.length > TARGET_BYTES_MAX ? `write at most ${TARGET_BYTES_MAX} characters` : null
}

function refuseMethod(method: string): string | null {
  if (METHODS.has(method)) return null
  const upper = method.toUpperCase()
  if (METHODS.has(upper)) return `methods are upper case: write "${upper}"`
  if (upper === 'TRACE') return 'TRACE would show callers the headers that we add: leave it out'
  if (upper === 'CONNECT') return 'CONNECT opens tunnels, which is not for a gateway: leave it out'
  if (upper === '*' || upper === 'ANY' || upper === 'ALL') {
    return 'leave the method out to mean every method'
  }
  return `"${method}" is not an HTTP method: write one like "GET", or none for every method`
}

function explainForm(key: string): string {
  if (/^\s|\s$/.test(key)) return 'remove the spaces around it'
  if (/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(key)) return 'write the path only, without the host'
  const path = /^(?:\S+\s+)?(\/.*)$/.exec(key)?.[1]
  if (path !== undefined && /\s/.test(path)) return 'write a space in a path as "%20"'
  return 'write "METHOD /path", or "/path" for every method'
}

function explainBraces(text: string): string {
  if (text === '{}') return 'a parameter needs a name, like "{id}"'
  if (/^\{[^{}]*\}$/.test(text)) {
    return 'a parameter is named with letters, digits, "_" and "-", and begins with a letter'
  }
  return 'a parameter is one whole segment, like "/{id}/": write "%7B" for the character "{"'
}

function explainAmbiguous(reason: string): string {
  return `${reason.replaceAll('-', ' ')}: ${CURES[reason] ?? 'remove it'}`
}

function noSegment(reason: string): ParsedSegment {
  return { kind: 'invalid', reason }
}

function invalid(reason: string): ParsedRouteKey {
  return { kind: 'invalid', reason }
}
