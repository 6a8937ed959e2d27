import type { z } from 'zod'
import { ChainUnavailableError } from '../../networks/chain-reader.ts'
import {
  headAnswer,
  quantityAnswer,
  receiptAnswer,
  type TransactionReceipt,
} from '../../networks/evm-wire.ts'
import { type RpcPool, RpcRefusal } from '../../networks/rpc-pool.ts'
import { type Fees, proposeFees } from './fees.ts'

/** What a node said of a transaction that was handed to it. */
export type Handed =
  /** It has it, now or already. */
  | 'taken'
  /** The chain is past this nonce. */
  | 'nonce-used'
  | 'underpriced'
  | 'unfunded'
  /** It wants none of it, for a reason that we do not know. */
  | 'refused'
  /** Nobody answered: it may have arrived all the same. */
  | 'unreachable'

export interface Call {
  readonly from: string
  readonly to: string
  readonly data: string
}

/**
 * What a sender asks of one chain. Every question rejects with `ChainUnavailableError` when no node
 * answers.
 */
export class ChainAccess {
  readonly #pool: RpcPool
  readonly #feeCap: bigint
  #fees: { readonly at: number; readonly read: Promise<Fees | null> } | null = null

  /** @param feeCap Most that may be offered for gas, in wei per unit. */
  constructor(pool: RpcPool, feeCap: bigint) {
    this.#pool = pool
    this.#feeCap = feeCap
  }

  get feeCap(): bigint {
    return this.#feeCap
  }

  async latestBlock(): Promise<bigint> {
    return (await this.#ask('eth_getBlockByNumber', ['latest', false], headAnswer)).number
  }

  /** How many of an account's transactions are mined, or are known to the node asked. */
  async transactionCount(address: string, at: 'latest' | 'pending'): Promise<number> {
    return Number(await this.#ask('eth_getTransactionCount', [address, at], quantityAnswer))
  }

  /** Null: not mined as far as the node asked knows. */
  receipt(hash: string): Promise<TransactionReceipt | null> {
    return this.#ask('eth_getTransactionReceipt', [hash], receiptAnswer)
  }

  /** The same, of every node: one may lag behind. */
  async receiptOfAny(hash: string): Promise<TransactionReceipt | null> {
    const answers = await this.#pool.requestAll('eth_getTransactionReceipt', [hash])
    const found = answers.map(answer =>
      answer.status === 'fulfilled' ? receiptAnswer.safeParse(answer.value).data : null,
    )
    if (answers.every(({ status }) => status === 'rejected')) {
      throw new ChainUnavailableError(this.#pool.network.name, 'no node told of a receipt')
    }
    return found.find(receipt => receipt) ?? null
  }

  /** In wei. */
  balance(address: string): Promise<bigint> {
    return this.#ask('eth_getBalance', [address, 'latest'], quantityAnswer)
  }

  /** Units of gas; null when the call would revert. */
  async estimateGas(call: Call): Promise<bigint | null> {
    try {
      return await this.#ask('eth_estimateGas', [call], quantityAnswer)
    } catch (error) {
      if (error instanceof RpcRefusal) return null
      throw error
    }
  }

  /** Whether a call goes through with no more than so much gas, in units. */
  async goesThrough(call: Call, gas: bigint): Promise<boolean> {
    try {
      await this.#pool.request('eth_call', [{ ...call, gas: `0x${gas.toString(16)}` }, 'latest'])
      return true
    } catch (error) {
      if (error instanceof RpcRefusal) return false
      throw error
    }
  }

  /** What a transaction offers now; null when that is over the cap. Asked once a second at most. */
  fees(): Promise<Fees | null> {
    const now = performance.now()
    if (this.#fees === null || now > this.#fees.at + FEES_MS) {
      const read = this.#readFees()
      this.#fees = { at: now, read }
      read.catch(() => {
        this.#fees = null
      })
    }
    return this.#fees.read
  }

  /** Hands a transaction to the first node that takes it. */
  async hand(raw: string): Promise<Handed> {
    try {
      await this.#pool.request('eth_sendRawTransaction', [raw])
      return 'taken'
    } catch (error) {
      return readRefusal(error)
    }
  }

  /** Hands the same bytes to every node: one may have dropped what it took. */
  async handToAll(raw: string): Promise<Handed> {
    const answers = await this.#pool.requestAll('eth_sendRawTransaction', [raw])
    const said = answers.map(answer =>
      answer.status === 'fulfilled' ? 'taken' : readRefusal(answer.reason),
    )
    return BEST_FIRST.find(handed => said.includes(handed)) ?? 'unreachable'
  }

  async #readFees(): Promise<Fees | null> {
    const [head, tip] = await Promise.all([
      this.#ask('eth_getBlockByNumber', ['latest', false], headAnswer),
      this.#ask('eth_maxPriorityFeePerGas', [], quantityAnswer).catch(() => TIP_LEAST),
    ])
    const { name } = this.#pool.network
    if (head.baseFeePerGas === null) throw new ChainUnavailableError(name, 'it has no base fee')
    return proposeFees(head.baseFeePerGas, tip > TIP_LEAST ? tip : TIP_LEAST, this.#feeCap)
  }

  async #ask<T>(method: string, params: readonly unknown[], answer: z.ZodType<T>): Promise<T> {
    const parsed = answer.safeParse(await this.#pool.request(method, params))
    if (parsed.success) return parsed.data
    const { name } = this.#pool.network
    throw new ChainUnavailableError(name, `${method} was answered in another shape`)
  }
}

const FEES_MS = 1_000
/** In wei; some chains want none, and some nodes do not say. */
const TIP_LEAST = 1_000_000n

const BEST_FIRST: readonly Handed[] = [
  'taken',
  'nonce-used',
  'underpriced',
  'unfunded',
  'refused',
  'unreachable',
]

/** Nodes agree on no codes, so words are read: geth, reth, Erigon, Nethermind, Besu, anvil. */
const REFUSALS: readonly (readonly [RegExp, Handed])[] = [
  [/already (known|imported)|known transaction|alreadyknown/i, 'taken'],
  [/nonce (is )?too low|oldnonce|nonce.*already used/i, 'nonce-used'],
  [
    /underpriced|could not replace|replacementnotallowed|feetoolow|less than block base/i,
    'underpriced',
  ],
  [/insufficient (funds|balance)|insufficientfunds/i, 'unfunded'],
]

function readRefusal(error: unknown): Handed {
  if (!(error instanceof RpcRefusal)) return 'unreachable'
  return REFUSALS.find(([words]) => words.test(error.details))?.[1] ?? 'refused'
}
