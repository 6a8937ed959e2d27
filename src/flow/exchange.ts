import type { Duplex, Readable } from 'node:stream'
import type { ProblemCode } from './problems.ts'

/** One request and the way to answer it. `http/exchange.ts` implements it over node:http. */
export interface Exchange {
  /** Unique within the logs. */
  readonly requestId: string
  readonly method: string
  /** The request target exactly as it came on the wire. */
  readonly rawTarget: string
  /** Names and values in turn, as they came on the wire. */
  readonly rawHeaders: readonly string[]
  /**
   * The authority that the client asked for ("api.example.com"); null unless there is exactly one.
   */
  readonly host: string | null
  /** "https://api.example.com": from `publicUrl`, else from the request as trusted proxies say. */
  readonly origin: string
  /** The peer, or whom a trusted proxy says it speaks for. */
  readonly clientAddress: string
  /** What X-Forwarded-For tells the upstream: the client, then each proxy that we trust. */
  readonly forwardedFor: string
  /**
   * Names in the client certificate of the connection, if `server.tls.clientCa` has signed it: DNS
   * and URI names, then common names. Empty without one. A proxy in front shows its own.
   */
  readonly certificateNames: readonly string[]
  /** Why the request must be refused before anything of it is believed; null: it need not be. */
  readonly flaw: RequestFlaw | null

  /** Values of a header, in order; empty when it was not sent. `name` is in lower case. */
  readonly headerValues: (name: string) => readonly string[]

  /** Bytes the client says it will send; null for chunks. */
  readonly bodyLength: number | null

  /** The body as it comes. Call once, instead of or after `readBody`. */
  bodyStream(): Readable | null

  /** Reads the body into memory if it is at most `bytesMax` long; a longer one stays a stream. */
  readBody(bytesMax: number): Promise<ReadBody>

  /** A WebSocket handshake: a reply with status 101 opens a tunnel. */
  readonly isHandshake: boolean

  /** True once the client has gone away. */
  readonly clientGone: boolean

  /**
   * Calls back once, when the client goes away before its response is complete. Returns an
   * unsubscribe.
   */
  onClientGone(callback: () => void): () => void

  /** Writes the reply. Resolves when its last byte is handed over, or cannot be. */
  respond(reply: Reply): Promise<Delivery>
}

/** A head that could be read as another request, or that is meant for somebody else. */
export interface RequestFlaw {
  readonly code: ProblemCode
  readonly detail: string
  /** Of the answer; names and values in turn. */
  readonly headers?: readonly string[]
}

export type ReadBody =
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  | { readonly kind: 'stream'; readonly stream: Readable; readonly length: number | null }

/**
 * What the client gets. Header names and values stand in turn, as node:http's writeHead takes them.
 */
export interface Reply {
  readonly status: number
  readonly headers: readonly string[]
  readonly body: Buffer | ReplyStream
  /** What happened, in one word, for logs and metrics. */
  readonly outcome: string
  /** Called once the client has the reply, or cannot get it. */
  readonly afterDelivery?: (delivery: Delivery) => Promise<void>
}

/** A body that arrives as the upstream sends it. Nothing flows until `pipeTo` is called. */
export interface ReplyStream {
  /** True: it is known that nothing comes after the head, neither bytes nor trailers. */
  readonly isEmpty?: boolean
  /** All of it, once all has come in one piece and without trailers; null: it has not. */
  readonly whole?: Buffer | null
  /**
   * Streams to the client with back-pressure. Resolves when the last byte is handed over, or not.
   * What follows a 101 flows both ways and has no last byte: resolves when it has begun.
   */
  pipeTo(sink: ReplySink): Promise<Delivery>
  /** Throws the body away and aborts the upstream's request. */
  cancel(): void
}

export interface ReplySink {
  /** False: wait for `drained` before writing more. */
  write(chunk: Buffer): boolean
  drained(callback: () => void): void
  /** `trailers`: names and values in turn. */
  end(trailers: readonly string[]): void
  /** Ends the connection, so that the client cannot take a truncated body for a whole one. */
  destroy(): void
  /** The client's connection, once a 101 has taken it out of HTTP. */
  readonly connection?: Duplex
}

export type Delivery = 'delivered' | 'aborted'
