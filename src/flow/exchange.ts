import type { Readable } from 'node:stream'

/** One request and the way to answer it. `http/exchange.ts` implements it over node:http. */
export interface Exchange {
  readonly method: string
  /** The request target exactly as it came on the wire. */
  readonly rawTarget: string
  /** Names and values in turn, as they came on the wire. */
  readonly rawHeaders: readonly string[]
  /** "https://api.example.com": from `publicUrl`, else from the request as trusted proxies say. */
  readonly origin: string
  /** The peer, or whom a trusted proxy says it speaks for. */
  readonly clientAddress: string

  /** Values of a header, in order; empty when it was not sent. `name` is in lower case. */
  headerValues(name: string): readonly string[]

  /** The request's body; null when there is none. */
  readonly body: RequestBody | null

  /** True once the client has gone away. */
  readonly clientGone: boolean
  /** Calls back once, when the client goes away before its response is complete. Returns an unsubscribe. */
  onClientGone(callback: () => void): () => void
}

export interface RequestBody {
  /** Null when the client sent chunks. */
  readonly length: number | null
  readonly stream: Readable
}

/** What the client gets. Header names and values stand in turn, as node:http's writeHead takes them. */
export interface Reply {
  readonly status: number
  readonly headers: readonly string[]
  readonly body: Buffer | ReplyStream
}

/** A body that arrives as the upstream sends it. Nothing flows until `pipeTo` is called. */
export interface ReplyStream {
  /** Streams to the client with back-pressure. Resolves when the last byte is handed over, or not. */
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
}

export type Delivery = 'delivered' | 'aborted'
