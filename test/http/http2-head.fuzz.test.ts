import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readHttp2Head } from '../../src/http/http2-head.ts'

const name = fc.constantFrom(
  ...[':method', ':path', ':scheme', ':authority', ':protocol'],
  ...['host', 'content-length', 'cookie', 'expect', 'x-a'],
)
const value = fc.oneof(
  fc.constantFrom('GET', 'CONNECT', '/', 'https', 'http', 'a.example', 'A.example', 'b.example:1'),
  fc.constantFrom('0', '5', '05', '5, 5', '+5', '9'.repeat(30), '100-continue', '', 'a=1'),
  fc.string({ maxLength: 12 }),
)
const good = ['GET', '/x', 'https', 'a.example']
const usual = [':method', ':path', ':scheme', ':authority'].map((one, index) => [one, good[index]])
const heads = fc
  .array(fc.tuple(name, value), { maxLength: 8 })
  .map(more => [...usual, ...more].flat() as string[]) // pairs of texts

function valuesOf(flat: readonly string[], wanted: string): string[] {
  return flat.filter((_, index) => index % 2 === 1 && flat[index - 1] === wanted)
}

test('any fields are read without fail, and what is let through can be read in one way only', () => {
  let passed = 0
  fc.assert(
    fc.property(heads, fc.boolean(), (flat, endsStream) => {
      const head = readHttp2Head(flat, { endsStream, headerBytesMax: 1_024 })
      if (head.flaw !== null) return
      passed++
      expect(head.method).not.toBe('CONNECT')
      expect(valuesOf(flat, ':protocol')).toEqual([])
      expect(valuesOf(flat, ':scheme').at(-1)).toBe('https')
      const authority = valuesOf(flat, ':authority').at(-1)
      const hosts = [authority ?? '', ...valuesOf(head.rawHeaders, 'host')]
      expect(new Set(hosts.map(host => host.toLowerCase())).size).toBe(1)
      expect(hosts.length).toBeLessThanOrEqual(2)
      const lengths = valuesOf(head.rawHeaders, 'content-length')
      expect(lengths.length).toBeLessThanOrEqual(1)
      const [said = null] = lengths
      expect(head.bodyLength).toBe(endsStream ? 0 : said && Number(said))
      expect(valuesOf(head.rawHeaders, 'cookie').length).toBeLessThanOrEqual(1)
      expect(head.rawHeaders.some(text => text.startsWith(':method'))).toBe(false)
    }),
    { numRuns: 3_000 },
  )
  expect(passed).toBeGreaterThan(100)
})
