import type { BodyCopy } from './body-copy.ts'
import type { Delivery, ReplySink, ReplyStream } from './exchange.ts'

export interface KeptBodyOptions {
  readonly copy: BodyCopy
  /** In bytes, as the head says; null where the end of the stream is the only end. */
  readonly length: number | null
  /** Keeps the whole body. Never rejects: what it could not keep is not the client's problem. */
  readonly keep: (body: Buffer, trailers: readonly string[]) => Promise<void>
  /** How long the rest is read after the client has left. */
  readonly readOnMsMax: number
}

/**
 * A body that is gathered while it passes. Its pieces go to the client as they come; its end waits
 * until the copy is kept, so that whoever has seen a whole response can have it again. When the
 * client leaves in the middle, the rest is read all the same.
 */
export class KeptBody implements ReplyStream {
  readonly #source: ReplyStream
  readonly #options: KeptBodyOptions
  /** Resolves once nothing more can be kept of it. */
  readonly finished: Promise<void>
  readonly #finish: () => void
  /** Null once the body has proved too long, or has ended. */
  #copy: BodyCopy | null
  /** Null before the client is ready, and after it has left. */
  #client: ReplySink | null = null
  #isAsked = false
  #isLeft = false
  #readOn: NodeJS.Timeout | null = null
  /** The bytes that make the body whole: their arrival is the end, to a client that counts. */
  #lastBytes: Buffer | null = null
  #resume: (() => void) | null = null

  constructor(source: ReplyStream, options: KeptBodyOptions) {
    this.#source = source
    this.#options = options
    this.#copy = options.copy
    const { promise, resolve } = Promise.withResolvers<void>()
    this.finished = promise
    this.#finish = resolve
  }

  async pipeTo(client: ReplySink): Promise<Delivery> {
    this.#client = client
    const delivery = await this.#ask()
    await this.finished
    return delivery
  }

  cancel(): void {
    if (this.#isLeft) return
    this.#isLeft = true
    this.#client = null
    // Its end is being kept already, or there is nothing left to keep.
    if (this.#copy === null) {
      this.#source.cancel()
      return
    }
    this.#readOn = setTimeout(() => this.#giveUp(), this.#options.readOnMsMax)
    this.#resume?.()
    if (!this.#isAsked) void this.#ask()
  }

  #ask(): Promise<Delivery> {
    this.#isAsked = true
    return this.#source.pipeTo({
      write: chunk => this.#write(chunk),
      drained: callback => this.#drained(callback),
      end: trailers => void this.#end(trailers),
      destroy: () => this.#fail(),
    })
  }

  #write(chunk: Buffer): boolean {
    const { length } = this.#options
    if (this.#copy !== null && !this.#copy.add(chunk)) this.#giveUp()
    if (this.#copy !== null && this.#copy.length === length) {
      this.#lastBytes = chunk
      return true
    }
    return this.#client?.write(chunk) ?? true
  }

  #drained(callback: () => void): void {
    const client = this.#client
    this.#resume = () => {
      this.#resume = null
      callback()
    }
    if (client === null) this.#resume()
    else client.drained(() => this.#resume?.())
  }

  async #end(trailers: readonly string[]): Promise<void> {
    const copy = this.#takeCopy()
    if (copy !== null) {
      await this.#options.keep(copy.bytes(), trailers)
      copy.free()
    }
    if (this.#lastBytes !== null) this.#client?.write(this.#lastBytes)
    this.#client?.end(trailers)
    this.#finish()
  }

  #fail(): void {
    this.#takeCopy()?.free()
    this.#client?.destroy()
    this.#finish()
  }

  /** From here on it is a body like any other. */
  #giveUp(): void {
    this.#takeCopy()?.free()
    this.#finish()
    if (this.#isLeft) this.#source.cancel()
  }

  #takeCopy(): BodyCopy | null {
    const copy = this.#copy
    this.#copy = null
    if (this.#readOn !== null) clearTimeout(this.#readOn)
    return copy
  }
}

/** A body that was kept, on its way to a client. */
export class StoredBody implements ReplyStream {
  readonly isEmpty: boolean
  readonly #body: Buffer
  readonly #trailers: readonly string[]

  constructor(body: Uint8Array, trailers: readonly string[]) {
    this.isEmpty = body.length === 0 && trailers.length === 0
    this.#body = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    this.#trailers = trailers
  }

  get whole(): Buffer | null {
    return this.#trailers.length === 0 ? this.#body : null
  }

  async pipeTo(client: ReplySink): Promise<Delivery> {
    if (this.#body.length > 0) client.write(this.#body)
    client.end(this.#trailers)
    return 'delivered'
  }

  cancel(): void {}
}
