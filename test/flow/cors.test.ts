import { describe, expect, test } from 'vitest'
import { answerPreflight, withCors } from '../../src/flow/cors.ts'
import type { Exchange, Reply } from '../../src/flow/exchange.ts'
import type { Visit } from '../../src/flow/house.ts'
import type { Route, RouteCors, RouteMatch, Snapshot } from '../../src/flow/route.ts'

const EXPOSED =
  'PAYMENT-REQUIRED, PAYMENT-RESPONSE, X-PAYMENT-RESPONSE, Farebox-Replayed, ' +
  'Farebox-Free-Remaining, Retry-After, RateLimit'

const rest = { credentials: false, exposeHeaders: [], maxAgeSeconds: 600 }
const anybody: RouteCors = { ...rest, anyOrigin: true, allows: () => true }
const shop: RouteCors = {
  ...rest,
  anyOrigin: false,
  allows: origin => origin === 'https://shop.example',
}

function exchangeOf(method: string, headers: Record<string, string | string[]>): Exchange {
  const headerValues = (name: string) => [headers[name] ?? []].flat()
  return { method, headerValues } as Partial<Exchange> as Exchange // all that is looked at
}

function routeWith(cors: RouteCors | null): Route {
  return { cors } as Partial<Route> as Route // all that is looked at
}

/** A gateway with one route, GET /v1/weather. */
function snapshotOf(cors: RouteCors | null): Snapshot {
  const match = (method: string, path: string): RouteMatch => {
    if (path !== '/v1/weather') return { kind: 'no-such-route' }
    if (method !== 'GET') return { kind: 'method-not-allowed', allow: ['GET'] }
    return { kind: 'route', value: routeWith(cors) }
  }
  return { match } as Partial<Snapshot> as Snapshot // all that is looked at
}

function pairs({ headers }: Reply): [string, string][] {
  return headers.flatMap((name, index): [string, string][] =>
    index % 2 === 0 ? [[name.toLowerCase(), headers[index + 1] ?? '']] : [],
  )
}

describe('a preflight', () => {
  const asked = {
    origin: 'https://shop.example',
    'access-control-request-method': 'GET',
    'access-control-request-headers': 'content-type, x-trace',
  }
  const answer = (cors: RouteCors | null, headers: Record<string, string | string[]> = asked) =>
    answerPreflight(exchangeOf('OPTIONS', headers), snapshotOf(cors), '/v1/weather')

  test('is allowed the payment headers, whatever it asks for', () => {
    const reply = answer(anybody)
    expect(reply).toMatchObject({ status: 204, outcome: 'preflight' })
    expect(Object.fromEntries(reply ? pairs(reply) : [])).toEqual({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET',
      'access-control-allow-headers': 'PAYMENT-SIGNATURE, X-PAYMENT, content-type, x-trace',
      'access-control-max-age': '600',
    })
  })

  test('of a named origin is answered for it alone', () => {
    const reply = answer(shop)
    expect(Object.fromEntries(reply ? pairs(reply) : [])).toMatchObject({
      'access-control-allow-origin': 'https://shop.example',
      vary: 'Origin',
    })
  })

  test('says how long it may be remembered, and that cookies may come', () => {
    const reply = answer({ ...shop, credentials: true, maxAgeSeconds: 60 })
    expect(Object.fromEntries(reply ? pairs(reply) : [])).toMatchObject({
      'access-control-allow-credentials': 'true',
      'access-control-max-age': '60',
      vary: 'Origin',
    })
  })

  test('of another origin is refused', () => {
    const reply = answer(shop, { ...asked, origin: 'https://evil.example' })
    expect(reply).toMatchObject({ status: 403, headers: [] })
  })

  test('cannot smuggle anything but names into the allowed headers, nor many', () => {
    const many = Array.from({ length: 1000 }, (_, index) => `x-${index}`).join(',')
    const reply = answer(anybody, {
      ...asked,
      'access-control-request-headers': ['a b, x:1, , "q", é', `x-${'y'.repeat(200)}`, many],
    })
    const allowed = Object.fromEntries(reply ? pairs(reply) : [])['access-control-allow-headers']
    expect(allowed?.split(', ').slice(0, 3)).toEqual(['PAYMENT-SIGNATURE', 'X-PAYMENT', 'x-0'])
    expect(allowed?.split(', ')).toHaveLength(66)
  })

  test.each([
    ['a route without CORS', null, 'OPTIONS', asked, '/v1/weather'],
    ['another method', anybody, 'GET', asked, '/v1/weather'],
    ['no origin', anybody, 'OPTIONS', { 'access-control-request-method': 'GET' }, '/v1/weather'],
    ['no asked method', anybody, 'OPTIONS', { origin: 'https://shop.example' }, '/v1/weather'],
    ['a path that is not listed', anybody, 'OPTIONS', asked, '/v1/secret'],
    [
      'a method that is not listed',
      anybody,
      'OPTIONS',
      { ...asked, 'access-control-request-method': 'DELETE' },
      '/v1/weather',
    ],
  ])('is none with %s', (_, cors, method, headers, path) => {
    expect(answerPreflight(exchangeOf(method, headers), snapshotOf(cors), path)).toBeNull()
  })
})

