import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createHeaderRules } from '../../src/upstream/headers.ts'
import { namesIn, valuesIn } from './harness.ts'

const rules = createHeaderRules({})

/** Headers that a client must not be able to send to an upstream. */
const NOT_TO_UPSTREAM = [
  ...['Connection', 'Keep-Alive', 'Proxy-Authenticate', 'Proxy-Authorization', 'TE', 'Trailer'],
  ...['Proxy-Connection', 'Transfer-Encoding', 'Upgrade', 'Expect', 'Host'],
  ...['PAYMENT-SIGNATURE', 'X-PAYMENT', 'PAYMENT-REQUIRED', 'PAYMENT-RESPONSE'],
  ...['X-PAYMENT-RESPONSE', 'Farebox-Payer', 'Farebox-Payment-Id', 'Farebox-Amount'],
  ...['Farebox-Anything', 'Forwarded', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Port'],
  ...['X-Forwarded-Proto', 'X-Forwarded-Prefix', 'X-Real-IP', 'X-HTTP-Method-Override'],
  ...['X-HTTP-Method', 'X-Method-Override', 'X-Original-URL', 'X-Rewrite-URL'],
]

/** Headers that an upstream must not be able to send to a client. */
const NOT_TO_CLIENT = [
  ...['Connection', 'Keep-Alive', 'Proxy-Authenticate', 'Proxy-Connection', 'Upgrade'],
  ...['Transfer-Encoding', 'PAYMENT-REQUIRED', 'PAYMENT-RESPONSE', 'X-PAYMENT-RESPONSE'],
  ...['PAYMENT-SIGNATURE', 'X-PAYMENT', 'Farebox-Payer', 'Farebox-Anything', 'Alt-Svc'],
]

describe('to the upstream', () => {
  test.each(NOT_TO_UPSTREAM)('%s stops here', name => {
    const spellings = [name, name.toLowerCase(), name.toUpperCase(), name.replaceAll('-', '_')]
    for (const spelling of spellings) {
      expect(rules.forRequest([spelling, 'x', 'Accept', '*/*'], [])).toEqual(['Accept', '*/*'])
    }
  })

  test('everything else passes as it was written, in order', () => {
    const headers = ['ACCEPT', '*/*', 'x-a', '1', 'X-A', '2', 'Cookie', 'a=b', 'Authorization', 'k']
    expect(rules.forRequest(headers, [])).toEqual(headers)
  })

  test('what the Connection header names is for us only', () => {
    const headers = [
      'Connection',
      'close, X-Hop ,x-Other',
      'X-HOP',
      '1',
      'X-Other',
      '2',
      'X-B',
      '3',
    ]
    expect(rules.forRequest(headers, [])).toEqual(['X-B', '3'])
  })

  test('every Connection header counts', () => {
    const headers = ['connection', 'x-a', 'CONNECTION', 'x-b', 'X-A', '1', 'X-B', '2']
    expect(rules.forRequest(headers, [])).toEqual([])
  })

  test('what we add cannot be talked away by a Connection header', () => {
    const headers = ['Connection', 'Farebox-Payer, X-Forwarded-For']
    const added = ['Farebox-Payer', '0x1', 'X-Forwarded-For', '192.0.2.1']
    expect(rules.forRequest(headers, added)).toEqual(added)
  })

  test('configured headers win over the client’s, in any spelling, and over ours', () => {
    const own = createHeaderRules({ authorization: 'Bearer secret', 'x-forwarded-host': 'api' })
    const headers = ['Authorization', 'Bearer mine', 'AUTHORIZATION', 'x', 'X_Forwarded_Host', 'y']
    const added = ['X-Forwarded-Host', 'example.com', 'Farebox-Payer', '0x1']
    expect(own.forRequest(headers, added)).toEqual([
      ...['Farebox-Payer', '0x1'],
      ...['authorization', 'Bearer secret', 'x-forwarded-host', 'api'],
    ])
  })

  test('a configured host replaces the upstream’s own name', () => {
    const own = createHeaderRules({ host: 'api.internal' })
    expect(own.forRequest(['Host', 'example.com'], [])).toEqual(['host', 'api.internal'])
  })
})

describe('to the client', () => {
  test.each(NOT_TO_CLIENT)('%s stops here', name => {
    for (const spelling of [name, name.toLowerCase(), name.replaceAll('-', '_')]) {
      expect(rules.forReply([spelling, 'x', 'ETag', '"1"'])).toEqual(['ETag', '"1"'])
    }
  })

  test('everything else passes as it was written, in order', () => {
    const headers = ['Set-Cookie', 'a=1', 'set-cookie', 'b=2', 'Trailer', 'X-Sum', 'X-B', '']
    expect(rules.forReply(headers)).toEqual(headers)
  })

  test('configured headers say nothing about replies', () => {
    const own = createHeaderRules({ 'x-key': 'secret' })
    expect(own.forReply(['X-Key', 'of the upstream'])).toEqual(['X-Key', 'of the upstream'])
  })
})

test('names that objects have of themselves are ordinary headers', () => {
  const headers = ['constructor', '1', '__proto__', '2', 'toString', '3', 'hasOwnProperty', '4']
  expect(rules.forRequest(headers, [])).toEqual(headers)
})

test('decides the same for a name, however many names it has seen', () => {
  const fresh = createHeaderRules({})
  for (let count = 0; count < 10_000; count++) fresh.forRequest([`x-${count}`, '1'], [])
  expect(fresh.forRequest(['x-payment', '1', 'x-9999', '2'], [])).toEqual(['x-9999', '2'])
})

const token = fc.string({
  unit: fc.constantFrom(..."!#$%&'*+-.^_`|~0123456789abcxyzABCXYZ"),
  minLength: 1,
  maxLength: 24,
})

/** A protected name with its letters in any case and its dashes as anything CGI takes for one. */
function spellingOf(names: readonly string[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom(...names), fc.infiniteStream(fc.nat()))
    .map(([name, choices]) => [...name].map(letter => vary(letter, choices)).join(''))
}

function vary(letter: string, choices: Iterator<number, unknown>): string {
  const choice = Number(choices.next().value)
  if (letter === '-') return '-_.~!*'[choice % 6] ?? '-'
  return choice % 2 === 0 ? letter.toLowerCase() : letter.toUpperCase()
}

const value = fc.string({ unit: 'grapheme-ascii', maxLength: 16 })

function headersWith(names: readonly string[]): fc.Arbitrary<string[]> {
  const connection = fc.tuple(fc.constant('Connection'), token)
  const header = fc.oneof(fc.tuple(token, value), fc.tuple(spellingOf(names), value), connection)
  return fc.array(header, { maxLength: 24 }).map(headers => headers.flat())
}

function canonical(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '-')
}

