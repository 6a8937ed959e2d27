import type { Delivery, ReplySink, ReplyStream } from '../flow/exchange.ts'

/** The part of undici's controller that a body needs. */
export interface FlowControl {
  pause(): void
  resume(): void
  abort(reason: Error): void
}

const NOTHING = Buffer.alloc(0)
const NOT_WANTED = new Error('Nobody wants this body.')

/**
 * An upstream's body that stands still after its first bytes until somebody wants it: while a
 * settlement runs, back-pressure holds the upstream instead of a buffer holding its bytes.
 */
export class PausedBody implements ReplyStream {
  readonly isEmpty: boolean
  readonly #control: FlowControl
  #sink: ReplySink | null = null
  #finish: ((delivery: Delivery) => void) | null = null
  /**
   * What came before somebody wanted it: one read of the socket, most often with the head and all
   * there is. An upstream that closes its connection hands over its last bytes even while paused.
   */
  readonly #early: Buffer[] = []
  #ended: { readonly trailers: readonly string[] } | null = null
  #failed = false
  #cancelled = false
  /** Null: nobody said how long the body is. */
  #bytesLeft: number | null

  /**
   * Once its last byte has been read, a body must not be held: nothing but its end is missing, and
   * an upstream that meanwhile closes its idle connection would make undici report it as broken.
   *
   * @param length In bytes; null where the upstream did not say.
   */
  constructor(control: FlowControl, length: number | null, isEmpty = false) {
    this.isEmpty = isEmpty
    this.#control = control
    this.#bytesLeft = length
  }

  get whole(): Buffer | null {
    if (this.#sink !== null || this.#failed || this.#cancelled) return null
    if (this.#ended?.trailers.length !== 0 || this.#early.length > 1) return null
    return this.#early[0] ?? NOTHING
  }

  pipeTo(sink: ReplySink): Promise<Delivery> {
    return new Promise(resolve => {
      this.#finish = resolve
      this.#sink = sink
      let hasRoom = true
      for (const chunk of this.#early.splice(0)) hasRoom = sink.write(chunk)
      // An upstream that broke, or finished an empty body, while we were settling.
      // What came of it goes out first, and the receipt with it, for the reset overtakes the rest.
      if (this.#failed) setImmediate(() => this.fail())
      else if (this.#ended !== null) this.end(this.#ended.trailers)
      else if (hasRoom) this.#control.resume()
      else sink.drained(() => this.#control.resume())
    })
  }

  cancel(): void {
    if (this.#ended !== null || this.#failed || this.#cancelled) return
    this.#cancelled = true
    this.#control.abort(NOT_WANTED)
    this.#finish?.('aborted')
  }

  write(chunk: Buffer): void {
    if (this.#cancelled) return
    if (this.#bytesLeft !== null) this.#bytesLeft -= chunk.length
    const sink = this.#sink
    if (sink === null) {
      this.#early.push(chunk)
      if (this.#bytesLeft !== 0) this.#control.pause()
      return
    }
    if (sink.write(chunk) || this.#bytesLeft === 0) return
    this.#control.pause()
    sink.drained(() => this.#control.resume())
  }

  end(trailers: readonly string[]): void {
    this.#ended = { trailers }
    if (this.#sink === null) return
    this.#sink.end(trailers)
    this.#finish?.('delivered')
  }

  fail(): void {
    this.#failed = true
    if (this.#sink === null) return
    this.#sink.destroy()
    this.#finish?.('aborted')
  }
}
