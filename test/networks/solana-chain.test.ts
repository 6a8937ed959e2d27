import { afterEach, describe, expect, test } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import type { SignedTransferOnChain } from '../../src/networks/chain-reader.ts'
import { loadNetworkRegistry } from '../../src/networks/registry.ts'
import { createRpcPool } from '../../src/networks/rpc-pool.ts'
import { createSolanaChain } from '../../src/networks/solana-chain.ts'
import { encodeBase58 } from '../../src/x402/base58.ts'
import { readJson, serveLocally } from '../support/json-server.ts'
import { SOLANA_DEVNET, SOLANA_USDC } from '../support/solana-chain.ts'
import { solanaBuyer, solanaSeller } from '../support/solana-world.ts'

/**
 * What nodes say that a chain in this process never would: nodes that lag, that serve another chain,
 * and accounts with more transactions than fit into one answer.
 */
const GENESIS = `${SOLANA_DEVNET.slice('solana:'.length)}abcdefgh`
const NOW = Math.floor(Date.now() / 1000)

interface Entry {
  readonly signature: string
  readonly transaction: string
  readonly err?: unknown
}

interface Node {
  readonly genesis?: string
  /** Unix seconds, and slot, of its newest block; the final one is 32 slots and 13 seconds older. */
  readonly time?: number
  readonly slot?: number
  /** Newest first. */
  readonly entries?: readonly Entry[]
  readonly stillValid?: boolean
}

const closings: (() => Promise<void>)[] = []
afterEach(async () => {
  await Promise.all(closings.splice(0).map(close => close()))
})

/** Serves what a node would say, and remembers what it was asked. */
async function startNode({ genesis = GENESIS, time = NOW, slot = 5_000, ...node }: Node) {
  const { entries = [], stillValid = false } = node
  const calls: { method: string; params: readonly unknown[] }[] = []
  const answers: Record<string, (params: readonly unknown[]) => unknown> = {
    getGenesisHash: () => genesis,
    getAccountInfo([, options]) {
      const isFinal = Object(options).commitment === 'finalized'
      const clock = Buffer.alloc(40)
      clock.writeBigInt64LE(BigInt(isFinal ? time - 13 : time), 32)
      const at = isFinal ? slot - 32 : slot
      return { context: { slot: at }, value: { data: [clock.toString('base64'), 'base64'] } }
    },
    isBlockhashValid: () => ({ context: { slot }, value: stillValid }),
    getSignaturesForAddress([, options]) {
      const { before, limit } = Object(options)
      const start = entries.findIndex(({ signature }) => signature === before) + 1
      const page = entries.slice(start, start + limit)
      return page.map(({ signature }) => ({ signature, blockTime: time }))
    },
    getTransaction([signature]) {
      const found = entries.find(entry => entry.signature === signature)
      if (found === undefined) return null
      return { slot, transaction: [found.transaction, 'base64'], meta: { err: found.err ?? null } }
    },
  }
  const server = await serveLocally(async (request, response) => {
    const parsed = await readJson(request)
    const { id, method, params = [] } = Object(parsed.kind === 'json' ? parsed.value : null)
    calls.push({ method, params })
    const result = answers[method]?.(params)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result }))
  })
  closings.push(server.close)
  const times = (method: string): number => calls.filter(call => call.method === method).length
  return { url: server.url, times }
}

/** A legacy message with three instructions; the account that the money comes from is the second. */
function transaction(mark: number): string {
  const key = (byte: number): Buffer => Buffer.alloc(32, byte)
  const instruction = (accounts: number[]): Buffer =>
    Buffer.from([3, accounts.length, ...accounts, 1, mark])
  const wire = Buffer.concat([
    ...[Buffer.of(1), Buffer.alloc(64, 7), Buffer.of(1, 0, 1, 4), key(1), key(2), key(3), key(4)],
    ...[key(9), Buffer.of(3), instruction([]), instruction([]), instruction([1, 2, 1, 0])],
  ])
  return wire.toString('base64')
}

const OURS = transaction(1)
const transfer: SignedTransferOnChain = {
  ...{
    method: 'solana',
    token: SOLANA_USDC,
    payer: solanaBuyer.address,
    payTo: solanaSeller.address,
  },
  ...{ amount: 1_000n, nonce: OURS, validBefore: NOW + 60 },
}

const signature = (index: number): string => {
  const bytes = Buffer.alloc(64, 1)
  bytes.writeUInt32BE(index, 60)
  return encodeBase58(bytes)
}
const others = (count: number): Entry[] =>
  Array.from({ length: count }, (_, index) => ({
    signature: signature(index),
    transaction: transaction(2),
  }))
const landed = { signature: signature(1_000_000), transaction: OURS }

function look(nodes: readonly { readonly url: string }[], named: string | null = null) {
  const found = loadNetworkRegistry().find('solana-devnet')
  if (found === null) throw new Error('solana-devnet is not in the registry')
  const network = { ...found, rpc: nodes.map(({ url }) => url) }
  const reader = createSolanaChain(network, { pool: createRpcPool(network) })
  return reader.look(transfer, { transaction: named, createdAt: unixMs(NOW * 1_000) })
}

describe('a payment on Solana', () => {
  test('is found where a facilitator named it, though a thousand others came after it', async () => {
    const node = await startNode({ entries: [...others(1_000), landed] })
    const { use } = await look([node], landed.signature)
    expect(use).toEqual({ kind: 'transfer', transaction: landed.signature, block: 5_000n })
  })

  test('is unused only when every page was read', async () => {
    const node = await startNode({ entries: others(100) })
    expect((await look([node])).use).toBeNull()
    expect(node.times('getSignaturesForAddress')).toBe(1)
    expect(node.times('getTransaction')).toBe(100)
  })

  test('is not called unused where there is more to read than one look may ask', async () => {
    const node = await startNode({ entries: [...others(2_500), landed] })
    await expect(look([node])).rejects.toThrow('more questions than one look may ask')
    expect(node.times('getSignaturesForAddress')).toBe(3)
  })

  test('that failed on the chain is used up', async () => {
    const node = await startNode({ entries: [{ ...landed, err: { InstructionError: [2, 'x'] } }] })
    expect((await look([node])).use).toEqual({ kind: 'voided', how: 'other-use', block: 5_000n })
  })

  test('is not taken for another one that a facilitator named', async () => {
    const [other] = others(1)
    const node = await startNode({ entries: others(1) })
    expect((await look([node], other?.signature)).use).toBeNull()
  })

  test('is nothing that a node of another chain may speak of', async () => {
    const wrong = await startNode({ genesis: encodeBase58(Buffer.alloc(32, 5)), entries: [landed] })
    await expect(look([wrong])).rejects.toThrow('it serves another chain')
    const right = await startNode({})
    expect((await look([wrong, right])).use).toBeNull()
    expect(wrong.times('getTransaction')).toBe(0)
  })

  test('that a lagging node has not seen is asked of the next node', async () => {
    const behind = await startNode({ time: NOW - 600, slot: 3_500 })
    const current = await startNode({ entries: [landed] })
    expect((await look([behind, current])).use).toMatchObject({ kind: 'transfer' })
    expect(behind.times('getSignaturesForAddress')).toBe(1)
  })

  test('that only lagging nodes speak of is told with how far they are', async () => {
    const behind = await startNode({ time: NOW - 600, slot: 3_500 })
    const { latest, final, use } = await look([behind])
    expect(use).toBeNull()
    expect(latest).toEqual({ number: 3_500n, timestamp: NOW - 600 })
    expect(final).toEqual({ number: 3_468n, timestamp: NOW - 613 })
  })
})
