import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatProblem } from '../../src/config/problems.ts'
import { resolveVariables, secretFilesIn } from '../../src/config/variables.ts'
import { accepted, HEAD, problemsOf, read } from './support.ts'

const directory = mkdtempSync(join(tmpdir(), 'farebox-variables-'))
writeFileSync(join(directory, 'key'), 'hush\n')
writeFileSync(join(directory, 'windows'), 'hush\r\n')
writeFileSync(join(directory, 'two-lines'), 'a\nb\n\n')
writeFileSync(join(directory, 'empty'), '\n')
const v = (name: string) => `\${${name}}`
const env = { KEY: 'sk-1', EMPTY: '', NESTED: v('KEY'), ODD: '$&' }
const resolve = (written: string) => resolveVariables(written, { env, directory })

describe('variables', () => {
  it.each([
    [`Bearer ${v('KEY')}`, 'Bearer sk-1'],
    [`${v('KEY')}${v('KEY')}`, 'sk-1sk-1'],
    ['$0.001', '$0.001'],
    ['$KEY and $', '$KEY and $'],
    [`$${v('KEY')}`, v('KEY')],
    [`$$${v('KEY')}`, `$${v('KEY')}`],
    [v('NESTED'), v('KEY')],
    [v('ODD'), '$&'],
    [v('file:key'), 'hush'],
    [v(`file:${join(directory, 'windows')}`), 'hush'],
    [v('file:two-lines'), 'a\nb\n'],
  ])('turns %j into %j', (written, value) => {
    expect(resolve(written)).toEqual({ value, findings: [] })
  })

  it.each([
    [v('NOPE'), 'NOPE, which is not set'],
    [v('EMPTY'), 'EMPTY, which is empty'],
    [v('toString'), 'toString, which is not set'],
    [v('file:nope'), 'which does not exist'],
    [v('file:empty'), 'which is empty'],
    [v('file:.'), 'which is not a plain file'],
    [v('file:'), 'which is not a plain file'],
    [v('KEY:-default'), 'is neither'],
    [v(''), 'is neither'],
    [v('KEY').slice(0, -1), 'without its }'],
  ])('refuses %j', (written, message) => {
    const { findings } = resolve(written)
    expect(findings).toHaveLength(1)
    expect(findings[0]?.message).toContain(message)
  })

  it('finds every missing one of a scalar', () => {
    expect(resolve(`${v('A')} ${v('B')}`).findings).toHaveLength(2)
  })

  it('knows the files that a text refers to, relative to the configuration', () => {
    const text = `a: ${v('file:key')}\nb: ${v('file:/run/x')} ${v('file:key')} $${v('file:no')}`
    expect(secretFilesIn(text, '/etc/farebox')).toEqual(['/etc/farebox/key', '/run/x'])
  })
})

describe('a secret', () => {
  const head = HEAD.replace(
    '"http://localhost:3000"',
    `{url: "http://a", headers: {x-key: "${v('SECRET')}"}}`,
  )

  it('cannot change the document, whatever it looks like', () => {
    const printable = fc.string({ unit: 'grapheme-ascii', minLength: 1 })
    fc.assert(
      fc.property(
        printable.filter(text => text === text.trim()),
        secret => {
          const config = accepted(`${head}routes: {/a: free}`, { SECRET: secret })
          expect(config.upstreams[0]?.headers).toEqual({ 'x-key': secret })
        },
      ),
    )
  })

  it('is not taken from the prototype of the environment', () => {
    const text = head.replace('SECRET', 'constructor')
    expect(problemsOf(`${text}routes: {/a: free}`)).toHaveLength(1)
  })

  it.each([
    ['routes: {/a: @}', 'a price'],
    ['routes: {/a: {price: free, timeout: @}}', 'a duration'],
    ['routes: {/a: {price: free, settle: @}}', 'a choice'],
    ['routes: {/a: {price: free, upstream: @}}', 'a name'],
    ['routes: {/a: {price: free, accepts: [@]}}', 'a network'],
    ['routes: {/a: {price: free, accepts: [{network: base, asset: @}]}}', 'a token'],
    ['routes: {/a: {price: free, accepts: [{network: base, payTo: @}]}}', 'an address'],
    ['routes: {/a: free}\nserver: {listen: @}', 'a listen address'],
    ['routes: {/a: free}\nserver: {publicUrl: @}', 'a URL'],
    ['routes: {/a: free}\nserver: {trustedProxies: [@]}', 'a range'],
    ['routes: {/a: free}\nstore: @', 'a store'],
    ['routes: {/a: free}\nadmin: @', 'a word'],
    ['routes: {/a: free}\ncors: {origins: [@]}', 'an origin'],
  ])('is not repeated where it is no %s', text => {
    const secret = 'hush hush 7f3a'
    const problems = problemsOf(HEAD + text.replace('@', `"${v('SECRET')}"`), { SECRET: secret })
    expect(problems).toHaveLength(1)
    expect(problems.map(formatProblem).join()).not.toContain('hush')
  })

  it('is not repeated when it stands in the file itself and the file is broken', () => {
    const broken = [
      `x-key: "hush`,
      `x: hush: y`,
      `hush hush\nx: y`,
      `*hush`,
      `"\\hush"`,
      `!hush x`,
      `{hush`,
    ]
    for (const line of broken) {
      const result = read(`${HEAD}routes: {/a: free}\n${line}\n`)
      expect(result.kind).toBe('invalid')
      if (result.kind !== 'invalid') continue
      const messages = result.problems.map(({ message, cure }) => message + cure)
      expect(messages.join()).not.toContain('hush')
    }
  })
})
