import { InvalidArgumentError } from 'commander'
import { readDuration } from '../../config/values.ts'
import { type UnixMs, unixMs } from '../../core/time.ts'
import type { ClaimState } from '../../ledger/ledger.ts'

/** The filters of `farebox ledger` as commander hands them over. */
export interface FilterOptions {
  readonly since?: UnixMs
  readonly until?: UnixMs
  readonly route?: string
  readonly payer?: string
  readonly state?: readonly ClaimState[]
}

/** Where a search for transfers begins; the network may be left out where there is only one. */
export interface FromBlock {
  readonly network: string | null
  readonly block: bigint
}

const STATES = ['forwarded', 'settling', 'settled', 'delivered', 'released', 'unknown'] as const
const YEARS_20_MS = 20 * 366 * 24 * 3_600_000
/** A table that somebody reads, and rows that are held in memory at once. */
const SHOWN_MAX = 1000

/** A date is its first moment in UTC. Without a zone, a time would be another on each machine. */
const ISO_TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/

export function parseTime(text: string): UnixMs {
  const ago = readDuration(text, { min: 0, max: YEARS_20_MS })
  if (ago.kind === 'value') return unixMs(Date.now() - ago.value)
  const time = ISO_TIME.test(text) && isDay(text.slice(0, 10)) ? Date.parse(text) : Number.NaN
  if (time >= 0) return unixMs(time)
  throw new InvalidArgumentError(
    'Write a time with its zone, like 2026-01-31T09:00Z, a date, or how long ago, like 24h.',
  )
}

/** `Date` takes the 30th of February for a day in March. */
function isDay(date: string): boolean {
  const day = Date.parse(date)
  return day >= 0 && new Date(day).toISOString().startsWith(date)
}

export function parseShownCount(text: string): number {
  const count = parseRowCount(text)
  if (count <= SHOWN_MAX) return count
  throw new InvalidArgumentError(`Write ${SHOWN_MAX} at most; export has no end.`)
}

export function parseRowCount(text: string): number {
  if (/^[1-9]\d{0,11}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Write a whole number of rows, like 100.')
}

export function parseState(
  text: string,
  previous: readonly ClaimState[] = [],
): readonly ClaimState[] {
  const state = STATES.find(one => one === text)
  if (state !== undefined) return previous.includes(state) ? previous : [...previous, state]
  throw new InvalidArgumentError(`Write one of ${STATES.join(', ')}.`)
}

export function parseFromBlock(
  text: string,
  previous: readonly FromBlock[] = [],
): readonly FromBlock[] {
  const [, network = null, block] = /^(?:(\S+):)?(\d{1,15})$/.exec(text) ?? []
  if (block === undefined) {
    throw new InvalidArgumentError('Write a block number, like 1234567 or base:1234567.')
  }
  return [...previous, { network, block: BigInt(block) }]
}
