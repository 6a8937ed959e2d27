import { FacilitatorUnavailableError } from '../../errors.ts'
import type { Call, ChainAccess } from './chain-access.ts'

/** Kinds of calls that are remembered: a token and a function make one. */
const REMEMBERED_MAX = 1_000
/** A transfer to or from an empty account writes a storage slot more than one that is not. */
const SLOT_GAS = 30_000n

/**
 * How much gas a call may use. The answer is a simulation at once: the call goes through with it.
 *
 * A node estimates by trying over and over, so what calls of the same kind have used is remembered,
 * and a call is only tried with that and a margin.
 */
export class GasLimits {
  readonly #chain: ChainAccess
  readonly #gasMax: bigint
  readonly #used = new Map<string, bigint>()

  /** @param gasMax Most that any transaction may use, in units. */
  constructor(chain: ChainAccess, gasMax: bigint) {
    this.#chain = chain
    this.#gasMax = gasMax
  }

  /**
   * Units of gas; null when the call would revert.
   *
   * Rejects with `FacilitatorUnavailableError` when it would use more than it may.
   */
  async limitFor(call: Call): Promise<bigint | null> {
    const kind = `${call.to}/${call.data.slice(0, 10)}/${call.data.length}`
    const known = this.#used.get(kind)
    if (known !== undefined) {
      const limit = withMargin(known)
      if (limit <= this.#gasMax && (await this.#chain.goesThrough(call, limit))) return limit
    }
    const used = await this.#chain.estimateGas(call)
    if (used === null) return null
    const limit = withMargin(used)
    if (used > this.#gasMax) throw tooMuch(used, this.#gasMax)
    if (this.#used.size >= REMEMBERED_MAX) this.#used.clear()
    if (used > (known ?? 0n)) this.#used.set(kind, used)
    return limit < this.#gasMax ? limit : this.#gasMax
  }
}

function withMargin(used: bigint): bigint {
  return used + used / 4n + SLOT_GAS
}

function tooMuch(used: bigint, gasMax: bigint): FacilitatorUnavailableError {
  return new FacilitatorUnavailableError(
    `A settlement would use ${used} gas, and the configured most is ${gasMax}.`,
    { fix: 'Raise gasLimit under local if the token or the wallets really need so much.' },
  )
}
