import { EventEmitter, once } from 'node:events'
import type { UpstreamConfig } from '../../src/config/gateway-config.ts'
import type { UpstreamTarget } from '../../src/config/upstream-config.ts'
import type { Delivery, ReplySink, ReplyStream } from '../../src/flow/exchange.ts'
import { createUpstream } from '../../src/upstream/forward.ts'
import type { UpstreamObserver } from '../../src/upstream/target-set.ts'
import type { Upstream, UpstreamOutcome, UpstreamRequest } from '../../src/upstream/upstream.ts'

export function upstreamAt(
  url: string,
  settings: Partial<UpstreamConfig> = {},
  observer?: UpstreamObserver,
): Upstream {
  return createUpstream(configOf(url, settings), observer)
}

export function configOf(url: string, settings: Partial<UpstreamConfig> = {}): UpstreamConfig {
  return {
    name: 'test',
    targets: [targetAt(url)],
    headers: {},
    host: { kind: 'upstream' },
    http2: false,
    connectTimeoutMs: 2_000,
    bodyTimeoutMs: 300_000,
    maxConnections: 4,
    maxQueue: 1_024,
    health: null,
    tls: null,
    ...settings,
  }
}

/** An upstream of several servers, in their order. */
export function upstreamOver(
  urls: readonly string[],
  settings: Partial<UpstreamConfig> = {},
  observer?: UpstreamObserver,
): Upstream {
  const targets = urls.map(targetAt)
  return upstreamAt('http://unused.invalid', { targets, ...settings }, observer)
}

/** @param url Of a server; or "unix:" and a path. */
export function targetAt(url: string): UpstreamTarget {
  if (url.startsWith('unix:')) {
    const socketPath = url.slice('unix:'.length)
    return { name: url, origin: 'http://localhost', basePath: '', socketPath }
  }
  const { origin, pathname } = new URL(url)
  return { name: origin, origin, basePath: pathname.replace(/\/$/, ''), socketPath: null }
}

export function requestTo(
  target: string,
  settings: Partial<UpstreamRequest> = {},
): UpstreamRequest {
  return {
    method: 'GET',
    target,
    rawHeaders: [],
    addedHeaders: [],
    body: null,
    timeoutMs: 5_000,
    ...settings,
  }
}

/** Sends without ever aborting. */
export function send(upstream: Upstream, request: UpstreamRequest): Promise<UpstreamOutcome> {
  return upstream.send(request, () => {})
}

export type UpstreamResponse = Extract<UpstreamOutcome, { kind: 'response' }>

export function asResponse(outcome: UpstreamOutcome): UpstreamResponse {
  if (outcome.kind !== 'response') throw new Error(`No response: ${JSON.stringify(outcome)}`)
  return outcome
}

/** A client that takes everything at once, or stands still from the first chunk on. */
export class TestSink extends EventEmitter implements ReplySink {
  readonly chunks: Buffer[] = []
  trailers: readonly string[] = []
  isEnded = false
  isDestroyed = false
  /** True: every write asks to wait until `drain` is called. */
  isFull = false

  get bytes(): Buffer {
    return Buffer.concat(this.chunks)
  }

  write(chunk: Buffer): boolean {
    if (this.isEnded || this.isDestroyed) throw new Error('Written to after the end.')
    this.chunks.push(chunk)
    this.emit('chunk')
    return !this.isFull
  }

  drained(callback: () => void): void {
    this.once('drain', callback)
  }

  drain(): void {
    this.isFull = false
    this.emit('drain')
  }

  end(trailers: readonly string[]): void {
    if (this.isEnded) throw new Error('Ended twice.')
    this.isEnded = true
    this.trailers = trailers
  }

  destroy(): void {
    this.isDestroyed = true
  }

  async nextChunk(): Promise<Buffer> {
    const seen = this.chunks.length
    await once(this, 'chunk')
    return this.chunks[seen] ?? Buffer.alloc(0)
  }
}

export interface Collected {
  readonly bytes: Buffer
  readonly trailers: readonly string[]
  readonly delivery: Delivery
}

export async function collect(body: ReplyStream): Promise<Collected> {
  const sink = new TestSink()
  const delivery = await body.pipeTo(sink)
  return { bytes: sink.bytes, trailers: sink.trailers, delivery }
}

/** Values of a header in a list of names and values in turn. `name` in lower case. */
export function valuesIn(headers: readonly string[], name: string): string[] {
  return headers.filter(
    (_, index) => index % 2 === 1 && (headers[index - 1] ?? '').toLowerCase() === name,
  )
}

export function namesIn(headers: readonly string[]): string[] {
  return headers.filter((_, index) => index % 2 === 0).map(name => name.toLowerCase())
}
