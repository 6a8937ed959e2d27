import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseRouteKey, type Segment } from '../../src/routing/pattern.ts'
import { readRequestTarget } from '../../src/routing/request-target.ts'
import { createRouteTable } from '../../src/routing/route-table.ts'
import {
  type PathTemplate,
  parsePathTemplate,
  withoutSegments,
} from '../../src/routing/target-template.ts'

function segmentsOf(key: string): readonly Segment[] {
  const parsed = parseRouteKey(key)
  if (parsed.kind === 'invalid') throw new Error(parsed.reason)
  return parsed.segments
}

function templateOf(text: string, route: string): PathTemplate {
  const parsed = parsePathTemplate(text, segmentsOf(route))
  if (parsed.kind === 'invalid') throw new Error(parsed.reason)
  return parsed.template
}

describe('a template', () => {
  test.each([
    [
      '/internal/{city}/today',
      '/v1/weather/{city}',
      '/v1/weather/s%C3%A3o',
      '/internal/s%C3%A3o/today',
    ],
    ['/{b}/{a}/{b}', '/{a}/{b}', '/1/2', '/2/1/2'],
    ['/w/{city}.json', '/{city}', '/paris', '/w/paris.json'],
    ['/pub/{*}', '/files/*', '/files/a/b;c', '/pub/a/b;c'],
    ['/pub/{*}', '/files/*', '/files/', '/pub/'],
    ['/{u}/{*}', '/users/{u}/files/*', '/users/7/files/a/', '/7/a/'],
    ['/', '/health', '/health', '/'],
    ['/zürich', '/a', '/a', '/z%C3%BCrich'],
    ['/a%3ab', '/a', '/a', '/a%3Ab'],
  ])('%s of %s puts %s into %s', (text, route, path, filled) => {
    expect(templateOf(text, route).fill(path)).toBe(filled)
  })

  test.each([
    ['internal', '/a', 'begin it with "/"'],
    ['/x?y={a}', '/{a}', 'the query goes along'],
    ['/x/{c}', '/{a}/{b}', 'the route has no "{c}": it has {a}, {b}'],
    ['/x/{c}', '/a', 'the route has no parameter to put in: write no "{c}"'],
    ['/x/{*}', '/{a}', 'the route has no "{*}": it has {a}'],
    ['/{*}/x', '/a/*', 'write it last'],
    ['/x{*}', '/a/*', 'write it last'],
    ['/x/{a', '/{a}', 'a brace has no partner'],
    ['/x//{a}', '/{a}', 'empty segment'],
    ['/../{a}', '/{a}', 'dot segment'],
    ['/%2e%2e/{a}', '/{a}', 'dot segment'],
    ['/a%2fb', '/a', 'encoded slash'],
    ['/a b', '/a', 'space'],
    ['/a\\b', '/a', 'backslash'],
    ['/%4{a}', '/{a}', 'bad percent encoding'],
    ['/\ud800', '/a', 'not well-formed'],
  ])('%s of %s is refused: %s', (text, route, reason) => {
    const parsed = parsePathTemplate(text, segmentsOf(route))
    expect(parsed).toEqual({ kind: 'invalid', reason: expect.stringContaining(reason) })
  })
})

test('a prefix is taken off by its segments, however they were escaped', () => {
  expect(withoutSegments(1).fill('/v1/weather')).toBe('/weather')
  expect(withoutSegments(2).fill('/a%3Ab/c/')).toBe('/')
  expect(withoutSegments(1).fill('/v1')).toBe('/')
})

/** Everything that a request may try to leave its place with. */
const piece = fc.constantFrom(
  ...['.', '..', '%2e', '%2E%2E', ';', '%3B', '..;', '%2f', '%5c', '\\', '/', '//', '?', '#', '@'],
  ...[
    'a',
    '%41',
    '%25',
    '%252f',
    ':',
    '*',
    '{b}',
    '%7Bb%7D',
    '~',
    '%C3%A9',
    '%EF%BC%8F',
    '!',
    '$&',
  ],
)
const segment = fc.array(piece, { minLength: 1, maxLength: 4 }).map(parts => parts.join(''))

function matched(route: string, rawPath: string): string | null {
  const target = readRequestTarget(rawPath, null)
  if (target.kind === 'ambiguous') return null
  const table = createRouteTable([
    { key: route, method: null, segments: segmentsOf(route), value: route },
  ])
  return table.match('GET', target.path).kind === 'route' ? target.path : null
}

test('no value of a parameter leaves its place in a template', () => {
  const template = templateOf('/internal/{a}/x-{b}.json/end', '/v1/{a}/{b}')
  let filled = 0
  fc.assert(
    fc.property(segment, segment, (a, b) => {
      const path = matched('/v1/{a}/{b}', `/v1/${a}/${b}`)
      if (path === null) return
      filled++
      const result = template.fill(path)
      // What we would send is read by us, and by the URL standard, as it stands.
      expect(readRequestTarget(result, null)).toMatchObject({ kind: 'target', full: result })
      expect(new URL(`http://h${result}`).pathname).toBe(result)
      const [, , givenA, givenB] = path.split('/')
      expect(result.split('/')).toEqual(['', 'internal', givenA, `x-${givenB}.json`, 'end'])
    }),
    { numRuns: 5_000 },
  )
  expect(filled).toBeGreaterThan(500)
})

test('nothing that is put in for the rest leaves what stands before it', () => {
  const template = templateOf('/files/{*}', '/v1/*')
  let filled = 0
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 4 }), parts => {
      const path = matched('/v1/*', `/v1/${parts.join('/')}`)
      if (path === null) return
      filled++
      for (const result of [template.fill(path), withoutSegments(1).fill(path)]) {
        expect(readRequestTarget(result, null)).toMatchObject({ kind: 'target', full: result })
      }
      expect(template.fill(path)).toBe(path.replace('/v1/', '/files/'))
      expect(withoutSegments(1).fill(path)).toBe(path.replace('/v1/', '/'))
    }),
    { numRuns: 5_000 },
  )
  expect(filled).toBeGreaterThan(500)
})
