import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { Reply, ReplySink } from '../flow/exchange.ts'
import { type ClientPace, onceDrained } from './client-pace.ts'
import { lawfulTrailers } from './reply.ts'

/** They say something about an HTTP/1.1 connection; HTTP/2 has none of them (RFC 9113, 8.2.2). */
const NOT_IN_HTTP2: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

/** Fields as node:http2 takes them. `flat`: names and values in turn. */
export function http2Fields(flat: readonly string[]): OutgoingHttpHeaders {
  const fields: Record<string, string[]> = Object.create(null)
  for (let index = 0; index < flat.length; index += 2) {
    const name = (flat[index] ?? '').toLowerCase()
    if (name.startsWith(':') || NOT_IN_HTTP2.has(name)) continue
    const values = fields[name] ?? []
    values.push(flat[index + 1] ?? '')
    fields[name] = values
  }
  return fields
}

/** A reply's head. Node adds the date, and frames what follows. */
export function http2Head({ status, headers, body }: Reply): OutgoingHttpHeaders {
  const fields = http2Fields(headers)
  fields[':status'] = status
  if (status === 204) delete fields['content-length']
  else if (Buffer.isBuffer(body)) fields['content-length'] ??= String(body.length)
  return fields
}

/** Where a streamed body goes. */
export class Http2Sink implements ReplySink {
  readonly #stream: ServerHttp2Stream
  readonly #pace: ClientPace | null
  readonly #giveUp: () => void
  #trailers: readonly string[] = []

  /**
   * @param onTrailers Called once trailers, if any, are on their way: then the reply is whole.
   * @param giveUp     Ends the stream, so that the client cannot take what it has for the whole.
   */
  constructor(
    stream: ServerHttp2Stream,
    pace: ClientPace | null,
    { onTrailers, giveUp }: { readonly onTrailers: () => void; readonly giveUp: () => void },
  ) {
    this.#stream = stream
    this.#pace = pace
    this.#giveUp = giveUp
    stream.once('wantTrailers', () => {
      if (this.#sendTrailers()) setImmediate(onTrailers)
    })
  }

  write(chunk: Buffer): boolean {
    return this.#stream.write(chunk)
  }

  drained(callback: () => void): void {
    onceDrained(this.#stream, this.#pace, callback)
  }

  end(trailers: readonly string[]): void {
    this.#trailers = trailers
    if (this.#stream.writableNeedDrain) this.#pace?.waitFor(this.#stream.writableLength)
    this.#stream.end()
  }

  destroy(): void {
    this.#giveUp()
  }

  #sendTrailers(): boolean {
    try {
      this.#stream.sendTrailers(http2Fields(lawfulTrailers(this.#trailers).flat()))
      return true
    } catch {
      // Nothing that may be written; a body without its trailers is not whole.
      this.#giveUp()
      return false
    }
  }
}

/** For a body that the head says there is none of. */
export const NOWHERE: ReplySink = {
  write: () => true,
  drained: callback => callback(),
  end: () => undefined,
  destroy: () => undefined,
}
