import type { Readable } from 'node:stream'
import type { ReplyStream } from '../flow/exchange.ts'

/** What is sent to an upstream. */
export interface UpstreamRequest {
  readonly method: string
  /** Canonical path and query: the bytes that were matched. */
  readonly target: string
  /** The client's headers, names and values in turn. */
  readonly rawHeaders: readonly string[]
  /** Headers of ours, names and values in turn. */
  readonly addedHeaders: readonly string[]
  readonly body: Buffer | Readable | null
  /** Until the head must have arrived. */
  readonly timeoutMs: number
}

export type UpstreamOutcome =
  | {
      readonly kind: 'response'
      readonly status: number
      /** Already filtered; names and values in turn. */
      readonly headers: string[]
      readonly body: ReplyStream
    }
  /** No connection, or one that broke before the head. The upstream may have acted. */
  | { readonly kind: 'unreachable'; readonly detail: string }
  | { readonly kind: 'timeout' }
  /** The client sent more than the configured body limit. */
  | { readonly kind: 'body-too-large' }
  | { readonly kind: 'aborted' }

/** One upstream's connections. */
export interface Upstream {
  readonly name: string
  /**
   * Sends the request once; nothing is ever repeated. Resolves when the head has arrived; the body
   * waits, paused, until it is asked for.
   *
   * @param signalAbort Called with a function that aborts the request while it runs.
   */
  send(request: UpstreamRequest, signalAbort: (abort: () => void) => void): Promise<UpstreamOutcome>
  /** Finishes what runs, then closes the connections. */
  close(): Promise<void>
}
