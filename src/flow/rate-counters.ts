import type { Clock, UnixMs } from '../core/time.ts'
import { AgingMap } from './aging-map.ts'

/** So many in a window of so much time, which begins with the first. */
export interface Rate {
  /** Counts are kept by it, whatever the numbers become at a reload. */
  readonly id: string
  readonly requests: number
  readonly perMs: number
}

/** How a subject stands with a rate. */
export interface Tally {
  /** Of the rate's requests, with this one. More than those: it is over the limit. */
  readonly count: number
  /** Until the window ends. */
  readonly resetMs: number
}

/** Counters that several processes share. Knows nothing of rates: only of windows. */
export interface SharedCounters {
  /**
   * Adds to a counter. Rejects when the store cannot be asked.
   *
   * @returns What all processes together have counted.
   */
  add(key: SharedKey, count: number): Promise<Tally>
}

export interface SharedKey {
  readonly id: string
  readonly subject: string
  readonly perMs: number
}

/** Counts per rate and subject, within a bound. */
export interface RateCounters {
  /** Counts more; one unless told. What is over the limit already is not counted. */
  add(rate: Rate, subject: string, count?: number): Tally
  look(rate: Rate, subject: string): Tally
  readonly size: number
}

interface Counter {
  count: number
  endsAt: number
  /** Counted here, and not told to the others. */
  untold: number
  isTelling: boolean
}

/**
 * One rate's counters. Those that are used up stand apart, so that whoever makes room by asking
 * from many addresses cannot make his own used-up ones forgotten before as many others are used up.
 */
interface Windows {
  readonly perMs: number
  readonly running: AgingMap<Counter>
  readonly spent: AgingMap<Counter>
  agedAt: UnixMs
}

/** About 150 bytes each. */
const COUNTERS_MAX = 200_000
/** A share of the limit that others hear of late, so that few are asked often. */
const TOLD_SHARE = 20
/** Rates beyond which those that a reload took away are looked for. */
const RATES_BEFORE_SWEEP = 64

export interface RateCountersOptions {
  readonly clock: Clock
  readonly countersMax?: number
  /** Null: nobody else counts the same. */
  readonly shared?: SharedCounters | null
}

export function createRateCounters(options: RateCountersOptions): RateCounters {
  return new BoundedCounters(options)
}

class BoundedCounters implements RateCounters {
  readonly #clock: Clock
  readonly #countersMax: number
  readonly #shared: SharedCounters | null
  readonly #byRate = new Map<string, Windows>()
  #size = 0
  #sweepBeyond = RATES_BEFORE_SWEEP

  constructor({ clock, countersMax = COUNTERS_MAX, shared = null }: RateCountersOptions) {
    this.#clock = clock
    this.#countersMax = countersMax
    this.#shared = shared
  }

  get size(): number {
    return this.#size
  }

  add(rate: Rate, subject: string, count = 1): Tally {
    const now = this.#clock()
    const windows = this.#windowsOf(rate, now)
    const spent = windows.spent.get(subject)
    if (spent !== undefined && isRunning(spent, rate, now)) return tallyOf(spent, now)
    const counter = this.#counterOf(windows, subject, now)
    counter.count += count
    counter.untold += count
    if (counter.count > rate.requests) {
      windows.running.delete(subject)
      windows.spent.set(subject, counter)
    }
    if (this.#shared !== null) this.#tell(rate, subject, counter)
    return tallyOf(counter, now)
  }

  look(rate: Rate, subject: string): Tally {
    const now = this.#clock()
    const windows = this.#byRate.get(rate.id)
    const counter = windows?.spent.get(subject) ?? windows?.running.get(subject)
    if (counter === undefined || !isRunning(counter, rate, now)) return { count: 0, resetMs: 0 }
    return tallyOf(counter, now)
  }

  #windowsOf({ id, perMs }: Rate, now: UnixMs): Windows {
    const known = this.#byRate.get(id)
    if (known?.perMs === perMs) {
      // Older than a window, and what was there before it aged last has ended.
      if (now - known.agedAt >= perMs || now < known.agedAt) this.#age(known, now)
      return known
    }
    if (known !== undefined) this.#size -= sizeOf(known)
    if (this.#byRate.size > this.#sweepBeyond) this.#sweep(now)
    const fresh = { perMs, running: new AgingMap<Counter>(), spent: new AgingMap<Counter>() }
    const windows = { ...fresh, agedAt: now }
    this.#byRate.set(id, windows)
    return windows
  }

  #age(windows: Windows, now: UnixMs): void {
    this.#ageOne(windows.running)
    this.#ageOne(windows.spent)
    windows.agedAt = now
  }

