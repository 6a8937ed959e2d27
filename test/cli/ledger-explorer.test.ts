import { expect, test } from 'vitest'
import { toEntry } from '../../src/cli/ledger/entry.ts'
import { atomicAmount } from '../../src/core/amount.ts'
import { paymentKey } from '../../src/core/payment.ts'
import { unixMs } from '../../src/core/time.ts'
import { claimId, type LedgerRow } from '../../src/ledger/ledger.ts'
import { loadNetworkRegistry } from '../../src/networks/registry.ts'

const { networks } = loadNetworkRegistry()
const at = unixMs(1_800_000_000_000)
const row: LedgerRow = {
  ...{ id: claimId(1), key: paymentKey('a'), route: '/', payer: '0x1', payTo: '0x2' },
  ...{ network: 'eip155:2366', asset: '0x7aB6f3ed87C42eF0aDb67Ed95090f8bF5240149e' },
  ...{ amount: atomicAmount(1000n), validBefore: 1_800_000_060, payload: '{}', requirements: '{}' },
  ...{ state: 'settled', transaction: '0xab', detail: null },
  ...{ createdAt: at, updatedAt: at, settledAt: at, deliveredAt: null, identifier: null },
}

test('a row links to its transaction where the explorer of its network is known', () => {
  expect(toEntry(row, networks).explorer).toBe('https://kitescan.ai/tx/0xab')
  expect(toEntry({ ...row, transaction: null }, networks).explorer).toBeNull()
  const unknown = networks.map(network => ({ ...network, explorer: null }))
  expect(toEntry(row, unknown).explorer).toBeNull()
})

test('a link is whole, whatever a facilitator calls a transaction', () => {
  const odd = { ...row, transaction: '$& /../?x#y' }
  expect(toEntry(odd, networks).explorer).toBe('https://kitescan.ai/tx/%24%26%20%2F..%2F%3Fx%23y')
})
