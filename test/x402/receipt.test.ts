import { decodePaymentResponseHeader } from '@x402/core/http'
import { describe, expect, test } from 'vitest'
import { decodeXPaymentResponse } from 'x402/shared'
import { SettleResponseSchema } from 'x402/types'
import { atomicAmount } from '../../src/core/amount.ts'
import { type SettlementNotice, settlementHeader } from '../../src/x402/receipt.ts'
import { buyer } from '../support/accounts.ts'
import { NETWORK } from './payments.ts'

const transaction = `0x${'ab'.repeat(32)}`
const payer = buyer.address
const settled: SettlementNotice = {
  kind: 'settled',
  receipt: { transaction, network: NETWORK, payer, amount: atomicAmount(2n ** 64n + 1n) },
}
const pending: SettlementNotice = {
  kind: 'not-settled',
  reason: 'settlement_pending',
  network: NETWORK,
  payer,
  transaction: '',
}

describe('version 2', () => {
  test('a receipt decodes with the official decoder, to the last unit', () => {
    const [name, value] = settlementHeader(settled, 2, 'base-sepolia')
    expect(name).toBe('PAYMENT-RESPONSE')
    expect(decodePaymentResponseHeader(value)).toEqual({
      success: true,
      transaction,
      network: NETWORK,
      payer,
      amount: '18446744073709551617',
    })
  })

  test('a refusal names its reason', () => {
    const [, value] = settlementHeader(pending, 2, null)
    expect(decodePaymentResponseHeader(value)).toEqual({
      success: false,
      errorReason: 'settlement_pending',
      transaction: '',
      network: NETWORK,
      payer,
    })
  })
})

describe('version 1', () => {
  test('a receipt decodes with the official decoder and fits its schema', () => {
    const [name, value] = settlementHeader(settled, 1, 'base-sepolia')
    expect(name).toBe('X-PAYMENT-RESPONSE')
    const decoded = decodeXPaymentResponse(value)
    expect(decoded).toEqual({ success: true, transaction, network: 'base-sepolia', payer })
    expect(SettleResponseSchema.parse(decoded)).toEqual(decoded)
  })

  test('a network without a v1 name keeps the name it has', () => {
    const [, value] = settlementHeader(pending, 1, null)
    expect(decodeXPaymentResponse(value)).toMatchObject({ success: false, network: NETWORK })
  })
})

test('a reason in any script reads right for Buffer and for atob', () => {
  const reason = 'Guthaben reicht nicht für 天気'
  const [, value] = settlementHeader({ ...pending, reason }, 2, null)
  expect(JSON.parse(Buffer.from(value, 'base64').toString()).errorReason).toBe(reason)
  expect(JSON.parse(atob(value)).errorReason).toBe(reason)
})
