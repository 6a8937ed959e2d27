import fc from 'fast-check'
import { encodeFunctionData, type Hex, parseAbi } from 'viem'
import { describe, expect, test } from 'vitest'
import type { SignedTransferOnChain } from '../../src/networks/chain-reader.ts'
import * as wire from '../../src/networks/evm-wire.ts'
import {
  NONCES_INVALIDATED,
  PERMIT2,
  placeOfNonce,
  provePermit,
} from '../../src/networks/permit2-proof.ts'
import {
  AUTHORIZATION_CANCELED,
  AUTHORIZATION_USED,
  type EventLog,
  isExactTransfer,
  proveAuthorization,
  TRANSFER,
  topicOf,
} from '../../src/networks/receipt-proof.ts'

const [TOKEN, OTHER_TOKEN, PAYER, SELLER, OTHER] = ['a1', 'a2', 'b1', 'c1', 'd1'].map(
  byte => `0x${byte.repeat(20)}`,
) as [string, string, string, string, string] // five go in
const NONCE = `0x${'07'.repeat(32)}`
const OTHER_NONCE = `0x${'08'.repeat(32)}`

const transfer: SignedTransferOnChain = {
  method: 'eip3009',
  ...{ token: TOKEN, payer: PAYER, payTo: SELLER, amount: 1000n, nonce: NONCE },
  validBefore: 2_000_000_000,
}

const word = (value: bigint): string => `0x${value.toString(16).padStart(64, '0')}`

function used(nonce = NONCE, payer = PAYER, address = TOKEN): EventLog {
  return { address, topics: [AUTHORIZATION_USED, topicOf(payer), nonce], data: '0x' }
}

function cancelled(nonce = NONCE): EventLog {
  return { address: TOKEN, topics: [AUTHORIZATION_CANCELED, topicOf(PAYER), nonce], data: '0x' }
}

function moved(amount = 1000n, to = SELLER, from = PAYER, address = TOKEN): EventLog {
  return { address, topics: [TRANSFER, topicOf(from), topicOf(to)], data: word(amount) }
}

