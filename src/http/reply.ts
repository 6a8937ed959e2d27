import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Reply, ReplySink } from '../flow/exchange.ts'
import { type ClientPace, onceDrained } from './client-pace.ts'

/**
 * A reply's headers as node:http can write them, names and values in turn. Node frames the body:
 * by Content-Length where there is one, else in chunks, else (HTTP/1.0) by the connection's end.
 */
export function replyHeaders(
  { status, headers, body }: Reply,
  request: IncomingMessage,
  endsConnection: boolean,
): string[] {
  const written: string[] = []
  let length = Buffer.isBuffer(body) ? String(body.length) : null
  let trailer: string | null = null
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const value = headers[index + 1] ?? ''
    if (isNamed(name, 'content-length')) length ??= value
    else if (isNamed(name, 'trailer')) trailer = value
    else written.push(name, value)
  }
  const isBodiless = request.method === 'HEAD' || status === 204 || status === 304
  // Node refuses to announce trailers where there are no chunks to write them after.
  const hasChunks = length === null && !isBodiless && request.httpVersion === '1.1'
  if (trailer !== null && hasChunks) written.push('Trailer', trailer)
  // Last: after it, node would re-encode the file name of a Content-Disposition. And a 204 has none
  // (RFC 9110 section 8.6).
  if (length !== null && status !== 204) written.push('Content-Length', length)
  if (endsConnection) written.push('Connection', 'close')
  return written
}

function isNamed(name: string, lower: string): boolean {
  return name.length === lower.length && name.toLowerCase() === lower
}

/** Where a streamed body goes. */
export class ResponseSink implements ReplySink {
  readonly #response: ServerResponse
  readonly #socket: Socket
  readonly #pace: ClientPace | null
  #hasBegun = false

  constructor(response: ServerResponse, socket: Socket, pace: ClientPace | null) {
    this.#response = response
    this.#socket = socket
    this.#pace = pace
  }

  write(chunk: Buffer): boolean {
    this.#hasBegun = true
    return this.#response.write(chunk)
  }

  drained(callback: () => void): void {
    onceDrained(this.#response, this.#pace, callback)
  }

  end(trailers: readonly string[]): void {
    this.#hasBegun = true
    if (trailers.length > 0) this.#response.addTrailers(lawfulTrailers(trailers))
    // What is less is the system's to hold.
    if (this.#response.writableNeedDrain) this.#pace?.waitFor(this.#response.writableLength)
    this.#response.end()
  }

  destroy(): void {
    // Whoever has paid for a body that broke before its first byte has the receipt at least.
    if (!this.#hasBegun) this.#response.flushHeaders()
    // An HTTP/1.0 client takes any ordinary end of the connection for the end of the body.
    if (!this.#response.chunkedEncoding) this.#socket.resetAndDestroy()
    this.#response.destroy()
  }

  /**
   * Sends the head of a stream that has nothing to say yet, for its client waits for it. Bytes that
   * came together with the head have been written by now, and take it along in one packet.
   */
  sendHead(): void {
    if (this.#hasBegun) return
    setImmediate(() => {
      if (!this.#hasBegun && !this.#response.destroyed) this.#response.flushHeaders()
    })
  }
}

/**
 * Frames, encodes or steers a whole response, so that a recipient which merged it into the head
 * would read another one (RFC 9110 section 6.5.1).
 */
const NOT_IN_TRAILERS: ReadonlySet<string> = new Set([
  ...['content-encoding', 'content-type', 'content-range', 'trailer'],
  ...['cache-control', 'vary', 'set-cookie', 'location', 'www-authenticate'],
])

/** Those of the trailers that may stand there, as pairs. */
export function lawfulTrailers(flat: readonly string[]): [string, string][] {
  const pairs: [string, string][] = []
  for (let index = 0; index < flat.length; index += 2) {
    const name = flat[index] ?? ''
    if (!NOT_IN_TRAILERS.has(name.toLowerCase())) pairs.push([name, flat[index + 1] ?? ''])
  }
  return pairs
}
