import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { Delivery, Exchange, ReadBody, Reply, ReplySink } from '../flow/exchange.ts'
import type { ClientAddressReader } from './client-address.ts'
import { limitBody, readBounded } from './request-body.ts'

/** What the configuration in force says about reading and answering requests. */
export interface ExchangeSettings {
  readonly publicUrl: string | null
  readonly bodyBytesMax: number
  readonly clientAddress: ClientAddressReader
}

/** How the server stands when a request arrives. */
export interface Arrival {
  readonly settings: ExchangeSettings
  /** The client waits for 100 before it sends its body (RFC 9110 section 10.1.1). */
  readonly awaitsContinue: boolean
  /** True while the server drains: connections end with their response. */
  readonly isDraining: () => boolean
}

/** A short unread body is read away, so that the connection can carry the paid retry. */
const READ_AWAY_BYTES_MAX = 64 * 1024

/** An authority without user information (RFC 9110 section 7.2): name or address, and port. */
const AUTHORITY = /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/

let exchangesBegun = 0
const PROCESS_PREFIX = Math.floor(Math.random() * 0xffff_ffff).toString(36)

/** One request over node:http. */
export class NodeExchange implements Exchange {
  readonly requestId = `${PROCESS_PREFIX}-${(++exchangesBegun).toString(36)}`
  readonly method: string
  readonly rawTarget: string
  readonly rawHeaders: readonly string[]
  readonly host: string | null
  readonly origin: string
  readonly clientAddress: string
  readonly bodyLength: number | null

  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #settings: ExchangeSettings
  readonly #isDraining: () => boolean
  #awaitsContinue: boolean
  #body: Readable | null | undefined

  constructor(request: IncomingMessage, response: ServerResponse, arrival: Arrival) {
    const { settings } = arrival
    this.#request = request
    this.#response = response
    this.#settings = settings
    this.#isDraining = arrival.isDraining
    this.#awaitsContinue = arrival.awaitsContinue
    this.method = request.method ?? ''
    this.rawTarget = request.url ?? ''
    this.rawHeaders = request.rawHeaders
    const client = settings.clientAddress(request.socket.remoteAddress ?? '', this.rawHeaders)
    this.clientAddress = client.address
    this.host = readHost(client.host === null ? this.headerValues('host') : [client.host])
    this.origin = settings.publicUrl ?? `${client.proto ?? 'http'}://${this.host ?? ''}`
    this.bodyLength = this.#readBodyLength()
  }

  readonly headerValues = (name: string): readonly string[] => {
    const { rawHeaders } = this
    let values: string[] | null = null
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const sent = rawHeaders[index] ?? ''
      if (sent.length !== name.length || (sent !== name && sent.toLowerCase() !== name)) continue
      values ??= []
      values.push(rawHeaders[index + 1] ?? '')
    }
    return values ?? NO_VALUES
  }

  #readBodyLength(): number | null {
    const [length] = this.headerValues('content-length')
    if (length !== undefined) return Number(length)
    return this.headerValues('transfer-encoding').length > 0 ? null : 0
  }

  bodyStream(): Readable | null {
    if (this.#body !== undefined) return this.#body
    if (this.#awaitsContinue) this.#response.writeContinue()
    this.#awaitsContinue = false
    if (this.bodyLength === 0) this.#body = null
    else if (this.bodyLength !== null) this.#body = this.#request
    else this.#body = limitBody(this.#request, this.#settings.bodyBytesMax)
    return this.#body
  }

  async readBody(bytesMax: number): Promise<ReadBody> {
    const stream = this.bodyStream()
    if (stream === null) return { kind: 'whole', bytes: Buffer.alloc(0) }
    const length = this.bodyLength
    if (length !== null && length > bytesMax) return { kind: 'stream', stream, length }
    return readBounded(stream, bytesMax, length)
  }

  get clientGone(): boolean {
    return this.#response.closed || this.#request.socket.destroyed
  }

  onClientGone(callback: () => void): () => void {
    if (this.clientGone) {
      callback()
      return () => {}
    }
    const response = this.#response
    const listener = (): void => {
      if (!response.writableFinished) callback()
    }
    response.once('close', listener)
    return () => response.off('close', listener)
  }

  respond(reply: Reply): Promise<Delivery> {
    const response = this.#response
    const { body } = reply
    if (this.clientGone) {
      if (!Buffer.isBuffer(body)) body.cancel()
      return Promise.resolve('aborted')
    }
    const closed = new Promise<Delivery>(resolve => {
      response.once('close', () => {
        const delivered = response.writableFinished
        if (!delivered && !Buffer.isBuffer(body)) body.cancel()
        resolve(delivered ? 'delivered' : 'aborted')
      })
    })
    response.writeHead(reply.status, this.#headersOf(reply))
    if (Buffer.isBuffer(body)) response.end(body)
    else void body.pipeTo(sinkOf(response))
    return closed
  }

  #headersOf({ status, headers, body }: Reply): string[] {
    const all = [...headers]
    if (Buffer.isBuffer(body) && status !== 204) all.push('Content-Length', String(body.length))
    if (this.#isDraining() || this.#leavesBodyBehind()) all.push('Connection', 'close')
    return all
  }

  #leavesBodyBehind(): boolean {
    if (this.bodyLength === 0 || this.#request.complete || this.#body !== undefined) return false
    return this.#awaitsContinue || this.bodyLength === null || this.bodyLength > READ_AWAY_BYTES_MAX
  }
}

const NO_VALUES: readonly string[] = []

/**
 * Null unless there is exactly one well-formed Host: two of them are two requests to two parsers.
 */
function readHost(values: readonly string[]): string | null {
  const [host] = values
  return host !== undefined && values.length === 1 && AUTHORITY.test(host) ? host : null
}

function sinkOf(response: ServerResponse): ReplySink {
  return {
    write: chunk => response.write(chunk),
    drained: callback => void response.once('drain', callback),
    end(trailers) {
      if (trailers.length > 0) response.addTrailers(toPairs(trailers))
      response.end()
    },
    destroy: () => void response.destroy(),
  }
}

function toPairs(flat: readonly string[]): [string, string][] {
  const pairs: [string, string][] = []
  for (let index = 0; index < flat.length; index += 2) {
    pairs.push([flat[index] ?? '', flat[index + 1] ?? ''])
  }
  return pairs
}
