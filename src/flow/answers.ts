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
    if (name.toLowerCase() !== 'cache-control') kept.push(name, value)
    else directives.push(...value.split(',').map(directive => directive.trim()))
  }
  const others = directives.filter(
    directive => directive !== '' && !/^(public|private|s-maxage)\b/i.test(directive),
  )
  return [...kept, 'Cache-Control', ['private', ...others].join(', ')]
}
