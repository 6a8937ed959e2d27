import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { expect, test } from 'vitest'
import { createRangeMatch, parseAddress, parseRange } from '../../src/address-ranges.ts'

const address = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.ipV4().map(text => `::ffff:${text}`),
)

test('property: an address is in a list of ranges if it is in one of them', () => {
  const ranges = fc.array(fc.tuple(address, fc.nat(128)), { maxLength: 20 })
  fc.assert(
    fc.property(ranges, address, fc.boolean(), (written, asked, isTaken) => {
      const list = written
        .map(([base, bits]) => parseRange(`${base}/${bits}`))
        .filter(range => range !== null)
      // Mostly nobody is in; the neighbour of a base often is.
      const text = isTaken && written[0] !== undefined ? written[0][0] : asked
      const client = parseAddress(text) ?? expect.unreachable(text)
      const expected = list.some(
        ([base, bits]) =>
          base.kind() === client.kind() && ipaddr.parse(client.toString()).match(base, bits),
      )
      expect(createRangeMatch(list)(client)).toBe(expected)
    }),
    { numRuns: 500 },
  )
})

test.each([
  ['0.0.0.0/0', '255.255.255.255', true],
  ['0.0.0.0/0', '::1', false],
  ['::/0', '10.0.0.1', false],
  ['::/0', 'ffff::', true],
  ['192.0.2.7', '192.0.2.7', true],
  ['192.0.2.7', '192.0.2.8', false],
  ['10.0.0.0/9', '10.127.255.255', true],
  ['10.0.0.0/9', '10.128.0.0', false],
])('%s and %s', (range, asked, isIn) => {
  const matches = createRangeMatch([parseRange(range) ?? expect.unreachable(range)])
  expect(matches(parseAddress(asked) ?? expect.unreachable(asked))).toBe(isIn)
})
