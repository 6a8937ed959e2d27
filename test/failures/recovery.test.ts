import { createTestClient, type Hex, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buyer, FACILITATOR_PRIVATE_KEY } from '../support/accounts.ts'
import {
  authorization,
  signTransfer,
  tokenDomain,
  tokenTypes,
  transferArguments,
} from '../support/authorizations.ts'
import type { Answer, Intercept } from '../support/facilitator.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { codeOf, pay, readReceipt, readRows, signFor } from '../support/payments.ts'
import { type RpcProxy, startRpcProxy } from '../support/rpc-proxy.ts'
import { createSender } from '../support/token-sender.ts'

/** What the facilitator does instead of each of its next settles; after the last, its work. */
let faults: ((next: () => Promise<Answer>) => Promise<Answer>)[] = []
const intercept: Intercept = (operation, next) => {
  const fault = operation === 'settle' ? faults.shift() : undefined
  return fault === undefined ? next() : fault(next)
}

const SOMEBODY = '0x000000000000000000000000000000000000dEaD'

const lost = async (): Promise<Answer> => 'hang-up'
const landsUnheard = async (next: () => Promise<Answer>): Promise<Answer> => {
  await next()
  return 'hang-up'
}

let world: World
let node: RpcProxy
let control: ReturnType<typeof controlOf>
let gateway: TestGateway
let url: string

const controlOf = (rpcUrl: string) => createTestClient({ mode: 'anvil', transport: http(rpcUrl) })

beforeAll(async () => {
  world = await startWorld({ intercept, confirmationTimeoutMs: 300 })
  node = await startRpcProxy(world.chain.rpcUrl)
  control = controlOf(world.chain.rpcUrl)
})

afterAll(async () => {
  await node.close()
  await world.close()
})

const upFront = 'GET /v1/weather/oslo: {price: $0.001, settle: before-upstream}'

function start(network: string): Promise<TestGateway> {
  const top = network === '' ? '' : `networks: {base-sepolia: ${network}}`
  return startTestGateway(weatherYaml(world, { top, routes: `  ${upFront}` }))
}

beforeEach(async () => {
  faults = []
  node.answer = () => null
  world.api.requests.length = 0
  world.facilitator.calls.settle.length = 0
  await control.mine({ blocks: 1 })
  await world.startCounting()
  gateway = await start(`{rpc: ["${node.url}"], finality: 2}`)
  url = `${gateway.url}/v1/weather/paris`
})

afterEach(() => gateway.close())

const rows = () => readRows(gateway.storeFile)
const resolved = (): unknown[] =>
  gateway.logs
    .filter(({ msg }) => msg === 'settlement resolved')
    .map(({ outcome, reason }) => `${outcome}: ${reason}`)
/** Said last of all, when the payment may be used again. */
const ends = (how: string) => expect.poll(resolved).toEqual([how])
const becomes = (...expected: string[]) => expect.poll(gateway.states).toEqual(expected)

