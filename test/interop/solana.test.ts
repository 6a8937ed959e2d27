import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { TOKEN_2022_PROGRAM } from '../../src/x402/solana-address.ts'
import { decodeTransaction } from '../../src/x402/solana-transaction.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { codeOf, pay, readReceipt } from '../support/payments.ts'
import { SOLANA_DEVNET, SOLANA_USDC, solanaAccount } from '../support/solana-chain.ts'
import {
  type Challenge,
  feePayer,
  otherFeePayer,
  payingOnSolana,
  type SolanaWorld,
  signedBy,
  signOnSolana,
  solanaBuyer,
  solanaSeller,
  solanaYaml,
  startSolanaWorld,
} from '../support/solana-world.ts'

let world: SolanaWorld
let gateway: TestGateway
let url: string

beforeAll(async () => {
  world = await startSolanaWorld()
  gateway = await startTestGateway(solanaYaml(world))
  url = `${gateway.url}/v1/weather/paris`
})

afterAll(async () => {
  await gateway.close()
  await world.close()
})

beforeEach(() => {
  world.chain.expireBlockhash()
  world.facilitator.calls.verify.length = 0
  world.facilitator.calls.settle.length = 0
  world.api.requests.length = 0
})

/** The payment with something else where its base64 transaction stands. */
function withTransaction(payment: string, change: (transaction: string) => string): string {
  const object = JSON.parse(Buffer.from(payment, 'base64').toString())
  const transaction = change(object.payload.transaction)
  const changed = { ...object, payload: { transaction } }
  return Buffer.from(JSON.stringify(changed)).toString('base64')
}

/** Asks for something else than the gateway does. */
function asking(change: Record<string, unknown>): (challenge: Challenge) => Challenge {
  return challenge => {
    for (const offer of challenge.accepts) Object.assign(offer, change)
    return challenge
  }
}

test('the challenge names the fee payer that the facilitator advertises, in both versions', async () => {
  const reply = await fetch(url)
  const body = Object(await reply.json())
  expect(body.accepts).toMatchObject([
    {
      network: 'solana-devnet',
      maxAmountRequired: '1000',
      asset: SOLANA_USDC,
      payTo: solanaSeller.address,
      extra: { feePayer: feePayer.address },
    },
  ])
  const header = Buffer.from(reply.headers.get('payment-required') ?? '', 'base64').toString()
  expect(JSON.parse(header).accepts).toMatchObject([
    { network: SOLANA_DEVNET, amount: '1000', extra: { feePayer: feePayer.address } },
  ])
})

describe('an unmodified @x402/svm buyer', () => {
  test('pays on response: the money moves once, and the receipt names the transaction', async () => {
    const before = world.earned()
    const reply = await payingOnSolana(world.chain)(url)
    expect(reply.status).toBe(200)
    expect(await reply.json()).toMatchObject({ city: 'paris' })
    expect(world.earned()).toBe(before + 1_000n)
    expect(readReceipt(reply)).toMatchObject({
      success: true,
      network: SOLANA_DEVNET,
      payer: solanaBuyer.address,
      transaction: world.chain.executed[0]?.signature,
    })
  })

  test('pays before the upstream hears of it', async () => {
    const before = world.earned()
    const init = { method: 'POST', body: '{"city":"oslo"}' }
    const reply = await payingOnSolana(world.chain)(`${gateway.url}/v1/report`, init)
    expect(reply.status).toBe(201)
    expect(world.earned()).toBe(before + 250_000n)
  })

  test('pays nothing for an answer that is not billable', async () => {
    const before = world.earned()
    const reply = await payingOnSolana(world.chain)(`${gateway.url}/v1/broken`)
    expect(reply.status).toBe(500)
    expect(world.earned()).toBe(before)
  })
})

test('the same payment thirty times at once is executed once', async () => {
  const before = world.earned()
  const payment = await signOnSolana(world.chain, url)
  const replies = await Promise.all(Array.from({ length: 30 }, () => pay(url, payment)))
  const statuses = replies.map(({ status }) => status)
  expect(statuses.filter(status => status === 200)).toHaveLength(1)
  expect(statuses.filter(status => status === 409)).toHaveLength(29)
  expect(world.earned()).toBe(before + 1_000n)
  expect(world.api.requests).toHaveLength(1)
})

