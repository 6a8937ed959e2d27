import type { Reply } from './exchange.ts'
import { PROBLEMS, type Problem, type ProblemCode } from './problems.ts'

const CONTENT_TYPE = 'application/problem+json'

/**
 * An answer of our own, as problem+json (RFC 9457).
 *
 * @param extra.detail  What is particular to this case; safe to show.
 * @param extra.headers Names and values in turn.
 */
export function problemReply(
  code: ProblemCode,
  extra: {
    readonly detail?: string
    readonly headers?: readonly string[]
    readonly retryAfterSeconds?: number
  } = {},
): Reply {
  const problem: Problem = PROBLEMS[code]
  const retryAfter = extra.retryAfterSeconds ?? problem.retryAfterSeconds
  const body = Buffer.from(
    JSON.stringify({
      type: `urn:farebox:problem:${code}`,
      title: problem.title,
      status: problem.status,
      code,
      ...(extra.detail === undefined ? {} : { detail: extra.detail }),
      cure: problem.cure,
    }),
  )
  return {
    status: problem.status,
    headers: [
      'Content-Type',
      CONTENT_TYPE,
      'Cache-Control',
      'no-store',
      ...(retryAfter === undefined ? [] : ['Retry-After', String(retryAfter)]),
      ...(extra.headers ?? []),
    ],
    body,
    outcome: code,
  }
}

/** Adds headers to a reply; those that stand there already stay. */
export function withHeaders(reply: Reply, added: readonly string[]): Reply {
  return { ...reply, headers: [...reply.headers, ...added] }
}

/** One directive, with whatever stands in its quotes (RFC 9111 section 5.2). */
const DIRECTIVE = /[^\s,="]+(?:\s*=\s*(?:"(?:\\.|[^"\\])*"|[^\s,"]*))?/g

/** Not for a response that one client paid for: it would be kept for others. */
const SHARING = /^(?:public|private|s-maxage)\b/i

/** Fields that some shared caches obey instead of Cache-Control (RFC 9213 section 2). */
const TARGETED = /^(?:[\w-]+-)?(?:cdn-cache-control|surrogate-control)$/i

/**
 * Merges `private` into Cache-Control, so that no shared cache hands a paid response or its receipt
 * to somebody who did not pay (RFC 9111 section 5.2.2.7).
 */
export function asPrivate(headers: readonly string[]): string[] {
  const kept: string[] = []
  const directives: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const value = headers[index + 1] ?? ''
    if (name.toLowerCase() === 'cache-control') directives.push(...(value.match(DIRECTIVE) ?? []))
    else if (!TARGETED.test(name)) kept.push(name, value)
  }
  const others = directives.filter(directive => !SHARING.test(directive))
  return [...kept, 'Cache-Control', ['private', ...others].join(', ')]
}
