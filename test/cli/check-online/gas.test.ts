import { createTestClient, http, parseEther } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { FACILITATOR_PRIVATE_KEY } from '../../support/accounts.ts'
import { type Chain, startChain, viemChain } from '../../support/chain.ts'
import { type RpcProxy, startRpcProxy } from '../../support/rpc-proxy.ts'
import { checkOnline, type OnlineRun, onlineYaml } from './ask.ts'

const rich = privateKeyToAccount(FACILITATOR_PRIVATE_KEY).address

let chain: Chain
let proxy: RpcProxy

beforeAll(async () => {
  chain = await startChain()
  proxy = await startRpcProxy(chain.rpcUrl)
})
afterEach(() => {
  proxy.answer = () => null
})
afterAll(async () => {
  await proxy.close()
  await chain.close()
})

async function keyWith(value: bigint) {
  const key = generatePrivateKey()
  const { address } = privateKeyToAccount(key)
  const control = createTestClient({
    ...{ mode: 'anvil', chain: viemChain(chain.rpcUrl, chain.chainId) },
    transport: http(chain.rpcUrl),
  })
  await control.setBalance({ address, value })
  return { key, address }
}

function check(keys: readonly string[], maxFeePerGas = '50gwei'): Promise<OnlineRun> {
  const networks = { 'base-sepolia': { rpc: proxy.url, maxFeePerGas } }
  const local = { networks, keys, gasLimit: 400_000 }
  return checkOnline(onlineYaml({ facilitators: [{ local }] }))
}
const gasOf = ({ findings }: OnlineRun) => findings.filter(({ question }) => question === 'gas')

test('a key with enough is all right, and never shown', async () => {
  const run = await check([FACILITATOR_PRIVATE_KEY])
  expect(run.code).toBe(0)
  expect(gasOf(run)).toMatchObject([
    { level: 'ok', item: 'facilitators[0].local', message: expect.stringContaining(rich) },
  ])
  expect(run.stdout + run.stderr).not.toContain(FACILITATOR_PRIVATE_KEY.slice(2))
})

test('the only key without a coin is a problem, with its address, balance and cure', async () => {
  const { key, address } = await keyWith(0n)
  const run = await check([key])
  expect(run.code).toBe(1)
  const [finding, ...more] = gasOf(run)
  expect(more).toEqual([])
  expect(finding).toMatchObject({ level: 'problem' })
  expect(finding?.message).toContain(`${address} has 0 coins for gas on base-sepolia`)
  expect(finding?.cure).toMatch(new RegExp(`^Send at least 0\\.\\d+ .* to ${address}\\.$`))
})

test('an empty key beside one that can send is a warning', async () => {
  const { key, address } = await keyWith(0n)
  const run = await check([key, FACILITATOR_PRIVATE_KEY])
  expect(run.code).toBe(0)
  expect(gasOf(run)).toMatchObject([
    { level: 'warning', message: expect.stringContaining(address) },
    { level: 'ok', message: expect.stringContaining(rich) },
  ])
})

test('a balance for fewer than ten settlements is a warning that counts them', async () => {
  // The tip alone is over the cap, so that a unit is bought for 3 gwei: 400,000 cost 0.0012.
  proxy.answer = ({ method }) =>
    method === 'eth_maxPriorityFeePerGas' ? { kind: 'result', result: '0xba43b7400' } : null
  const { key, address } = await keyWith(parseEther('0.0013'))
  const run = await check([key], '3gwei')
  expect(run.code).toBe(0)
  const [finding] = gasOf(run)
  expect(finding).toMatchObject({ level: 'warning', message: expect.stringContaining(address) })
  expect(finding?.message).toContain('has 0.0013 coins')
  expect(finding?.message).toContain('it lasts for 1 at most')
  expect(finding?.cure).toContain('Send at least 0.012 of')
})

test('a price of gas over the cap is a warning', async () => {
  const run = await check([FACILITATOR_PRIVATE_KEY], '1wei')
  expect(gasOf(run)).toMatchObject([
    { level: 'warning', message: expect.stringContaining('more than maxFeePerGas (1 wei)') },
    { level: 'ok' },
  ])
})

test('without a node it is not checked', async () => {
  proxy.answer = () => ({ kind: 'reset' })
  const run = await check([FACILITATOR_PRIVATE_KEY])
  expect(gasOf(run)).toMatchObject([{ level: 'not-checked' }])
})

test('a node that does not tell the balance is a warning, without its words', async () => {
  proxy.answer = ({ method }) =>
    method === 'eth_getBalance' ? { kind: 'result', result: 'no-such-secret' } : null
  const run = await check([FACILITATOR_PRIVATE_KEY])
  expect(gasOf(run)).toMatchObject([{ level: 'warning' }])
  expect(run.stdout + run.stderr).not.toMatch(/no-such-secret/)
})
