import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { formatProblem } from '../../src/config/problems.ts'
import { HEAD, read } from './support.ts'

const FULL = readFileSync(new URL('../../config/examples/full.yaml', import.meta.url), 'utf8')

/** Either it loads, or there are problems, each with a place inside the text. */
function expectAnswer(text: string): void {
  const result = read(text)
  if (result.kind === 'loaded') return
  const lines = text.split('\n').length
  expect(result.problems.length).toBeGreaterThan(0)
  for (const problem of result.problems) {
    expect(problem.line).toBeGreaterThanOrEqual(1)
    expect(problem.line).toBeLessThanOrEqual(lines)
    expect(problem.column).toBeGreaterThanOrEqual(1)
    expect(problem.message).not.toBe('')
    expect(problem.cure).toMatch(/[.?]$/)
    expect(formatProblem(problem).split('\n')).toHaveLength(2)
  }
}

it('answers any text', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), expectAnswer), {
    numRuns: 500,
  })
})

it('answers any arrangement of what YAML is made of', () => {
  const marks = `- |: |? |a|"|'|[|]|{|}|,|\n|  |\t|&a |*a|!t |%Y|---\n|...\n|#|\\|>|~|<<`
  const pieces = [...marks.split('|'), '|', `\${`, `$\${`]
  const soup = fc.array(fc.constantFrom(...pieces), { maxLength: 40 })
  fc.assert(
    fc.property(soup, parts => expectAnswer(parts.join(''))),
    { numRuns: 1500 },
  )
})

it('answers any value at any known key', () => {
  const words = fc.constantFrom('', 'off', 'free', '$1', '1', '2xx', 'base', 'payai', `\${X}`, '5s')
  const { value } = fc.letrec<{ value: unknown }>(tie => ({
    value: fc.oneof(
      { maxDepth: 3 },
      words,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(
        fc.constantFrom('url', 'price', 'network', 'listen', 'GET /a', '/b', 'c'),
        tie('value'),
      ),
    ),
  }))
  const keys = [
    'payTo',
    'accepts',
    'facilitators',
    'upstreams',
    'routes',
    'server',
    'admin',
    'cors',
  ]
  fc.assert(
    fc.property(fc.constantFrom(...keys), value, (key, any) => {
      const lines = `${HEAD}routes: {/a: $1}\n`.split('\n').filter(line => !line.startsWith(key))
      expectAnswer(`${lines.join('\n')}\n${key}: ${JSON.stringify(any)}\n`)
    }),
    { numRuns: 500 },
  )
})

it('answers a good file in which something was cut out, doubled or replaced', () => {
  const edit = fc.record({
    at: fc.nat(FULL.length),
    length: fc.nat(30),
    put: fc.oneof(fc.string({ maxLength: 5 }), fc.constantFrom('\n', '  ', ': ', '[', '"', '- ')),
  })
  fc.assert(
    fc.property(edit, ({ at, length, put }) => {
      expectAnswer(FULL.slice(0, at) + put + FULL.slice(at + length))
    }),
    { numRuns: 200 },
  )
})
