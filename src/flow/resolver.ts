import type { NetworkId, PaymentKey } from '../core/payment.ts'
import { createSeldom } from '../core/seldom.ts'
import { type Clock, unixMs } from '../core/time.ts'
import { FareboxError } from '../errors.ts'
import type { ClaimId, Ledger, UnresolvedClaim } from '../ledger/ledger.ts'
import type { ClaimResolved, GatewayObserver } from '../observe/events.ts'
import { type Resolution, type ResolveParts, resolveClaim } from './resolve-claim.ts'
import { createPaces, type Pace, type Paces } from './resolver-pace.ts'

export interface ResolverOptions extends Pick<ResolveParts, 'chain' | 'resettle'> {
  readonly ledger: Pick<
    Ledger,
    'takeUnresolved' | 'markSettled' | 'markUnknown' | 'endHold' | 'release'
  >
  readonly clock: Clock
  readonly observer: Pick<GatewayObserver, 'claimResolved' | 'errorReported'>
  /** Told when there is nothing left to find out of a payment. */
  readonly resolved?: (key: PaymentKey) => void
  /** How long one attempt on a claim may take: two looks at the chain and a settle. */
  attemptMsMax(): number
  /** Between 0 and 1; default Math.random. */
  readonly random?: () => number
}

/** Finishes claims whose settlement is open, whoever left them so. */
export interface Resolver {
  /**
   * Takes what is open and starts what is due, without waiting for the attempts.
   *
   * @returns Milliseconds until there is more to do. Never rejects.
   */
  sweep(): Promise<number>
  /** A claim has just been left open: the next sweep asks the ledger whatever the time. */
  wake(): void
  /** Resolves when no attempt is running. */
  idle(): Promise<void>
  /** Waits for what runs, and lets other gateways take over. */
  close(): Promise<void>
}

export function createResolver(options: ResolverOptions): Resolver {
  return new ClaimResolver(options)
}

/** Claims that one gateway works on at most. */
const OWNED_MAX = 256
/** Of these, for claims for which a client may still wait: what is old makes way for them. */
const OWNED_YOUNG = 16
/** Attempts that run at the same time. */
const ATTEMPTS_MAX = 8
/** Of these, only for claims for which a client may still wait. */
const ATTEMPTS_YOUNG = 2
/** How long a claim is kept for further attempts before it is left to whoever takes it next. */
const KEEP_MS = 30_000
/** How often the ledger is asked when nobody wakes us. */
const TAKE_EVERY_MS = 5_000
/** A network none of whose nodes answered is left alone for so long, and others go before it. */
const REST_MS = 2_000
/** Least time between two sweeps. */
const SWEEP_MS_MIN = 50

interface Owned {
  readonly claim: UnresolvedClaim
  /** From here on no attempt begins: it might outlast the hold. */
  readonly keepUntil: number
  readonly heldUntil: number
  readonly pace: Pace
  /** Null while none is running. */
  attempt: Promise<void> | null
  transaction: string | null
  /** What the last attempt waits for. */
  reason: string
}

class ClaimResolver implements Resolver {
  readonly #options: ResolverOptions
  readonly #owned = new Map<ClaimId, Owned>()
  readonly #paces: Paces
  readonly #isNews: (text: string) => boolean
  readonly #parts: ResolveParts
  readonly #restsUntil = new Map<NetworkId, number>()
  #takeAt = Number.NEGATIVE_INFINITY
  /** More claims are open than we may take. */
  #crowded = false
  #running = 0
  #runningOld = 0
  #closed = false

  constructor(options: ResolverOptions) {
    const { chain, resettle, random = Math.random } = options
    this.#options = options
    this.#isNews = createSeldom(options.clock)
    this.#paces = createPaces(random)
    this.#parts = { chain, resettle, reportError: error => this.#report(error) }
  }

