import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** The token comes first; the others are put beside it so that facilitators and wallets work. */
const FILE_NAMES = [
  'TestDollar.sol',
  'TestTokens.sol',
  'TestWallet.sol',
  'CallBatch.sol',
  'TestPermit2.sol',
  'TestWalletFactory.sol',
] as const

export type ContractName = 'TestDollar' | 'TestWallet' | 'CallBatch'

/** Solidity text by file name, as the compiler's standard JSON input takes it. */
export function readSources(): Record<string, { content: string }> {
  return Object.fromEntries(
    FILE_NAMES.map(name => [
      name,
      { content: readFileSync(new URL(name, import.meta.url), 'utf8') },
    ]),
  )
}

/** Hex digest that changes with any byte of any source. */
export function hashSources(sources: Record<string, { content: string }>): string {
  return createHash('sha256')
    .update(JSON.stringify(Object.entries(sources)))
    .digest('hex')
}
