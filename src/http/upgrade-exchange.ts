import {
  type IncomingMessage,
  ServerResponse,
  STATUS_CODES,
  validateHeaderName,
  validateHeaderValue,
} from 'node:http'
import type { Socket } from 'node:net'
import type { Delivery, Reply, ReplySink } from '../flow/exchange.ts'
import { holdStill } from '../flow/websocket/standstill.ts'
import { type Arrival, NodeExchange } from './exchange.ts'
import { AT_ONCE, closeInStages } from './staged-close.ts'

/**
 * A request that asked to change protocols. node:http has let go of its connection, which carries
 * one answer: a 101 and what follows it, or any other one and then its end.
 */
export class UpgradeExchange extends NodeExchange {
  readonly #client: Socket
  readonly #response: ServerResponse
  readonly #release: () => void
  /** Resolves once the connection is gone. */
  readonly closed: Promise<void>

  /** @param early Bytes that came with the head: they wait, as all that come before a 101. */
  constructor(request: IncomingMessage, early: Buffer, arrival: Arrival) {
    const client = request.socket
    const response = new ServerResponse(request)
    response.assignSocket(client)
    super(request, response, arrival)
    this.#client = client
    this.#response = response
    this.closed = new Promise(resolve => void client.once('close', () => resolve()))
    client.on('error', () => {})
    client.on('timeout', () => client.destroy())
    client.setTimeout(0)
    if (early.length > 0) client.unshift(early)
    this.#release = holdStill(client)
    response.once('finish', () => this.#leave())
  }

  override get isHandshake(): boolean {
    return this.asksForWebSocket
  }

  override respond(reply: Reply): Promise<Delivery> {
    return reply.status === 101 ? this.#switch(reply) : super.respond(reply)
  }

  async #switch({ headers, body }: Reply): Promise<Delivery> {
    if (Buffer.isBuffer(body)) throw new Error('A 101 has a connection behind it, not a body.')
    if (this.clientGone) {
      body.cancel()
      return 'aborted'
    }
    this.#response.detachSocket(this.#client)
    const isOut = await this.#writeHead(headers)
    if (!isOut) {
      body.cancel()
      this.#client.destroy()
      return 'aborted'
    }
    this.#release()
    return body.pipeTo(sinkOf(this.#client))
  }

  /** False: it may not be written, or the client is gone. */
  #writeHead(headers: readonly string[]): Promise<boolean> {
    return new Promise(resolve => {
      const head = headOf([...headers, 'Connection', 'Upgrade', 'Upgrade', 'websocket'])
      if (head === null) resolve(false)
      else this.#client.write(head, 'latin1', error => resolve(error == null))
    })
  }

  /** What still comes is no request, and is thrown away. */
  #leave(): void {
    this.#release()
    closeInStages(this.#client, AT_ONCE)
  }
}

/** Null: it has something that may not be written to the wire. */
function headOf(headers: readonly string[]): string | null {
  const lines = [`HTTP/1.1 101 ${STATUS_CODES[101]}`]
  try {
    for (let index = 0; index < headers.length; index += 2) {
      const name = headers[index] ?? ''
      const value = headers[index + 1] ?? ''
      validateHeaderName(name)
      validateHeaderValue(name, value)
      lines.push(`${name}: ${value}`)
    }
  } catch {
    return null
  }
  return `${lines.join('\r\n')}\r\n\r\n`
}

function sinkOf(client: Socket): ReplySink {
  return {
    connection: client,
    write: chunk => client.write(chunk),
    drained: callback => void client.once('drain', callback),
    end: () => void client.end(),
    destroy: () => void client.destroy(),
  }
}
