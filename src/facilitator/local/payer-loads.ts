import { FacilitatorUnavailableError } from '../../errors.ts'
import type { Outgoing } from './outgoing.ts'
import type { AskedTransfer } from './transfer.ts'

interface Load {
  readonly amount: bigint
  /** Null until it is signed. */
  outgoing: Outgoing | null
}

/**
 * What payers have promised and not moved yet. Every simulation looks at the newest block alone, so
 * a payer with the money for one payment could make us send a hundred, of which all but one revert
 * at our cost.
 */
export class PayerLoads {
  readonly #loads = new Map<string, Map<string, Load>>()

  /**
   * Counts a payment in while it is sent, and for as long as it is in no block.
   *
   * @param readBalance Of the payer, in atomic units; asked only when there is something beside.
   * @throws FacilitatorUnavailableError when the balance may not do for all of them.
   */
  async during(
    transfer: AskedTransfer,
    readBalance: () => Promise<bigint>,
    send: () => Promise<Outgoing | null>,
  ): Promise<Outgoing | null> {
    const { amount, purpose } = transfer
    const account = `${transfer.token}/${transfer.payer}`.toLowerCase()
    const loads = this.#openOf(account)
    let before = 0n
    for (const load of loads.values()) before += load.amount
    const load: Load = { amount, outgoing: null }
    loads.set(purpose, load)
    this.#loads.set(account, loads)
    try {
      if (before > 0n && (await readBalance()) < before + amount) throw overdrawn()
      load.outgoing = await send()
      return load.outgoing
    } finally {
      if (load.outgoing === null) loads.delete(purpose)
      this.#forgetIdle()
    }
  }

  #openOf(account: string): Map<string, Load> {
    const loads = this.#loads.get(account) ?? new Map<string, Load>()
    for (const [purpose, { outgoing }] of loads) {
      if (outgoing !== null && outgoing.receipt !== null) loads.delete(purpose)
    }
    return loads
  }

  /** Senders bound what is under way; payers who have nothing under way are not kept. */
  #forgetIdle(): void {
    if (this.#loads.size < ACCOUNTS_CHECKED) return
    for (const account of this.#loads.keys()) {
      if (this.#openOf(account).size === 0) this.#loads.delete(account)
    }
  }
}

const ACCOUNTS_CHECKED = 4_096

function overdrawn(): FacilitatorUnavailableError {
  return new FacilitatorUnavailableError(
    'The payer has other payments under way, and the balance may not do for all of them.',
    { fix: 'Nothing to do: the payer may send it again in a moment.', retryAfterSeconds: 2 },
  )
}
