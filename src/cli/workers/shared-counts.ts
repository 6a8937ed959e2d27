import type { Clock } from '../../core/time.ts'
import { createRateCounters, type SharedCounters } from '../../flow/rate-counters.ts'
import type { Counted, Counting } from './messages.ts'

/** A worker's end: what it counts is added up in the primary. */
export interface PrimaryCounters extends SharedCounters {
  hear(counted: Counted): void
}

/** Beyond it, workers count for themselves until the primary has caught up. */
const WAITING_MAX = 1_000

export function countInPrimary(send: (counting: Counting) => void): PrimaryCounters {
  const waiting = new Map<number, (counted: Counted) => void>()
  let asked = 0
  return {
    async add(key, count) {
      if (waiting.size >= WAITING_MAX) throw new Error('The primary is behind.')
      const id = ++asked
      const { promise, resolve } = Promise.withResolvers<Counted>()
      waiting.set(id, resolve)
      send({ kind: 'count', id, key, count })
      return (await promise).tally
    },
    hear(counted) {
      waiting.get(counted.id)?.(counted)
      waiting.delete(counted.id)
    },
  }
}

/** The primary's end: bounded as a worker's own counters are. It refuses nobody itself. */
export function countForWorkers(clock: Clock): (counting: Counting) => Counted {
  const counters = createRateCounters({ clock })
  return ({ id, key: { id: rate, subject, perMs }, count }) => {
    const unlimited = { id: rate, requests: Number.POSITIVE_INFINITY, perMs }
    return { kind: 'counted', id, tally: counters.add(unlimited, subject, count) }
  }
}
