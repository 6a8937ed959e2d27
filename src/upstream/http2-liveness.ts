import type { ClientHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'

/** What had come over a connection, and when that was looked at. */
export interface Heard {
  readonly bytes: number
  readonly at: number
}

/**
 * Ends a connection that is dead without saying so, as a machine that lost its power leaves it, or
 * a firewall that forgot it. Each request over it would wait for its time-out, until the kernel
 * gives the connection up a quarter of an hour later.
 */
export class Http2Liveness {
  readonly #session: ClientHttp2Session
  readonly #socket: Socket
  readonly #silenceMsMax: number
  #isAsking = false

  /** @param silenceMsMax How long a request waits before its connection is doubted; and a PING. */
  constructor(session: ClientHttp2Session, socket: Socket, silenceMsMax: number) {
    this.#session = session
    this.#socket = socket
    this.#silenceMsMax = silenceMsMax
  }

  heard(): Heard {
    return { bytes: this.#socket.bytesRead, at: performance.now() }
  }

  /** A request has ended. Asks the server whether it is there, where nothing has come meanwhile. */
  doubt({ bytes, at }: Heard): void {
    const session = this.#session
    const isSilent = this.#socket.bytesRead === bytes
    const waitedMs = performance.now() - at
    if (!isSilent || waitedMs < this.#silenceMsMax || this.#isAsking || session.destroyed) return
    this.#isAsking = true
    const timer = setTimeout(() => session.destroy(), this.#silenceMsMax)
    session.ping(() => {
      clearTimeout(timer)
      this.#isAsking = false
    })
  }
}
