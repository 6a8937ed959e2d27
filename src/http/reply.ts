import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Reply, ReplySink } from '../flow/exchange.ts'

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
export function replySink(response: ServerResponse, socket: Socket): ReplySink {
  return {
    write: chunk => response.write(chunk),
    drained: callback => void response.once('drain', callback),
    end(trailers) {
      if (trailers.length > 0) addTrailers(response, trailers)
      response.end()
    },
    destroy() {
      // An HTTP/1.0 client takes any ordinary end of the connection for the end of the body.
      if (!response.chunkedEncoding) socket.resetAndDestroy()
      response.destroy()
    },
  }
}

function addTrailers(response: ServerResponse, flat: readonly string[]): void {
  const pairs: [string, string][] = []
  for (let index = 0; index < flat.length; index += 2) {
    pairs.push([flat[index] ?? '', flat[index + 1] ?? ''])
  }
  response.addTrailers(pairs)
}
