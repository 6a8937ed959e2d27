import type { PaymentKey } from '../core/payment.ts'
import type { Clock } from '../core/time.ts'
import { FareboxError, StoreUnavailableError } from '../errors.ts'
import type { ClaimId, Ledger } from '../ledger/ledger.ts'
import type { LedgerTransitionError } from '../ledger/ledger-errors.ts'
import { type AlarmOptions, startAlarm } from './alarm.ts'

/** How a delivery ended. */
export interface DeliveryEnd {
  readonly id: ClaimId
  readonly key: PaymentKey
  /** False: the same payment may have it again. */
  readonly isDelivered: boolean
}

/** Writes down how deliveries ended, also when the store is away at that moment. */
export interface DeliveryRecord {
  /**
   * Rejects when it could not be written yet: `StoreUnavailableError` means that it is tried again.
   */
  write(end: DeliveryEnd): Promise<void>
  /**
   * Whether the store does not know yet how a payment's delivery ended. What it says of the payment
   * is too old to give anything for it.
   */
  isBehind(key: PaymentKey): boolean
  /** Tries the rest once more. */
  close(): Promise<void>
}

export interface DeliveryRecordParts extends AlarmOptions {
  readonly ledger: Pick<Ledger, 'markDelivered' | 'endHold'>
  readonly clock: Clock
  reportError(error: unknown): void
}

/** Ends that wait for the store at most; one more is lost. */
const WAITING_MAX = 10_000
/** A store that is away for longer than this has lost more than our ends. */
const TRY_MS_MAX = 600_000
const PAUSE_MS_MIN = 500
/** Shorter than any hold has left: whoever finds the store back before us is told to wait. */
const PAUSE_MS_MAX = 5_000
const AT_ONCE_MAX = 64

export function startDeliveryRecord(
  parts: DeliveryRecordParts,
  waitingMax = WAITING_MAX,
): DeliveryRecord {
  return new WaitingEnds(parts, waitingMax)
}

class WaitingEnds implements DeliveryRecord {
  readonly #parts: DeliveryRecordParts
  readonly #waitingMax: number
  /** Oldest first. */
  readonly #waiting = new Map<ClaimId, DeliveryEnd & { readonly since: number }>()
  readonly #behind = new Map<PaymentKey, ClaimId>()
  readonly #retrying
  #pauseMs = PAUSE_MS_MIN

  constructor(parts: DeliveryRecordParts, waitingMax: number) {
    this.#parts = parts
    this.#waitingMax = waitingMax
    this.#retrying = startAlarm(() => this.#retry(), parts)
  }

  async write(end: DeliveryEnd): Promise<void> {
    try {
      await this.#write(end)
    } catch (error) {
      if (error instanceof StoreUnavailableError) this.#keep(end)
      throw error
    }
  }

  isBehind(key: PaymentKey): boolean {
    return this.#behind.has(key)
  }

  async close(): Promise<void> {
    await this.#retrying.close()
    await this.#retry()
    this.#drop([...this.#waiting.keys()])
  }

  #write({ id, isDelivered }: DeliveryEnd): Promise<void> {
    const { ledger } = this.#parts
    return isDelivered ? ledger.markDelivered(id) : ledger.endHold(id)
  }

  #keep(end: DeliveryEnd): void {
    if (this.#waiting.size >= this.#waitingMax) {
      this.#parts.reportError(lost(1))
      return
    }
    this.#waiting.set(end.id, { ...end, since: this.#parts.clock() })
    if (end.isDelivered) this.#behind.set(end.key, end.id)
    if (this.#waiting.size === 1) this.#retrying.ring()
  }

  /** @returns Milliseconds until the next time. Never rejects. */
  async #retry(): Promise<number> {
    const { clock } = this.#parts
    const waiting = [...this.#waiting.values()]
    for (let at = 0; at < waiting.length; at += AT_ONCE_MAX) {
      const batch = waiting.slice(at, at + AT_ONCE_MAX)
      const isBack = await Promise.all(batch.map(end => this.#tryAgain(end)))
      if (isBack.includes(false)) {
        this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MS_MAX)
        this.#drop(waiting.filter(({ since }) => clock() - since > TRY_MS_MAX).map(({ id }) => id))
        return this.#pauseMs
      }
    }
    this.#pauseMs = PAUSE_MS_MIN
    return this.#waiting.size > 0 ? PAUSE_MS_MIN : PAUSE_MS_MAX
  }

  /** @returns False while the store is away. */
  async #tryAgain(end: DeliveryEnd): Promise<boolean> {
    try {
      await this.#write(end)
    } catch (error) {
      if (error instanceof StoreUnavailableError) return false
      if (!isWritten(error, end)) this.#parts.reportError(error)
    }
    this.#forget(end.id)
    return true
  }

  #drop(ids: readonly ClaimId[]): void {
    const dropped = ids.filter(id => this.#forget(id))
    if (dropped.length > 0) this.#parts.reportError(lost(dropped.length))
  }

  #forget(id: ClaimId): boolean {
    const end = this.#waiting.get(id)
    if (end !== undefined && this.#behind.get(end.key) === id) this.#behind.delete(end.key)
    return this.#waiting.delete(id)
  }
}

/** A store that refused may have written it all the same. */
function isWritten(error: unknown, { isDelivered }: DeliveryEnd): boolean {
  if (!isTransition(error)) return false
  // A hold that has run out meanwhile and was taken over needs no end.
  return !isDelivered || error.state === 'delivered'
}

function isTransition(error: unknown): error is LedgerTransitionError {
  return error instanceof FareboxError && error.code === 'ledger_transition'
}

function lost(ends: number): StoreUnavailableError {
  return new StoreUnavailableError(
    `How ${ends} deliveries ended could not be written: their payments can be redeemed once more.`,
    { fix: 'Bring the store back. Nobody is charged twice.' },
  )
}
