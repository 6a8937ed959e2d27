import { StoreUnavailableError } from '../errors.ts'

export interface TurnstileOptions {
  /** Calls that may be inside at the same time. */
  readonly insideMax: number
  /** Calls that may wait outside; one more is refused. */
  readonly waitingMax: number
  /** How long one of them waits before it is refused. */
  readonly waitMs: number
}

interface Waiter {
  readonly enter: () => void
  readonly refuse: (error: Error) => void
}

/** Lets so many calls work at a time, the others in the order in which they came. */
export class Turnstile {
  readonly #options: TurnstileOptions
  readonly #waiters = new Set<Waiter>()
  #insideMax: number
  #inside = 0
  #ended: Error | null = null
  #whenEmpty: (() => void) | null = null

  constructor(options: TurnstileOptions) {
    this.#options = options
    this.#insideMax = options.insideMax
  }

  /** Rejects with `StoreUnavailableError` when it is too full. Call `leave` after it resolved. */
  async enter(): Promise<void> {
    if (this.#ended !== null) throw this.#ended
    if (this.#inside < this.#insideMax && this.#waiters.size === 0) {
      this.#inside += 1
      return
    }
    if (this.#waiters.size >= this.#options.waitingMax) {
      throw overload(`${this.#options.waitingMax} calls wait for the ledger already.`)
    }
    await this.#wait()
  }

  leave(): void {
    this.#inside -= 1
    this.#admit()
    if (this.#inside === 0 && this.#waiters.size === 0) this.#whenEmpty?.()
  }

  /** Never more than at first. Who is inside stays there. */
  allow(insideMax: number): void {
    this.#insideMax = Math.max(1, Math.min(insideMax, this.#options.insideMax))
    this.#admit()
  }

  /** Refuses later calls with `error`; resolves once every earlier one has left. */
  drain(error: Error): Promise<void> {
    this.#ended = error
    return new Promise(resolve => {
      this.#whenEmpty = resolve
      if (this.#inside === 0 && this.#waiters.size === 0) resolve()
    })
  }

  #wait(): Promise<void> {
    const { waitMs } = this.#options
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        enter: () => {
          clearTimeout(timer)
          resolve()
        },
        refuse: reject,
      }
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter)
        waiter.refuse(overload(`No connection to the ledger was free within ${waitMs} ms.`))
        if (this.#inside === 0 && this.#waiters.size === 0) this.#whenEmpty?.()
      }, waitMs)
      this.#waiters.add(waiter)
    })
  }

  #admit(): void {
    for (const waiter of this.#waiters) {
      if (this.#inside >= this.#insideMax) return
      this.#inside += 1
      this.#waiters.delete(waiter)
      waiter.enter()
    }
  }
}

function overload(message: string): Error {
  return new StoreUnavailableError(message, {
    fix: 'Use a faster database: the ledger gets more payments than it can write.',
  })
}
