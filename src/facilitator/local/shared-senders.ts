import type { NetworkId } from '../../core/payment.ts'
import { KeySender, type SenderSettings } from './key-sender.ts'
import { type Outbox, openOutbox } from './outbox.ts'

interface Shared<T> {
  readonly value: T
  users: number
}

/**
 * The senders of one process. A configuration that is replaced and the one that replaces it share
 * the sender of a key: two of them would give out the same nonces.
 */
export class SharedSenders {
  readonly #senders = new Map<string, Shared<KeySender> & { readonly journal: string }>()
  readonly #outboxes = new Map<string, Shared<Outbox>>()
  readonly #reportError: (error: unknown) => void

  constructor(reportError: (error: unknown) => void) {
    this.#reportError = reportError
  }

  /** @throws StoreUnavailableError when the journal cannot be opened. */
  take(journal: string, network: NetworkId, settings: SenderSettings): KeySender {
    const name = `${network}/${settings.signer.address}`
    const known = this.#senders.get(name)
    if (known !== undefined) {
      known.users++
      known.value.adopt(settings)
      return known.value
    }
    const outbox = this.#takeOutbox(journal)
    const value = new KeySender({ ...settings, network, outbox, reportError: this.#reportError })
    this.#senders.set(name, { value, users: 1, journal })
    return value
  }

  async giveBack(senders: readonly KeySender[]): Promise<void> {
    const given = [...this.#senders].filter(([, { value }]) => senders.includes(value))
    for (const [name, shared] of given) {
      shared.users--
      if (shared.users > 0) continue
      this.#senders.delete(name)
      await shared.value.close()
      this.#giveBackOutbox(shared.journal)
    }
  }

  #takeOutbox(journal: string): Outbox {
    const shared = this.#outboxes.get(journal) ?? { value: openOutbox(journal), users: 0 }
    shared.users++
    this.#outboxes.set(journal, shared)
    return shared.value
  }

  #giveBackOutbox(journal: string): void {
    const shared = this.#outboxes.get(journal)
    if (shared === undefined) return
    shared.users--
    if (shared.users > 0) return
    this.#outboxes.delete(journal)
    shared.value.close()
  }
}
