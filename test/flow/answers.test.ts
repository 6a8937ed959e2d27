import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { asPrivate, problemReply, withHeaders } from '../../src/flow/answers.ts'
import { PROBLEMS, type ProblemCode } from '../../src/flow/problems.ts'

/** Values of a header in a flat list of names and values. */
function valuesOf(headers: readonly string[], name: string): string[] {
  return headers.filter((_, index) => index % 2 === 1 && headers[index - 1]?.toLowerCase() === name)
}

describe('the table of problems', () => {
  test.each([
    // design.md section 6. 402 is no problem+json, and 404 and 405 have one code each.
    ['bad_request_target', 400],
    ['malformed_payment', 400],
    ['no_such_route', 404],
    ['method_not_allowed', 405],
    ['payment_in_progress', 409],
    ['payment_already_used', 409],
    ['payment_for_other_request', 409],
    ['body_too_large', 413],
    ['target_too_long', 414],
    ['verification_budget_spent', 429],
    ['headers_too_large', 431],
    ['upstream_unreachable', 502],
    ['facilitator_unavailable', 503],
    ['settlement_pending', 503],
    ['store_unavailable', 503],
    ['upstream_timeout', 504],
  ] as const)('%s is a %i', (code, status) => {
    expect(PROBLEMS[code].status).toBe(status)
  })

  const entries = Object.entries(PROBLEMS) as [ProblemCode, (typeof PROBLEMS)[ProblemCode]][] // its own entries

  test.each(entries)('%s tells what happened and what to do', (code, problem) => {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/)
    expect(problem.title).toMatch(/^[A-Z].*\.$/)
    expect(problem.cure).toMatch(/^[A-Z].*\.$/)
    expect(problem.status).not.toBe(402)
  })

  test('whoever may come again is told when', () => {
    for (const [code, problem] of entries) {
      const mayComeAgain = [429, 503].includes(problem.status) || code === 'payment_in_progress'
      expect('retryAfterSeconds' in problem, code).toBe(mayComeAgain)
    }
  })
})

describe('an answer of our own', () => {
  test('is problem+json that no cache keeps', () => {
    const reply = problemReply('bad_request_target', { detail: 'dot segment' })
    expect(reply).toMatchObject({ status: 400, outcome: 'bad_request_target' })
    expect(valuesOf(reply.headers, 'content-type')).toEqual(['application/problem+json'])
    expect(valuesOf(reply.headers, 'cache-control')).toEqual(['no-store'])
    expect(valuesOf(reply.headers, 'retry-after')).toEqual([])
    expect(JSON.parse(String(reply.body))).toEqual({
      type: 'urn:farebox:problem:bad_request_target',
      status: 400,
      code: 'bad_request_target',
      detail: 'dot segment',
      title: PROBLEMS.bad_request_target.title,
      cure: PROBLEMS.bad_request_target.cure,
    })
  })

  test('says when to come again, as the table or the case has it', () => {
    const said = (...reply: Parameters<typeof problemReply>) =>
      valuesOf(problemReply(...reply).headers, 'retry-after')
    expect(said('settlement_pending')).toEqual(['5'])
    expect(said('facilitator_unavailable', { retryAfterSeconds: 42 })).toEqual(['42'])
  })

  test('any detail stays inside its string', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), detail => {
        const { body } = problemReply('malformed_payment', { detail })
        expect(JSON.parse(String(body)).detail).toBe(detail.toWellFormed())
      }),
    )
  })
})

test('headers are added after those that stand there', () => {
  const reply = withHeaders(problemReply('no_such_route', { headers: ['A', '1'] }), ['B', '2'])
  expect(reply.headers.slice(-4)).toEqual(['A', '1', 'B', '2'])
})

describe('a paid response is private', () => {
  const directive = fc.constantFrom(
    ...['public', 'Public', 'private', 'max-age=60', 's-maxage=600', 'S-MaxAge=1', 'no-store'],
    ...['no-cache', 'must-revalidate', 'immutable', 'stale-while-revalidate=30', ''],
  )
  const cacheControl = fc
    .tuple(fc.constantFrom('Cache-Control', 'cache-control', 'CACHE-CONTROL'), fc.array(directive))
    .map(([name, directives]) => [name, directives.join(',')])
  const other = fc.constantFrom(['ETag', '"1"'], ['Vary', 'Origin'], ['Set-Cookie', 'a=b; public'])

  test('whatever the upstream said of caches', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(cacheControl, other)), pairs => {
        const headers = pairs.flat()
        const result = asPrivate(headers)
        const values = valuesOf(result, 'cache-control')
        expect(values).toHaveLength(1)
        const directives = String(values[0]).split(', ')
        expect(directives[0]).toBe('private')
        expect(directives.slice(1).join()).not.toMatch(/public|private|s-maxage/i)
        const strict = ['no-store', 'no-cache', 'must-revalidate', 'max-age=60']
        for (const kept of strict) {
          const said = valuesOf(headers, 'cache-control').join().split(',').includes(kept)
          expect(directives.includes(kept)).toBe(said)
        }
        const others = (list: readonly string[]) =>
          ['etag', 'vary', 'set-cookie'].map(name => valuesOf(list, name))
        expect(others(result)).toEqual(others(headers))
        expect(asPrivate(result)).toEqual(result)
      }),
    )
  })

  test('a directive that holds a list is one directive', () => {
    const headers = ['Cache-Control', 'private="set-cookie, etag", no-cache="x-a, x-b"']
    expect(asPrivate(headers)).toEqual(['Cache-Control', 'private, no-cache="x-a, x-b"'])
  })

  test.each(['CDN-Cache-Control', 'Cloudflare-CDN-Cache-Control', 'Surrogate-Control'])(
    'a cache that obeys %s instead of Cache-Control keeps nothing (RFC 9213)',
    name => {
      expect(asPrivate([name, 'max-age=3600'])).toEqual(['Cache-Control', 'private'])
    },
  )

  test('without a word of the upstream', () => {
    expect(asPrivate([])).toEqual(['Cache-Control', 'private'])
  })
})
