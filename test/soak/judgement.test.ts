import { describe, expect, test } from 'vitest'
import { Random } from '../simulation/random.ts'
import {
  FIGURE_NAMES,
  type FigureName,
  judge,
  type Look,
  lookEverySeconds,
  warmUpSeconds,
} from './judgement.ts'

/** As a healthy gateway looked in soaks of this machine, once it was warm. */
const HEALTHY: Look = {
  ...{ resident: 238, heap: 36.7, external: 9.4 },
  ...{ handles: 68, sockets: 60.5, descriptors: 89 },
}
/** How far single looks were from that, either way. */
const WANDERS: Look = {
  ...{ resident: 2, heap: 0.6, external: 1.5 },
  ...{ handles: 20, sockets: 6, descriptors: 6 },
}
/** Less, while the code was compiled and the pools filled. */
const COLD: Look = {
  ...{ resident: 90, heap: 8, external: 4 },
  ...{ handles: 20, sockets: 15, descriptors: 15 },
}
const SEEDS = Array.from({ length: 50 }, (_, seed) => seed)

/** How much more there is of something than in a healthy gateway. */
type Leak = Partial<Record<FigureName, (seconds: number) => number>>

/** The figures that a soak calls growing, when such a leak was planted. */
function growing(minutes: number, seed: number, leak: Leak = {}): FigureName[] {
  const random = new Random(seed)
  const seconds = minutes * 60
  const warm = warmUpSeconds(seconds)
  const looks: { seconds: number; found: Look }[] = []
  for (let at = 0; at < seconds; at += lookEverySeconds(seconds)) {
    const cold = Math.max(0, 1 - at / warm)
    const of = (name: FigureName): number =>
      HEALTHY[name] -
      COLD[name] * cold +
      WANDERS[name] * (random.next() + random.next() - 1) +
      (leak[name]?.(at) ?? 0)
    const found = Object.fromEntries(FIGURE_NAMES.map(name => [name, of(name)])) as Look // all of them
    looks.push({ seconds: at, found })
  }
  return FIGURE_NAMES.filter((_, index) => !judge(looks, seconds)[index]?.isFlat)
}

const perMinute =
  (amount: number) =>
  (seconds: number): number =>
    (amount * seconds) / 60

test.each([2, 10])('a healthy gateway grows in nothing, in %d minutes', minutes => {
  expect(SEEDS.flatMap(seed => growing(minutes, seed))).toEqual([])
})

/** Leaks that a soak is sure to see: so much a minute. */
const SEEN: readonly (readonly [minutes: number, Readonly<Record<FigureName, number>>])[] = [
  [
    2,
    {
      ...{ resident: 14, heap: 5, external: 5 },
      ...{ handles: 25, sockets: 15, descriptors: 15 },
    },
  ],
  [
    10,
    {
      ...{ resident: 3, heap: 0.9, external: 1 },
      ...{ handles: 4, sockets: 3, descriptors: 3 },
    },
  ],
]

describe.each(SEEN)('in %d minutes it sees', (minutes, leaks) => {
  test.each(FIGURE_NAMES)('a leak of %s, and blames nothing else', name => {
    const leak = { [name]: perMinute(leaks[name]) }
    for (const seed of SEEDS) expect(growing(minutes, seed, leak), `seed ${seed}`).toEqual([name])
  })

  test('a connection that is never closed, in everything that it is', () => {
    const each = perMinute(Math.max(leaks.handles, leaks.sockets))
    const leak = { handles: each, sockets: each, descriptors: each }
    for (const seed of SEEDS) {
      expect(growing(minutes, seed, leak)).toEqual(['handles', 'sockets', 'descriptors'])
    }
  })
})

describe('in 10 minutes it sees', () => {
  test.each<[string, Leak, FigureName[]]>([
    ['a pool that stays behind each reload', { sockets: perMinute(12) }, ['sockets']],
    [
      'a listener of 100 bytes for each of 1,000 requests a second',
      { heap: perMinute(6) },
      ['heap'],
    ],
    [
      'a cache that begins to fill when the soak is half over',
      { heap: seconds => Math.max(0, seconds - 300) / 30 },
      ['heap'],
    ],
    [
      'a leak that is collected now and then, and not all of it',
      { heap: seconds => perMinute(2)(seconds - (seconds % 90)) + (seconds % 90) / 20 },
      ['heap'],
    ],
    ['a step that stays', { resident: seconds => (seconds > 420 ? 30 : 0) }, ['resident']],
  ])('%s', (_what, leak, found) => {
    for (const seed of SEEDS) expect(growing(10, seed, leak), `seed ${seed}`).toEqual(found)
  })
})

describe('it is not taken in by', () => {
  test.each<[string, Leak]>([
    ['garbage that is collected in time', { heap: seconds => (seconds % 60) / 20 }],
    ['a burst that is over', { sockets: seconds => (seconds > 300 && seconds < 330 ? 500 : 0) }],
    ['a pool that fills within the warm-up', { sockets: seconds => Math.min(seconds, 100) }],
    ['what is given back', { resident: seconds => -seconds / 20 }],
  ])('%s', (_what, leak) => {
    expect(SEEDS.flatMap(seed => growing(10, seed, leak))).toEqual([])
  })
})

test('a soak that ended early says so instead of judging', () => {
  const looks = Array.from({ length: 13 }, (_, index) => ({ seconds: index * 10, found: HEALTHY }))
  expect(() => judge(looks, 600)).toThrow(RangeError)
})
