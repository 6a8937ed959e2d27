import { type UnixMs, unixMs } from '../../src/core/time.ts'
import { Random } from './random.ts'
import type { Rule } from './rules.ts'

/** When every simulation begins. The pool of payments is signed for it. */
export const BEGIN_MS = 1_800_000_000_000

interface Event {
  readonly at: number
  readonly order: number
  /** Null once it was called off. */
  run: (() => void) | null
}

interface Line {
  readonly at: number
  readonly actor: string
  readonly what: string
}

export interface Violation {
  readonly rule: Rule
  readonly detail: string
}

/**
 * Simulated time, and everything that is going to happen in it. One event at a time, and everything
 * that it causes without waiting, before the next: a seed has one course and no other.
 */
export class World {
  readonly seed: number
  readonly random: Random
  /** False once the faults have ended and everything works. */
  troubled = true
  /** The first rule that was broken; the simulation ends with it. */
  violation: Violation | null = null
  #now = BEGIN_MS
  #order = 0
  readonly #heap: Event[] = []
  readonly #story: Line[] = []

  constructor(seed: number) {
    this.seed = seed
    this.random = new Random(seed)
  }

  readonly now = (): UnixMs => unixMs(this.#now)

  get seconds(): number {
    return Math.floor(this.#now / 1000)
  }

  /** @returns Calls it off. */
  after(milliseconds: number, run: () => void): () => void {
    const at = this.#now + Math.max(0, Math.round(milliseconds))
    const event: Event = { at, order: this.#order++, run }
    push(this.#heap, event)
    return () => {
      event.run = null
    }
  }

  sleep(milliseconds: number): Promise<void> {
    return new Promise(resolve => void this.after(milliseconds, resolve))
  }

  /** True now and then while faults are on, never afterwards. */
  mishap(probability: number): boolean {
    return this.troubled && this.random.chance(probability)
  }

  tell(actor: string, what: string): void {
    if (this.violation !== null) return
    this.#story.push({ at: this.#now - BEGIN_MS, actor, what })
  }

  violate(rule: Rule, detail: string): void {
    if (this.violation !== null) return
    this.tell('RULE BROKEN', `${rule}: ${detail}`)
    this.violation = { rule, detail }
  }

  /** One line an event: simulated seconds, who, what. */
  story(): string {
    return this.#story
      .map(
        ({ at, actor, what }) =>
          `${(at / 1000).toFixed(3).padStart(9)}  ${actor.padEnd(14)}${what}`,
      )
      .join('\n')
  }

  /** Runs until it is true, a rule is broken, or so much time has passed. */
  async runUntil(reached: () => boolean, withinMs: number): Promise<boolean> {
    const end = this.#now + withinMs
    while (this.violation === null && !reached()) {
      const event = pop(this.#heap)
      if (event === undefined || event.at > end) return false
      if (event.run === null) continue
      this.#now = event.at
      event.run()
      await everythingThatFollows()
    }
    return this.violation === null
  }
}

/** The second turn is for what gathers in the first, as the ledger's batches do. */
async function everythingThatFollows(): Promise<void> {
  await new Promise<void>(resolve => void setImmediate(resolve))
  await new Promise<void>(resolve => void setImmediate(resolve))
}

function isBefore(one: Event, other: Event): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}

function push(heap: Event[], event: Event): void {
  let index = heap.length
  heap.push(event)
  while (index > 0) {
    const above = (index - 1) >> 1
    const parent = heap[above]
    if (parent === undefined || !isBefore(event, parent)) break
    heap[index] = parent
    index = above
  }
  heap[index] = event
}

function pop(heap: Event[]): Event | undefined {
  const first = heap[0]
  const last = heap.pop()
  if (first === undefined || last === undefined || heap.length === 0) return first
  let index = 0
  for (;;) {
    const [left, right] = [heap[2 * index + 1], heap[2 * index + 2]]
    if (left === undefined) break
    const child = right !== undefined && isBefore(right, left) ? right : left
    if (!isBefore(child, last)) break
    heap[index] = child
    index = child === left ? 2 * index + 1 : 2 * index + 2
  }
  heap[index] = last
  return first
}