describe('the events of an EIP-3009 transaction', () => {
  test.each<[string, EventLog[], ReturnType<typeof proveAuthorization>]>([
    ['the transfer right after its authorization', [used(), moved()], 'transfer'],
    ['a token that tells of the transfer first', [moved(), used()], 'transfer'],
    ['other tokens around it', [moved(5n, OTHER, OTHER, OTHER_TOKEN), used(), moved()], 'transfer'],
    ['a transfer beside it', [used(), moved(), moved(5n, OTHER)], 'transfer'],
    [
      'several authorizations, each with its transfer',
      [used(OTHER_NONCE), moved(1n), used(), moved()],
      'transfer',
    ],
    ['another one’s transfer', [used(), moved(0n, PAYER), used(OTHER_NONCE), moved()], 'unproven'],
    ['another one’s transfer before it', [used(OTHER_NONCE), moved(), used()], 'unproven'],
    ['no transfer', [used()], 'other-use'],
    ['too little', [used(), moved(999n)], 'other-use'],
    ['too much', [used(), moved(1001n)], 'other-use'],
    ['another receiver', [used(), moved(1000n, OTHER)], 'other-use'],
    ['another payer', [used(), moved(1000n, SELLER, OTHER)], 'other-use'],
    ['another token', [used(), moved(1000n, SELLER, PAYER, OTHER_TOKEN)], 'other-use'],
    ['the same event of another contract', [used(NONCE, PAYER, OTHER_TOKEN), moved()], 'unrelated'],
    ['another nonce', [used(OTHER_NONCE), moved()], 'unrelated'],
    ['the same nonce of another payer', [used(NONCE, OTHER), moved()], 'unrelated'],
    ['a transfer without an authorization', [moved()], 'unrelated'],
    ['a cancellation', [cancelled()], 'cancelled'],
    ['a cancellation of another nonce', [cancelled(OTHER_NONCE)], 'unrelated'],
    ['nothing', [], 'unrelated'],
  ])('with %s', (_name, logs, expected) => {
    expect(proveAuthorization(logs, transfer)).toBe(expected)
  })

  const anyLog = fc.oneof(
    fc.constantFrom(used(), used(OTHER_NONCE), cancelled(), moved(), moved(0n, PAYER), moved(999n)),
    fc.record({
      address: fc.constantFrom(TOKEN, OTHER_TOKEN),
      topics: fc.array(fc.constantFrom(AUTHORIZATION_USED, TRANSFER, NONCE, topicOf(PAYER)), {
        maxLength: 4,
      }),
      data: fc.string(),
    }),
  )

  test('never prove two payments with one transfer, whatever they are', () => {
    const twin = { ...transfer, nonce: OTHER_NONCE }
    fc.assert(
      fc.property(fc.array(anyLog, { maxLength: 12 }), logs => {
        const proven = [transfer, twin].filter(
          one => proveAuthorization(logs, one) === 'transfer',
        ).length
        const paid = logs.filter(log => isExactTransfer(log, transfer)).length
        expect(proven).toBeLessThanOrEqual(paid)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('a Permit2 transaction', () => {
  const permit: SignedTransferOnChain = { ...transfer, method: 'permit2', nonce: '515' }
  const PROXY = '0x402085c248EeA27D92E8b30b2C58ed07f9E20001'
  const abi = parseAbi([
    'function settle(((address token, uint256 amount) permitted, uint256 nonce, uint256 deadline) permit, address owner, (address to, uint256 validAfter) witness, bytes signature)',
  ])

  function call(nonce = 515n, owner = PAYER, to: string | null = PROXY) {
    const [token, payTo, payer] = [TOKEN, SELLER, owner] as Hex[] as [Hex, Hex, Hex] // literals
    const permitted = { permitted: { token, amount: 1000n }, nonce, deadline: 2_000_000_000n }
    const witness = { to: payTo, validAfter: 0n }
    const args = [permitted, payer, witness, '0x'] as const
    return { to, input: encodeFunctionData({ abi, functionName: 'settle', args }) }
  }

  function invalidated(wordNumber: bigint, mask: bigint): EventLog {
    const data = `${word(wordNumber)}${word(mask).slice(2)}`
    return { address: PERMIT2, topics: [NONCES_INVALIDATED, topicOf(PAYER)], data }
  }

  test('puts nonces where Permit2 has them: 256 in a word', () => {
    expect(placeOfNonce('0')).toEqual({ word: 0n, bit: 1n })
    expect(placeOfNonce('515')).toEqual({ word: 2n, bit: 8n })
  })

  test.each<[string, ReturnType<typeof call>, EventLog[], ReturnType<typeof provePermit>]>([
    ['a call of the proxy that moved the money', call(), [moved()], 'transfer'],
    ['a call that moved other money', call(), [moved(999n)], 'other-use'],
    ['a call for another nonce', call(516n), [moved()], 'unrelated'],
    ['a call for another owner', call(515n, OTHER), [moved()], 'unrelated'],
    ['a call of another contract', call(515n, PAYER, OTHER), [moved()], 'unproven'],
    ['a new contract', call(515n, PAYER, null), [moved()], 'unproven'],
    ['something else', { to: PROXY, input: '0x12345678' }, [], 'unrelated'],
    [
      'the nonce taken out of use',
      { to: PERMIT2, input: '0x' },
      [invalidated(2n, 9n)],
      'cancelled',
    ],
    ['another bit', { to: PERMIT2, input: '0x' }, [invalidated(2n, 7n)], 'unrelated'],
    ['another word', { to: PERMIT2, input: '0x' }, [invalidated(1n, 8n)], 'unrelated'],
  ])('with %s', (_name, transaction, logs, expected) => {
    expect(provePermit(transaction, logs, permit)).toBe(expected)
  })

  test('is read without a throw, whatever its input is', () => {
    const selector = call().input.slice(0, 10)
    fc.assert(
      fc.property(fc.string(), fc.uint8Array({ maxLength: 400 }), (text, bytes) => {
        const input = `${selector}${Buffer.from(bytes).toString('hex')}`
        for (const each of [text, input]) {
          const proof = provePermit({ to: PROXY, input: each }, [], permit)
          expect(['unrelated', 'other-use']).toContain(proof)
        }
      }),
    )
  })
})

describe('what a node answers', () => {
  const schemas = Object.entries(wire).map(([name, schema]) => ({ name, schema }))

  test.each(schemas)('$name reads any JSON without a throw', ({ schema }) => {
    fc.assert(
      fc.property(fc.jsonValue(), json => {
        schema.safeParse(json)
      }),
    )
  })

  test('is refused when a number, a hash or a list is not one', () => {
    expect(wire.chainIdAnswer.safeParse('0x').success).toBe(false)
    expect(wire.chainIdAnswer.safeParse(1).success).toBe(false)
    expect(wire.wordAnswer.safeParse('0x').success).toBe(false)
    expect(wire.blockAnswer.safeParse({ number: null, timestamp: '0x1' }).success).toBe(false)
    expect(
      wire.blockAnswer.safeParse({ number: '0x1', timestamp: '0xffffffffffffffff' }).success,
    ).toBe(false)
    expect(wire.logsAnswer.safeParse(null).success).toBe(false)
    expect(wire.receiptAnswer.safeParse({}).success).toBe(false)
    expect(wire.receiptAnswer.safeParse(null).data).toBeNull()
  })
})
