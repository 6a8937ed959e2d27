import fc from 'fast-check'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { PaymentPayload } from '../../../src/core/payment.ts'
import {
  createSigner,
  SignerError,
  type UnsignedTransaction,
} from '../../../src/facilitator/local/signer.ts'
import { readTransfer } from '../../../src/facilitator/local/transfer.ts'
import { FACILITATOR_PRIVATE_KEY, seller } from '../../support/accounts.ts'
import { type RpcAnswer, type RpcProxy, startRpcProxy } from '../../support/rpc-proxy.ts'
import { createOffer, paymentOf } from '../../x402/payments.ts'

const account = privateKeyToAccount(FACILITATOR_PRIVATE_KEY)
const transaction: UnsignedTransaction = {
  ...{ chainId: 84532, nonce: 7, to: seller.address, data: '0x1234', gas: 90_000n },
  ...{ maxFeePerGas: 2_000_000_000n, maxPriorityFeePerGas: 1_000_000n },
}

let answer: RpcAnswer = { kind: 'result', result: null }
let service: RpcProxy
beforeAll(async () => {
  service = await startRpcProxy('http://127.0.0.1:9', () => answer)
})
afterAll(() => service.close())

test('a key of ours signs what the library signs, byte for byte', async () => {
  const signer = createSigner({ kind: 'private-key', privateKey: FACILITATOR_PRIVATE_KEY })
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.uint8Array({ maxLength: 80 }), async (nonce, bytes) => {
      const data = `0x${Buffer.from(bytes).toString('hex')}` as const
      const asked = { ...transaction, nonce, data }
      const expected = await account.signTransaction({ ...asked, type: 'eip1559' })
      expect(await signer.sign(asked)).toBe(expected)
    }),
    { numRuns: 50 },
  )
})

test('a service is believed when it signs exactly what was asked, bare or in an object', async () => {
  const signer = createSigner({ kind: 'remote', url: service.url, address: account.address })
  const raw = await account.signTransaction({ ...transaction, type: 'eip1559' })
  answer = { kind: 'result', result: raw }
  expect(await signer.sign(transaction)).toBe(raw)
  answer = { kind: 'result', result: { raw, tx: {} } }
  expect(await signer.sign(transaction)).toBe(raw)
})

test.each([
  ['nonce', { nonce: 8 }],
  ['receiver', { to: account.address }],
  ['call', { data: '0x1235' }],
  ['price', { maxFeePerGas: 3_000_000_000n }],
  ['gas', { gas: 90_001n }],
  ['chain', { chainId: 1 }],
  ['value', { value: 1n }],
] as const)('a service that signs another %s is not believed', async (_, change) => {
  const signer = createSigner({ kind: 'remote', url: service.url, address: account.address })
  const result = await account.signTransaction({ ...transaction, ...change, type: 'eip1559' })
  answer = { kind: 'result', result }
  await expect(signer.sign(transaction)).rejects.toThrow(SignerError)
})

test('whatever a service answers, nothing but a SignerError comes of it', async () => {
  const signer = createSigner({ kind: 'remote', url: service.url, address: account.address })
  const bytes = fc
    .uint8Array({ maxLength: 200 })
    .map(all => `0x02${Buffer.from(all).toString('hex')}`)
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.jsonValue(), bytes, fc.record({ raw: bytes })), async result => {
      answer = { kind: 'result', result }
      await expect(signer.sign(transaction)).rejects.toThrow(SignerError)
    }),
    { numRuns: 200 },
  )
})

test('whatever a payload holds, reading it never throws, and equal payments have one name', async () => {
  const { requirements } = createOffer()
  const payment = await paymentOf(account, createOffer())
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), payload => {
      const broken: PaymentPayload = { ...payment, payload }
      readTransfer(broken, requirements)
    }),
  )
  const { authorization, ...rest } = Object(payment.payload)
  const nonce = `0x${authorization.nonce.slice(2).toUpperCase()}`
  const from = authorization.from.toLowerCase()
  const spelled = {
    ...payment,
    payload: { ...rest, authorization: { ...authorization, nonce, from } },
  }
  const purpose = readTransfer(payment, requirements)?.purpose
  expect(purpose).toBeDefined()
  expect(readTransfer(spelled, requirements)?.purpose).toBe(purpose)
})
