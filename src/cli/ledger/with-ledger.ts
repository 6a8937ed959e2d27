import type { GatewayConfig, StoreConfig } from '../../config/gateway-config.ts'
import { loadConfig } from '../../config/load.ts'
import { FareboxError } from '../../errors.ts'
import type { LedgerReader } from '../../ledger/ledger.ts'
import { openPostgresReader } from '../../ledger/postgres-reader.ts'
import { openSqliteReader } from '../../ledger/sqlite-reader.ts'
import { EXIT_USAGE, type ExitCode } from '../exit-code.ts'
import { type Failed, failed, failureFrom, usageFailure } from '../failure.ts'
import type { Output } from '../output.ts'
import { problemsText } from '../problems-text.ts'

/** What the verbs of `farebox ledger` work with. */
export interface LedgerPlace {
  readonly output: Output
  readonly config: GatewayConfig
  readonly ledger: LedgerReader
}

export interface Invalid {
  readonly kind: 'invalid'
}

/**
 * Opens the ledger of a configuration to read it, works with it and closes it.
 *
 * @returns What `work` returned; `failed` when there is no ledger that can be read. `invalid` when
 *   the file has problems: they are printed by then.
 */
export async function withLedger(
  file: string,
  { output, env }: { readonly output: Output; readonly env: NodeJS.ProcessEnv },
  work: (place: LedgerPlace) => Promise<ExitCode | Failed>,
): Promise<ExitCode | Failed | Invalid> {
  const loaded = await loadConfig(file, { env })
  if (loaded.kind === 'invalid') {
    const { problems } = loaded
    output.result({ valid: false, file, problems }, () => problemsText(problems, output.stdout))
    return { kind: 'invalid' }
  }
  const { config } = loaded
  if (config.store.kind === 'sqlite' && config.store.path === ':memory:') {
    const fix = 'Give store.url a file, like sqlite:./data/farebox.db.'
    return usageFailure('no_ledger', 'store.url keeps the ledger in the memory of a gateway', fix)
  }
  try {
    const ledger = await openReader(config.store)
    return await work({ output, config, ledger }).finally(() => ledger.close())
  } catch (error) {
    if (!(error instanceof FareboxError)) throw error
    // Not 1: that a ledger cannot be read says nothing of what is in it.
    return failed({ ...failureFrom(error), exitCode: EXIT_USAGE })
  }
}

function openReader(store: StoreConfig): Promise<LedgerReader> {
  return store.kind === 'postgres' ? openPostgresReader(store) : openSqliteReader(store)
}
