import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseRouteKey } from '../../src/routing/pattern.ts'
import { CONFLICTS_MAX, findRouteConflicts } from '../../src/routing/route-conflicts.ts'
import { quickest } from '../support/quickest.ts'
import { type ReferenceRoute, takesMethod, takesPath } from './reference.ts'

describe('routes of which neither is more specific conflict', () => {
  test.each([
    ['/a/{x}/c', '/a/b/{y}', '/a/b/c'],
    ['GET /a/{x}/c', '/a/b/{y}', 'GET /a/b/c'],
    ['/{x}/b', '/a/*', '/a/b'],
    ['/{x}/b/*', '/a/{y}/c', '/a/b/c'],
    ['/{x}/', '/a/*', '/a/'],
    ['GET /a/{x}/c', 'HEAD /a/b/{y}', 'GET /a/b/c'],
  ])('%s and %s', (first, second, example) => {
    expect(findRouteConflicts([first, second])).toEqual([
      { first, second, reason: expect.stringContaining(`Both match ${example},`) },
    ])
  })

  test.each([
    ['/a/{x}', '/a/{y}'],
    ['GET /a/{x}', 'GET /a/{y}'],
    ['/a/b:c', '/a/b%3Ac'],
    ['/caf%C3%A9', '/caf\u00e9'],
    ['/*', '/*'],
  ])('%s and %s are the same', (first, second) => {
    expect(findRouteConflicts([first, second])).toEqual([
      { first, second, reason: expect.stringContaining('Both match exactly') },
    ])
  })
})

test.each([
  ['/a/{x}', '/a/b'],
  ['/a/*', '/a/{x}'],
  ['/a/*', '/a/'],
  ['/*', '/a/*'],
  ['/{x}', '/{x}/'],
  ['GET /a/{x}/c', 'POST /a/b/{y}'],
  ['GET /a', '/a'],
  ['GET /a', 'HEAD /a'],
  ['GET /a/{x}', 'POST /a/{y}'],
  ['/a/{x}/c', '/b/a/{y}'],
  ['/a/{x}/c', '/a/b/{y}/d'],
  ['/{x}/', '/a/{y}'],
])('%s and %s live together', (first, second) => {
  expect(findRouteConflicts([first, second])).toEqual([])
})

test('keys that are not valid are left to whoever parses them', () => {
  expect(findRouteConflicts(['get /a', '//', '/a'])).toEqual([])
})

test('a hopeless file is answered with the first hundred conflicts', () => {
  const keys = Array.from({ length: 3000 }, (_, index) => [`/a/{x}/c${index}`, `/a/b${index}/{y}`])
  expect(findRouteConflicts(keys.flat())).toHaveLength(CONFLICTS_MAX)
})

test('the time that a check takes grows with the routes, and not with their square', () => {
  const keys = Array.from({ length: 2500 }, (_, index) => [
    `GET /v1/service${index}/items/{id}`,
    `POST /v1/service${index}/items/new`,
    `/v1/{service}/items${index}/{id}/*`,
    `PUT /v${index}/*`,
  ]).flat()
  const ms = (count: number): number => quickest(5, () => findRouteConflicts(keys.slice(0, count)))
  // Sixteen times as many, which no cache holds; their square would be 256 times as much.
  expect(ms(10_000) / ms(625)).toBeLessThan(128)
  expect(findRouteConflicts(keys)).toEqual([])
})

const step = fc.constantFrom('a', 'b', '{p}')
const path = fc
  .tuple(fc.array(step, { maxLength: 3 }), fc.constantFrom('', '/', '/*'))
  .map(([steps, end]) => steps.map((text, at) => `/${text.replace('p', `p${at}`)}`).join('') + end)
  .filter(text => text !== '')
const keys = fc
  .array(fc.tuple(fc.constantFrom('', 'GET ', 'HEAD ', 'POST '), path), { maxLength: 8 })
  .map(pairs => [...new Set(pairs.map(pair => pair.join('')))])

/** Every path that could tell two of the generated routes apart. */
const PATHS = allPaths()
const pathsByShape = new Map<string, ReadonlySet<string>>()

test('property: exactly those pairs conflict of which some request matches both at equal rank', () => {
  fc.assert(
    fc.property(keys, list => {
      const named = findRouteConflicts(list).map(({ first, second }) => `${first} | ${second}`)
      expect(named.toSorted()).toEqual(conflictsByDefinition(list).toSorted())
    }),
    { numRuns: 3000 },
  )
})

function conflictsByDefinition(list: readonly string[]): string[] {
  const routes = list.map(read)
  const found: string[] = []
  for (const [at, first] of routes.entries()) {
    const sameAsEarlier = routes.slice(0, at).some(other => isSame(other, first))
    for (const second of routes.slice(at + 1)) {
      // Of three equal routes, each of the later two is reported against the first.
      if (isSame(first, second) ? !sameAsEarlier : areIncomparable(first, second)) {
        found.push(`${first.key} | ${second.key}`)
      }
    }
  }
  return found
}

function isSame(a: ReferenceRoute, b: ReferenceRoute): boolean {
  return (
    a.method === b.method && isSubset(pathsOf(a), pathsOf(b)) && isSubset(pathsOf(b), pathsOf(a))
  )
}

function areIncomparable(a: ReferenceRoute, b: ReferenceRoute): boolean {
  const methods = ['GET', 'HEAD', 'POST', 'PUT']
  const left = pathsOf(a)
  const right = pathsOf(b)
  return (
    methods.some(method => takesMethod(a, method) && takesMethod(b, method)) &&
    [...left].some(text => right.has(text)) &&
    !isSubset(left, right) &&
    !isSubset(right, left)
  )
}

function isSubset(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size <= b.size && [...a].every(text => b.has(text))
}

function pathsOf(route: ReferenceRoute): ReadonlySet<string> {
  const shape = JSON.stringify(route.segments)
  const known = pathsByShape.get(shape)
  if (known !== undefined) return known
  const paths = new Set(PATHS.filter(text => takesPath(route, text.slice(1).split('/'))))
  pathsByShape.set(shape, paths)
  return paths
}

function allPaths(): string[] {
  let stems = ['']
  const paths: string[] = []
  for (let depth = 0; depth < 5; depth++) {
    paths.push(...stems.map(stem => `${stem}/`))
    stems = stems.flatMap(stem => ['a', 'b', 'z'].map(text => `${stem}/${text}`))
    paths.push(...stems)
  }
  return paths
}

function read(key: string): ReferenceRoute {
  const parsed = parseRouteKey(key)
  if (parsed.kind === 'invalid') throw new Error(`${key}: ${parsed.reason}`)
  return { key, method: parsed.method, segments: parsed.segments }
}
