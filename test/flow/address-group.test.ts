import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { expect, test } from 'vitest'
import { addressGroup } from '../../src/flow/address-group.ts'

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:db8:1:2::', '2001:db8:1:2::/64'],
  ['::1', '0:0:0:0::/64'],
  ['1::4:5:6:7:8', '1:0:0:4::/64'],
  ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
  ['', ''],
])('%s counts as %s', (address, group) => {
  expect(addressGroup(address)).toBe(group)
})

test('two addresses are of one group when their first 64 bits are the same, and only then', () => {
  const part = fc.constantFrom(0, 0, 0, 1, 0xdb8, 0xffff)
  const parts = fc.array(part, { minLength: 8, maxLength: 8 })
  fc.assert(
    fc.property(parts, parts, (one, other) => {
      const text = (all: number[]): string => new ipaddr.IPv6(all).toRFC5952String()
      const same = one.slice(0, 4).join() === other.slice(0, 4).join()
      expect(addressGroup(text(one)) === addressGroup(text(other))).toBe(same)
    }),
  )
})