async function expectPending(reply: Response): Promise<void> {
  expect(reply.status).toBe(503)
  expect(reply.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
  expect(readReceipt(reply)).toMatchObject({ success: false, errorReason: 'settlement_pending' })
  expect(await codeOf(reply)).toBe('settlement_pending')
}

/** The payment sent again, by a client that does not wait. */
const askOnce = (payment: string) => pay(url, payment, { headers: { prefer: 'wait=0' } })

/** The payment sent again gets its content, and the money has moved once, in what the row names. */
async function expectRedeemed(payment: string, at = url): Promise<void> {
  const reply = await pay(at, payment)
  expect(reply.status).toBe(200)
  expect(await reply.text()).not.toBe('')
  const receipt = readReceipt(reply)
  expect(receipt?.success).toBe(true)
  expect(await world.earned()).toBe(1_000n)
  await becomes('delivered')
  expect(rows()[0]?.transaction_hash).toBe(receipt?.transaction)
  const hash = receipt?.transaction as Hex // EVM only in these tests
  const mined = await world.chain.publicClient.getTransactionReceipt({ hash })
  expect(mined.status).toBe('success')
  expect((await pay(at, payment)).status).toBe(409)
  expect(await world.earned()).toBe(1_000n)
}

describe('a facilitator that names somebody else’s transaction', () => {
  test('is believed at once, and found out by the node that is named', async () => {
    const elsewhere = `0x${'ab'.repeat(32)}`
    faults = [
      async next => {
        const answer = await next()
        if (typeof answer === 'string') return answer
        return { ...answer, body: { ...Object(answer.body), transaction: elsewhere } }
      },
    ]
    const payment = await signFor(world.chain, url)
    expect((await pay(url, payment)).status).toBe(200)
    const told = () => gateway.logs.filter(({ msg }) => msg === 'error').map(({ error }) => error)
    await expect.poll(told).toMatchObject([{ code: 'settlement_differs' }])
    expect(rows()).toMatchObject([{ state: 'delivered', transaction_hash: elsewhere }])
    const ready = await fetch(`${gateway.adminUrl}/readyz`)
    expect([ready.status, await ready.text()]).toEqual([
      200,
      expect.stringMatching(/did not have 1 of the settlements/),
    ])
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    expect(metrics).toContain('outcome="transaction_differs"} 1')
  }, 30_000)
})

describe('a settle whose answer is lost', () => {
  test.each(['/v1/weather/paris', '/v1/weather/oslo'])(
    'after it landed is found on the chain, and %s is redeemed',
    async path => {
      url = gateway.url + path
      const payment = await signFor(world.chain, url)
      faults = [landsUnheard]
      await expectPending(await pay(url, payment))
      await ends('settled: chain_proved')
      expect(world.facilitator.calls.settle).toHaveLength(1)
      await expectRedeemed(payment)
    },
  )

  test('before it was sent is sent again, byte for byte, though the price has changed', async () => {
    const payment = await signFor(world.chain, url)
    faults = [lost]
    await expectPending(await pay(url, payment))
    await gateway.write(weatherYaml(world, topOf(2)).replace('$0.001', '$0.002'))
    expect((await gateway.reload()).kind).toBe('reloaded')
    await ends('settled: chain_proved')
    const [first, second, ...more] = world.facilitator.calls.settle.map(body =>
      JSON.stringify(body),
    )
    expect(second).toBe(first)
    expect(more).toEqual([])
    await expectRedeemed(payment)
  })

  test('is looked up again when the node that was down comes back', async () => {
    node.answer = () => ({ kind: 'http', status: 503 })
    const payment = await signFor(world.chain, url)
    faults = [landsUnheard]
    await expectPending(await pay(url, payment))
    const errors = () => gateway.logs.filter(({ msg }) => msg === 'error')
    await expect.poll(() => errors().length).toBeGreaterThan(0)
    expect(JSON.stringify(errors())).toContain('chain_unavailable')
    expect(JSON.stringify(gateway.logs)).not.toContain(node.url)
    await expectPending(await askOnce(payment))
    node.answer = () => null
    await ends('settled: chain_proved')
    await expectRedeemed(payment)
  })
})

describe('a settlement that is pending', () => {
  test('and mined later is found then, and not sent a second time meanwhile', async () => {
    const payment = await signFor(world.chain, url)
    await control.setAutomine(false)
    try {
      await expectPending(await pay(url, payment))
      expect(gateway.states()).toEqual(['unknown'])
      await expectPending(await askOnce(payment))
      await control.mine({ blocks: 1 })
    } finally {
      await control.setAutomine(true)
    }
    await ends('settled: chain_proved')
    expect(world.facilitator.calls.settle).toHaveLength(1)
    await expectRedeemed(payment)
  })
})

describe('a facilitator that lies', () => {
  test('with success and the transaction of a stranger is not believed', async () => {
    const transaction = await strangersTransfer()
    const payment = await signFor(world.chain, url)
    faults = [lost, async () => tells({ success: true, transaction })]
    await expectPending(await pay(url, payment))
    await expect.poll(() => world.facilitator.calls.settle.length).toBeGreaterThan(1)
    await expectPending(await askOnce(payment))
    expect(await world.earned()).toBe(0n)
    await ends('settled: chain_proved')
    await expectRedeemed(payment)
  }, 15_000)
})

describe('a payment that can no longer land', () => {
  test('because the payer cancelled it is freed once that is final, and not before', async () => {
    const payment = await signFor(world.chain, url)
    faults = [
      async () => {
        await cancelAuthorization(payment)
        return 'hang-up'
      },
    ]
    await expectPending(await pay(url, payment))
    const looks = () => node.calls.filter(({ method }) => method === 'eth_getLogs').length
    const before = looks()
    await expect.poll(looks).toBeGreaterThan(before + 1)
    expect(gateway.states()).toEqual(['unknown'])
    await control.mine({ blocks: 2 })
    await ends('released: cancelled')
    const again = await pay(url, payment)
    expect(again.status).toBe(402)
    expect(await world.earned()).toBe(0n)
  })

  test('because its time is over is freed once that is final, and not before', async () => {
    const before = await control.snapshot()
    const payment = await signFor(world.chain, url)
    faults = Array.from({ length: 50 }, () => lost)
    await expectPending(await pay(url, payment))
    await control.increaseTime({ seconds: 300 })
    await control.mine({ blocks: 1 })
    const looks = () => node.calls.filter(({ method }) => method === 'eth_call').length
    const seen = looks()
    await expect.poll(looks).toBeGreaterThan(seen + 1)
    expect(gateway.states()).toEqual(['unknown'])
    await control.mine({ blocks: 2 })
    await ends('released: expired_unused')
    faults = []
    expect((await pay(url, payment)).status).toBe(402)
    expect(await world.earned()).toBe(0n)
    await control.revert({ id: before })
  })
})

describe('a chain that is reorganised', () => {
  test('before a landed transfer was final: it is settled again, and charged once', async () => {
    const payment = await signFor(world.chain, url)
    faults = [
      async next => {
        await next()
        expect(await world.earned()).toBe(1_000n)
        await control.request({ method: 'anvil_reorg' as never, params: [1, []] as never }) // not in viem's types
        expect(await world.earned()).toBe(0n)
        return 'hang-up'
      },
    ]
    await expectPending(await pay(url, payment))
    await ends('settled: chain_proved')
    await expectRedeemed(payment)
  })
})

describe('without a node', () => {
  beforeEach(async () => {
    await gateway.close()
    gateway = await start('')
    url = `${gateway.url}/v1/weather/paris`
  })

  test('a settle that was not sent is sent again, and believed', async () => {
    const payment = await signFor(world.chain, url)
    faults = [lost]
    await expectPending(await pay(url, payment))
    await ends('settled: facilitator_proved')
    await expectRedeemed(payment)
  })

  test('no refusal frees a payment: this one has landed', async () => {
    const payment = await signFor(world.chain, url)
    const expired = 'invalid_exact_evm_payload_authorization_valid_before'
    const refusal = { success: false, transaction: '', errorReason: expired }
    faults = [landsUnheard, async () => tells(refusal)]
    await expectPending(await pay(url, payment))
    await expect.poll(() => world.facilitator.calls.settle.length).toBeGreaterThan(1)
    await expectPending(await askOnce(payment))
    expect(gateway.states()).toEqual(['unknown'])
    expect(await world.earned()).toBe(1_000n)
  })
})

function topOf(finality: number): { top: string } {
  return { top: `networks: {base-sepolia: {rpc: ["${node.url}"], finality: ${finality}}}` }
}

function tells(body: Record<string, unknown>): Exclude<Answer, 'hang-up'> {
  return { status: 200, body: { network: 'eip155:84532', payer: buyer.address, ...body } }
}

/** Of the same payer and amount, to somebody else. */
async function strangersTransfer(): Promise<Hex> {
  const message = authorization({ from: buyer.address, to: SOMEBODY, value: 1_000n })
  const signature = await signTransfer(world.chain, buyer, message)
  const receipt = await sendToToken()('transferWithAuthorization', [
    ...transferArguments(message),
    signature,
  ])
  return receipt.transactionHash
}

async function cancelAuthorization(payment: string): Promise<void> {
  const sent = JSON.parse(Buffer.from(payment, 'base64').toString())
  const { nonce } = sent.payload.authorization
  const signature = await buyer.signTypedData({
    domain: tokenDomain(world.chain),
    types: tokenTypes,
    primaryType: 'CancelAuthorization',
    message: { authorizer: buyer.address, nonce },
  })
  await sendToToken()('cancelAuthorization', [buyer.address, nonce, signature])
}

const sendToToken = () => createSender(world.chain, privateKeyToAccount(FACILITATOR_PRIVATE_KEY))