  #ageOne(counters: AgingMap<Counter>): void {
    this.#size -= counters.size
    counters.age()
    this.#size += counters.size
  }

  /** Forgets rates that nobody counts by any more: a reload may have taken them away. */
  #sweep(now: UnixMs): void {
    for (const [id, windows] of this.#byRate) {
      if (now - windows.agedAt < 2 * windows.perMs) continue
      this.#size -= sizeOf(windows)
      this.#byRate.delete(id)
    }
    this.#sweepBeyond = Math.max(RATES_BEFORE_SWEEP, this.#byRate.size * 2)
  }

  #counterOf(windows: Windows, subject: string, now: UnixMs): Counter {
    const { running, spent, perMs } = windows
    const known = running.get(subject)
    if (known !== undefined && isRunning(known, windows, now)) return known
    this.#size -= sizeOf(windows)
    running.delete(subject)
    spent.delete(subject)
    this.#size += sizeOf(windows)
    if (this.#size >= this.#countersMax) this.#makeRoom(windows)
    else if (running.youngSize >= this.#countersMax / 4) this.#ageOne(running)
    else if (spent.youngSize >= this.#countersMax / 4) this.#ageOne(spent)
    const fresh = { count: 0, endsAt: now + perMs, untold: 0, isTelling: false }
    running.set(subject, fresh)
    this.#size++
    return fresh
  }

  /** Takes from a rate that has more than its share: none may crowd out the others. */
  #makeRoom(own: Windows): void {
    const { running, spent } = this.#largeOne(own)
    const from = running.size > 0 ? running : spent
    const before = this.#size
    this.#ageOne(from)
    if (this.#size === before) this.#ageOne(from)
  }

  #largeOne(own: Windows): Windows {
    const fairShare = this.#countersMax / this.#byRate.size
    if (sizeOf(own) >= fairShare) return own
    for (const windows of this.#byRate.values()) if (sizeOf(windows) >= fairShare) return windows
    return own
  }

  /**
   * The others hear of each twentieth of a limit, and at once. Nobody waits for it: while the store
   * is slow or away, each process counts for itself.
   */
  #tell(rate: Rate, subject: string, counter: Counter): void {
    if (counter.isTelling || counter.untold < rate.requests / TOLD_SHARE) return
    const told = counter.untold
    counter.untold = 0
    counter.isTelling = true
    const key = { id: rate.id, subject, perMs: rate.perMs }
    void this.#shared?.add(key, told).then(
      ({ count, resetMs }) => {
        counter.count = count + counter.untold
        counter.endsAt = this.#clock() + Math.min(resetMs, rate.perMs)
        counter.isTelling = false
        this.#tell(rate, subject, counter)
      },
      () => {
        // It is told with what comes next.
        counter.untold += told
        counter.isTelling = false
      },
    )
  }
}

/** A clock that was set back must close nobody out for longer than a window. */
function isRunning({ endsAt }: Counter, { perMs }: Pick<Rate, 'perMs'>, now: UnixMs): boolean {
  return now < endsAt && endsAt <= now + perMs
}

function sizeOf({ running, spent }: Windows): number {
  return running.size + spent.size
}

function tallyOf({ count, endsAt }: Counter, now: UnixMs): Tally {
  return { count, resetMs: endsAt - now }
}
