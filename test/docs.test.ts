import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { errorsDocument } from '../scripts/errors-document.ts'

test('docs/errors.md is what the code says (else: npm run generate)', () => {
  expect(readFileSync('docs/errors.md', 'utf8')).toBe(errorsDocument())
})

test('every error class that has a code is in docs/errors.md', () => {
  const found = execFileSync('git', ['grep', '-hoE', "readonly code = '[a-z_]+'", '--', 'src'], {
    encoding: 'utf8',
  })
  const codes = [...found.matchAll(/'(\w+)'/g)].map(([, code]) => code)
  expect(codes.length).toBeGreaterThan(5)
  const document = readFileSync('docs/errors.md', 'utf8')
  expect(codes.filter(code => !document.includes(`\`${code}\``))).toEqual([])
})

test('every code of the command line is in docs/errors.md', () => {
  const sources = readdirSync('src/cli', { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .map(file => readFileSync(join('src/cli', file), 'utf8'))
  const found = [...sources, readFileSync('src/main.ts', 'utf8')].flatMap(source => [
    ...source.matchAll(/(?:code: |usageFailure\(\s*)'([a-z_]+)'/g),
  ])
  const codes = found.map(([, code]) => code)
  expect(codes.length).toBeGreaterThan(15)
  const document = readFileSync('docs/errors.md', 'utf8')
  expect(codes.filter(code => !document.includes(`\`${code}\``))).toEqual([])
})

test('every relative link of the README leads somewhere', () => {
  const links = [...readFileSync('README.md', 'utf8').matchAll(/\]\((?!https?:)([^)#]+)/g)]
  expect(links.length).toBeGreaterThan(0)
  for (const [, link = ''] of links) expect(() => readFileSync(link)).not.toThrow()
})
