import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { connect as connectTls } from 'node:tls'
import { RawClient } from './raw-client.ts'

export interface Http2Response {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly trailers: IncomingHttpHeaders | null
  /** Whether the head was the last frame. */
  readonly endsWithHead: boolean
}

/** A connection that speaks HTTP/2, as node:http2 speaks it. */
export async function connectHttp2(
  url: string,
  options: { readonly ca: string; readonly cert?: string; readonly key?: string },
): Promise<ClientHttp2Session> {
  const session = connect(url, options)
  session.on('error', () => {})
  await once(session, 'connect')
  return session
}

/** Sends one request and reads its whole answer. Rejects when the stream is reset. */
export async function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders | readonly string[],
  body?: string | Buffer,
): Promise<Http2Response> {
  const stream = session.request(headers, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  return read(stream)
}

export async function read(stream: ClientHttp2Stream): Promise<Http2Response> {
  let trailers: IncomingHttpHeaders | null = null
  stream.on('trailers', received => {
    trailers = received
  })
  const [headers, flags] = await Promise.race([
    once(stream, 'response'),
    // A stream that is taken back without an error says nothing else.
    once(stream, 'close').then(() => Promise.reject(new Error(`closed with ${stream.rstCode}`))),
  ])
  const chunks: Buffer[] = await stream.toArray()
  const body = Buffer.concat(chunks).toString('latin1')
  const status = Number(headers[':status'])
  return { status, headers, body, trailers, endsWithHead: (flags & 1) === 1 }
}

export const FRAME = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const
export const ACK = 1
export const END_STREAM = 1
export const END_HEADERS = 4

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** Bytes of a frame (RFC 9113 section 4.1). */
export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A header block in which every field is a literal that is never indexed (RFC 7541, 6.2.3). */
export function headerBlock(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.from([0x10]), literal(name), literal(value)]),
  )
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
  const length = [127]
  let rest = bytes.length - 127
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128)
  return Buffer.concat([Buffer.from([...length, rest]), bytes])
}

/** Statuses that have a place of their own in HPACK's table, from 8 on (RFC 7541, appendix A). */
const TABLED_STATUSES = [200, 204, 206, 304, 400, 404, 500]

/** How HPACK's Huffman code writes the digits, 0 first (RFC 7541, appendix B). */
const DIGITS = [
  ...['00000', '00001', '00010', '011001', '011010', '011011', '011100', '011101', '011110'],
  '011111',
]

/**
 * The status that a header block begins with. Only for a server that was told to keep no table: it
 * names nothing that it has said before.
 */
export function statusOf(block: Buffer): number {
  // In front of it may stand how large the table is from now on (RFC 7541, 6.3).
  const start = block.findIndex(byte => byte >> 5 !== 1)
  const first = block.readUInt8(start)
  if (first >= 0x80) return TABLED_STATUSES[(first & 0x7f) - 8] ?? 0
  const length = block.readUInt8(start + 1)
  const text = block.subarray(start + 2, start + 2 + (length & 0x7f))
  if (length < 0x80) return Number(text.toString('latin1'))
  const bits = [...text].map(byte => byte.toString(2).padStart(8, '0')).join('')
  const digits = bits.matchAll(new RegExp(DIGITS.join('|'), 'gy'))
  return Number([...digits].map(([code]) => DIGITS.indexOf(code)).join(''))
}

/** A connection that sends exactly the frames it is told to, whether they make sense or not. */
export class RawHttp2 {
  readonly #client: RawClient

  constructor(client: RawClient) {
    this.#client = client
  }

  send(...frames: readonly Buffer[]): void {
    this.#client.send(Buffer.concat(frames))
  }

  /** Opens a stream with a request of these fields. */
  ask(
    stream: number,
    fields: readonly (readonly [string, string])[] = GET,
    flags: number = END_STREAM | END_HEADERS,
  ): void {
    this.send(frame(FRAME.headers, flags, stream, headerBlock(fields)))
  }

  async next(): Promise<Frame> {
    const head = await this.#client.readBytes(9)
    const payload = await this.#client.readBytes(head.readUIntBE(0, 3))
    const stream = head.readUInt32BE(5)
    return { type: head.readUInt8(3), flags: head.readUInt8(4), stream, payload }
  }

  /** Reads on until a frame of this type comes, of this stream, if one is named; or one of another. */
  async until(type: number, stream?: number, other?: number): Promise<Frame> {
    for (;;) {
      const found = await this.next()
      if (found.type === other) return found
      if (found.type === type && (stream === undefined || found.stream === stream)) return found
    }
  }

  /** Reads until the connection is gone: the error code that it was ended with, if any was said. */
  async ended(): Promise<number | null> {
    let code: number | null = null
    for (;;) {
      const found = await this.next().catch(() => null)
      if (found === null) return code
      if (found.type === FRAME.goaway) code = found.payload.readUInt32BE(4)
    }
  }

  /** The error code that a stream is reset with. */
  async reset(stream: number): Promise<number> {
    return (await this.until(FRAME.rstStream, stream)).payload.readUInt32BE(0)
  }

  destroy(): void {
    this.#client.destroy()
  }
}

export const GET: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/'],
  [':authority', 'example.com'],
]

/** A setting without which an answer's status could stand in a table that we would have to keep. */
export const NO_TABLE: readonly (readonly [number, number])[] = [[1, 0]]

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** Connects, and says hello with these settings: identifiers and values (RFC 9113, 6.5.2). */
export async function connectRawHttp2(
  url: string,
  ca: string,
  settings: readonly (readonly [number, number])[] = [],
): Promise<RawHttp2> {
  const { hostname: host, port } = new URL(url)
  const socket = connectTls({ host, port: Number(port), ca, ALPNProtocols: ['h2'] })
  socket.setNoDelay()
  await once(socket, 'secureConnect')
  const raw = new RawHttp2(new RawClient(socket))
  const payload = Buffer.alloc(6 * settings.length)
  for (const [index, [identifier, value]] of settings.entries()) {
    payload.writeUInt16BE(identifier, 6 * index)
    payload.writeUInt32BE(value, 6 * index + 2)
  }
  raw.send(PREFACE, frame(FRAME.settings, 0, 0, payload))
  // From here on the limits that the server has told of hold.
  await raw.until(FRAME.settings)
  raw.send(frame(FRAME.settings, ACK, 0, Buffer.alloc(0)))
  return raw
}
