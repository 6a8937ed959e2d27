import { createTestClient, createWalletClient, encodeFunctionData, type Hex, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { atomicAmount } from '../../src/core/amount.ts'
import { fingerprint, type NetworkId, paymentKey } from '../../src/core/payment.ts'
import { unixMs } from '../../src/core/time.ts'
import type { ClaimId, ClaimState, Ledger } from '../../src/ledger/ledger.ts'
import { buyer, FACILITATOR_PRIVATE_KEY, seller } from '../support/accounts.ts'
import {
  type Authorization,
  authorization,
  signTransfer,
  transferArguments,
} from '../support/authorizations.ts'
import { type Chain, startChain, viemChain } from '../support/chain.ts'
import { startTestGateway, startWorld, weatherYaml } from '../support/gateway.ts'
import { pay, signFor } from '../support/payments.ts'
import { startRpcProxy } from '../support/rpc-proxy.ts'
import { testDollarAbi } from '../support/token/abi.ts'
import { jsonLines, type LedgerFixture, ledgerFixture } from './ledger-fixture.ts'
import { runCli } from './run-cli.ts'

const sender = privateKeyToAccount(FACILITATOR_PRIVATE_KEY)
const NOBODYS_HASH: Hex = `0x${'77'.repeat(32)}`

let chain: Chain
let fixture: LedgerFixture
let ledger: Ledger
/** How old the rows are that a test writes. */
let ageMs = 3_600_000

beforeAll(async () => {
  chain = await startChain()
  await chain.mint(buyer.address, 1_000_000_000n)
})
afterAll(() => chain.close())

beforeEach(async () => {
  fixture = await ledgerFixture(networks(chain.rpcUrl))
  ageMs = 3_600_000
  ledger = await fixture.open({ clock: () => unixMs(Date.now() - ageMs) })
})
afterEach(async () => {
  await ledger.close()
  await fixture.close()
})

const networks = (rpc: string) => `networks: {base-sepolia: {rpc: ["${rpc}"], finality: 0}}`

/** Runs it, and gives its lines apart from the last, which is the summary. */
async function reconcile(...words: string[]) {
  const { code, stdout, stderr } = await runCli([
    ...['ledger', 'reconcile', '-c', fixture.configFile],
    ...words,
  ])
  expect(stderr).toBe('')
  const lines = jsonLines(stdout)
  return { code, lines: lines.slice(0, -1), summary: lines.at(-1)?.summary }
}

function transferOf(parts: Partial<Authorization> = {}): Authorization {
  return authorization({ from: buyer.address, to: seller.address, value: 1_000n, ...parts })
}

/** Puts a signed transfer on the chain. */
async function land(signed: Authorization, gas?: bigint): Promise<Hex> {
  const signature = await signTransfer(chain, buyer, signed)
  const data = encodeFunctionData({
    abi: testDollarAbi,
    functionName: 'transferWithAuthorization',
    args: [...transferArguments(signed), signature],
  })
  return send(data, gas)
}

async function send(data: Hex, gas?: bigint): Promise<Hex> {
  const wallet = createWalletClient({
    account: sender,
    chain: viemChain(chain.rpcUrl, chain.chainId),
    transport: http(chain.rpcUrl),
  })
  const hash = await wallet.sendTransaction({ to: chain.token, data, ...(gas ? { gas } : {}) })
  await chain.publicClient.waitForTransactionReceipt({ hash })
  return hash
}

interface RowParts {
  readonly transaction?: string
  readonly network?: NetworkId
  readonly payload?: string
  readonly amount?: bigint
}

/** Writes a row for a signed transfer, as a gateway would have. */
async function addRow(
  state: ClaimState,
  signed: Authorization,
  { transaction = NOBODYS_HASH, network = 'eip155:84532', payload, amount }: RowParts = {},
): Promise<ClaimId> {
  const { from, to, value, validAfter, validBefore, nonce } = signed
  const requirements = {
    ...{ scheme: 'exact', network, asset: chain.token, amount: value.toString(), payTo: to },
    ...{ maxTimeoutSeconds: 60, extra: { name: 'USDC', version: '2' } },
  }
  const spoken = {
    ...{ from, to, value: `${value}`, validAfter: `${validAfter}` },
    ...{ validBefore: `${validBefore}`, nonce },
  }
  const carried = {
    x402Version: 2,
    accepted: requirements,
    payload: { signature: `0x${'11'.repeat(65)}`, authorization: spoken },
  }
  const outcome = await ledger.claim({
    key: paymentKey(network, nonce),
    fingerprint: fingerprint('same'),
    route: 'GET /v1/weather/{city}',
    payer: from,
    network,
    asset: chain.token,
    payTo: to,
    amount: atomicAmount(amount ?? value),
    validBefore: Number(validBefore),
    payload: payload ?? JSON.stringify(carried),
    requirements: JSON.stringify(requirements),
    next: state === 'forwarded' ? 'forwarded' : 'settling',
    heldUntil: unixMs(Date.now() + 60_000),
    redeemableMs: 3_600_000,
    identifier: null,
  })
  if (outcome.kind !== 'claimed') throw new Error(`The payment is ${outcome.kind}.`)
  const { id } = outcome
  const receipt = { transaction, network, payer: from, amount: atomicAmount(amount ?? value) }
  if (state === 'settled' || state === 'delivered') await ledger.markSettled(id, receipt)
  if (state === 'delivered') await ledger.markDelivered(id)
  if (state === 'unknown') await ledger.markUnknown(id, 'timed out', null)
  if (state === 'released') await ledger.release(id, 'refused')
  return id
}

test('a gateway that sells and a chain agree, while the gateway runs', async () => {
  const world = await startWorld()
  const yaml = weatherYaml(world, { top: networks(world.chain.rpcUrl) })
  await world.chain.mint(buyer.address, 1_000_000n)
  await using gateway = await startTestGateway(yaml)
  const url = `${gateway.url}/v1/weather/paris`
  for (const _ of [1, 2]) {
    const answer = await pay(url, await signFor(world.chain, url))
    expect(answer.status).toBe(200)
    await answer.arrayBuffer()
  }
  const verb = (...words: string[]) => runCli(['ledger', ...words, '-c', gateway.configFile])

  const listed = jsonLines((await verb('list')).stdout)
  expect(listed).toMatchObject([
    { amountTokens: '0.001', payer: buyer.address },
    { amountTokens: '0.001', payer: buyer.address },
  ])
  const shown = jsonLines((await verb('show', listed[0].transaction, '--payload')).stdout)
  expect(shown).toMatchObject([{ id: listed[0].id, payload: { x402Version: 2 } }])

  const same = await verb('reconcile', '--from-block', '0')
  expect(jsonLines(same.stdout)).toEqual([
    { summary: { rows: 2, compared: 2, inFlight: 0, differences: 0 } },
  ])
  expect(same.code).toBe(0)

  // Money that came past the gateway.
  await world.chain.mint(seller.address, 5_000n)
  const more = await verb('reconcile', '--from-block', 'base-sepolia:0')
  expect(more.code).toBe(1)
  expect(jsonLines(more.stdout)[0]).toMatchObject({
    difference: 'transfer_unknown',
    row: null,
    transfer: { amountTokens: '0.005', symbol: 'USDC', payTo: seller.address.toLowerCase() },
  })
  const answer = await pay(url, await signFor(world.chain, url))
  expect(answer.status).toBe(200)
  await world.close()
})

describe('rows that say that they were paid', () => {
  test('are as the chain has it', async () => {
    for (const state of ['settled', 'delivered'] as const) {
      const signed = transferOf()
      await addRow(state, signed, { transaction: await land(signed) })
    }
    const { code, lines, summary } = await reconcile()
    expect({ code, lines }).toEqual({ code: 0, lines: [] })
    expect(summary).toEqual({ rows: 2, compared: 2, inFlight: 0, differences: 0 })
  })

  test.each<[string, () => Promise<unknown>]>([
    ['transaction_missing', () => addRow('delivered', transferOf())],
    ['transaction_missing', () => addRow('settled', transferOf(), { transaction: 'job-17' })],
    [
      'transaction_reverted',
      async () => {
        const signed = transferOf({ value: 10n ** 15n })
        await addRow('settled', signed, { transaction: await land(signed, 200_000n) })
      },
    ],
    [
      'transfer_missing',
      async () => {
        const signed = transferOf()
        await addRow('settled', signed, { transaction: await land(signed), amount: 1_001n })
      },
    ],
    [
      'authorization_not_used',
      async () => addRow('settled', transferOf(), { transaction: await land(transferOf()) }),
    ],
  ])('%s', async (difference, write) => {
    await write()
    const { code, lines, summary } = await reconcile()
    expect(lines).toMatchObject([{ difference, row: { symbol: 'USDC' }, otherRow: null }])
    expect(lines[0].message).not.toBe('')
    expect({ code, ...summary }).toMatchObject({ code: 1, compared: 1, differences: 1 })
  })

  test('transaction_other: the payment landed, and not where the row says', async () => {
    const from = String((await chain.publicClient.getBlockNumber({ cacheTime: 0 })) + 1n)
    const signed = transferOf()
    const transaction = await land(signed)
    ageMs = 120_000
    const id = await addRow('delivered', signed)
    const { code, lines, summary } = await reconcile('--from-block', from)
    expect(lines).toMatchObject([{ difference: 'transaction_other', row: { id }, transaction }])
    expect({ code, ...summary }).toMatchObject({ code: 1, differences: 1 })
  })

  test('a reorganisation that takes a transfer back, after it was settled, is found', async () => {
    const signed = transferOf()
    await addRow('settled', signed, { transaction: await land(signed) })
    expect(await reconcile()).toMatchObject({ code: 0 })
    const control = createTestClient({ mode: 'anvil', transport: http(chain.rpcUrl) })
    await control.request({ method: 'anvil_reorg' as never, params: [1, []] as never }) // not in viem's types
    const { code, lines } = await reconcile()
    expect(lines).toMatchObject([{ difference: 'transaction_missing' }])
    expect(code).toBe(1)
  })

  test('transfer_shared: two rows of one transfer name each other', async () => {
    const signed = transferOf()
    const transaction = await land(signed)
    // What the first one signed is not legible any more, so that only the transfer itself tells.
    const first = await addRow('settled', transferOf(), { transaction, payload: '{}' })
    const second = await addRow('settled', signed, { transaction })
    const { code, lines } = await reconcile()
    expect(code).toBe(1)
    expect(lines).toMatchObject([
      { difference: 'transfer_shared', row: { id: second }, otherRow: first, transaction },
    ])
  })

  test('a transaction that the node has not heard of yet is no difference for a moment', async () => {
    ageMs = 0
    await addRow('settled', transferOf())
    const { code, summary } = await reconcile()
    expect({ code, ...summary }).toMatchObject({ code: 0, inFlight: 1, differences: 0 })
  })
})

describe('rows that do not say so', () => {
  test.each(['released', 'unknown', 'settling'] as const)(
    '%s, and paid on the chain: the transaction is named',
    async state => {
      const signed = transferOf()
      const transaction = await land(signed)
      // Rows are looked for on the chain around the time of their claim.
      ageMs = 120_000
      await addRow(state, signed)
      await addRow(state, transferOf())
      const { code, lines, summary } = await reconcile()
      expect(lines).toMatchObject([
        { difference: 'paid_not_recorded', row: { state }, transaction },
      ])
      expect({ code, ...summary }).toMatchObject({ code: 1, compared: 2, differences: 1 })
    },
  )

  test('a settle that is under way is none, nor its transfer an unknown one', async () => {
    const from = String((await chain.publicClient.getBlockNumber({ cacheTime: 0 })) + 1n)
    const signed = transferOf()
    await land(signed)
    ageMs = 0
    await addRow('settling', signed)
    const { code, lines, summary } = await reconcile('--from-block', from)
    expect({ code, lines }).toEqual({ code: 0, lines: [] })
    expect(summary).toMatchObject({ compared: 1, inFlight: 1 })
  })

  test('one that was never sent is left out, and so is a payload that nobody can read', async () => {
    await addRow('forwarded', transferOf())
    await addRow('unknown', transferOf(), { payload: '{}' })
    const { code, lines, summary } = await reconcile()
    expect(lines).toEqual([
      {
        notCompared: {
          ...{ network: 'eip155:84532', networkName: 'base-sepolia' },
          ...{ reason: 'payload_unreadable', rows: 1 },
        },
      },
    ])
    expect({ code, ...summary }).toMatchObject({ code: 2, rows: 2, compared: 0 })
  })

  test('the gateway that finishes a row meanwhile makes it no difference', async () => {
    const signed = transferOf()
    const transaction = await land(signed)
    ageMs = 120_000
    const id = await addRow('unknown', signed)
    const receipt = {
      ...({ transaction, network: 'eip155:84532', payer: buyer.address } as const),
      amount: atomicAmount(1_000n),
    }
    let settled: Promise<void> | null = null
    const node = await startRpcProxy(chain.rpcUrl, ({ method }) => {
      // By the time of this question the row has been read.
      if (method === 'eth_call') settled ??= ledger.markSettled(id, receipt)
      return null
    })
    await fixture.configure(networks(node.url))
    const { code, lines } = await reconcile()
    await settled
    expect(settled).not.toBeNull()
    expect({ code, lines }).toEqual({ code: 0, lines: [] })
    await node.close()
  })
})

describe('transfers that no row knows', () => {
  test('are found from the block on, however few blocks a node lets us ask for', async () => {
    const signed = transferOf()
    await addRow('settled', signed, { transaction: await land(signed) })
    const block = await chain.publicClient.getBlockNumber({ cacheTime: 0 })
    const stray = await land(transferOf({ value: 7n }))
    await land(transferOf({ value: 0n }))
    const node = await startRpcProxy(chain.rpcUrl, ({ method, params }) => {
      if (method !== 'eth_getLogs') return null
      const { fromBlock, toBlock } = params[0] as { fromBlock: string; toBlock: string } // from us
      const isWide = BigInt(toBlock) - BigInt(fromBlock) >= 10n
      return isWide ? { kind: 'error', code: -32005, message: 'narrower' } : null
    })
    await fixture.configure(networks(node.url))
    const known = await reconcile('--from-block', String(block))
    expect(known.lines).toMatchObject([
      {
        ...{ difference: 'transfer_unknown', transaction: stray, row: null },
        transfer: { amountAtomic: '7', from: buyer.address.toLowerCase() },
      },
    ])
    expect(known.code).toBe(1)
    const later = await reconcile('--from-block', String(block + 2n))
    expect(later).toMatchObject({ code: 0, lines: [] })
    await node.close()
  })

  test('cannot be told from filtered rows, nor without knowing which network is meant', async () => {
    const both = ['--from-block', '1', '--since', '1h']
    const words = ['ledger', 'reconcile', '-c', fixture.configFile]
    expect((await runCli([...words, ...both])).code).toBe(2)
    const unknown = await runCli([...words, '--from-block', 'mars:1'])
    expect(unknown.code).toBe(2)
    expect(unknown.stderr).toContain('bad_block')
    await fixture.configure('')
    expect((await runCli([...words, '--from-block', '1'])).stderr).toContain('bad_block')
  })
})

describe('networks that cannot be asked', () => {
  test('without a node, each is named, and the exit code is 2', async () => {
    await fixture.configure('')
    await addRow('settled', transferOf())
    await addRow('released', transferOf())
    await addRow('settled', transferOf(), { network: 'eip155:99999' })
    const { code, lines, summary } = await reconcile()
    expect(code).toBe(2)
    expect(lines).toMatchObject([
      { notCompared: { networkName: 'base-sepolia', reason: 'no_rpc', rows: 2 } },
      { notCompared: { network: 'eip155:99999', networkName: null, reason: 'no_rpc', rows: 1 } },
    ])
    expect(summary).toEqual({ rows: 3, compared: 0, inFlight: 0, differences: 0 })

    const words = ['ledger', 'reconcile', '-c', fixture.configFile]
    const shown = await runCli(words, {}, { terminal: true })
    expect(shown.stdout).toContain('networks.base-sepolia.rpc')
  })

  test.each<[string, Parameters<typeof startRpcProxy>[1]]>([
    ['does not answer', () => ({ kind: 'reset' })],
    ['serves another chain', ({ method }) => answerWith(method === 'eth_chainId', '0x1')],
    ['talks nonsense', ({ method }) => answerWith(method !== 'eth_chainId', { logs: 1 })],
  ])('a node that %s is given up, and its URL is not told', async (_name, answer) => {
    const node = await startRpcProxy(chain.rpcUrl, answer)
    await fixture.configure(networks(`${node.url}/v2/sk-secret`))
    for (const _ of Array(20)) await addRow('settled', transferOf())
    const outcome = await runCli(['ledger', 'reconcile', '-c', fixture.configFile])
    expect(outcome.code).toBe(2)
    expect(jsonLines(outcome.stdout)[0]).toMatchObject({
      notCompared: { reason: 'chain_unavailable', rows: 20 },
    })
    expect(outcome.stdout + outcome.stderr).not.toContain('sk-secret')
    await node.close()
  })

  test('a node that lags behind is not believed over one that has the transaction', async () => {
    const behind = await startRpcProxy(chain.rpcUrl, ({ method }) =>
      answerWith(method === 'eth_getTransactionReceipt', null),
    )
    await fixture.configure(
      `networks: {base-sepolia: {rpc: ["${behind.url}", "${chain.rpcUrl}"], finality: 0}}`,
    )
    const signed = transferOf()
    await addRow('settled', signed, { transaction: await land(signed) })
    expect((await reconcile()).code).toBe(0)
    await behind.close()
  })
})

test('a difference is readable at a terminal', async () => {
  const id = await addRow('settled', transferOf())
  const words = ['ledger', 'reconcile', '-c', fixture.configFile]
  const { stdout, code } = await runCli(words, {}, { terminal: true })
  expect(code).toBe(1)
  expect(stdout).toContain(`row ${id} (settled), GET /v1/weather/{city}, 0.001 USDC from 0x`)
  expect(stdout).toContain(`transaction ${NOBODYS_HASH}`)
  expect(stdout).toContain('1 row, 1 compared: 1 difference')
})

function answerWith(applies: boolean, result: unknown) {
  return applies ? ({ kind: 'result', result } as const) : null
}
