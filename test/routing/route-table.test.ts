import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseRouteKey } from '../../src/routing/pattern.ts'
import { createRouteTable, type RouteTable } from '../../src/routing/route-table.ts'
import { quickest } from '../support/quickest.ts'
import { matchNaively, type ReferenceRoute, takesPath } from './reference.ts'

function read(key: string): ReferenceRoute {
  const parsed = parseRouteKey(key)
  if (parsed.kind === 'invalid') throw new Error(`${key}: ${parsed.reason}`)
  return { key, method: parsed.method, segments: parsed.segments }
}

function tableOf(...keys: string[]): RouteTable<string> {
  return createRouteTable(keys.map(key => ({ ...read(key), value: key })))
}

function matched(table: RouteTable<string>, method: string, path: string): string {
  const match = table.match(method, path)
  if (match.kind === 'route') return match.value
  return match.kind === 'method-not-allowed' ? `405 ${match.allow.join(', ')}` : '404'
}

describe('the most specific route wins whatever the order', () => {
  const keys = ['/*', '/a/*', '/a/{x}', '/a/b', '/a/{x}/c', '/a/b/*', '/a/', 'GET /a/b']
  test.each([
    ['POST', '/a/b', '/a/b'],
    ['GET', '/a/b', 'GET /a/b'],
    ['GET', '/a/x', '/a/{x}'],
    ['GET', '/a/', '/a/'],
    ['GET', '/a', '/*'],
    ['GET', '/', '/*'],
    ['GET', '/a/x/c', '/a/{x}/c'],
    ['GET', '/a/b/c', '/a/b/*'],
    ['GET', '/a/b/', '/a/b/*'],
    ['GET', '/a/x/d/e', '/a/*'],
    ['GET', '/b', '/*'],
  ])('%s %s takes %s', (method, path, expected) => {
    expect(matched(tableOf(...keys), method, path)).toBe(expected)
    expect(matched(tableOf(...keys.toReversed()), method, path)).toBe(expected)
  })
})

test('a trailing "/*" takes the slash and what is below it, but not the bare path', () => {
  const table = tableOf('/files/*')
  expect(matched(table, 'GET', '/files/')).toBe('/files/*')
  expect(matched(table, 'GET', '/files/a/b/')).toBe('/files/*')
  expect(matched(table, 'GET', '/files')).toBe('404')
  expect(matched(table, 'GET', '/filesystem')).toBe('404')
})

test('a parameter takes one segment that is not empty', () => {
  const table = tableOf('/a/{x}')
  expect(matched(table, 'GET', '/a/')).toBe('404')
  expect(matched(table, 'GET', '/a')).toBe('404')
  expect(matched(table, 'GET', '/a/b/')).toBe('404')
})

test('a dead end falls back to the wider route', () => {
  const table = tableOf('/a/b/c', '/a/{x}/d', '/{y}/b/e', '/a/*')
  expect(matched(table, 'GET', '/a/b/d')).toBe('/a/{x}/d')
  expect(matched(table, 'GET', '/z/b/e')).toBe('/{y}/b/e')
  expect(matched(table, 'GET', '/a/b/f')).toBe('/a/*')
})

describe('methods', () => {
  test('HEAD takes a GET route, unless it has one of its own', () => {
    expect(matched(tableOf('GET /a'), 'HEAD', '/a')).toBe('GET /a')
    expect(matched(tableOf('GET /a', '/a'), 'HEAD', '/a')).toBe('GET /a')
    expect(matched(tableOf('GET /a', 'HEAD /a'), 'HEAD', '/a')).toBe('HEAD /a')
    expect(matched(tableOf('HEAD /a'), 'GET', '/a')).toBe('405 HEAD')
  })

  test('the path decides before the method does', () => {
    expect(matched(tableOf('GET /{x}', '/a'), 'GET', '/a')).toBe('/a')
    expect(matched(tableOf('POST /{x}', 'GET /a'), 'POST', '/a')).toBe('POST /{x}')
  })

  test('a known path with another method names the methods of every route that matches it', () => {
    const table = tableOf('GET /a', 'POST /{x}', 'DELETE /*', 'PUT /b')
    expect(matched(table, 'PATCH', '/a')).toBe('405 DELETE, GET, HEAD, POST')
  })

  test('TRACE is never let through: it would echo the headers that we add', () => {
    expect(matched(tableOf('/*'), 'TRACE', '/a')).toBe(
      '405 DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT',
    )
  })
})

