import { FareboxError } from '../../errors.ts'
import type { Failed } from './messages.ts'

/** What went wrong in a worker, told as if it had gone wrong here. */
export class WorkerFailure extends FareboxError {
  readonly code: string

  constructor({ code, message, fix }: Failed) {
    super(message, { fix })
    this.code = code
  }
}

/** A worker ended, or fell silent, before it answered the primary. */
export class WorkerLostError extends FareboxError {
  readonly code = 'worker_lost'

  constructor(worker: number, what: string) {
    super(`Worker ${worker} ${what}.`, {
      fix: 'See what it wrote on standard error, and whether the machine has memory left.',
    })
  }
}

/** Every worker ended again and again soon after its start, so that the gateway gave up. */
export class CrashLoopError extends FareboxError {
  readonly code = 'workers_crash'

  constructor(times: number) {
    super(`Every worker ended ${times} times in a row soon after it started.`, {
      fix: 'See in the log why it ended, and start farebox again.',
    })
  }
}
