import type { TransactionReceipt } from '../../networks/evm-wire.ts'
import type { Attempt, SentTransaction } from './outbox.ts'

/** A transaction of ours on its way: from its signature until its block stays. */
export class Outgoing {
  sent: SentTransaction
  /** Null while it is in no block, or when its block was taken back. */
  receipt: TransactionReceipt | null = null
  /** When it was last handed to a node, by `performance.now()`. */
  handedAt = Number.NEGATIVE_INFINITY
  /** When its newest version was signed. */
  pricedAt: number
  /** A node wants more for it than it offers. */
  isUnderpriced = false
  /** Since when its nonce is used, and by none of its versions as far as is known. */
  missingSince: number | null = null
  #landed = Promise.withResolvers<void>()

  constructor(sent: SentTransaction) {
    this.sent = sent
    this.pricedAt = performance.now()
  }

  get newest(): Attempt {
    const attempt = this.sent.attempts.at(-1)
    if (attempt === undefined) throw new Error('A transaction was sent without a signature.')
    return attempt
  }

  /** What it may take from the key at most, in wei. */
  get costMax(): bigint {
    return this.sent.gas * this.newest.maxFeePerGas
  }

  /** Resolves with its receipt once it is in a block; with null when the time is over. */
  async landed(timeoutMs: number): Promise<TransactionReceipt | null> {
    const timer = Promise.withResolvers<void>()
    const timeout = setTimeout(timer.resolve, Math.max(0, timeoutMs))
    await Promise.race([this.#landed.promise, timer.promise])
    clearTimeout(timeout)
    return this.receipt
  }

  land(receipt: TransactionReceipt): void {
    this.receipt = receipt
    this.missingSince = null
    this.#landed.resolve()
  }

  /** Its block was taken back. */
  takeBack(): void {
    this.receipt = null
    this.#landed = Promise.withResolvers<void>()
  }
}