  async sweep(): Promise<number> {
    await this.#take().catch((error: unknown) => this.#report(error))
    if (!this.#closed) this.#startDue()
    return this.#untilNext()
  }

  wake(): void {
    this.#takeAt = Number.NEGATIVE_INFINITY
  }

  async idle(): Promise<void> {
    while (this.#running > 0) {
      await Promise.all([...this.#owned.values()].map(({ attempt }) => attempt))
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.idle()
    await Promise.all([...this.#owned.values()].map(own => this.#giveBack(own)))
  }

  async #take(): Promise<void> {
    const { ledger, clock, attemptMsMax } = this.#options
    const now = clock()
    if (this.#closed || now < this.#takeAt) return
    this.#makeRoom()
    const limit = OWNED_MAX - this.#owned.size
    if (limit <= 0) return
    this.#takeAt = now + TAKE_EVERY_MS
    const keepUntil = now + KEEP_MS
    const heldUntil = unixMs(keepUntil + attemptMsMax())
    const taken = await ledger.takeUnresolved({ limit, heldUntil })
    this.#crowded = taken.length === limit
    if (this.#crowded) this.wake()
    for (const claim of taken) {
      const pace = this.#paces.of(claim, now)
      // Open for long: it stays held, and is looked at when it is taken again later.
      if (this.#owned.has(claim.id) || pace.dueAt() >= keepUntil) continue
      const { transaction } = claim
      const held = { claim, keepUntil, heldUntil, pace }
      this.#owned.set(claim.id, { ...held, attempt: null, transaction, reason: 'not looked at' })
    }
  }

  /** What makes way stays held until the others have had their turn. */
  #makeRoom(): void {
    const tooMany = this.#owned.size - (OWNED_MAX - OWNED_YOUNG)
    if (tooMany <= 0) return
    const old = [...this.#owned.values()].filter(own => own.attempt === null && this.#isOld(own))
    for (const { claim } of old.slice(-tooMany)) this.#owned.delete(claim.id)
  }

  #isOld({ claim }: Owned): boolean {
    return this.#options.clock() - claim.createdAt > KEEP_MS
  }

  #mayStart(own: Owned): boolean {
    if (this.#running >= ATTEMPTS_MAX) return false
    return !this.#isOld(own) || this.#runningOld < ATTEMPTS_MAX - ATTEMPTS_YOUNG
  }

  #startDue(): void {
    const now = this.#options.clock()
    for (const own of this.#owned.values()) {
      if (own.attempt !== null) continue
      const dueAt = own.pace.dueAt()
      if (Math.max(now, dueAt) >= own.keepUntil) void this.#giveBack(own)
      else if (dueAt > now) continue
      else if (now < (this.#restsUntil.get(own.claim.network) ?? now)) this.#putOff(own, false)
      else if (this.#mayStart(own)) this.#start(own)
    }
  }

  #start(own: Owned): void {
    const isOld = this.#isOld(own)
    this.#running++
    if (isOld) this.#runningOld++
    own.attempt = this.#attempt(own)
      .catch((error: unknown) => {
        own.pace.note(this.#options.clock(), false)
        // Somebody else has finished it: a slow request, or another gateway.
        if (isTransition(error)) this.#forget(own)
        else this.#report(error)
      })
      .finally(() => {
        this.#running--
        if (isOld) this.#runningOld--
        own.attempt = null
        if (!this.#closed) this.#startDue()
      })
  }

  /** In a crowd it makes room, and is held until the others have had their turn. */
  #putOff(own: Owned, repeated: boolean): void {
    const { claim, pace } = own
    const now = this.#options.clock()
    pace.note(now, repeated)
    // A client may still wait for what is young.
    if (this.#crowded && this.#isOld(own)) this.#owned.delete(claim.id)
  }

  async #attempt(own: Owned): Promise<void> {
    const { clock, observer } = this.#options
    const { claim, pace, transaction } = own
    const mayRepeat = pace.mayRepeat(clock())
    const resolution = await resolveClaim(claim, { transaction, mayRepeat }, this.#parts)
    if (resolution.kind === 'open') {
      own.transaction = resolution.transaction
      own.reason = resolution.reason
      if (resolution.reason === 'chain_unavailable') {
        this.#restsUntil.set(claim.network, clock() + REST_MS)
      }
      this.#putOff(own, resolution.repeated)
    } else {
      await this.#finish(claim, resolution)
      this.#forget(own)
    }
    observer.claimResolved(toEvent(own, resolution, clock()))
  }

  async #finish(
    { id, network, payer, amount }: UnresolvedClaim,
    resolution: Exclude<Resolution, { kind: 'open' }>,
  ): Promise<void> {
    const { ledger } = this.#options
    if (resolution.kind === 'released') return ledger.release(id, resolution.reason)
    const { transaction } = resolution
    await ledger.markSettled(id, { transaction, network, payer, amount })
    await ledger.endHold(id)
  }

  /** Lets whoever comes first take it again, unless it is to rest for longer than it is held. */
  async #giveBack({ claim, pace, heldUntil, reason, transaction }: Owned): Promise<void> {
    this.#owned.delete(claim.id)
    if (pace.dueAt() >= heldUntil) return
    const { ledger } = this.#options
    await ledger
      .markUnknown(claim.id, reason, transaction)
      .catch((error: unknown) => isTransition(error) || this.#report(error))
  }

  #forget({ claim }: Owned): void {
    this.#owned.delete(claim.id)
    this.#paces.forget(claim.id)
    this.#options.resolved?.(claim.key)
  }

  #untilNext(): number {
    const now = this.#options.clock()
    const idle = [...this.#owned.values()].filter(({ attempt }) => attempt === null)
    const due = this.#running < ATTEMPTS_MAX ? idle.map(({ pace }) => pace.dueAt() - now) : []
    const take = Math.min(TAKE_EVERY_MS, this.#takeAt - now)
    // What is running now comes to be due again by itself, and nobody rings for it.
    const again = this.#running > 0 ? [SWEEP_MS_MIN * 4] : []
    return Math.max(SWEEP_MS_MIN, Math.min(take, ...due, ...again))
  }

  #report(error: unknown): void {
    if (!this.#isNews(String(error))) return
    this.#options.observer.errorReported({ error, requestId: null })
  }
}

function isTransition(error: unknown): boolean {
  return error instanceof FareboxError && error.code === 'ledger_transition'
}

function toEvent(own: Owned, resolution: Resolution, now: number): ClaimResolved {
  const { network, route, payer, createdAt } = own.claim
  const { kind, reason } = resolution
  const transaction = resolution.kind === 'settled' ? resolution.transaction : own.transaction
  return { network, route, payer, reason, outcome: kind, transaction, ageMs: now - createdAt }
}
