/** What a server has begun and not ended. */
export interface InFlight {
  readonly count: number
  /** Counts work for as long as it runs. */
  run(work: () => Promise<unknown>): Promise<void>
  /** Resolves when nothing runs, or after `timeoutMs`. */
  idle(timeoutMs: number): Promise<void>
}

export function createInFlight(): InFlight {
  let count = 0
  let whenIdle: (() => void) | null = null
  return {
    get count() {
      return count
    },
    async run(work) {
      count++
      try {
        await work()
      } finally {
        count--
        if (count === 0) whenIdle?.()
      }
    },
    async idle(timeoutMs) {
      if (count === 0) return
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, timeoutMs)
        whenIdle = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    },
  }
}
