import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isSendable } from '../../src/upstream/sendable.ts'
import { asResponse, collect, requestTo, send } from './harness.ts'
import { closeAfterEach, upstreamOf } from './servers.ts'

closeAfterEach()

const good = { method: 'GET', path: '/a?b=%20', headers: ['X-A', 'b\tc \xe9'] }

test('takes an ordinary request', () => {
  expect(isSendable(good)).toBe(true)
})

test.each([
  ['a line break in a value', { headers: ['X-A', 'a\r\nX-B: b'] }],
  ['a zero byte in a value', { headers: ['X-A', 'a\0'] }],
  ['a character that is no byte', { headers: ['X-A', '€'] }],
  ['an empty name', { headers: ['', 'a'] }],
  ['a space in a name', { headers: ['X A', 'a'] }],
  ['a colon in a name', { headers: ['X:A', 'a'] }],
  ['two lengths', { headers: ['Content-Length', '1', 'content-length', '1'] }],
  ['a length that is no number', { headers: ['Content-Length', '+1'] }],
  ['a space in the target', { path: '/a b' }],
  ['a target that is no path', { path: 'http://elsewhere/' }],
  ['an empty target', { path: '' }],
  ['a method that is no token', { method: 'GET /x' }],
])('refuses %s', (_name, bad) => {
  expect(isSendable({ ...good, ...bad })).toBe(false)
})

const anyText = fc.string({
  unit: fc.nat(0x17f).map(code => String.fromCharCode(code)),
  maxLength: 8,
})

test('whatever it takes, the HTTP client takes too: no connection is lost to a bad request', async () => {
  const [upstream] = await upstreamOf(async (_, response) => void response.end('ok'), {
    maxConnections: 1,
  })
  const header = fc.tuple(
    fc.oneof(anyText, fc.constantFrom('X-A', 'content-length', 'Content-Type', 'accept')),
    fc.oneof(anyText, fc.constantFrom('1', '5', 'text/plain')),
  )
  const rawHeaders = fc.array(header, { maxLength: 4 }).map(headers => headers.flat())
  const target = fc.oneof(anyText, fc.webPath()).map(text => `/${text}`)
  const method = fc.oneof(
    { weight: 1, arbitrary: anyText },
    { weight: 4, arbitrary: fc.constant('GET') },
  )
  const run = async (request: { rawHeaders: string[]; target: string; method: string }) => {
    await send(upstream, requestTo('/', { ...request, timeoutMs: 1_000 })).then(outcome =>
      outcome.kind === 'response' ? collect(outcome.body) : null,
    )
    const response = asResponse(await send(upstream, requestTo('/', { timeoutMs: 1_000 })))
    expect((await collect(response.body)).bytes.toString()).toBe('ok')
  }
  const requests = fc.record({ rawHeaders, target, method })
  await fc.assert(fc.asyncProperty(requests, run), { numRuns: 100 })
})
