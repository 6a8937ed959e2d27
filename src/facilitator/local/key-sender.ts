import { type Address, type Hex, keccak256 } from 'viem'
import type { NetworkId } from '../../core/payment.ts'
import { FacilitatorUnavailableError } from '../../errors.ts'
import type { ChainAccess } from './chain-access.ts'
import type { Fees } from './fees.ts'
import type { GasTank } from './gas-tank.ts'
import type { Attempt, Outbox } from './outbox.ts'
import { Outgoing } from './outgoing.ts'
import { type Shepherd, startShepherd } from './shepherd.ts'
import { SignerError, type TransactionSigner } from './signer.ts'

export interface KeySenderOptions extends SenderSettings {
  readonly network: NetworkId
  readonly outbox: Outbox
  readonly reportError: (error: unknown) => void
}

/** What may change while transactions are under way. */
export interface SenderSettings {
  readonly chain: ChainAccess
  readonly signer: TransactionSigner
  readonly tank: GasTank
  /** Blocks under the newest one from which on a transaction stays. */
  readonly finality: number
  /** How long a transaction waits before a dearer one replaces it. */
  readonly replaceAfterMs: number
}

export interface Job {
  /** What it is for, unique on this network. */
  readonly purpose: string
  readonly to: Address
  readonly data: Hex
  /** Most that it may use. */
  readonly gas: bigint
}

/** Transactions of one key that may wait at the same time. */
const OPEN_MAX = 2_000
/** For so long after a look at the chain, our own count of nonces is believed. */
const WATCHED_MS = 5_000
const FILLER = 'fill/'

/**
 * Sends the transactions of one key on one chain: the only place that gives out its nonces.
 *
 * Nonces are counted here and not asked for, so that many can be under way at once. A transaction
 * is written down before anybody hears of it, and from then on it is driven until its block stays:
 * a nonce that was given out and is never used would hold up every later one.
 */
export class KeySender {
  readonly address: Address
  readonly #options: KeySenderOptions
  #settings: SenderSettings
  readonly #byNonce = new Map<number, Outgoing>()
  readonly #byPurpose = new Map<string, Outgoing>()
  readonly #shepherd: Shepherd
  /** What is in no block, and what it may take from the key at most, in wei. */
  #load = { open: 0, costMax: 0n }
  /** Null until the chain has told where we stand. */
  #next: number | null = null
  #turn: Promise<unknown> = Promise.resolve()

  /** Takes up what an earlier process left under way. */
  constructor(options: KeySenderOptions) {
    this.#options = options
    this.#settings = options
    this.address = options.signer.address
    for (const sent of options.outbox.load(options.network, this.address.toLowerCase())) {
      this.#keep(new Outgoing(sent))
    }
    this.#shepherd = startShepherd(this, options.reportError)
    if (this.#byNonce.size > 0) this.#shepherd.wake()
  }

  /** By nonce, lowest first. */
  get outgoing(): readonly Outgoing[] {
    return [...this.#byNonce.values()].sort((one, other) => one.sent.nonce - other.sent.nonce)
  }

  /** How many were in no block when the chain was last looked at, and since. */
  get openCount(): number {
    return this.#load.open
  }

  /** Counts anew what is under way: what has landed needs nothing any more. */
  count(): void {
    this.#load = { open: 0, costMax: 0n }
    for (const outgoing of this.#byNonce.values()) this.#add(outgoing)
  }

  get settings(): SenderSettings {
    return this.#settings
  }

  /** What is under way goes on with them. */
  adopt(settings: SenderSettings): void {
    this.#settings = settings
  }

  find(purpose: string): Outgoing | null {
    return this.#byPurpose.get(purpose) ?? null
  }

  /**
   * Signs a transaction, writes it down and hands it to the chain. Resolves when it is written
   * down.
   *
   * Rejects with `FacilitatorUnavailableError`, `StoreUnavailableError` or
   * `ChainUnavailableError` when nothing was sent.
   */
  async send(job: Job): Promise<Outgoing> {
    if (this.openCount >= OPEN_MAX) throw tooMany(this.address)
    const outgoing = await this.#inTurn(() => this.#sign(job))
    void this.#hand(outgoing)
    this.#shepherd.wake()
    return outgoing
  }

  /** Fills a nonce that nothing of ours stands for, so that those behind it can land. */
  fill(nonce: number): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#byNonce.has(nonce)) return
      const purpose = `${FILLER}${this.address.toLowerCase()}/${nonce}`
      const job = { purpose, to: this.address, data: '0x', gas: 21_000n } as const
      await this.#hand(await this.#write(job, nonce, await this.#fees()))
    })
  }

  /** Whether it is there for its nonce alone. */
  isFiller({ sent }: Outgoing): boolean {
    return sent.purpose.startsWith(FILLER)
  }

