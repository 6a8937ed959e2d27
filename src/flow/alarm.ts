import type { Timer } from '../core/time.ts'

/** Runs a task again and again, never twice at once. */
export interface Alarm {
  /** Runs it now; right after the run that is going on, if one is. */
  ring(): void
  /** Runs it no more, and waits for the run that is going on. */
  close(): Promise<void>
}

/** Keeps several gateways on one store from asking at the same instant for ever. */
const JITTER = 0.2

export interface AlarmOptions {
  readonly timer?: Timer
  /** Between 0 and 1; default Math.random. */
  readonly random?: () => number
}

/**
 * Starts with a run at once.
 *
 * @param task Resolves with the milliseconds until its next run. Must not reject.
 */
export function startAlarm(task: () => Promise<number>, options: AlarmOptions = {}): Alarm {
  const { timer = systemTimer, random = Math.random } = options
  let cancel = (): void => {}
  let running: Promise<void> | null = null
  let rungMeanwhile = false
  let closed = false

  const run = async (): Promise<void> => {
    const waitMs = await task()
    running = null
    if (closed) return
    if (rungMeanwhile) ring()
    else cancel = timer(ring, waitMs * (1 + JITTER * random()))
  }

  const ring = (): void => {
    if (closed) return
    cancel()
    rungMeanwhile = running !== null
    running ??= run()
  }

  ring()
  return {
    ring,
    async close() {
      closed = true
      cancel()
      await running
    },
  }
}

export const systemTimer: Timer = (callback, milliseconds) => {
  const timeout = setTimeout(callback, milliseconds).unref()
  return () => clearTimeout(timeout)
}
