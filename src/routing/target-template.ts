import type { Segment } from './pattern.ts'
import { canonicalText } from './percent-encoding.ts'
import { type AmbiguousTarget, checkSegments, TARGET_BYTES_MAX } from './request-target.ts'

/** A path with holes that the segments of a matched path are put into. */
export interface PathTemplate {
  /** Puts in what the path has where the route has its parameters, byte for byte. */
  fill(path: string): string
}

export type ParsedTemplate =
  | { readonly kind: 'template'; readonly template: PathTemplate }
  /** `reason` names what is wrong and how to cure it; safe to show. */
  | { readonly kind: 'invalid'; readonly reason: string }

/** Text that stands as it is, or what to take of a path that was split at its slashes. */
type Piece = string | { readonly from: number; readonly to: number }

const HOLE = /\{([^{}]*)\}/
/** How templates name what a route's trailing "/*" stands for. */
const REST = '*'

/**
 * Reads a template like "/internal/{city}/today" or "/files/{*}".
 *
 * A segment that was matched is never empty, never a dot segment and holds no slash, so that no
 * value can leave the place that the template has for it.
 *
 * @param segments Of the route whose paths will be put in.
 */
export function parsePathTemplate(text: string, segments: readonly Segment[]): ParsedTemplate {
  if (!text.startsWith('/')) return invalid('begin it with "/"')
  if (/[?#]/.test(text)) return invalid('remove "?" or "#" and what follows: the query goes along')
  if (!text.isWellFormed()) return invalid('it is not well-formed Unicode: write it anew')
  const written = text.split(HOLE)
  const pieces: Piece[] = []
  for (const [index, part] of written.entries()) {
    const isHole = index % 2 === 1
    const piece = isHole ? findSegments(part, segments) : readLiteral(part)
    if (typeof piece === 'object' && 'kind' in piece) return piece
    const isTail = index === written.length - 2 && written.at(-1) === ''
    if (part === REST && isHole && !(isTail && written[index - 1]?.endsWith('/'))) {
      return invalid('"{*}" is many segments: write it last, as "/{*}"')
    }
    pieces.push(piece)
  }
  const sample = pieces.map(piece => (typeof piece === 'string' ? piece : 'x')).join('')
  const ambiguous = checkSegments(sample)
  if (ambiguous !== null) return invalid(explain(ambiguous))
  if (sample.length > TARGET_BYTES_MAX)
    return invalid(`write at most ${TARGET_BYTES_MAX} characters`)
  return { kind: 'template', template: { fill: path => fill(pieces, path) } }
}

/** The rest of paths that begin like the route's first segments. */
export function withoutSegments(count: number): PathTemplate {
  return {
    fill: path =>
      `/${path
        .split('/')
        .slice(count + 1)
        .join('/')}`,
  }
}

function fill(pieces: readonly Piece[], path: string): string {
  const parts = path.split('/')
  let filled = ''
  for (const piece of pieces) {
    filled += typeof piece === 'string' ? piece : parts.slice(piece.from, piece.to).join('/')
  }
  return filled
}

function findSegments(name: string, segments: readonly Segment[]): Piece | Invalid {
  const found = segments.findIndex(segment =>
    name === REST ? segment.kind === 'rest' : segment.kind === 'parameter' && segment.name === name,
  )
  // What stands before a path's first slash is the first part that it is split into.
  if (found !== -1) return { from: found + 1, to: name === REST ? Infinity : found + 2 }
  const known = segments.flatMap(segment =>
    segment.kind === 'literal' ? [] : [segment.kind === 'rest' ? '{*}' : `{${segment.name}}`],
  )
  return known.length === 0
    ? invalid(`the route has no parameter to put in: write no "{${name}}"`)
    : invalid(`the route has no "{${name}}": it has ${known.join(', ')}`)
}

function readLiteral(text: string): string | Invalid {
  if (/[{}]/.test(text)) return invalid('a brace has no partner: write "%7B" for the character "{"')
  // People write paths readably; requests carry UTF-8 escapes.
  const escaped = text.replace(/[^\0-\x7f]+/g, found => encodeURIComponent(found))
  const canonical = canonicalText(escaped, 'path')
  return canonical.kind === 'ambiguous' ? invalid(explain(canonical.reason)) : canonical.text
}

function explain(reason: AmbiguousTarget): string {
  return `no upstream should be sent this (${reason.replaceAll('-', ' ')}): write a plain path`
}

type Invalid = Extract<ParsedTemplate, { kind: 'invalid' }>

function invalid(reason: string): Invalid {
  return { kind: 'invalid', reason }
}
