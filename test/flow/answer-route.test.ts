import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createAnswer } from '../../src/flow/answer-route.ts'
import { parseRouteKey } from '../../src/routing/pattern.ts'
import { readRequestTarget } from '../../src/routing/request-target.ts'
import { requestTo, send } from '../upstream/harness.ts'

const piece = fc.constantFrom(
  ...[
    '.',
    '..',
    '%2e',
    ';',
    '/',
    '//',
    '@',
    ':',
    '\\',
    '%5c',
    '%40',
    '%2f',
    'evil.example',
    '?',
    '#',
  ],
  ...['%0d%0a', '\t', 'a', '%25', '[', ']', ':80', 'javascript:', '%C3%A9', '%E3%80%82'],
)

/** Where a redirect of "/go/{name}/*" leads for a target; null where it is refused before. */
async function locationFor(origin: string, raw: string): Promise<string | null> {
  const target = readRequestTarget(raw, null)
  const route = parseRouteKey('/go/{name}/*')
  if (target.kind === 'ambiguous' || route.kind === 'invalid') return null
  const [, go, name, ...rest] = target.path.split('/')
  if (go !== 'go' || !name || rest.length === 0) return null
  const config = { kind: 'redirect', origin, template: '/{name}/{*}', status: 307 } as const
  const reply = await send(createAnswer(config, route.segments), requestTo(target.full))
  if (reply.kind !== 'response') throw new Error('A redirect has no answer.')
  expect(reply.status).toBe(307)
  return reply.headers[reply.headers.indexOf('location') + 1] ?? null
}

test.each(['https://docs.example', ''])(
  'nothing asked of a redirect to %j changes its host',
  async origin => {
    let led = 0
    const pieces = fc.array(piece, { minLength: 1, maxLength: 3 }).map(parts => parts.join(''))
    const raw = fc.tuple(pieces, pieces).map(([name, rest]) => `/go/${name}/${rest}`)
    await fc.assert(
      fc.asyncProperty(raw, async text => {
        const location = await locationFor(origin, text)
        if (location === null) return
        led++
        // As a browser resolves it.
        const url = new URL(location, 'https://asked.example/go')
        expect(url.origin).toBe(origin || 'https://asked.example')
        expect(url.username + url.password + url.hash).toBe('')
        expect(location).toMatch(/^[\x21-\x7e]+$/)
      }),
      { numRuns: 5_000 },
    )
    expect(led).toBeGreaterThan(200)
  },
)

test('the query goes along', async () => {
  expect(await locationFor('https://docs.example', '/go/a/b?c=//d')).toBe(
    'https://docs.example/a/b?c=//d',
  )
})
