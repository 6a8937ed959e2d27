import { describe, expect, test } from 'vitest'
import { accepted, brief, HEAD, problemsOf } from './support.ts'

const config = (routes: string, top = '') => accepted(`${HEAD}${top}\nroutes:\n${routes}`)
const problems = (routes: string, top = '') =>
  brief(problemsOf(`${HEAD}${top}\nroutes:\n${routes}`))

describe('rateLimit', () => {
  test('is off unless it is written', () => {
    expect(config('  /a: free').routes[0]?.rateLimits).toEqual([])
  })

  test('of the file is for routes that have none of their own', () => {
    const { routes } = config(
      '  /a: free\n  /b: {price: free, rateLimit: off}\n' +
        '  /c: {price: $0.01, rateLimit: [{requests: 5, per: 1s, by: payer}, {requests: 9, per: 1h}]}',
      'rateLimit: {requests: 100, per: 1m}',
    )
    expect(routes.map(({ rateLimits }) => rateLimits)).toEqual([
      [{ requests: 100, perMs: 60_000, by: 'address', route: null }],
      [],
      [
        { requests: 5, perMs: 1000, by: 'payer', route: '/c' },
        { requests: 9, perMs: 3_600_000, by: 'address', route: '/c' },
      ],
    ])
  })

  test('that counts the same twice, or payers where nobody pays, is a problem', () => {
    expect(
      problems('  /a: {price: free, rateLimit: [{requests: 1, per: 1m}, {requests: 2, per: 60s}]}'),
    ).toEqual(['8:57 routes."/a".rateLimit[1]: counts the same requests as one before it'])
    expect(problems('  /a: {price: free, rateLimit: {requests: 1, per: 1m, by: payer}}')).toEqual([
      '8:21 routes."/a".rateLimit: counts by payer on a free route, where nobody pays',
    ])
  })

  test.each([
    '{requests: 0, per: 1m}',
    '{requests: 1, per: 999ms}',
    '{requests: 1, per: 2d}',
    '{requests: 1, per: 1m, by: wallet}',
    '[]',
    '{requests: 1}',
  ])('cannot be %s', setting => {
    expect(problems('  /a: free', `rateLimit: ${setting}`)).not.toEqual([])
  })
})

describe('limits', () => {
  test('hold junk back without being written', () => {
    expect(config('  /a: free').limits).toEqual({
      unpaid: null,
      verify: {
        newcomers: { requests: 50, perMs: 1000 },
        strangers: { requests: 1000, perMs: 10_000 },
        smartWallets: { requests: 10, perMs: 1000 },
        refused: { requests: 60, perMs: 60_000 },
        payerMax: 64,
        addressMax: 64,
      },
    })
  })

  test('are taken as they are written', () => {
    const top =
      'limits: {unpaid: {requests: 600, per: 1m}, ' +
      'verify: {newcomers: {requests: 5, per: 1m}, perPayer: 4}}'
    const { unpaid, verify } = config('  /a: free', top).limits
    expect(unpaid).toEqual({ requests: 600, perMs: 60_000 })
    expect(verify).toMatchObject({ newcomers: { requests: 5, perMs: 60_000 }, payerMax: 4 })
  })
})
