import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseStrictJson } from '../../src/x402/strict-json.ts'

const parse = (text: string) => parseStrictJson(text, 12)
const flaw = (text: string) => {
  const parsed = parse(text)
  return parsed.kind === 'flawed' ? parsed.flaw : null
}

test('whatever JSON.stringify writes is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.nat(3), (value, indent) => {
      const text = JSON.stringify(value, null, indent)
      expect(parseStrictJson(text, 100)).toEqual({ kind: 'json', value: JSON.parse(text) })
    }),
    { numRuns: 2_000 },
  )
})

test('whatever JSON.parse refuses is refused, whatever the bytes', () => {
  const likeJson = fc
    .array(
      fc.constantFrom(...'{}[]:,"\\ \n\t', 'a', 'u0061', 'true', 'null', '0', '1e9', '-', '\u0000'),
      { maxLength: 24 },
    )
    .map(parts => parts.join(''))
  fc.assert(
    fc.property(fc.oneof(likeJson, fc.string({ unit: 'binary' })), text => {
      const parsed = parse(text)
      let expected: unknown
      try {
        expected = { kind: 'json', value: JSON.parse(text) }
      } catch {
        expect(parsed.kind).toBe('flawed')
        return
      }
      // The two flaws that valid JSON can have.
      if (parsed.kind === 'flawed') expect(parsed.flaw).not.toBe('not-json')
      else expect(parsed).toEqual(expected)
    }),
    { numRuns: 20_000 },
  )
})

describe('a name that comes twice', () => {
  test.each([
    '{"a":1,"a":1}',
    '{"a":1,"b":2,"a":3}',
    '{"x":{"a":1,"a":2}}',
    '[0,{"a":1,"a":2}]',
    '{"x":[{"y":1},{"a":1,"a":2}]}',
    '{"a":{"b":1},"a":2}',
    '{"a":[],"b":{},"a":{}}',
    '{"a":1,"\\u0061":2}',
    '{"\\u0061":1,"a":2}',
    '{"\\u0061":1,"\\u0061":2}',
    '{"a/b":1,"a\\/b":2}',
    '{"\\n":1,"\\u000a":2}',
    '{"\\uD83D\\ude00":1,"😀":2}',
    '{"":1,"":2}',
    '{"a" : 1 , "a"\n\t\r : 2}',
    '{"__proto__":1,"__proto__":2}',
    '{"constructor":1,"constructor":2}',
    '{"a":"\\"","a":1}',
    '{"a":"}","a":1}',
    '{"a":"{","a":1}',
    '{"a":"x\\\\","a":1}',
  ])('%s', text => {
    expect(flaw(text)).toBe('duplicate-key')
    expect(() => JSON.parse(text)).not.toThrow()
  })

  test('in any object at any depth, written in any way', () => {
    const name = fc.string({ unit: 'grapheme', maxLength: 6 })
    const escaped = (text: string) =>
      `"${[...text]
        .flatMap(character => character.split(''))
        .map(unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
        .join('')}"`
    fc.assert(
      fc.property(name, fc.boolean(), fc.boolean(), fc.nat(8), (key, first, second, depth) => {
        const spell = (plain: boolean) => (plain ? JSON.stringify(key) : escaped(key))
        const inner = `{${spell(first)}:{"z":[]},${spell(second)}:1}`
        expect(flaw('[{"q":'.repeat(depth / 2) + inner + '}]'.repeat(depth / 2))).toBe(
          'duplicate-key',
        )
      }),
    )
  })
})

test.each([
  ['{"a":1,"A":2}', { a: 1, A: 2 }],
  ['{"a":{"a":{"a":1}}}', { a: { a: { a: 1 } } }],
  ['[{"a":1},{"a":2}]', [{ a: 1 }, { a: 2 }]],
  ['{"a":"a","b":"a"}', { a: 'a', b: 'a' }],
  ['["a","a"]', ['a', 'a']],
  ['{"\u00e9":1,"e\u0301":2}', { '\u00e9': 1, 'e\u0301': 2 }],
])('%s names nothing twice', (text, value) => {
  expect(parse(text)).toEqual({ kind: 'json', value })
})

test('a name of the prototype is an ordinary name and touches no prototype', () => {
  const parsed = parse('{"__proto__":{"polluted":true},"constructor":1,"toString":2}')
  if (parsed.kind !== 'json') throw new Error(parsed.flaw)
  expect(Object.keys(Object(parsed.value))).toEqual(['__proto__', 'constructor', 'toString'])
  expect(Object.getPrototypeOf(parsed.value)).toBe(Object.prototype)
  expect({}).not.toHaveProperty('polluted')
})

test.each([
  ['[', ']'],
  ['{"a":', '}'],
])('%s at most twelve deep', (open, close) => {
  const nested = (depth: number) =>
    open.repeat(depth) + (open === '[' ? '' : '1') + close.repeat(depth)
  expect(parse(nested(12)).kind).toBe('json')
  expect(flaw(nested(13))).toBe('too-deep')
  // Would exhaust the stack of a recursive parser.
  expect(flaw(nested(1_000_000))).toBe('too-deep')
})

test('brackets that close more than was opened are not JSON', () => {
  expect(flaw(']'.repeat(1000))).toBe('not-json')
  expect(flaw(`${'[]'.repeat(1000)}`)).toBe('not-json')
  expect(flaw('{"a":1}}{"a":1,"a":2}')).not.toBeNull()
})

test.each([
  '',
  '"',
  '"\\',
  '{"a',
  '{"a\\"',
  '{"\\x":1}',
  '{"\\u00":1}',
  '\ufeff{}',
  '{} {}',
  "{'a':1}",
])('%j is not JSON', text => {
  expect(flaw(text)).toBe('not-json')
})
