import type { PriceKind } from './price.ts'

/** `free`: nobody pays. Said in a word, so that a slip of a digit cannot give a route away. */
export const freePrice: PriceKind = {
  example: 'free',
  read: written => (written === 'free' ? { kind: 'free' } : null),
}
