import { describe, expect, test } from 'vitest'
import { readRequestTarget, TARGET_BYTES_MAX } from '../../src/routing/request-target.ts'
import { quickest } from '../support/quickest.ts'

function full(raw: string, host: string | null = null): string {
  const target = readRequestTarget(raw, host)
  return target.kind === 'target' ? target.full : `refused: ${target.reason}`
}

describe('a target that is canonical already is forwarded as it came', () => {
  test.each([
    '/',
    '/v1/weather/berlin',
    '/v1/weather/berlin/',
    '/.well-known/x402',
    '/a.b/..c/...',
    "/users/~me/it's-(fine)!$&*+,=:@",
    '/matrix;a=1/x',
    '/caf%C3%A9',
    '/a%3Ab%40c%20d',
    '/?',
    '/a?b=c&d%5B%5D=e',
    '/a?next=/x//y/../z&t=%0A%00%2F%5C',
    '/a?latin1=%E9',
    '/a%2561',
    '/a%252Fb',
  ])('%s', raw => {
    expect(full(raw)).toBe(raw)
  })
})

test.each([
  ['/%61%2D%7e', '/a-~'],
  ['/%2ewell-known', '/.well-known'],
  ['/caf%c3%a9?q=%c3%a9', '/caf%C3%A9?q=%C3%A9'],
  ['/a?q=%41%2d', '/a?q=A-'],
  ['/a|b^c"d<e>f`g{h}[i]', '/a%7Cb%5Ec%22d%3Ce%3Ef%60g%7Bh%7D%5Bi%5D'],
  ['/a?b[c]={"d"}\\e|', '/a?b%5Bc%5D=%7B%22d%22%7D%5Ce%7C'],
])('%s becomes the canonical %s', (raw, canonical) => {
  expect(full(raw)).toBe(canonical)
})

test('path and query are told apart, and together are what is forwarded', () => {
  expect(readRequestTarget('/a/b?c=d?e', null)).toEqual({
    kind: 'target',
    path: '/a/b',
    query: '?c=d?e',
    full: '/a/b?c=d?e',
  })
})

describe('what two parsers could read differently is refused', () => {
  test.each([
    ['', 'empty'],
    ['*', 'asterisk-form'],
    ['example.com:443', 'not-a-path'],
    ['a/b', 'not-a-path'],
    ['?a', 'not-a-path'],
    ['ftp://example.com/a', 'not-a-path'],
    ['//a', 'empty-segment'],
    ['/a//b', 'empty-segment'],
    ['//', 'empty-segment'],
    ['/a//', 'empty-segment'],
    ['/a/;x=1/b', 'empty-segment'],
    ['/a/;x', 'empty-segment'],
    ['/.', 'dot-segment'],
    ['/a/..', 'dot-segment'],
    ['/a/../b', 'dot-segment'],
    ['/a/%2e%2E/b', 'dot-segment'],
    ['/a/.%2e', 'dot-segment'],
    ['/a/..;/b', 'dot-segment'],
    ['/a/.;x=1', 'dot-segment'],
    ['/a/..%3B/b', 'dot-segment'],
    ['/a%2fb', 'encoded-slash'],
    ['/a%2Fb', 'encoded-slash'],
    ['/a\\b', 'backslash'],
    ['/a%5cb', 'encoded-backslash'],
    ['/a\0b', 'control-character'],
    ['/a\tb', 'control-character'],
    ['/a\r\nX: y', 'control-character'],
    ['/a\x7f', 'control-character'],
    ['/a?b\nc', 'control-character'],
    ['/a%00', 'encoded-control-character'],
    ['/a%0d%0a', 'encoded-control-character'],
    ['/a%7F', 'encoded-control-character'],
    ['/a b', 'space'],
    ['/a?b c', 'space'],
    ['/a#b', 'fragment'],
    ['/a?b#c', 'fragment'],
    ['/caf\u00e9', 'non-ascii'],
    ['/a?\u00e9', 'non-ascii'],
    ['/a\uff0fb', 'non-ascii'],
    ['/%', 'bad-percent-encoding'],
    ['/%4', 'bad-percent-encoding'],
    ['/%zz', 'bad-percent-encoding'],
    ['/%u0041', 'bad-percent-encoding'],
    ['/a?%', 'bad-percent-encoding'],
    ['/a?%g0', 'bad-percent-encoding'],
    ['/%C0%AF', 'not-utf-8'],
    ['/%c0%ae%c0%ae/a', 'not-utf-8'],
    ['/%E9', 'not-utf-8'],
    ['/%ED%A0%80', 'not-utf-8'],
  ])('%j is %s', (raw, reason) => {
    expect(readRequestTarget(raw, 'example.com')).toEqual({ kind: 'ambiguous', reason })
  })
})

