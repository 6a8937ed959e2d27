import type { NetworkId } from '../../core/payment.ts'
import { FacilitatorUnavailableError } from '../../errors.ts'
import type { GatewayObserver } from '../../observe/events.ts'
import type { ChainAccess } from './chain-access.ts'

/** How long a balance that suffices is believed. */
const BELIEVED_MS = 5_000
/** Settlements of this size that must be left, or the operator is told. */
const LOW_SETTLEMENTS = 100n

export interface GasTankOptions {
  readonly network: NetworkId
  readonly address: string
  readonly chain: ChainAccess
  readonly observer: Pick<GatewayObserver, 'gasBalanceRead' | 'gasSpent'>
}

/** What one key has left to pay for gas. */
export class GasTank {
  readonly #options: GasTankOptions
  #wei: bigint | null = null
  #readAt = Number.NEGATIVE_INFINITY

  constructor(options: GasTankOptions) {
    this.#options = options
  }

  /**
   * @param wei      What the next transaction may cost.
   * @param reserved What those under way may cost.
   * @throws FacilitatorUnavailableError when the key cannot pay for it. Nothing was sent.
   */
  async draw(wei: bigint, reserved: bigint): Promise<void> {
    const isOld = performance.now() > this.#readAt + BELIEVED_MS
    if (isOld || this.#wei === null || this.#wei < wei + reserved) await this.#read(wei)
    if (this.#wei !== null && this.#wei >= wei + reserved) return
    const { network, address } = this.#options
    throw new FacilitatorUnavailableError(
      `The local facilitator's key ${address} has too little left for gas on ${network}.`,
      { fix: `Send the chain's own coin to ${address}; payments wait meanwhile.` },
    )
  }

  /** @param wei What a transaction has cost whose block stays. */
  spend(wei: bigint): void {
    const { network, address, observer } = this.#options
    observer.gasSpent({ network, address, wei })
  }

  async #read(wei: bigint): Promise<void> {
    const { network, address, chain, observer } = this.#options
    const balanceWei = await chain.balance(address)
    this.#wei = balanceWei
    this.#readAt = performance.now()
    const isLow = balanceWei < wei * LOW_SETTLEMENTS
    observer.gasBalanceRead({ network, address, balanceWei, isLow })
  }
}
