import type { Ledger } from '../../src/ledger/ledger.ts'
import { type MovableClock, movableClock } from '../ledger/claim-fixtures.ts'
import type { LedgerUnderTest } from './ledger-states.ts'

/** Two gateways on one new store, by a clock that tests move. */
export interface TwoLedgers {
  readonly time: MovableClock
  readonly ledger: Ledger
  readonly other: Ledger
}

let storesOpened = 0

export async function openTwo(
  name: string,
  open: (options: LedgerUnderTest) => Promise<Ledger>,
): Promise<TwoLedgers> {
  const time = movableClock()
  storesOpened += 1
  const options = { clock: time.clock, store: `${name}-${storesOpened}` }
  return { time, ledger: await open(options), other: await open(options) }
}
