import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestClient, http, type LocalAccount } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FACILITATOR_PRIVATE_KEY } from '../../support/accounts.ts'
import { type Chain, startChain, viemChain } from '../../support/chain.ts'
import { type ChildGateway, startChildGateway } from '../../support/child-gateway.ts'
import { readRows } from '../../support/payments.ts'
import { SHOP_KEY, servedYaml } from '../../support/served-facilitator.ts'
import { createOffer, paymentOf } from '../../x402/payments.ts'

let folder: string
let chain: Chain
const offer = createOffer({ amount: '1000' })
const sender = privateKeyToAccount(FACILITATOR_PRIVATE_KEY)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'farebox-served-'))
  // Nothing is mined until a test says so.
  chain = await startChain({ blockTimeSeconds: 3_600 })
  await writeFile(join(folder, 'facilitator.yaml'), servedYaml(folder, chain.rpcUrl))
})
afterAll(async () => {
  await chain.close()
  await rm(folder, { recursive: true, force: true })
})

async function start(): Promise<ChildGateway> {
  const child = await startChildGateway(join(folder, 'facilitator.yaml'), { verb: 'facilitator' })
  if (child.kind === 'ended') throw new Error(child.stderr)
  return child
}

const rows = () => readRows(join(folder, 'facilitator.db'))

const headers = { authorization: `Bearer ${SHOP_KEY}` }
const settle = (url: string, body: string) =>
  fetch(`${url}/settle`, { method: 'POST', headers, body })

async function newBody(payer: LocalAccount): Promise<string> {
  const paymentPayload = await paymentOf(payer, offer)
  return JSON.stringify({
    ...{ x402Version: 2, paymentPayload, paymentRequirements: offer.requirements },
  })
}

test('a facilitator killed in the middle of a settle makes the same transaction of it, and no other', async () => {
  const control = createTestClient({
    ...{ mode: 'anvil', chain: viemChain(chain.rpcUrl, chain.chainId) },
    transport: http(chain.rpcUrl),
  })
  const payer = privateKeyToAccount(generatePrivateKey())
  await chain.mint(payer.address, 5_000n)
  const body = await newBody(payer)
  const sentCount = (blockTag: 'pending' | 'latest') =>
    chain.publicClient.getTransactionCount({ address: sender.address, blockTag })

  const first = await start()
  const lost = settle(first.url, body).then(
    () => 'answered',
    () => 'lost',
  )
  await expect.poll(() => sentCount('pending')).toBe(1)
  expect(rows()).toEqual([{ state: 'settling', route: 'shop', transaction_hash: null }])
  await first.kill()
  expect(await lost).toBe('lost')

  const second = await start()
  const answer = settle(second.url, body).then(response => response.json())
  await control.mine({ blocks: 1 })
  expect(await answer).toMatchObject({ success: true })
  expect(await sentCount('latest')).toBe(1)
  expect(await chain.balanceOf(payer.address)).toBe(4_000n)
  await control.mine({ blocks: 3 })
  expect(await (await settle(second.url, body)).json()).toEqual(await answer)
  expect(await sentCount('pending')).toBe(1)

  // SIGTERM waits for what is under way.
  const late = settle(second.url, await newBody(payer)).then(response => response.json())
  await expect.poll(() => sentCount('pending')).toBe(2)
  const stopped = second.stop()
  await expect.poll(() => fetch(`${second.url}/supported`).catch(() => 'closed')).toBe('closed')
  await control.mine({ blocks: 1 })
  expect(await late).toMatchObject({ success: true })
  expect(await stopped).toBe(0)
}, 120_000)
