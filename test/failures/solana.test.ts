import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Answer, Operation } from '../support/facilitator.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { codeOf, pay } from '../support/payments.ts'
import {
  advertising,
  feePayer,
  otherFeePayer,
  type SolanaWorld,
  signOnSolana,
  solanaYaml,
  startSolanaWorld,
} from '../support/solana-world.ts'

let world: SolanaWorld
let gateway: TestGateway
let url: string
/** What happens to an answer of the facilitator. */
let disturb: (operation: Operation, next: () => Promise<Answer>) => Promise<Answer>

const undisturbed: typeof disturb = (_, next) => next()

beforeAll(async () => {
  world = await startSolanaWorld({ intercept: (operation, next) => disturb(operation, next) })
})

afterAll(() => world.close())

beforeEach(() => {
  disturb = undisturbed
  world.chain.expireBlockhash()
  world.chain.setTime(Math.floor(Date.now() / 1000))
  world.api.requests.length = 0
  world.facilitator.calls.settle.length = 0
})

afterEach(() => gateway.close())

async function open(rpc: boolean, top = ''): Promise<void> {
  const node = rpc ? `networks: {solana-devnet: {rpc: ["${world.chain.rpcUrl}"]}}` : ''
  gateway = await startTestGateway(solanaYaml(world, { top: `${node}\n${top}` }))
  url = `${gateway.url}/v1/weather/paris`
}

test('a facilitator that is down is 503, and nothing is served', async () => {
  await open(false)
  const payment = await signOnSolana(world.chain, url)
  disturb = async () => 'hang-up'
  const reply = await pay(url, payment)
  expect([reply.status, await codeOf(reply)]).toEqual([503, 'facilitator_unavailable'])
  expect(world.api.requests).toEqual([])
  expect(gateway.states()).toEqual([])
})

test('a facilitator that names no fee payer takes no payments on Solana', async () => {
  disturb = async (operation, next) => {
    const answer = await next()
    const text = JSON.stringify(answer).replaceAll('"feePayer"', '"other"')
    return operation === 'supported' ? JSON.parse(text) : answer
  }
  await open(false)
  const reply = await fetch(url)
  expect([reply.status, await codeOf(reply)]).toEqual([503, 'facilitator_unavailable'])
})

test('a payment whose blockhash expired is refused, and may be signed again', async () => {
  await open(false)
  const before = world.earned()
  const payment = await signOnSolana(world.chain, url)
  world.chain.expireBlockhash()
  expect((await pay(url, payment)).status).toBe(402)
  expect((await pay(url, await signOnSolana(world.chain, url))).status).toBe(200)
  expect(world.earned()).toBe(before + 1_000n)
})

describe('when the answer of a settle that landed gets lost', () => {
  const loseOne = (): void => {
    let lost = false
    disturb = async (operation, next) => {
      const answer = await next()
      if (operation !== 'settle' || lost) return answer
      lost = true
      return 'hang-up'
    }
  }

  test('the chain proves it by the bytes of the message, and the same payment gets its content', async () => {
    await open(true)
    loseOne()
    const before = world.earned()
    const payment = await signOnSolana(world.chain, url)
    const reply = await pay(url, payment, { headers: { prefer: 'wait=0' } })
    expect([reply.status, await codeOf(reply)]).toEqual([503, 'settlement_pending'])
    await expect.poll(() => gateway.states()).toEqual(['settled'])
    expect((await pay(url, payment)).status).toBe(200)
    expect(world.earned()).toBe(before + 1_000n)
    expect(gateway.logs).toContainEqual(expect.objectContaining({ reason: 'chain_proved' }))
  })

  test('without a node it stays unknown, sent again and never released', async () => {
    await open(false)
    loseOne()
    const before = world.earned()
    const payment = await signOnSolana(world.chain, url)
    await pay(url, payment, { headers: { prefer: 'wait=0' } })
    const settles = world.facilitator.calls.settle
    await expect.poll(() => settles.length).toBeGreaterThan(1)
    const transactions = settles.map(call => Object(call).paymentPayload.payload.transaction)
    expect(new Set(transactions).size).toBe(1)
    expect(gateway.states()).toEqual(['unknown'])
    expect(world.earned()).toBe(before + 1_000n)
  })
})

test('a settle that never left stays open while its blockhash lives, and lands by repetition', async () => {
  await open(true)
  const before = world.earned()
  const payment = await signOnSolana(world.chain, url)
  let dropped = 0
  disturb = async (operation, next) =>
    operation === 'settle' && dropped++ === 0 ? 'hang-up' : next()
  await pay(url, payment, { headers: { prefer: 'wait=0' } })
  await expect.poll(() => gateway.states()).toEqual(['settled'])
  expect(world.earned()).toBe(before + 1_000n)
})

test('a settle that never left is released only when the chain takes the message no more', async () => {
  await open(true)
  const before = world.earned()
  const payment = await signOnSolana(world.chain, url)
  disturb = (operation, next) => (operation === 'settle' ? Promise.resolve('hang-up') : next())
  await pay(url, payment, { headers: { prefer: 'wait=0' } })
  // Late by the clock, and the blockhash still lives: no release.
  world.chain.setTime(Math.floor(Date.now() / 1000) + 3_600)
  const asked = world.chain.calls.length
  const looks = (): number =>
    world.chain.calls.slice(asked).filter(method => method === 'isBlockhashValid').length
  await expect.poll(looks).toBeGreaterThan(1)
  expect(gateway.states()).toEqual(['unknown'])
  world.chain.expireBlockhash()
  await expect.poll(() => gateway.states()).toEqual(['released'])
  expect(world.earned()).toBe(before)
}, 60_000)

test('a payment for a fee payer that changed meanwhile is settled by the one it was made for', async () => {
  await open(false)
  const before = world.earned()
  const payment = await signOnSolana(world.chain, url)
  disturb = async (operation, next) => {
    const answer = await next()
    return operation === 'supported' ? advertising(otherFeePayer, answer) : answer
  }
  const yaml = solanaYaml(world).replace('["', '[{url: "').replace('"]', '", timeout: 9s}]')
  await gateway.write(yaml)
  expect(await gateway.reload()).toEqual({ kind: 'reloaded' })
  const nextFeePayer = async (): Promise<unknown> =>
    Object(await (await fetch(url)).json()).accepts[0]?.extra.feePayer
  await expect.poll(nextFeePayer).toBe(otherFeePayer.address)
  const reply = await pay(url, payment)
  expect(reply.status).toBe(200)
  expect(world.earned()).toBe(before + 1_000n)
  const [settled] = world.facilitator.calls.settle
  expect(Object(settled).paymentRequirements.extra).toEqual({ feePayer: feePayer.address })
  const fresh = await signOnSolana(world.chain, url)
  expect((await pay(url, fresh)).status).toBe(200)
  expect(Object(world.facilitator.calls.settle.at(-1)).paymentRequirements.extra).toMatchObject({
    feePayer: otherFeePayer.address,
  })
})
