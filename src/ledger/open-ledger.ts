import type { StoreConfig } from '../config/gateway-config.ts'
import type { Clock } from '../core/time.ts'
import type { Ledger } from './ledger.ts'
import { openSqliteLedger } from './sqlite.ts'

/** Opens the store that a configuration names. Rejects with `StoreUnavailableError`. */
export async function openLedger(store: StoreConfig, clock: Clock): Promise<Ledger> {
  if (store.kind === 'sqlite') return openSqliteLedger({ path: store.path, clock })
  // Loaded here: most gateways start without PostgreSQL's client.
  const { openPostgresLedger } = await import('./postgres.ts')
  return openPostgresLedger({ url: store.url, clock })
}
