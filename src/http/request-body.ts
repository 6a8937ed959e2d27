import type { IncomingMessage } from 'node:http'
import { type Readable, Transform, type TransformCallback } from 'node:stream'
import { ClientGoneError, RequestBodyTooLargeError } from '../errors.ts'
import type { ReadBody } from '../flow/exchange.ts'

/** Passes bytes on until there are too many; for bodies that do not say their length beforehand. */
class BodyLimit extends Transform {
  #bytesLeft: number
  readonly #bytesMax: number

  constructor(bytesMax: number) {
    super()
    this.#bytesMax = bytesMax
    this.#bytesLeft = bytesMax
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#bytesLeft -= chunk.length
    if (this.#bytesLeft < 0) done(new RequestBodyTooLargeError(this.#bytesMax))
    else done(null, chunk)
  }
}

/** A chunked body that fails once it grows over the limit; others were checked by their length. */
export function limitBody(message: IncomingMessage, bytesMax: number): Readable {
  const limited = new BodyLimit(bytesMax)
  // While a payment is verified nobody reads and nobody listens, and an error that nobody hears
  // would end the process. Whoever reads next finds it in `errored`.
  limited.on('error', () => {})
  message.on('error', error => limited.destroy(error))
  return message.pipe(limited)
}

/**
 * Reads a body of at most `bytesMax` bytes into memory. A longer one is put back together and
 * handed over as a stream, so that no byte is lost and no more is held.
 */
export function readBounded(
  source: Readable,
  bytesMax: number,
  length: number | null,
): Promise<ReadBody> {
  if (source.destroyed) return Promise.reject(new ClientGoneError())
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const finish = (settle: () => void): void => {
      source.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose)
      settle()
    }
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes <= bytesMax) return
      source.pause()
      finish(() => {
        source.unshift(Buffer.concat(chunks))
        resolve({ kind: 'stream', stream: source, length })
      })
    }
    const onEnd = (): void => finish(() => resolve({ kind: 'whole', bytes: Buffer.concat(chunks) }))
    const onError = (error: Error): void =>
      finish(() =>
        reject(error instanceof RequestBodyTooLargeError ? error : new ClientGoneError()),
      )
    const onClose = (): void => finish(() => reject(new ClientGoneError()))
    source.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose)
  })
}