  /** Signs it again for more. */
  replace(outgoing: Outgoing, fees: Fees): Promise<void> {
    return this.#inTurn(async () => {
      const attempt = await this.#attempt(outgoing.sent, fees)
      const sent = { ...outgoing.sent, attempts: [...outgoing.sent.attempts, attempt] }
      this.#options.outbox.put(sent)
      outgoing.sent = sent
      outgoing.pricedAt = performance.now()
      outgoing.isUnderpriced = false
      await this.#hand(outgoing)
    })
  }

  /** Its nonce went to somebody else: signs it again for the next one. */
  move(outgoing: Outgoing): Promise<void> {
    return this.#inTurn(async () => {
      const fees = await this.#fees()
      const nonce = await this.#nonce()
      const attempt = await this.#attempt({ ...outgoing.sent, nonce }, fees)
      this.forget(outgoing)
      outgoing.sent = { ...outgoing.sent, nonce, attempts: [attempt] }
      this.#options.outbox.put(outgoing.sent)
      this.#keep(outgoing)
      this.#next = nonce + 1
      await this.#hand(outgoing)
    })
  }

  /** Its block stays, or it stands for nothing any more. */
  forget(outgoing: Outgoing): void {
    const { nonce, purpose } = outgoing.sent
    this.#options.outbox.remove(outgoing.sent)
    this.#byNonce.delete(nonce)
    if (this.#byPurpose.get(purpose) === outgoing) this.#byPurpose.delete(purpose)
  }

  /** Somebody else used the key: what the chain counts is past what we gave out. */
  skipTo(nonce: number): void {
    if (this.#next !== null && this.#next < nonce) this.#next = nonce
  }

  close(): Promise<void> {
    return this.#shepherd.close()
  }

  async #sign(job: Job): Promise<Outgoing> {
    const known = this.find(job.purpose)
    if (known !== null) return known
    const fees = await this.#fees()
    await this.#settings.tank.draw(job.gas * fees.maxFeePerGas, this.#load.costMax)
    const nonce = await this.#nonce()
    const outgoing = await this.#write(job, nonce, fees)
    this.#next = nonce + 1
    return outgoing
  }

  /** From here on it counts as sent. */
  async #write(job: Job, nonce: number, fees: Fees): Promise<Outgoing> {
    const { network, outbox } = this.#options
    const address = this.address.toLowerCase()
    const sent = { network, address, nonce, ...job, attempts: [] }
    const attempt = await this.#attempt(sent, fees)
    const outgoing = new Outgoing({ ...sent, attempts: [attempt] })
    outbox.put(outgoing.sent)
    this.#keep(outgoing)
    return outgoing
  }

  async #attempt(
    { nonce, to, data, gas }: Omit<Outgoing['sent'], 'attempts'>,
    fees: Fees,
  ): Promise<Attempt> {
    const { signer } = this.#settings
    const chainId = Number(this.#options.network.slice('eip155:'.length))
    const call = { to: to as Address, data: data as Hex } // a job's, maybe read from the outbox
    const raw = await signer
      .sign({ ...call, ...fees, chainId, nonce, gas })
      .catch((error: unknown) => {
        throw error instanceof SignerError ? signerFailed(this.address, error) : error
      })
    return { hash: keccak256(raw), raw, ...fees }
  }

  async #fees(): Promise<Fees> {
    const fees = await this.#settings.chain.fees()
    if (fees !== null) return fees
    throw new FacilitatorUnavailableError(
      `Gas on ${this.#options.network} costs more than the configured most.`,
      { fix: 'Wait, or raise maxFeePerGas of the network under local.' },
    )
  }

  async #nonce(): Promise<number> {
    const isWatched = performance.now() < this.#shepherd.lookedAt + WATCHED_MS
    if (this.#next !== null && isWatched) return this.#next
    const pending = await this.#settings.chain.transactionCount(this.address, 'pending')
    const kept = Math.max(-1, ...this.#byNonce.keys())
    this.#next = Math.max(pending, kept + 1, this.#next ?? 0)
    return this.#next
  }

  async #hand(outgoing: Outgoing): Promise<void> {
    outgoing.handedAt = performance.now()
    this.#shepherd.note(outgoing, await this.#settings.chain.hand(outgoing.newest.raw))
  }

  #keep(outgoing: Outgoing): void {
    this.#byNonce.set(outgoing.sent.nonce, outgoing)
    this.#byPurpose.set(outgoing.sent.purpose, outgoing)
    this.#add(outgoing)
  }

  #add({ receipt, costMax }: Outgoing): void {
    if (receipt !== null) return
    this.#load = { open: this.#load.open + 1, costMax: this.#load.costMax + costMax }
  }

  /** One after the other: a nonce is given out when the one before it is written down. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(task)
    this.#turn = done.catch(() => undefined)
    return done
  }
}

function tooMany(address: string): FacilitatorUnavailableError {
  return new FacilitatorUnavailableError(
    `${OPEN_MAX} transactions of ${address} wait for their block.`,
    { fix: 'Look whether the chain goes on; several keys share the work.' },
  )
}

function signerFailed(address: string, cause: SignerError): FacilitatorUnavailableError {
  return new FacilitatorUnavailableError(`The signer of ${address} failed: ${cause.message}`, {
    fix: 'Check signer.url and that the service holds this key.',
  })
}
