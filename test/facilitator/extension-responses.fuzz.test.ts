import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readExtensionResponses } from '../../src/facilitator/extension-responses.ts'

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64')

function expectBounded(header: string): void {
  const responses = readExtensionResponses(header)
  expect(responses.length).toBeLessThanOrEqual(16)
  for (const { extension, status, reason } of responses) {
    expect(['bazaar', 'other']).toContain(extension)
    expect(['processing', 'rejected', 'other']).toContain(status)
    expect(reason ?? '').toMatch(/^[ -~]{0,128}$/)
  }
}

test('a rejection is read with its reason', () => {
  const told = { bazaar: { status: 'rejected', rejectedReason: 'invalid_bazaar_extension' } }
  expect(readExtensionResponses(encode(told))).toEqual([
    { extension: 'bazaar', status: 'rejected', reason: 'invalid_bazaar_extension' },
  ])
  expect(readExtensionResponses(encode({ bazaar: { status: 'processing' } }))).toEqual([
    { extension: 'bazaar', status: 'processing', reason: null },
  ])
})

test('what a service makes up becomes no label, and nothing unprintable', () => {
  const told = {
    'a\nb': { status: 'x\r\ny', rejectedReason: `\0\r\nSet-Cookie: ü${'z'.repeat(999)}` },
  }
  const [response] = readExtensionResponses(encode(told))
  expect(response).toMatchObject({ extension: 'other', status: 'other' })
  expect(response?.reason).toMatch(/^\?\?\?Set-Cookie: \?z+$/)
  expect(response?.reason).toHaveLength(128)
})

test.each([
  ['none', undefined],
  ['no base64', '{"bazaar":{"status":"rejected"}}'],
  ['no JSON', Buffer.from('{"bazaar":').toString('base64')],
  ['a list', encode([{ status: 'rejected' }])],
  ['text', encode('rejected')],
  ['a member twice', Buffer.from('{"bazaar":{"status":"a","status":"b"}}').toString('base64')],
  ['too deep', encode({ bazaar: { status: 'rejected', more: [[[[[[[[1]]]]]]]] } })],
  ['too long', encode({ bazaar: { status: 'rejected', rejectedReason: 'x'.repeat(9_000) } })],
])('%s says nothing', (_, header) => {
  expect(readExtensionResponses(header)).toEqual([])
})

test('whatever the header holds, what is read is bounded', () => {
  const response = fc.record(
    {
      status: fc.oneof(fc.constantFrom('processing', 'rejected'), fc.string({ unit: 'binary' })),
      rejectedReason: fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.jsonValue()),
    },
    { requiredKeys: [] },
  )
  const shaped = fc.dictionary(
    fc.oneof(fc.constantFrom('bazaar', '__proto__', 'constructor'), fc.string({ unit: 'binary' })),
    response,
    { maxKeys: 24 },
  )
  const header = fc.oneof(
    shaped.map(encode),
    fc.jsonValue().map(encode),
    fc.string({ unit: 'binary' }),
    fc.uint8Array().map(bytes => Buffer.from(bytes).toString('base64')),
  )
  fc.assert(fc.property(header, expectBounded), { numRuns: 150 })
})
