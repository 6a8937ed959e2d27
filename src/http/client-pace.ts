import type { Writable } from 'node:stream'
import type { ExchangeSettings } from './heard-request.ts'

/**
 * Holds the client of a reply to the pace that the configuration asks for; null: any will do.
 *
 * @param reply  What the reply is written to.
 * @param giveUp Called once, when the client is too slow.
 */
export function holdToPace(
  reply: Pick<Writable, 'once'>,
  { settings, stallMsMax }: { readonly settings: ExchangeSettings; readonly stallMsMax: number },
  giveUp: () => void,
): ClientPace | null {
  const { replyBytesPerSecondMin: rate = 0 } = settings
  if (rate === 0) return null
  const pace = new ClientPace(rate, stallMsMax, giveUp)
  reply.once('close', () => pace.stop())
  return pace
}

/** Calls back once the client has taken what was written, at the pace that it is held to. */
export function onceDrained(
  reply: Pick<Writable, 'once' | 'writableLength'>,
  pace: ClientPace | null,
  callback: () => void,
): void {
  pace?.waitFor(reply.writableLength)
  reply.once('drain', () => {
    pace?.goOn()
    callback()
  })
}

/**
 * Holds a client to a least pace at which it takes a reply. Only time in which it is waited for
 * counts. It has some of it to begin with, and earns it back with the bytes that it takes.
 *
 * A time-out does not: any byte starts it anew, so that a client which takes one now and then would
 * keep its connection, and what stands behind it, for as long as it likes.
 */
export class ClientPace {
  readonly #bytesPerMs: number
  readonly #creditMsMax: number
  readonly #giveUp: () => void
  #creditMs: number
  #wait: { readonly since: number; readonly msMax: number } | null = null
  #timer: NodeJS.Timeout | null = null

  /**
   * @param bytesPerSecond Above 0.
   * @param creditMsMax    How long it may stand still, and how much it can earn at most.
   * @param giveUp         Called once, when it is too slow.
   */
  constructor(bytesPerSecond: number, creditMsMax: number, giveUp: () => void) {
    this.#bytesPerMs = bytesPerSecond / 1_000
    this.#creditMsMax = creditMsMax
    this.#creditMs = creditMsMax
    this.#giveUp = giveUp
  }

  /** Nothing more is written before the client has taken so many bytes. */
  waitFor(bytes: number): void {
    if (this.#wait !== null) return
    const msMax = this.#creditMs + bytes / this.#bytesPerMs
    this.#wait = { since: performance.now(), msMax }
    if (this.#timer === null) this.#lookIn(msMax)
  }

  /** It has taken them. */
  goOn(): void {
    if (this.#wait === null) return
    this.#creditMs = Math.min(this.#creditMsMax, this.#msLeft(this.#wait))
    this.#wait = null
  }

  /** Nobody waits for it any more. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#wait = null
  }

  #msLeft({ since, msMax }: { readonly since: number; readonly msMax: number }): number {
    return since + msMax - performance.now()
  }

  /** One timer for many short waits: it is left to run where a wait ends before it. */
  #lookIn(ms: number): void {
    this.#timer = setTimeout(() => this.#look(), Math.min(ms, this.#creditMsMax / LOOKS) + 1)
  }

  #look(): void {
    this.#timer = null
    if (this.#wait === null) return
    const msLeft = this.#msLeft(this.#wait)
    if (msLeft > 0) {
      this.#lookIn(msLeft)
      return
    }
    this.#wait = null
    this.#giveUp()
  }
}

/** Within the time that a client may stand still. */
const LOOKS = 8