describe('a reply', () => {
  const headers = [
    ...['Content-Type', 'application/json', 'access-control-allow-origin', 'https://old.example'],
    ...['Access-Control-Expose-Headers', 'X-Old', 'Access-Control-Allow-Credentials', 'true'],
  ]
  const reply: Reply = { status: 402, headers, body: Buffer.alloc(0), outcome: 'payment_required' }

  function replyTo(cors: RouteCors | null, origin: string | null): Reply {
    const exchange = exchangeOf('GET', origin === null ? {} : { origin })
    return withCors(reply, { exchange, route: routeWith(cors) } as Partial<Visit> as Visit) // all that is looked at
  }

  test("lets a page read the challenge and the receipt, over the upstream's own word", () => {
    expect(pairs(replyTo(anybody, 'https://shop.example'))).toEqual([
      ['content-type', 'application/json'],
      ['access-control-allow-origin', '*'],
      ['access-control-expose-headers', EXPOSED],
    ])
  })

  test('to a named origin varies by it', () => {
    expect(pairs(replyTo(shop, 'https://shop.example'))).toContainEqual(['vary', 'Origin'])
    expect(pairs(replyTo(shop, 'https://shop.example'))).toContainEqual([
      'access-control-allow-origin',
      'https://shop.example',
    ])
  })

  test('allows another origin nothing, not even what the upstream would', () => {
    const names = pairs(replyTo(shop, 'https://evil.example')).map(([name]) => name)
    expect(names.filter(name => name.startsWith('access-control-'))).toEqual([])
  })

  test.each([
    ['another origin', 'https://evil.example'],
    ['no origin', null],
  ])('to %s varies by origin too, so that no cache gives it to an allowed one', (_, origin) => {
    expect(pairs(replyTo(shop, origin))).toContainEqual(['vary', 'Origin'])
  })

  test('says once that it varies by origin, whatever the API says of it', () => {
    const vary = (value: string): string[] => {
      const from = { ...reply, headers: ['vary', value] }
      const exchange = exchangeOf('GET', { origin: 'https://shop.example' })
      const visit = { exchange, route: routeWith(shop) } as Partial<Visit> as Visit // all that is looked at
      return pairs(withCors(from, visit)).flatMap(([name, text]) => (name === 'vary' ? [text] : []))
    }
    expect(vary('Accept-Encoding')).toEqual(['Accept-Encoding', 'Origin'])
    expect(vary('accept, ORIGIN')).toEqual(['accept, ORIGIN'])
    expect(vary('*')).toEqual(['*'])
  })

  test('lets pages send cookies and read more headers where the route says so', () => {
    const cors = { ...shop, credentials: true, exposeHeaders: ['x-request-id'] }
    expect(pairs(replyTo(cors, 'https://shop.example'))).toEqual(
      expect.arrayContaining([
        ['access-control-allow-credentials', 'true'],
        ['access-control-expose-headers', `${EXPOSED}, x-request-id`],
      ]),
    )
    expect(JSON.stringify(replyTo(cors, 'https://evil.example'))).not.toMatch(/credentials.*true/i)
  })

  test('to what no route matched is for the pages that the file allows by default', () => {
    const unmatched = (method: string, cors: RouteCors | null): Reply => {
      const origin = 'https://shop.example'
      const exchange = exchangeOf(method, { origin, 'access-control-request-method': 'GET' })
      const snapshot = { cors } as Partial<Snapshot> as Snapshot // all that is looked at
      return withCors(reply, { exchange, snapshot, route: null } as Partial<Visit> as Visit) // likewise
    }
    expect(pairs(unmatched('GET', shop))).toContainEqual([
      'access-control-allow-origin',
      'https://shop.example',
    ])
    expect(unmatched('GET', null)).toBe(reply)
    // A preflight has its answer already.
    expect(unmatched('OPTIONS', shop)).toBe(reply)
  })

  test('is for any page where all may ask, though none does: a cache may give it to one', () => {
    expect(pairs(replyTo(anybody, null))).toEqual(pairs(replyTo(anybody, 'https://shop.example')))
  })

  test('is left alone on a route without CORS', () => {
    expect(replyTo(null, 'https://shop.example')).toBe(reply)
  })
})
