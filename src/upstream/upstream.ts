import type { Duplex, Readable } from 'node:stream'
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
  | Refused
  /** The client sent more than the configured body limit. */
  | { readonly kind: 'body-too-large' }
  | { readonly kind: 'aborted' }

/** Why an upstream takes no request now. Nothing was sent. */
export type Refused =
  /** None of its targets is up. */
  | {
      readonly kind: 'unavailable'
      /** Until the first of them is looked at again. */
      readonly retryAfterMs: number
    }
  /** Every target that is up has as many requests as it may have, waiting ones included. */
  | { readonly kind: 'overloaded' }

export type UpstreamCondition = { readonly kind: 'ready' } | Refused

/** One server of an upstream, as an operator sees it. */
export interface TargetSeen {
  readonly name: string
  /** Requests that were handed to it and have not ended. */
  readonly outstanding: number
  readonly health: {
    readonly isUp: boolean
    /** What is amiss, as a code; null while it is up. */
    readonly fault: string | null
    /** Milliseconds until it is looked at again; 0 while it is up. */
    readonly retryInMs: number
  }
}

/** What came of a request to change protocols. */
export type UpgradeOutcome =
  | UpstreamOutcome
  | {
      /** The upstream has agreed: a 101 for the very handshake that was sent. */
      readonly kind: 'upgraded'
      /** Already filtered; names and values in turn. */
      readonly headers: string[]
      /** Nobody else's any more. Nothing was read of it beyond the 101. */
      readonly connection: Duplex
    }

/** One upstream's connections. */
export interface Upstream {
  readonly name: string
  readonly targets: readonly TargetSeen[]
  /** Whether it would take a request now. Asks nobody. */
  condition(): UpstreamCondition
  /**
   * Sends the request once; nothing that a target may have acted upon is ever repeated. While no
   * connection comes to be, or a target over HTTP/2 says that it has not processed the request, it
   * goes to the next target, or on the next connection. Resolves when the head has arrived; the
   * body waits, paused, until it is asked for.
   *
   * @param signalAbort Called with a function that aborts the request while it runs.
   */
  send(request: UpstreamRequest, signalAbort: (abort: () => void) => void): Promise<UpstreamOutcome>
  /**
   * Sends a WebSocket handshake, as `send` does any other request. Its connection, once upgraded,
   * no longer counts among those of the upstream and outlives `close`.
   */
  upgrade(
    request: UpstreamRequest,
    signalAbort: (abort: () => void) => void,
  ): Promise<UpgradeOutcome>
  /** Finishes what runs, then closes the connections. */
  close(): Promise<void>
}
