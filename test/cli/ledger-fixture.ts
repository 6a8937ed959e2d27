import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Ledger } from '../../src/ledger/ledger.ts'
import { openSqliteLedger, type SqliteLedgerOptions } from '../../src/ledger/sqlite.ts'
import { seller } from '../support/accounts.ts'

export interface LedgerFixture {
  readonly folder: string
  readonly configFile: string
  readonly storeFile: string
  /** Opens the same file, as a gateway would. */
  open(options?: Partial<SqliteLedgerOptions>): Promise<Ledger>
  /** Replaces what the configuration says beside the store. */
  configure(yaml: string): Promise<void>
  close(): Promise<void>
}

/** A configuration and the place of its ledger. */
export async function ledgerFixture(yaml = ''): Promise<LedgerFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'farebox-ledger-'))
  const configFile = join(folder, 'gateway.yaml')
  const storeFile = join(folder, 'farebox.db')
  const configure = (more: string) => writeFile(configFile, `${FIXED}${more}\n`)
  await configure(yaml)
  return {
    ...{ folder, configFile, storeFile, configure },
    open: options => openSqliteLedger({ path: storeFile, ...options }),
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

const FIXED = `
version: 1
store: {url: "sqlite:./farebox.db"}
payTo: "${seller.address}"
accepts: [base-sepolia]
facilitators: [https://x402.org/facilitator]
upstreams: {weather: {url: "http://localhost:3000"}}
routes:
  GET /v1/weather/{city}: $0.001
`

/** Each line as JSON. */
export function jsonLines(text: string) {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}
