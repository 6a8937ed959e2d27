import type { ServerHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import { ClientGoneError, RequestBodyTooLargeError } from '../errors.ts'

/**
 * The body of an HTTP/2 request, apart from the stream that also carries its answer: whoever
 * destroys the one, as undici does with a body that its server did not want, must not end the
 * other.
 *
 * Its end is an end only if the client said so. node:http2 ends a stream that was reset as well.
 */
export class Http2Body extends Readable {
  readonly #stream: ServerHttp2Stream
  readonly #bytesMax: number
  #bytesLeft: number
  #isWhole = false

  constructor(stream: ServerHttp2Stream, bytesMax: number) {
    super()
    this.#stream = stream
    this.#bytesMax = bytesMax
    this.#bytesLeft = bytesMax
    // While a payment is verified nobody reads and nobody listens, and an error that nobody hears
    // would end the process. Whoever reads next finds it in `errored`.
    this.on('error', () => {})
    // Both come unasked where nothing is left to read, and may have come before anybody listened.
    if (stream.readableEnded) this.#end()
    else if (stream.destroyed) this.#breakOff()
    stream.on('data', this.#take)
    stream.once('end', this.#end)
    stream.once('aborted', this.#breakOff)
    stream.once('close', this.#breakOff)
    stream.pause()
  }

  readonly #take = (chunk: Buffer): void => {
    this.#bytesLeft -= chunk.length
    if (this.#bytesLeft < 0) this.destroy(new RequestBodyTooLargeError(this.#bytesMax))
    else if (!this.push(chunk)) this.#stream.pause()
  }

  readonly #end = (): void => {
    const { aborted, rstCode } = this.#stream
    if (aborted || rstCode !== 0) this.#breakOff()
    else {
      this.#isWhole = true
      this.push(null)
    }
  }

  readonly #breakOff = (): void => {
    if (!this.#isWhole) this.destroy(new ClientGoneError())
  }

  override _read(): void {
    this.#stream.resume()
  }

  /** What still comes is nobody's. */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#stream.off('data', this.#take)
    this.#stream.resume()
    done(error)
  }
}
