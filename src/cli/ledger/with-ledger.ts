import { existsSync } from 'node:fs'
import type { GatewayConfig, StoreConfig } from '../../config/gateway-config.ts'
import { loadConfig } from '../../config/load.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { openPostgresLedger } from '../../ledger/postgres.ts'
import { openSqliteLedger } from '../../ledger/sqlite.ts'
import type { ExitCode } from '../exit-code.ts'
import { type Failed, usageFailure } from '../failure.ts'
import type { Output } from '../output.ts'
import { problemsText } from '../problems-text.ts'

/** What the verbs of `farebox ledger` work with. */
export interface LedgerPlace {
  readonly output: Output
  readonly config: GatewayConfig
  readonly ledger: Ledger
}

export interface Invalid {
  readonly kind: 'invalid'
}

/**
 * Opens the ledger of a configuration, works with it and closes it.
 *
 * @returns What `work` returned. `invalid` when the file has problems: they are printed by then.
 * @throws StoreUnavailableError and LedgerSchemaError when the ledger cannot be opened.
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
  const opened = await openLedger(config.store)
  if (opened.kind === 'failed') return opened
  const { ledger } = opened
  try {
    return await work({ output, config, ledger })
  } finally {
    await ledger.close()
  }
}

type Opened = { readonly kind: 'opened'; readonly ledger: Ledger } | Failed

async function openLedger(store: StoreConfig): Promise<Opened> {
  switch (store.kind) {
    case 'sqlite': {
      const missing = whyNoFile(store.path)
      if (missing !== null) return missing
      return { kind: 'opened', ledger: await openSqliteLedger({ path: store.path }) }
    }
    case 'postgres':
      return { kind: 'opened', ledger: await openPostgresLedger({ url: store.url }) }
  }
}

/** Opening a file that is not there would make one, and call every payment unknown. */
function whyNoFile(path: string): Failed | null {
  if (path === ':memory:') {
    const fix = 'Give store.url a file, like sqlite:./data/farebox.db.'
    return usageFailure('no_ledger', 'store.url keeps the ledger in the memory of a gateway', fix)
  }
  if (existsSync(path)) return null
  const fix = 'Check store.url and the -c file: the gateway makes the ledger when it first starts.'
  return usageFailure('no_ledger', `there is no ledger at ${path}`, fix)
}