describe('the absolute form', () => {
  test.each([
    ['http://api.example.com/a?b', 'api.example.com', '/a?b'],
    ['HTTPS://API.example.com/a', 'api.EXAMPLE.com', '/a'],
    ['http://api.example.com:80/a', 'api.example.com', '/a'],
    ['https://api.example.com/a', 'api.example.com:443', '/a'],
    ['http://api.example.com', 'api.example.com', '/'],
    ['http://api.example.com?b', 'api.example.com', '/?b'],
    ['http://[::1]:8402/%61', '[::1]:8402', '/a'],
  ])('%s for host %s is reduced to %s', (raw, host, expected) => {
    expect(full(raw, host)).toBe(expected)
  })

  test.each([
    ['http://other.example.com/a', 'api.example.com', 'other-host'],
    ['http://api.example.com:81/a', 'api.example.com', 'other-host'],
    ['http://api.example.com/a', null, 'other-host'],
    ['http:///a', '', 'other-host'],
    ['http://api.example.com@evil.example/a', 'evil.example', 'userinfo'],
    ['http://user:secret@api.example.com/a', 'api.example.com', 'userinfo'],
    ['http://api.example.com\\a', 'api.example.com', 'other-host'],
    ['http://api.example.com/../a', 'api.example.com', 'dot-segment'],
    ['http://api.example.com//a', 'api.example.com', 'empty-segment'],
    ['http://api.example.com#/a', 'api.example.com', 'fragment'],
  ])('%s for host %s is refused: %s', (raw, host, reason) => {
    expect(readRequestTarget(raw, host)).toEqual({ kind: 'ambiguous', reason })
  })
})

describe('the limits', () => {
  test('8192 bytes pass and one more does not', () => {
    const longest = `/${'a'.repeat(TARGET_BYTES_MAX - 1)}`
    expect(full(longest)).toBe(longest)
    expect(full(`${longest}a`)).toBe('refused: too-long')
  })

  test('a target that only grows too long by being escaped is refused too', () => {
    expect(full(`/${'|'.repeat(TARGET_BYTES_MAX / 2)}`)).toBe('refused: too-long')
  })

  test('128 segments pass and one more does not, short or long', () => {
    for (const segment of ['/a', '/abc']) {
      expect(full(segment.repeat(128))).toBe(segment.repeat(128))
      expect(full(segment.repeat(129))).toBe('refused: too-many-segments')
    }
  })

  test('a hostile target of the greatest length is read in linear time', () => {
    const pieces = ['/', '/a', '/.', '/a?%41', '?a=', '%', '%2', 'a;', '/%2e']
    const ms = (length: number): number => {
      const hostile = pieces.map(piece => `/${piece.repeat(length / piece.length)}\u00e9`)
      return quickest(20, () => {
        for (const raw of hostile) readRequestTarget(raw, null)
      })
    }
    // Sixteen times as long; its square would be 256 times as much.
    expect(ms(8180) / ms(8180 / 16)).toBeLessThan(128)
  })
})