test('a payment whose empty place was filled with other bytes is the same payment', async () => {
  const payment = await signOnSolana(world.chain, url)
  expect((await pay(url, payment)).status).toBe(200)
  const filled = withTransaction(payment, transaction => {
    const bytes = Buffer.from(transaction, 'base64')
    return Buffer.from(bytes.fill(7, 1, 65)).toString('base64')
  })
  const again = await pay(url, filled)
  expect([again.status, await codeOf(again)]).toEqual([409, 'payment_already_used'])
})

describe('is refused without the facilitator hearing of it', () => {
  const stranger = solanaAccount('stranger on Solana')
  const otherMint = solanaAccount('other mint').address
  const newMint = solanaAccount('mint of Token-2022').address

  beforeAll(() => {
    world.chain.addMint(otherMint)
    world.chain.addMint(newMint, TOKEN_2022_PROGRAM)
  })

  const forgeries: readonly [string, Record<string, unknown>, string][] = [
    ['too little', { amount: '999' }, 'invalid_exact_svm_payload_amount_mismatch'],
    ['too much', { amount: '1001' }, 'invalid_exact_svm_payload_amount_mismatch'],
    ['another mint', { asset: otherMint }, 'invalid_exact_svm_payload_mint_mismatch'],
    ['another token program', { asset: newMint }, 'invalid_exact_svm_payload_mint_mismatch'],
    ['to another', { payTo: stranger.address }, 'invalid_exact_svm_payload_recipient_mismatch'],
    [
      'with another fee payer',
      { extra: { feePayer: otherFeePayer.address } },
      'invalid_exact_svm_fee_payer_mismatch',
    ],
  ]

  test.each(forgeries)('a payment of %s', async (_, change, reason) => {
    const payment = await signOnSolana(world.chain, url, asking(change))
    const reply = await pay(url, payment)
    expect([reply.status, await codeOf(reply)]).toEqual([402, reason])
    expect(world.facilitator.calls).toMatchObject({ verify: [], settle: [] })
    expect(world.api.requests).toEqual([])
  })

  const SIGNATURE = 'invalid_exact_svm_payload_signature_invalid'
  const tampered: readonly [string, (bytes: Buffer) => Buffer, string][] = [
    ['whose signature was changed', bytes => flip(bytes, 1 + 64), SIGNATURE],
    ['whose amount was changed after it was signed', raise, SIGNATURE],
    [
      'that is cut',
      bytes => bytes.subarray(0, -1),
      'invalid_exact_svm_payload_transaction_could_not_be_decoded',
    ],
    [
      'with a byte too many',
      bytes => Buffer.concat([bytes, Buffer.of(0)]),
      'invalid_exact_svm_payload_transaction_could_not_be_decoded',
    ],
  ]

  test.each(tampered)('a payment %s', async (_, change, reason) => {
    const payment = await signOnSolana(world.chain, url)
    const changed = withTransaction(payment, text =>
      change(Buffer.from(text, 'base64')).toString('base64'),
    )
    const reply = await pay(url, changed)
    expect([reply.status, await codeOf(reply)]).toEqual([402, reason])
    expect(world.facilitator.calls).toMatchObject({ verify: [], settle: [] })
  })

  test('a payment that the fee payer itself would pay', async () => {
    world.chain.fund(feePayer.address, 1_000_000n)
    const { accepts } = Object(await (await fetch(url)).json())
    expect(accepts[0].extra.feePayer).toBe(feePayer.address)
    const challenge = await signOnSolana(world.chain, url)
    const own = withTransaction(challenge, text => signedBy(feePayer, swapAuthority(text)))
    expect((await pay(url, own)).status).toBe(402)
    expect(world.facilitator.calls).toMatchObject({ verify: [], settle: [] })
  })
})

function flip(bytes: Buffer, at: number): Buffer {
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  return bytes
}

/** The amount stands behind the instruction's number, 12. */
function raise(bytes: Buffer): Buffer {
  const amount = Buffer.alloc(9)
  amount.writeUInt8(12)
  amount.writeBigUInt64LE(1_000n, 1)
  return flip(bytes, bytes.indexOf(amount) + 3)
}

/** Names the fee payer as the one whose money moves. */
function swapAuthority(text: string): string {
  const bytes = Buffer.from(text, 'base64')
  const read = decodeTransaction(text)
  const accounts = Buffer.from([4, ...(read?.instructions[2]?.accounts ?? [])])
  bytes.writeUInt8(0, bytes.lastIndexOf(accounts) + 4)
  return bytes.toString('base64')
}
