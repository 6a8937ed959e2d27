import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** A response as its bytes say it, with nothing decoded, joined or lower-cased. */
export interface RawResponse {
  readonly status: number
  /** Names and values in turn, each byte one character (Latin-1). */
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
  /** Names and values in turn; of a chunked body only. */
  readonly trailers: readonly string[]
}

export type RawHead = Pick<RawResponse, 'status' | 'rawHeaders'>

/** The connection ended before a response was whole. */
export class CutShortError extends Error {
  readonly received: Buffer

  constructor(received: Buffer) {
    super(`The connection ended in the middle of a response, after ${received.length} bytes of it.`)
    this.name = 'CutShortError'
    this.received = received
  }
}

/**
 * A client that sends exactly the bytes it is told to, whether they are HTTP or not, and reads
 * nothing from the network before it is asked to.
 */
export class RawClient {
  readonly socket: Socket
  /** Resolves once the connection is gone, whoever ended it and however. */
  readonly closed: Promise<void>
  /** The error that the connection ended with, like "ECONNRESET"; null while there is none. */
  errorCode: string | null = null
  #unread: Buffer = Buffer.alloc(0)

  constructor(socket: Socket) {
    this.socket = socket
    this.closed = new Promise(resolve => void socket.once('close', () => resolve()))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.errorCode = error.code ?? error.message
    })
  }

  /** Text is sent as Latin-1: one byte a character. */
  send(bytes: string | Uint8Array): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** Reads one whole response. `method` tells whether it has a body (RFC 9112 section 6.3). */
  async read(method = 'GET'): Promise<RawResponse> {
    const head = await this.readHead()
    const { body, trailers } = await this.#readBody(head, method)
    return { ...head, body, trailers }
  }

  async readHead(): Promise<RawHead> {
    const text = (await this.#readUntil('\r\n\r\n')).toString('latin1')
    const [statusLine = '', ...lines] = text.split('\r\n').filter(line => line !== '')
    return { status: Number(statusLine.split(' ')[1]), rawHeaders: toFields(lines) }
  }

  async readBytes(length: number): Promise<Buffer> {
    const chunks: Buffer[] = [this.#unread]
    let size = this.#unread.length
    while (size < length) {
      const chunk = await this.#nextChunk()
      if (chunk === null) throw new CutShortError(Buffer.concat(chunks))
      chunks.push(chunk)
      size += chunk.length
    }
    const all = Buffer.concat(chunks)
    this.#unread = all.subarray(length)
    return all.subarray(0, length)
  }

  /** Whatever comes until the peer ends the connection. */
  async readToEnd(): Promise<Buffer> {
    const chunks: Buffer[] = [this.#unread]
    this.#unread = Buffer.alloc(0)
    for (let chunk = await this.#nextChunk(); chunk !== null; chunk = await this.#nextChunk()) {
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  }

  /** One chunk of a chunked body; null after the last one. */
  async readChunk(): Promise<Buffer | null> {
    const length = Number.parseInt((await this.#readUntil('\r\n')).toString('latin1'), 16)
    if (length === 0) return null
    const chunk = await this.readBytes(length)
    await this.readBytes(2)
    return chunk
  }

  async #readBody(head: RawHead, method: string): Promise<Pick<RawResponse, 'body' | 'trailers'>> {
    const none = { body: Buffer.alloc(0), trailers: [] }
    if (method === 'HEAD' || head.status === 204 || head.status === 304 || head.status < 200) {
      return none
    }
    if (valuesOf(head, 'transfer-encoding').includes('chunked')) return this.#readChunks()
    const [length] = valuesOf(head, 'content-length')
    if (length === undefined) return { ...none, body: await this.readToEnd() }
    return { ...none, body: await this.readBytes(Number(length)) }
  }

  async #readChunks(): Promise<Pick<RawResponse, 'body' | 'trailers'>> {
    const chunks: Buffer[] = []
    for (let chunk = await this.readChunk(); chunk !== null; chunk = await this.readChunk()) {
      chunks.push(chunk)
    }
    const lines: string[] = []
    for (let line = await this.#readLine(); line !== ''; line = await this.#readLine()) {
      lines.push(line)
    }
    return { body: Buffer.concat(chunks), trailers: toFields(lines) }
  }

  async #readLine(): Promise<string> {
    return (await this.#readUntil('\r\n')).toString('latin1').slice(0, -2)
  }

  async #readUntil(mark: string): Promise<Buffer> {
    for (;;) {
      const index = this.#unread.indexOf(mark, 0, 'latin1')
      if (index !== -1) return this.readBytes(index + mark.length)
      const chunk = await this.#nextChunk()
      if (chunk === null) throw new CutShortError(this.#unread)
      this.#unread = Buffer.concat([this.#unread, chunk])
    }
  }

  async #nextChunk(): Promise<Buffer | null> {
    const { socket } = this
    for (;;) {
      const chunk: Buffer | null = socket.read()
      if (chunk !== null) return chunk
      if (socket.destroyed || socket.readableEnded) return null
      await new Promise<void>(resolve => {
        const events = ['readable', 'end', 'close']
        const wake = () => {
          for (const event of events) socket.off(event, wake)
          resolve()
        }
        for (const event of events) socket.on(event, wake)
      })
    }
  }

  destroy(): void {
    this.socket.destroy()
  }
}

/** Connects to the host and port of a URL. */
export async function connectRaw(url: string): Promise<RawClient> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  await once(socket, 'connect')
  return new RawClient(socket)
}

/** Values of a header or trailer, in order. `name` in lower case. */
export function valuesOf(head: Pick<RawHead, 'rawHeaders'>, name: string): string[] {
  const { rawHeaders } = head
  return rawHeaders.filter((_, index) => index % 2 === 1 && lower(rawHeaders[index - 1]) === name)
}

function lower(text: string | undefined): string {
  return (text ?? '').toLowerCase()
}

function toFields(lines: readonly string[]): string[] {
  return lines.flatMap(line => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
}
