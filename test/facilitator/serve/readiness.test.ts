import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createNodeHealth } from '../../../src/facilitator/serve/node-health.ts'
import { openChains } from '../../../src/networks/chains.ts'
import type { Network } from '../../../src/networks/registry.ts'
import { type Chain, startChain } from '../../support/chain.ts'
import { type RpcProxy, startRpcProxy } from '../../support/rpc-proxy.ts'
import { type ServedFacilitator, startServedFacilitator } from '../../support/served-facilitator.ts'

let chain: Chain
let proxy: RpcProxy
let served: ServedFacilitator

beforeAll(async () => {
  chain = await startChain()
  proxy = await startRpcProxy(chain.rpcUrl)
  served = await startServedFacilitator(chain, { rpcUrl: `${proxy.url}/secret-rpc-key` })
})
afterAll(async () => {
  await served.close()
  await Promise.all([proxy.close(), chain.close()])
})
beforeEach(() => {
  proxy.answer = () => null
  proxy.calls.length = 0
})

async function probe() {
  const response = await fetch(`${served.adminUrl}/readyz`)
  return { status: response.status, said: await response.text() }
}
const looks = () => proxy.calls.filter(({ method }) => method === 'eth_blockNumber').length

test('it is not ready while no node answers, and ready again after', async () => {
  await expect.poll(probe).toMatchObject({ status: 200 })
  proxy.answer = () => ({ kind: 'reset' })
  await expect.poll(probe).toMatchObject({ status: 503 })
  const { said } = await probe()
  const reason = 'no node of base-sepolia answers: nothing is settled there'
  expect(JSON.parse(said)).toEqual({ ready: false, reasons: [reason] })
  expect(said).not.toContain('secret-rpc-key')
  proxy.answer = () => null
  await expect.poll(probe).toMatchObject({ status: 200 })
})

test('many probes at once ask the node once', async () => {
  const probes = await Promise.all(Array.from({ length: 40 }, probe))
  expect(new Set(probes.map(({ status }) => status))).toEqual(new Set([200]))
  expect(looks()).toBeLessThanOrEqual(1)
})

test('what was found is kept for two seconds, and asked again after', async () => {
  let at = 0
  const health = createNodeHealth({ ...parts(), now: () => at })
  const ask = async (ms: number) => {
    at = ms
    return [(await health.reasons()).length, looks()]
  }
  expect(await ask(0)).toEqual([0, 1])
  proxy.answer = () => ({ kind: 'http', status: 500 })
  expect(await ask(1_999)).toEqual([0, 1])
  expect(await ask(2_000)).toEqual([1, 2])
  proxy.answer = () => null
  expect(await ask(3_999)).toEqual([1, 2])
  expect(await ask(4_000)).toEqual([0, 3])
})

test('a node that refuses to tell its height is there', async () => {
  proxy.answer = ({ method }) =>
    method === 'eth_blockNumber' ? { kind: 'error', code: -32_003, message: 'no' } : null
  expect(await createNodeHealth(parts()).reasons()).toEqual([])
})

test('nodes that hang hold a probe up for four seconds at most, and are asked once', async () => {
  let asked = 0
  const pool = () => {
    asked++
    return new Promise<never>(() => undefined)
  }
  const health = createNodeHealth({ ...parts(), chains: { pool } })
  const startedAt = performance.now()
  const answers = await Promise.all([health.reasons(), health.reasons()])
  expect(answers.map(({ length }) => length)).toEqual([1, 1])
  expect(performance.now() - startedAt).toBeLessThan(6_000)
  expect((await health.reasons()).length).toBe(1)
  expect(asked).toBe(1)
})

function parts() {
  const network: Partial<Network> = {
    ...{ id: 'eip155:84532', name: 'base-sepolia', family: 'evm', rpc: [proxy.url] },
  }
  return { networks: [network as Network], chains: openChains() } // nothing else is read
}
