import { createHash } from 'node:crypto'

/**
 * Random choices that a seed and a name decide. What is chosen under one name does not depend on
 * what was chosen under another, so that a run repeats its choices although its timing differs.
 */
export interface Chance {
  happens(probability: number): boolean
  /** A whole number; both ends may come. */
  between(min: number, max: number): number
  pick<T>(weighted: readonly (readonly [weight: number, value: T])[]): T
  /** 32 bytes. */
  word(): `0x${string}`
}

export function createChance(seed: number, name: string): Chance {
  let draws = 0
  const digest = (): Buffer => createHash('sha256').update(`${seed}/${name}/${draws++}`).digest()
  const share = (): number => digest().readUInt32BE(0) / 2 ** 32
  return {
    happens: probability => share() < probability,
    between: (min, max) => min + Math.floor(share() * (max - min + 1)),
    pick(weighted) {
      const sum = weighted.reduce((total, [weight]) => total + weight, 0)
      let left = share() * sum
      for (const [weight, value] of weighted) {
        left -= weight
        if (left < 0) return value
      }
      throw new RangeError('There is nothing to pick from.')
    },
    word: () => `0x${digest().toString('hex')}`,
  }
}
