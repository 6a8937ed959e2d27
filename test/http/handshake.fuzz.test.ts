import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readHead } from '../../src/http/framing.ts'

const VALUES: Readonly<Record<string, readonly string[]>> = {
  Host: ['shop.test', 'shop.test:80', ''],
  Connection: ['Upgrade', 'upgrade, keep-alive', 'keep-alive', 'upgrade, close', 'Upgrade, Host'],
  Upgrade: ['websocket', 'WebSocket', 'h2c', 'websocket, h2c', 'websocket/13', ''],
  'Sec-WebSocket-Version': ['13', '8', '13, 8', '013', ''],
  'Sec-WebSocket-Key': ['dGhlIHNhbXBsZSBub25jZQ==', 'dGhlIHNhbXBsZSBub25jZQ', 'x', ''],
  'Content-Length': ['0', '4', '00'],
  'Transfer-Encoding': ['chunked'],
  'Sec-WebSocket-Protocol': ['chat', 'chat, superchat'],
}

const spelled = (name: string) =>
  fc.constantFrom(name, name.toLowerCase(), name.toUpperCase(), name.replaceAll('-', '_'))

const field = fc
  .constantFrom(...Object.keys(VALUES))
  .chain(name =>
    fc.tuple(
      spelled(name),
      fc.oneof(
        { weight: 6, arbitrary: fc.constantFrom(...(VALUES[name] ?? [])) },
        { weight: 1, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 30 }) },
      ),
    ),
  )

/** Good ones, with fields of others among them, and fields missing. */
const head = fc.record({
  method: fc.constantFrom('GET', 'GET', 'GET', 'POST', 'HEAD', 'CONNECT', 'get'),
  httpVersion: fc.constantFrom('1.1', '1.1', '1.1', '1.0', '2.0'),
  fields: fc
    .tuple(
      fc.subarray(
        [
          ['Host', 'shop.test'],
          ['Connection', 'Upgrade'],
          ['Upgrade', 'websocket'],
          ['Sec-WebSocket-Version', '13'],
          ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
        ],
        { minLength: 3 },
      ),
      fc.array(field, { maxLength: 2 }),
    )
    .chain(([good, others]) =>
      fc.shuffledSubarray([...good, ...others], { minLength: good.length + others.length }),
    ),
})

/** What RFC 6455 section 4.2.1 asks for, said another way. */
function isHandshake(method: string, httpVersion: string, fields: readonly string[][]): boolean {
  const all = (name: string): string[] =>
    fields.flatMap(([key = '', value = '']) => (key.toLowerCase() === name ? [value] : []))
  const tokens = all('connection')
    .join()
    .split(',')
    .map(token => token.trim().toLowerCase())
  return (
    method === 'GET' &&
    httpVersion === '1.1' &&
    tokens.includes('upgrade') &&
    tokens.every(token => token === 'upgrade' || token === 'keep-alive') &&
    all('upgrade').join('|').toLowerCase() === 'websocket' &&
    all('sec-websocket-version').join('|') === '13' &&
    /^[A-Za-z0-9+/]{22}==$/.test(all('sec-websocket-key').join('|')) &&
    all('transfer-encoding').length === 0 &&
    ['', '0'].includes(all('content-length').join('|'))
  )
}

test('only a whole handshake is one, and no other change of protocol goes on', () => {
  let handshakes = 0
  fc.assert(
    fc.property(head, ({ method, httpVersion, fields }) => {
      const read = readHead({ method, httpVersion, rawHeaders: fields.flat() })
      if (read.isHandshake) handshakes++
      if (read.flaw !== null) {
        expect(read).toMatchObject({ isHandshake: false, isLast: true })
        return
      }
      expect(read.isHandshake).toBe(isHandshake(method, httpVersion, fields))
      if (read.isHandshake) expect(read).toMatchObject({ isLast: true, bodyLength: 0 })
      // What goes on as a plain request asked for no protocol that we would have to refuse.
      const names = fields.map(([name = '']) => name.toLowerCase())
      if (!read.isHandshake && read.isLast) expect(names).not.toContain('upgrade')
    }),
    { numRuns: 4_000 },
  )
  expect(handshakes).toBeGreaterThan(100)
})
