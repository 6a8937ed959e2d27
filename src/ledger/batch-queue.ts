import { StoreUnavailableError } from '../errors.ts'

export interface BatchQueueOptions<Call> {
  /** Gets one batch; `settle` or `reject` must follow before it gets the next one. */
  readonly send: (batch: readonly Call[]) => void
  /** Calls that may wait; one more is refused. */
  readonly waitingMax: number
  readonly batchMax: number
  /** A batch without a reply for so long means that the disk hangs. */
  readonly stallMs: number
}

interface Caller<Answer> {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
}

/**
 * Gathers calls into batches. One batch is away at a time; what arrives meanwhile leaves together
 * as the next one, so that the busier it gets, the more calls share one message and one fsync.
 */
export class BatchQueue<Call, Answer> {
  readonly #options: BatchQueueOptions<Call>
  readonly #stallTimer: NodeJS.Timeout
  #calls: Call[] = []
  /** Whom `#calls` answers, in the same order. */
  #callers: Caller<Answer>[] = []
  /** Of the batch that is away; null when none is. */
  #away: readonly Caller<Answer>[] | null = null
  #flushIsDue = false
  #stalled = false
  #ended: Error | null = null
  #whenIdle: (() => void) | null = null

  constructor(options: BatchQueueOptions<Call>) {
    this.#options = options
    this.#stallTimer = setTimeout(() => this.#stall(), options.stallMs).unref()
  }

  submit(call: Call): Promise<Answer> {
    const refusal = this.#ended ?? (this.#hasRoom() ? null : this.#overload())
    if (refusal !== null) return Promise.reject(refusal)
    return new Promise((resolve, reject) => {
      this.#calls.push(call)
      this.#callers.push({ resolve, reject })
      this.#scheduleFlush()
    })
  }

  /** Answers the batch that is away: one answer for each call, in their order. */
  settle(answers: readonly Answer[], failures: readonly (readonly [number, Error])[]): void {
    const callers = this.#takeBack()
    for (const [index, error] of failures) callers[index]?.reject(error)
    let index = 0
    // Resolving a promise that was rejected above changes nothing.
    for (const answer of answers) callers[index++]?.resolve(answer)
  }

  /** Fails the batch that is away. The queue goes on. */
  reject(error: Error): void {
    for (const caller of this.#takeBack()) caller.reject(error)
  }

  /** Fails everything asked so far, and every later call. */
  end(error: Error): void {
    this.#ended ??= error
    clearTimeout(this.#stallTimer)
    this.#rejectAll(error)
    this.#away = null
    this.#whenIdle?.()
  }

  /** Refuses later calls with `error`; resolves once every earlier one has been answered. */
  drain(error: Error): Promise<void> {
    this.#ended ??= error
    return new Promise(resolve => {
      const idle = this.#away === null || this.#stalled
      if (idle && this.#calls.length === 0) resolve()
      else this.#whenIdle = resolve
    })
  }

  #hasRoom(): boolean {
    return !this.#stalled && this.#calls.length < this.#options.waitingMax
  }

  #overload(): Error {
    const { stallMs, waitingMax } = this.#options
    if (this.#stalled) return stallError(stallMs)
    return new StoreUnavailableError(`${waitingMax} calls wait for the ledger already.`, {
      fix: 'Use a faster disk: the ledger gets more payments than it can write.',
    })
  }

  /** Waits for the end of the event loop's turn: everything that it brings leaves together. */
  #scheduleFlush(): void {
    if (this.#flushIsDue || this.#away !== null) return
    this.#flushIsDue = true
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#flushIsDue = false
    if (this.#away !== null || this.#calls.length === 0) return
    const { batchMax, send } = this.#options
    const batch = this.#calls.splice(0, batchMax)
    this.#away = this.#callers.splice(0, batchMax)
    this.#stallTimer.refresh()
    send(batch)
  }

  #takeBack(): readonly Caller<Answer>[] {
    const callers = this.#away ?? []
    this.#away = null
    this.#stalled = false
    if (this.#calls.length > 0) this.#scheduleFlush()
    else this.#whenIdle?.()
    return callers
  }

  #stall(): void {
    if (this.#away === null) return
    this.#stalled = true
    this.#rejectAll(stallError(this.#options.stallMs))
    // The batch is still away: its late reply ends the stall, and finds nobody to answer.
    this.#away = []
    this.#whenIdle?.()
  }

  #rejectAll(error: Error): void {
    for (const caller of this.#away ?? []) caller.reject(error)
    for (const caller of this.#callers) caller.reject(error)
    this.#calls = []
    this.#callers = []
  }
}

function stallError(stallMs: number): Error {
  return new StoreUnavailableError(`The ledger has not answered for ${stallMs} ms.`, {
    fix: 'Check the disk that holds the database: a write to it does not end.',
  })
}