test('whatever a client sends, no protected name in any spelling reaches the upstream', () => {
  const forbidden = new Set(NOT_TO_UPSTREAM.map(canonical))
  const run = (headers: string[]) => {
    const names = namesIn(rules.forRequest(headers, [])).map(canonical)
    expect(names.filter(name => forbidden.has(name) || name.startsWith('farebox-'))).toEqual([])
  }
  fc.assert(fc.property(headersWith(NOT_TO_UPSTREAM), run), { numRuns: 2_000 })
})

test('whatever an upstream sends, no protected name in any spelling reaches the client', () => {
  const forbidden = new Set(NOT_TO_CLIENT.map(canonical))
  const run = (headers: string[]) => {
    const names = namesIn(rules.forReply(headers)).map(canonical)
    expect(names.filter(name => forbidden.has(name) || name.startsWith('farebox-'))).toEqual([])
  }
  fc.assert(fc.property(headersWith(NOT_TO_CLIENT), run), { numRuns: 2_000 })
})

test('whatever a client sends, the configured header is sent once, as configured', () => {
  const own = createHeaderRules({ 'x-api-key': 'secret' })
  const run = (headers: string[]) => {
    const sent = own.forRequest(headers, [])
    expect(valuesIn(sent, 'x-api-key')).toEqual(['secret'])
    expect(
      namesIn(sent)
        .map(canonical)
        .filter(name => name === 'x-api-key'),
    ).toHaveLength(1)
  }
  fc.assert(fc.property(headersWith(['X-API-Key']), run), { numRuns: 1_000 })
})
