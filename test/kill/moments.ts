import type { Order } from './order.ts'

/** What can be seen of a request's life from outside of the gateway, in the usual order. */
export const MOMENTS = [
  'client sent',
  'verify asked',
  'verify answered',
  'upstream asked',
  'upstream answered',
  'settle asked',
  'settle landed',
  'settle answered',
  'client got head',
  'client got first byte',
  'client got everything',
] as const

export type Moment = (typeof MOMENTS)[number]

type Listener = (moment: Moment, order: Order) => void

export interface Moments {
  /** Also writes it into the order's story. */
  tell(moment: Moment, order: Order): void
  /** Returns an unsubscribe. */
  listen(listener: Listener): () => void
}

export function createMoments(): Moments {
  const listeners = new Set<Listener>()
  return {
    tell(moment, order) {
      order.story.push(`${stamp()} ${moment}`)
      for (const listener of [...listeners]) listener(moment, order)
    },
    listen(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

/** Seconds since the process began, for stories. */
export function stamp(): string {
  return (performance.now() / 1000).toFixed(3)
}
