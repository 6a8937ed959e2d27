import fc from 'fast-check'
import { expect, test } from 'vitest'
import { asciiJson, decodeBase64Text, encodeBase64Json } from '../../src/x402/base64.ts'

const anyText = fc.string({ unit: 'binary' })

test('reads what base64 of UTF-8 says', () => {
  fc.assert(
    fc.property(anyText, text => {
      fc.pre(text !== '' && text.isWellFormed())
      expect(decodeBase64Text(Buffer.from(text).toString('base64'))).toBe(text)
    }),
  )
})

test('a text has one spelling: whatever is read is written back the same', () => {
  const alphabet = [...'ABab01+/=-_ \n\r\t.~é']
  const likeBase64 = fc.array(fc.constantFrom(...alphabet), { maxLength: 16 })
  fc.assert(
    fc.property(
      fc.oneof(
        likeBase64.map(parts => parts.join('')),
        anyText,
      ),
      encoded => {
        const text = decodeBase64Text(encoded)
        if (text !== null) expect(Buffer.from(text).toString('base64')).toBe(encoded)
      },
    ),
    { numRuns: 20_000 },
  )
})

test.each([
  ['nothing', ''],
  ['missing padding', 'e30'],
  ['padding too many', 'e30=='],
  ['padding alone', '===='],
  ['padding inside', 'e30=e30='],
  ['stray bits under the padding', 'e33='],
  ['the URL alphabet', Buffer.from('{"a":"???>>>"}').toString('base64url')],
  ['white space around', ' e30='],
  ['a line feed at the end', 'e30=\n'],
  ['line breaks inside', 'e3\r\n0='],
  ['two values joined by a comma', 'e30=, e30='],
  ['an overlong byte sequence', Buffer.from([0xc0, 0xaf, 0x20]).toString('base64')],
  ['half a character', Buffer.from([0x7b, 0x7d, 0xe2, 0x82]).toString('base64')],
  ['a surrogate in UTF-8', Buffer.from([0xed, 0xa0, 0x80]).toString('base64')],
  ['Latin-1', Buffer.from('é', 'latin1').toString('base64')],
])('refuses %s', (_, encoded) => {
  // "e30=" is "{}"; "e33=" is the same bytes with stray bits.
  expect(decodeBase64Text(encoded)).toBeNull()
})

test('keeps a byte order mark, so that no second spelling reads the same', () => {
  expect(decodeBase64Text(Buffer.from('\ufeff{}').toString('base64'))).toBe('\ufeff{}')
})

test('random bytes never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), bytes => {
      const encoded = Buffer.from(bytes).toString('base64')
      const text = decodeBase64Text(encoded)
      if (text !== null) expect(Buffer.from(text)).toEqual(Buffer.from(bytes))
    }),
  )
})

test('what we encode reads the same through Buffer and through atob', () => {
  fc.assert(
    fc.property(fc.jsonValue(), value => {
      const expected = JSON.parse(JSON.stringify(value))
      const header = encodeBase64Json(value)
      expect(header).toMatch(/^[A-Za-z0-9+/]+={0,2}$/)
      expect(JSON.parse(Buffer.from(header, 'base64').toString('utf8'))).toEqual(expected)
      expect(JSON.parse(atob(header))).toEqual(expected)
      expect(JSON.parse(decodeBase64Text(header) ?? '')).toEqual(expected)
    }),
  )
})

test('ASCII JSON means the same as the JSON it was made from', () => {
  fc.assert(
    fc.property(anyText, text => {
      const ascii = asciiJson(JSON.stringify(text))
      expect(ascii).toMatch(/^[\u0020-\u007e]*$/)
      expect(JSON.parse(ascii)).toBe(text)
    }),
  )
})
