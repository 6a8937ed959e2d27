import { describe, expect, test } from 'vitest'
import { parseRouteKey } from '../../src/routing/pattern.ts'

test('a key is a method and a path', () => {
  expect(parseRouteKey('GET /v1/weather/{city}')).toEqual({
    kind: 'route',
    method: 'GET',
    path: '/v1/weather/{city}',
    segments: [
      { kind: 'literal', text: 'v1' },
      { kind: 'literal', text: 'weather' },
      { kind: 'parameter', name: 'city' },
    ],
  })
})

test('a key without a method means every method', () => {
  expect(parseRouteKey('/files/*')).toEqual({
    kind: 'route',
    method: null,
    path: '/files/*',
    segments: [{ kind: 'literal', text: 'files' }, { kind: 'rest' }],
  })
})

test.each([
  ['/', '/'],
  ['/*', '/*'],
  ['/a/', '/a/'],
  ['POST   /a', '/a'],
  ['M-SEARCH /a', '/a'],
  ['/café', '/caf%C3%A9'],
  ['/caf%c3%a9', '/caf%C3%A9'],
  ['/%61|', '/a%7C'],
  ['/天気/{city}', '/%E5%A4%A9%E6%B0%97/{city}'],
  ['/%7Bx%7D', '/%7Bx%7D'],
  ['/v1/models/x:predict', '/v1/models/x:predict'],
])('%s has the canonical path %s', (key, path) => {
  expect(parseRouteKey(key)).toMatchObject({ kind: 'route', path })
})

describe('what is wrong is named with its cure', () => {
  test.each([
    ['', 'write "METHOD /path"'],
    ['GET', 'write "METHOD /path"'],
    ['v1/weather', 'write "METHOD /path"'],
    [' /a', 'remove the spaces'],
    ['https://example.com/a', 'without the host'],
    ['/a b', '"%20"'],
    ['GET /a /b', '"%20"'],
    ['get /a', 'write "GET"'],
    ['GTE /a', '"GTE" is not an HTTP method'],
    ['* /a', 'leave the method out'],
    ['TRACE /a', 'TRACE'],
    ['CONNECT /a', 'CONNECT'],
    ['/a?b=c', 'no query'],
    ['/a#b', 'no fragment'],
    ['/{a}/{a}', '"{a}" stands twice'],
    ['/a{b}', 'one whole segment'],
    ['/{a}.json', 'one whole segment'],
    ['/{}', 'needs a name'],
    ['/{a b}', '"%20"'],
    ['/{1a}', 'begins with a letter'],
    ['/a*', '"%2A"'],
    ['/*/a', '"%2A"'],
    ['/a/**', '"%2A"'],
    ['//a', 'empty segment'],
    ['/a//*', 'empty segment'],
    ['/a/../b', 'dot segment'],
    ['/a/%2e', 'dot segment'],
    ['/a%2Fb', 'encoded slash'],
    ['/a\\b', 'backslash'],
    ['/100%', 'write "%" as "%25"'],
    ['/%E9', 'not utf 8'],
    ['/\u0001', 'control character'],
    ['/\ud800', 'well-formed'],
    [`/${'a'.repeat(9000)}`, 'at most 8192'],
    ['/a'.repeat(129), 'at most 128 segments'],
  ])('%j: %s', (key, part) => {
    const parsed = parseRouteKey(key)
    expect(parsed).toMatchObject({ kind: 'invalid', reason: expect.stringContaining(part) })
  })
})
