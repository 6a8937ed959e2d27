import { z } from 'zod'

/**
 * What nodes answer, as strict as the JSON-RPC API of Ethereum allows. Bounded, and in lower case.
 *
 * Source: ethereum/execution-apis, schemas of blocks, receipts, transactions and logs.
 */
const hexText = (pattern: RegExp, lengthMax: number) =>
  z.string().max(lengthMax).toLowerCase().regex(pattern)

const quantity = hexText(/^0x[0-9a-f]{1,64}$/, 66).transform(BigInt)
const hash = hexText(/^0x[0-9a-f]{64}$/, 66)
const address = hexText(/^0x[0-9a-f]{40}$/, 42)
const bytes = hexText(/^0x([0-9a-f]{2})*$/, 2_000_000)

export const chainIdAnswer = quantity

export const blockAnswer = z.object({
  number: quantity,
  timestamp: quantity.transform(Number).refine(Number.isSafeInteger),
})

/** With the base fee in wei; null on chains without EIP-1559. */
export const headAnswer = blockAnswer.extend({
  baseFeePerGas: quantity.nullish().transform(wei => wei ?? null),
})

export const quantityAnswer = quantity

const log = z.object({
  address,
  topics: z.array(hash).max(4),
  data: bytes,
  logIndex: quantity,
  transactionHash: hash,
  blockNumber: quantity,
  removed: z.boolean().nullish(),
})

export const logsAnswer = z
  .array(log)
  .max(10_000)
  .transform(logs => logs.filter(({ removed }) => removed !== true))

/** Null: not mined, as far as this node knows. */
export const receiptAnswer = z
  .object({
    transactionHash: hash,
    blockNumber: quantity,
    status: quantity,
    // What a transaction cost proves nothing of a payment, so a node may leave both out. The price
    // is in wei per unit.
    gasUsed: quantity.nullish(),
    effectiveGasPrice: quantity.nullish(),
    logs: z.array(log).max(10_000),
  })
  .transform(receipt => ({
    transaction: receipt.transactionHash,
    block: receipt.blockNumber,
    succeeded: receipt.status === 1n,
    costWei: (receipt.gasUsed ?? 0n) * (receipt.effectiveGasPrice ?? 0n),
    logs: receipt.logs.toSorted((one, other) => Number(one.logIndex - other.logIndex)),
  }))
  .nullable()

export const transactionAnswer = z.object({ to: address.nullable(), input: bytes }).nullable()

/** One EVM word. */
export const wordAnswer = hash.transform(BigInt)

export type TransactionReceipt = NonNullable<z.output<typeof receiptAnswer>>
export type FoundLog = z.output<typeof log>
export const transactionHash = hash
