import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RateLimitConfig } from '../../src/config/limits-config.ts'
import type { Reply } from '../../src/flow/exchange.ts'
import type { Visit } from '../../src/flow/house.ts'
import { compileRateLimits, type RateLeft, withRateLimit } from '../../src/flow/rate-limits.ts'

/** A list of strings with whole-number parameters (RFC 9651 section 4.2.1), as we write it. */
const LIST =
  /^"[\x20\x21\x23-\x5b\x5d-\x7e]+"(;[a-z]+=\d{1,15})+(, "[\x20\x21\x23-\x5b\x5d-\x7e]+"(;[a-z]+=\d{1,15})+)*$/

const config = fc.record<RateLimitConfig>({
  requests: fc.integer({ min: 1, max: 100_000_000 }),
  perMs: fc.integer({ min: 1000, max: 86_400_000 }),
  by: fc.constantFrom('address', 'payer', 'route'),
  route: fc.option(fc.string()),
})

function replyWith(configs: readonly RateLimitConfig[], left: Partial<RateLeft>, reply: Reply) {
  const rateLimits = compileRateLimits(configs)
  const limit = [...(rateLimits?.early ?? []), ...(rateLimits?.byPayer ?? [])][0]
  const rateLeft = limit === undefined ? null : { limit, remaining: 0, resetMs: 1, ...left }
  // Two members are all that it reads.
  return withRateLimit(reply, { route: { rateLimits }, rateLeft } as unknown as Visit)
}

const reply = (headers: readonly string[] = [], status = 200): Reply => {
  return { status, headers, body: Buffer.alloc(0), outcome: 'free' }
}
const LIMIT: RateLimitConfig = { requests: 5, perMs: 60_000, by: 'address', route: null }

describe('the RateLimit headers', () => {
  test('are lists that any reader of structured fields takes, whatever the limits', () => {
    fc.assert(
      fc.property(
        fc.array(config, { minLength: 1, maxLength: 8 }),
        fc.nat(100_000_000),
        fc.integer({ min: 1, max: 86_400_000 }),
        (configs, remaining, resetMs) => {
          const { headers } = replyWith(configs, { remaining, resetMs }, reply())
          expect(headers.filter((_, index) => index % 2 === 0)).toEqual([
            'RateLimit-Policy',
            'RateLimit',
          ])
          expect(headers[1]).toMatch(LIST)
          expect(headers[3]).toMatch(LIST)
          expect(headers[1]).toContain(headers[3]?.split(';', 1)[0])
        },
      ),
    )
  })

  test('never say that a window has ended that has not', () => {
    const { headers } = replyWith([LIMIT], { remaining: 2, resetMs: 1 }, reply())
    expect(headers).toEqual([
      ...['RateLimit-Policy', '"address-60s";q=5;w=60'],
      ...['RateLimit', '"address-60s";r=2;t=1'],
    ])
  })

  test.each(['public, max-age=60', 'max-age=1, s-maxage=60', 'PUBLIC'])(
    'are left out where a shared cache may keep the answer: %s',
    value => {
      const shared = ['Cache-Control', value]
      expect(replyWith([LIMIT], {}, reply(shared)).headers).toEqual(shared)
      expect(replyWith([LIMIT], {}, reply(shared, 429)).headers).toContain('RateLimit')
    },
  )

  test('are not written where nothing is limited', () => {
    expect(compileRateLimits([])).toBeNull()
    expect(replyWith([], {}, reply(['A', 'b'])).headers).toEqual(['A', 'b'])
  })
})
