import { describe, expect, test } from 'vitest'
import type { SettleAnswer } from '../../src/facilitator/facilitator.ts'
import { readSettlement } from '../../src/x402/settle-outcome.ts'
import { buyer } from '../support/accounts.ts'
import { createOffer, NETWORK, pay } from './payments.ts'

const payment = await pay(buyer, createOffer())
const transaction = `0x${'ab'.repeat(32)}`

function read(answer: Partial<SettleAnswer>) {
  return readSettlement({ success: false, transaction: '', network: NETWORK, ...answer }, payment)
}

test('a success with a transaction is a receipt of what we asked for', () => {
  // What the facilitator says of payer and amount proves nothing.
  const answer = { success: true, transaction, payer: '0x1', amount: '1' }
  expect(read(answer)).toEqual({
    kind: 'settled',
    receipt: { transaction, network: NETWORK, payer: buyer.address, amount: 1000n },
  })
})

test('a success without a transaction proves nothing', () => {
  expect(read({ success: true })).toMatchObject({ kind: 'unknown', transaction: null })
})

test.each(['queued', '0x', `${transaction}ab`, transaction.slice(0, -1), ` ${transaction}`])(
  'a transaction that no chain could have named ("%s") proves nothing, and is not kept',
  named => {
    const answers = [
      { success: true, transaction: named },
      { errorReason: 'transaction_failed', transaction: named },
      { errorReason: 'settlement_pending', transaction: named },
    ]
    for (const answer of answers) {
      expect(read(answer)).toMatchObject({ kind: 'unknown', transaction: null })
    }
  },
)

test('Circle names an entry of its books, and nothing else is kept of it', () => {
  const extra = { name: 'GatewayWalletBatched', version: '1' }
  const { payer, offer } = payment
  const asked = { payer, offer: { ...offer, requirements: { ...offer.requirements, extra } } }
  const named = (entry: string) =>
    readSettlement({ success: true, transaction: entry, network: NETWORK }, asked)
  const id = '7ad1e5a0-0000-4000-8000-000000000000'
  expect(named(id)).toMatchObject({ kind: 'settled', receipt: { transaction: id } })
  for (const wrong of ['', 'a b', '../x', 'x'.repeat(129)]) {
    expect(named(wrong)).toMatchObject({ kind: 'unknown', transaction: null })
  }
})

describe('refused before anything was sent', () => {
  test.each([
    // x402 specification, error codes.
    'insufficient_funds',
    'invalid_network',
    'invalid_scheme',
    'invalid_payload',
    'invalid_payment_requirements',
    'invalid_x402_version',
    'unsupported_scheme',
    'invalid_exact_evm_payload_signature',
    'invalid_exact_evm_payload_recipient_mismatch',
    'invalid_exact_evm_payload_authorization_value',
    'invalid_exact_evm_payload_authorization_value_mismatch',
    'invalid_exact_evm_payload_authorization_valid_after',
    'invalid_exact_evm_payload_authorization_valid_before',
    'invalid_exact_evm_payload_undeployed_smart_wallet',
    // @x402/evm 2.27.0.
    'unsupported_payload_type',
    'invalid_exact_evm_scheme',
    'invalid_exact_evm_signature',
    'invalid_exact_evm_network_mismatch',
    'invalid_exact_evm_recipient_mismatch',
    'invalid_exact_evm_insufficient_balance',
    'invalid_exact_evm_authorization_value',
    'invalid_exact_evm_missing_eip712_domain',
    'invalid_exact_evm_token_name_mismatch',
    'invalid_exact_evm_token_version_mismatch',
    'invalid_exact_evm_eip3009_not_supported',
    'invalid_exact_evm_transaction_simulation_failed',
    'invalid_permit2_signature',
    'invalid_permit2_spender',
    'invalid_permit2_recipient_mismatch',
    'permit2_allowance_required',
    'permit2_amount_mismatch',
    'permit2_deadline_expired',
    'permit2_insufficient_balance',
    'permit2_invalid_amount',
    'permit2_not_yet_valid',
    'permit2_simulation_failed',
    'permit2_token_mismatch',
    'asset_not_deployed_contract',
    'eip6492_factory_not_allowed',
  ])('%s: nothing can land, unless a transaction is named after all', reason => {
    expect(read({ errorReason: reason })).toEqual({ kind: 'rejected', reason })
    expect(read({ errorReason: reason, transaction })).toEqual({
      kind: 'unknown',
      detail: reason,
      transaction,
    })
  })
})

describe('anything else may have left', () => {
  test.each([
    'settlement_pending',
    'unexpected_settle_error',
    'unexpected_verify_error',
    // Anybody may submit a signed transfer: a used nonce can mean that the money did reach us.
    'invalid_exact_evm_nonce_already_used',
    // It may have reverted because another transaction carried the same authorization first.
    'invalid_transaction_state',
    'transaction_failed',
    'invalid_exact_evm_transaction_failed',
    'permit2_invalid_nonce',
    'invalid_exact_evm_transfer_event_mismatch',
    'invalid_exact_evm_transaction_failed: replacement transaction underpriced',
    'settle_exact_svm_transaction_confirmation_timed_out',
    'HTTP request failed.',
    'nonce too low',
    // Looks like a known refusal, but is not one.
    'insufficient_funds_for_gas',
    'not_invalid_payload',
    '',
  ])('%j', reason => {
    expect(read({ errorReason: reason })).toEqual({
      kind: 'unknown',
      detail: reason,
      transaction: null,
    })
    if (reason !== '') {
      expect(read({ errorReason: reason, transaction })).toMatchObject({
        kind: 'unknown',
        transaction,
      })
    }
  })

  test('a line feed after a known reason', () => {
    expect(read({ errorReason: 'invalid_payload\n' }).kind).toBe('unknown')
  })

  test("a chain client's whole message, of which nothing but the first line is kept", () => {
    const message = `HTTP request failed.\n\nURL: https://rpc.example.com/secret\nargs: ${transaction}`
    expect(read({ errorReason: message })).toMatchObject({ detail: 'HTTP request failed.' })
    expect(read({ errorReason: 'x'.repeat(4096) })).toMatchObject({ detail: 'x'.repeat(200) })
  })

  test('a failure without a reason', () => {
    expect(read({})).toEqual({
      kind: 'unknown',
      detail: 'unexpected_settle_error',
      transaction: null,
    })
  })
})