describe('a request cannot leave a priced route by spelling its path another way', () => {
  test.each([
    ['/models/x:predict', '/models/x%3Apredict'],
    ['/models/x%3Apredict', '/models/x:predict'],
    ['/a(b),c', '/a%28b%29%2Cc'],
    ['/caf\u00e9', '/caf%C3%A9'],
  ])('%s is taken by %s', (literal, path) => {
    expect(matched(tableOf(literal, '/models/{m}', '/*'), 'GET', path)).toBe(literal)
  })

  test('names that objects inherit are ordinary segments', () => {
    const table = tableOf('/a', '/{x}/b')
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(matched(table, 'GET', `/${name}`)).toBe('404')
      expect(matched(table, 'GET', `/${name}/b`)).toBe('/{x}/b')
      expect(matched(table, name, '/a')).toBe('/a')
    }
  })
})

test('two routes of one shape and method are not silently merged', () => {
  expect(() => tableOf('GET /a/{x}', 'GET /a/{y}')).toThrow(RangeError)
})

const step = fc.constantFrom('a', 'b', 'c:d', '{p}')
const path = fc
  .tuple(fc.array(step, { maxLength: 4 }), fc.constantFrom('', '/', '/*'))
  .map(([steps, end]) => steps.map((text, at) => `/${text.replace('p', `p${at}`)}`).join('') + end)
  .filter(text => text !== '')
const method = fc.constantFrom('', 'GET ', 'HEAD ', 'POST ')
const routeKey = fc.tuple(method, path).map(parts => parts.join(''))
const requestPath = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', 'c:d', 'z'), { maxLength: 5 }), fc.boolean())
  .map(([steps, slash]) => `${steps.map(text => `/${text}`).join('')}${slash ? '/' : ''}`)
  .filter(text => text !== '')

test('property: the table matches as the definition says', () => {
  const routes = fc.uniqueArray(routeKey.map(read), {
    maxLength: 25,
    selector: ({ method, segments }) => `${method} ${JSON.stringify(segments)}`,
  })
  fc.assert(
    fc.property(routes, requestPath, fc.constantFrom('GET', 'HEAD', 'POST', 'PUT'), (...args) => {
      const [entries, target, verb] = args
      const table = createRouteTable(entries.map(entry => ({ ...entry, value: entry.key })))
      const match = table.match(verb, target)
      const expected = matchNaively(entries, verb, target)
      if (expected !== null) {
        expect(match).toEqual({ kind: 'route', value: expected })
        return
      }
      const known = entries.some(entry => takesPath(entry, target.slice(1).split('/')))
      expect(match.kind).toBe(known ? 'method-not-allowed' : 'no-such-route')
    }),
    { numRuns: 20_000 },
  )
})

test('ten thousand routes cost about as much as ten', () => {
  const few = manyRoutes(10)
  const many = manyRoutes(10_000)
  const paths = Array.from({ length: 10 }, (_, index) => `/v1/service${index}/items/${index}`)
  nanoseconds(few, paths)
  nanoseconds(many, paths)
  const ratio = nanoseconds(many, paths) / nanoseconds(few, paths)
  expect(ratio).toBeLessThan(3)
})

function manyRoutes(count: number): RouteTable<string> {
  const keys = Array.from({ length: count }, (_, index) => `GET /v1/service${index}/items/{id}`)
  return tableOf(...keys)
}

/** Best of several rounds, because other processes share the machine. */
function nanoseconds(table: RouteTable<string>, paths: readonly string[]): number {
  const milliseconds = quickest(15, () => {
    for (let turn = 0; turn < 2000; turn++) {
      for (const target of paths) {
        if (table.match('GET', target).kind !== 'route') throw new Error(`${target} is not matched`)
      }
    }
  })
  return (milliseconds * 1e6) / (2000 * paths.length)
}
