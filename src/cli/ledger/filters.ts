import { readEvmAddress } from '../../config/check-address.ts'
import type { LedgerQuery } from '../../ledger/ledger.ts'
import { type Failed, usageFailure } from '../failure.ts'
import type { FilterOptions } from './options.ts'

export type Filters = Omit<LedgerQuery, 'after' | 'limit'>

export type ReadFilters = { readonly kind: 'filters'; readonly filters: Filters } | Failed

/** Rows keep an EVM payer with its checksum, so that any spelling must be brought to that one. */
export function readFilters(options: FilterOptions): ReadFilters {
  const { since, until, route, payer, state } = options
  const read = payer?.startsWith('0x') ? readEvmAddress(payer) : null
  if (read?.kind === 'refused') {
    return usageFailure('bad_filter', `--payer ${read.message}`, read.cure)
  }
  const filters = {
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
    ...(route === undefined ? {} : { route }),
    ...(payer === undefined ? {} : { payer: read?.address ?? payer }),
    ...(state === undefined ? {} : { states: state }),
  }
  return { kind: 'filters', filters }
}
