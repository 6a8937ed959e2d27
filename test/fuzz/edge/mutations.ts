import fc from 'fast-check'
import { bytesOf, readCorpus } from '../../corpus/entries.ts'

/** Pieces that parsers are known to disagree about, among single bytes. */
const PIECES = [
  ...['\r\n', '\n', '\r', '\0', ' ', '\t', '\x0b', ':', ',', ';', '"', '0', '1', '-', '+', '_'],
  ...['\r\n\r\n', '\r\n ', '\n\n', '0\r\n\r\n', '3\r\nabc\r\n', 'HTTP/1.0', 'HTTP/1.1', '/free/b'],
  ...['Content-Length: 3\r\n', 'Content-Length: 0\r\n', 'Transfer-Encoding: chunked\r\n'],
  ...['Transfer-Encoding: x\r\n', 'Transfer_Encoding: chunked\r\n', 'Content_Length: 9\r\n'],
  ...['Host: shop.test\r\n', 'Host: evil.test\r\n', 'Connection: close\r\n', 'Expect: x\r\n'],
  ...['Upgrade: websocket\r\n', 'Upgrade: h2c\r\n', 'Connection: Upgrade\r\n', '/ws/open/b'],
  ...['Connection: Upgrade\r\nUpgrade: x\r\n', 'Connection: content-length\r\n', 'X-A: b\r\n'],
  ...['GET /free/b HTTP/1.1\r\nHost: shop.test\r\n\r\n', '%2e', '%2F', '\xe9', '\xff', '..', '//'],
]

/** Requests of the corpus that are short enough to be changed in every place. */
const bases = [...readCorpus().values()].flat().filter(({ repeat }) => repeat === undefined)
const taken = bases.filter(({ seen }) => seen.length > 0)
const opened = taken.filter(({ tunnels }) => tunnels !== undefined)
const base = fc
  .oneof(
    { weight: 2, arbitrary: fc.constantFrom(...bases) },
    { weight: 2, arbitrary: fc.constantFrom(...taken) },
    { weight: 1, arbitrary: fc.constantFrom(...opened) },
  )
  .map(bytesOf)

export interface Mutation {
  readonly kind: 'insert' | 'delete' | 'replace' | 'repeat'
  readonly at: number
  readonly length: number
  readonly piece: string
}

/** @param pieces What may come in, beside any single byte. */
export function mutationOf(pieces: readonly string[]): fc.Arbitrary<Mutation> {
  return fc.record({
    kind: fc.constantFrom('insert', 'insert', 'delete', 'replace', 'repeat'),
    at: fc.nat({ max: 200 }),
    length: fc.integer({ min: 1, max: 12 }),
    piece: fc.oneof(
      fc.constantFrom(...pieces),
      fc.integer({ min: 0, max: 255 }).map(code => String.fromCharCode(code)),
    ),
  })
}

/** Bytes for one connection: one or two requests of the corpus, changed in a few places. */
export const mutatedBytes: fc.Arbitrary<string> = fc
  .tuple(
    fc.array(base, { minLength: 1, maxLength: 2 }),
    fc.array(mutationOf(PIECES), { minLength: 0, maxLength: 4 }),
  )
  .map(([requests, mutations]) => mutations.reduce(mutate, requests.join('')))

export function mutate(bytes: string, { kind, at, length, piece }: Mutation): string {
  const start = at % (bytes.length + 1)
  const [before, cut, after] = [
    bytes.slice(0, start),
    bytes.slice(start, start + length),
    bytes.slice(start + length),
  ]
  switch (kind) {
    case 'insert':
      return before + piece + cut + after
    case 'delete':
      return before + after
    case 'replace':
      return before + piece + after
    case 'repeat':
      return before + cut + cut + after
  }
}
