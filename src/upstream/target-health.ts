/** One after the other, with no answer in between: then a target is put aside. */
const FAILURES_MAX = 3

/** Checks of a target in use that may fail before it is put aside: one may be an accident. */
const FAILED_CHECKS_MAX = 2

/** How long a target stays aside before it is looked at again: twice as long each time. */
const ASIDE_MS = 1_000
const ASIDE_MS_MAX = 60_000

/** What is amiss, as a code from a fixed set; null: nothing. */
export type Fault = string | null

export interface HealthParts {
  /** Looks at the target without any caller's request. Never rejects. */
  readonly check: () => Promise<Fault>
  /** How often it is looked at while it is in use; null: never. */
  readonly periodMs: number | null
  /** Whether another target would take what this one gets. */
  readonly canBeSpared: () => boolean
  readonly onChange: () => void
}

interface Aside {
  readonly fault: string
  /** By the monotonic clock: when it is looked at again. */
  readonly until: number
}

/**
 * Whether a target may be sent requests. What comes of requests can put it aside; what brings it
 * back is never a caller's request, which may have been paid for, but a check of our own.
 *
 * A connection that cannot be made says something about the target alone. Any other failure may be
 * the doing of one request, so that a caller could talk us out of a healthy target by repeating it:
 * then it stays in use unless another can take its place.
 */
export class TargetHealth {
  readonly #parts: HealthParts
  #failures = 0
  #failedChecks = 0
  /** Times in a row that it was put aside or left there. */
  #strikes = 0
  #aside: Aside | null = null
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(parts: HealthParts) {
    this.#parts = parts
  }

  /** Begins to look at it. A target is taken to be well until it shows otherwise. */
  start(): void {
    if (this.#parts.periodMs !== null) void this.#look()
  }

  get isUp(): boolean {
    return this.#aside === null
  }

  /** Null while it is up. */
  get fault(): Fault {
    return this.#aside?.fault ?? null
  }

  /** Milliseconds until it is looked at again; 0 while it is up. */
  get retryInMs(): number {
    return this.#aside === null ? 0 : Math.max(0, this.#aside.until - performance.now())
  }

  /** A head arrived. */
  answered(): void {
    if (this.#failures === 0 && this.#strikes === 0) return
    if (this.#aside !== null) return
    this.#failures = 0
    this.#strikes = 0
  }

  /** No connection came to be. */
  connectFailed(fault: string): void {
    this.#failures++
    if (this.#failures >= FAILURES_MAX) this.#putAside(fault)
  }

  /** A request was sent, and no head came back: it timed out, or the connection broke. */
  gaveNoHead(fault: string): void {
    this.#failures++
    if (this.#failures >= FAILURES_MAX && this.#parts.canBeSpared()) this.#putAside(fault)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #putAside(fault: string): void {
    if (this.#closed || this.#aside !== null) return
    this.#stayAside(fault)
    this.#parts.onChange()
  }

  #stayAside(fault: string): void {
    const grown = ASIDE_MS * 2 ** Math.min(this.#strikes, 30)
    const forMs = Math.min(grown, ASIDE_MS_MAX, this.#parts.periodMs ?? ASIDE_MS_MAX)
    this.#strikes++
    this.#aside = { fault, until: performance.now() + forMs }
    this.#lookIn(forMs)
  }

  #bringBack(): void {
    this.#aside = null
    // A check is not yet an answer: the next failure puts it aside again, and for longer.
    this.#failures = FAILURES_MAX - 1
    this.#parts.onChange()
  }

  #lookIn(ms: number): void {
    clearTimeout(this.#timer)
    if (!this.#closed) this.#timer = setTimeout(() => void this.#look(), ms).unref()
  }

  async #look(): Promise<void> {
    const { check, periodMs } = this.#parts
    const fault = await check()
    if (this.#closed) return
    this.#failedChecks = fault === null ? 0 : this.#failedChecks + 1
    if (fault === null) {
      if (this.#aside !== null) this.#bringBack()
    } else if (this.#aside !== null) {
      return this.#stayAside(fault)
    } else if (this.#failedChecks >= FAILED_CHECKS_MAX) {
      return this.#putAside(fault)
    }
    if (periodMs !== null) this.#lookIn(periodMs)
  }
}
