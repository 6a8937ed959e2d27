import { encodeFunctionData, pad, parseAbi, toHex } from 'viem'
import { describe, expect, test } from 'vitest'
import { type FoundTransaction, judgePaid } from '../../src/cli/ledger/judge-row.ts'
import { atomicAmount } from '../../src/core/amount.ts'
import { paymentKey } from '../../src/core/payment.ts'
import { unixMs } from '../../src/core/time.ts'
import { claimId, type LedgerRow } from '../../src/ledger/ledger.ts'
import type { FoundLog } from '../../src/networks/evm-wire.ts'
import { AUTHORIZATION_USED, TRANSFER, topicOf } from '../../src/networks/receipt-proof.ts'

const TOKEN = '0x036cbd53842c5426634e7929541ec2318f3dcf7e' as const
const PAYER = `0x${'aa'.repeat(20)}` as const
const PAY_TO = `0x${'bb'.repeat(20)}` as const
const PROXY = '0x402085c248eea27d92e8b30b2c58ed07f9e20001'
const HASH = `0x${'cc'.repeat(32)}`
const PROXY_ABI = parseAbi([
  'function settle(((address token, uint256 amount) permitted, uint256 nonce, uint256 deadline) permit, address owner, (address to, uint256 validAfter) witness, bytes signature)',
])

const nonce = (n: number) => pad(toHex(n))
const signature = `0x${'11'.repeat(65)}`

function rowWith(payload: unknown): LedgerRow {
  const network = 'eip155:84532' as const
  const requirements = {
    ...{ scheme: 'exact', network, asset: TOKEN, amount: '1000', payTo: PAY_TO },
    ...{ maxTimeoutSeconds: 60, extra: {} },
  }
  const at = unixMs(1_800_000_000_000)
  return {
    ...{ id: claimId(1), key: paymentKey('a'), route: '/', payer: PAYER, network, asset: TOKEN },
    ...{ payTo: PAY_TO, amount: atomicAmount(1000n), validBefore: 1_800_000_060 },
    payload: JSON.stringify({ x402Version: 2, payload }),
    requirements: JSON.stringify(requirements),
    ...{ state: 'settled', transaction: HASH, detail: null },
    ...{ createdAt: at, updatedAt: at, settledAt: at, deliveredAt: null, identifier: null },
  }
}

const authorized = (n: number) =>
  rowWith({
    signature,
    authorization: {
      ...{ from: PAYER, to: PAY_TO, value: '1000', validAfter: '0', validBefore: '1800000060' },
      nonce: nonce(n),
    },
  })

const permitted = (n: string) =>
  rowWith({
    signature,
    permit2Authorization: {
      ...{ from: PAYER, permitted: { token: TOKEN, amount: '1000' }, spender: PROXY, nonce: n },
      ...{ deadline: '1800000060', witness: { to: PAY_TO, validAfter: '0' } },
    },
  })

function log(logIndex: number, topics: readonly string[], data = '0x'): FoundLog {
  const place = { logIndex: BigInt(logIndex), transactionHash: HASH, blockNumber: 7n }
  return { address: TOKEN, topics: [...topics], data, removed: false, ...place }
}

const used = (index: number, n: number) =>
  log(index, [AUTHORIZATION_USED, topicOf(PAYER), topicOf(nonce(n))])
const moved = (index: number, amount = 1000) =>
  log(index, [TRANSFER, topicOf(PAYER), topicOf(PAY_TO)], nonce(amount))

function found(logs: readonly FoundLog[], call: FoundTransaction['call'] = null): FoundTransaction {
  return {
    receipt: { transaction: HASH, block: 7n, succeeded: true, costWei: 0n, logs: [...logs] },
    call,
  }
}

function proxyCall(n: bigint) {
  const permit = { permitted: { token: TOKEN, amount: 1000n }, nonce: n, deadline: 1_800_000_060n }
  const witness = { to: PAY_TO, validAfter: 0n }
  const args = [permit, PAYER, witness, '0x11'] as const
  return { to: PROXY, input: encodeFunctionData({ abi: PROXY_ABI, functionName: 'settle', args }) }
}

/** Which transfers are believed to be the row's, or how it differs. */
function judged(row: LedgerRow, transaction: FoundTransaction) {
  const verdict = judgePaid(row, transaction)
  return verdict.kind === 'paid'
    ? verdict.logs.map(one => Number(one.logIndex))
    : verdict.difference
}

describe('a transaction that uses several authorizations', () => {
  const batch = found([used(0, 1), moved(1), used(2, 2), moved(3)])

  test('gives each row the transfer of its own authorization', () => {
    expect(judged(authorized(1), batch)).toEqual([1])
    expect(judged(authorized(2), batch)).toEqual([3])
  })

  test('gives nothing to a row whose authorization it did not use', () => {
    expect(judged(authorized(3), batch)).toBe('authorization_not_used')
  })

  test('gives nothing to one whose own transfer was of another amount', () => {
    const cheap = found([used(0, 1), moved(1, 1), used(2, 2), moved(3)])
    expect(judged(authorized(1), cheap)).toBe('authorization_not_used')
  })
})

describe('a Permit2 row', () => {
  test('was paid by the call of its own nonce only', () => {
    expect(judged(permitted('5'), found([moved(4)], proxyCall(5n)))).toEqual([4])
    expect(judged(permitted('6'), found([moved(4)], proxyCall(5n)))).toBe('authorization_not_used')
  })

  test('may have been paid through a contract that leaves no word of the nonce', () => {
    const through = found([moved(4), moved(9)], { to: PAY_TO, input: '0x' })
    expect(judged(permitted('5'), through)).toEqual([4, 9])
  })

  test('was not paid by a transfer of another amount', () => {
    expect(judged(permitted('5'), found([moved(4, 999)], proxyCall(5n)))).toBe('transfer_missing')
  })
})
