import type { StoreConfig } from '../config/gateway-config.ts'
import type { Clock } from '../core/time.ts'
import type { Ledger } from './ledger.ts'
import { openPostgresLedger } from './postgres.ts'
import { openSqliteLedger } from './sqlite.ts'

/** Opens the store that a configuration names. Rejects with `StoreUnavailableError`. */
export function openLedger(store: StoreConfig, clock: Clock): Promise<Ledger> {
  return store.kind === 'sqlite'
    ? openSqliteLedger({ path: store.path, clock })
    : openPostgresLedger({ url: store.url, clock })
}
