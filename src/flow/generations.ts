/** Something immutable that requests hold on to while they run, and that a reload replaces. */
export interface Generations<T> {
  readonly current: T
  /** Takes a hold on the current one. Call the result once, when the request has ended. */
  enter(): { readonly value: T; readonly leave: () => void }
  /** Puts a new one in force. `retire` runs when the last request that began before has ended. */
  replace(next: T, retire: () => void): void
}

export function createGenerations<T>(first: T): Generations<T> {
  let current = createGeneration(first)
  return {
    get current() {
      return current.value
    },
    enter() {
      const entered = current
      entered.holders++
      return { value: entered.value, leave: () => leave(entered) }
    },
    replace(next, retire) {
      const former = current
      current = createGeneration(next)
      former.retire = retire
      if (former.holders === 0) retire()
    },
  }
}

interface Generation<T> {
  readonly value: T
  holders: number
  /** Null while it is in force. */
  retire: (() => void) | null
}

function createGeneration<T>(value: T): Generation<T> {
  return { value, holders: 0, retire: null }
}

function leave(generation: Generation<unknown>): void {
  generation.holders--
  if (generation.holders === 0) generation.retire?.()
}
