/** Runs a task again and again, never twice at once. */
export interface Alarm {
  /** Runs it now; right after the run that is going on, if one is. */
  ring(): void
  /** Runs it no more, and waits for the run that is going on. */
  close(): Promise<void>
}

/** Keeps several gateways on one store from asking at the same instant for ever. */
const JITTER = 0.2

/**
 * Starts with a run at once.
 *
 * @param task Resolves with the milliseconds until its next run. Must not reject.
 */
export function startAlarm(task: () => Promise<number>): Alarm {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | null = null
  let rungMeanwhile = false
  let closed = false

  const run = async (): Promise<void> => {
    const waitMs = await task()
    running = null
    if (closed) return
    if (rungMeanwhile) ring()
    else timer = setTimeout(ring, waitMs * (1 + JITTER * Math.random())).unref()
  }

  const ring = (): void => {
    if (closed) return
    clearTimeout(timer)
    rungMeanwhile = running !== null
    running ??= run()
  }

  ring()
  return {
    ring,
    async close() {
      closed = true
      clearTimeout(timer)
      await running
    },
  }
}
