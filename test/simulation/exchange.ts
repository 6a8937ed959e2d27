import type { Delivery, Exchange, ReadBody, Reply, ReplyStream } from '../../src/flow/exchange.ts'
import type { Invariants } from './invariants.ts'
import type { Process } from './process.ts'
import type { SignedPayment } from './shop.ts'
import { REQUEST_HEADER } from './upstream.ts'

export interface Asked {
  readonly number: number
  readonly method: string
  readonly target: string
  readonly payment: SignedPayment
}

/** What a client has when its request is over. */
export type Answer =
  /** The connection broke before an answer. */
  | { readonly kind: 'lost' }
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly outcome: string
      /** False when the body broke off. */
      readonly whole: boolean
    }

/** One request on a simulated connection, as `http/exchange.ts` has it on a real one. */
export class SimulatedExchange implements Exchange {
  readonly requestId: string
  readonly method: string
  readonly rawTarget: string
  readonly rawHeaders: readonly string[]
  readonly host = 'api.example.com'
  readonly origin = 'https://api.example.com'
  readonly clientAddress = '192.0.2.1'
  readonly forwardedFor = '192.0.2.1'
  readonly certificateNames = []
  readonly flaw = null
  readonly isHandshake = false
  readonly bodyLength = 0
  /** What the client gets, at last. */
  readonly answer: Promise<Answer>
  clientGone = false

  readonly #asked: Asked
  readonly #process: Process
  readonly #invariants: Invariants
  readonly #give: (answer: Answer) => void
  readonly #gone = new Set<() => void>()
  #finish: ((delivery: Delivery) => void) | null = null
  #body: ReplyStream | null = null
  #reply: Reply | null = null
  #over = false

  constructor(asked: Asked, process: Process, invariants: Invariants) {
    this.#asked = asked
    this.#process = process
    this.#invariants = invariants
    this.requestId = `${asked.number}`
    this.method = asked.method
    this.rawTarget = asked.target
    this.rawHeaders = [
      ...['host', this.host, REQUEST_HEADER, this.requestId],
      ...['payment-signature', asked.payment.header],
    ]
    const { promise, resolve } = Promise.withResolvers<Answer>()
    this.answer = promise
    this.#give = resolve
  }

  readonly headerValues = (name: string): readonly string[] => {
    const at = this.rawHeaders.indexOf(name)
    return at === -1 ? [] : [this.rawHeaders[at + 1] ?? '']
  }

  bodyStream(): null {
    return null
  }

  async readBody(): Promise<ReadBody> {
    return { kind: 'whole', bytes: Buffer.alloc(0) }
  }

  onClientGone(callback: () => void): () => void {
    if (this.clientGone) callback()
    else this.#gone.add(callback)
    return () => this.#gone.delete(callback)
  }

  /** The client does not wait any longer. */
  leave(): void {
    if (this.#over) return
    this.#process.tell(`loses the client of request ${this.requestId}`)
    this.disconnect()
  }

  /** The connection breaks, at whichever end. */
  disconnect(): void {
    if (this.clientGone || this.#over) return
    this.clientGone = true
    this.#give({ kind: 'lost' })
    if (!this.#process.alive) return
    for (const callback of this.#gone) callback()
    this.#body?.cancel()
    this.#end('aborted')
  }

  respond(reply: Reply): Promise<Delivery> {
    return this.#process.ask(() => this.#respond(reply))
  }

  #respond(reply: Reply): Promise<Delivery> {
    const { body, status, outcome } = reply
    if (this.clientGone) {
      if (!Buffer.isBuffer(body)) body.cancel()
      return Promise.resolve('aborted')
    }
    const closed = Promise.withResolvers<Delivery>()
    this.#finish = closed.resolve
    this.#reply = reply
    this.#process.tell(`answers request ${this.requestId}: ${status} ${outcome}`)
    this.#invariants.answers(this.#process, this.#asked, reply)
    if (Buffer.isBuffer(body)) this.#process.after(1, () => this.#end('delivered'))
    else {
      this.#body = body
      void body.pipeTo({
        write: () => this.#write(),
        drained: callback => void this.#process.after(3, callback),
        end: () => this.#end('delivered'),
        destroy: () => this.#end('aborted'),
      })
    }
    return closed.promise
  }

  #write(): boolean {
    if (this.#reply !== null) this.#invariants.bytesLeave(this.#process, this.#asked, this.#reply)
    return Number(this.requestId) % 3 !== 0
  }

  #end(delivery: Delivery): void {
    const finish = this.#finish
    const reply = this.#reply
    if (finish === null || reply === null) return
    this.#finish = null
    this.#over = true
    const whole = delivery === 'delivered'
    if (whole) this.#invariants.delivered(this.#asked, reply)
    this.#give({ kind: 'answer', status: reply.status, outcome: reply.outcome, whole })
    finish(delivery)
  }
}
