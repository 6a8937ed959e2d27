import fc from 'fast-check'
import { expect, it } from 'vitest'
import { nearestName, suggestName } from '../../src/config/suggest.ts'

const NAMES = ['upstreams', 'facilitators', 'payTo', 'base-sepolia', 'base']

it.each([
  ['upstrems', 'upstreams'],
  ['payto', 'payTo'],
  ['pyaTo', 'payTo'],
  ['base-sepoliaa', 'base-sepolia'],
  ['facilitator', 'facilitators'],
])('takes %s for %s', (written, meant) => {
  expect(suggestName(written, NAMES)).toBe(`Did you mean ${meant}?`)
})

it('lists what is known when nothing is near', () => {
  expect(suggestName('zzzzzz', ['a', 'b'])).toBe('Known: a, b.')
  expect(suggestName('x', [])).toBe('There is none to name.')
})

it('finds a name again after one letter was lost, doubled or changed', () => {
  const slip = fc.record({
    name: fc.constantFrom(...NAMES.filter(name => name.length > 4)),
    at: fc.nat(),
    kind: fc.constantFrom('lost', 'doubled', 'changed'),
  })
  fc.assert(
    fc.property(slip, ({ name, at, kind }) => {
      const place = at % name.length
      const letter = kind === 'lost' ? '' : kind === 'changed' ? '#' : name.charAt(place).repeat(2)
      expect(nearestName(name.slice(0, place) + letter + name.slice(place + 1), NAMES)).toBe(name)
    }),
  )
})
