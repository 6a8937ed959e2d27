import type { Readable } from 'node:stream'
import { valuesOf } from '../core/header-list.ts'
import type { ReadBody, RequestFlaw } from '../flow/exchange.ts'
import type { ClientAddressReader } from './client-address.ts'
import { BAD_HOST, OTHER_HOST } from './framing.ts'
import { readBounded } from './request-body.ts'

/** What the configuration in force says about reading and answering requests. */
export interface ExchangeSettings {
  readonly publicUrl: string | null
  readonly bodyBytesMax: number
  /** What a client takes of a reply at least, on average, while it is waited for; 0: any pace. */
  readonly replyBytesPerSecondMin?: number | undefined
  /** Whether a request for this authority is meant for us. */
  readonly allowsHost: (host: string) => boolean
  readonly clientAddress: ClientAddressReader
}

/** What a request's head says, whatever version of HTTP carried it. */
export interface Heard {
  readonly method: string
  readonly target: string
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[]
  /** The one well-formed authority; null: none was sent. */
  readonly host: string | null
  /** Bytes of the body; null: as many as come. */
  readonly bodyLength: number | null
  readonly flaw: RequestFlaw | null
}

/** Where it was heard. */
export interface Hearing {
  readonly settings: ExchangeSettings
  /** What the connection carries; a trusted proxy may know better. */
  readonly scheme: 'http' | 'https'
  /** Address of the peer, as node:net writes it. */
  readonly peer: string
}

let requestsHeard = 0
const PROCESS_PREFIX = Math.floor(Math.random() * 0xffff_ffff).toString(36)

/** The half of an exchange that does not depend on how the answer is written. */
export abstract class HeardRequest {
  readonly requestId = `${PROCESS_PREFIX}-${(++requestsHeard).toString(36)}`
  readonly method: string
  readonly rawTarget: string
  readonly rawHeaders: readonly string[]
  readonly host: string | null
  readonly origin: string
  readonly clientAddress: string
  readonly forwardedFor: string
  readonly bodyLength: number | null
  readonly flaw: RequestFlaw | null

  constructor(heard: Heard, { settings, scheme, peer }: Hearing) {
    this.method = heard.method
    this.rawTarget = heard.target
    this.rawHeaders = heard.rawHeaders
    const client = settings.clientAddress(peer, heard.rawHeaders)
    this.clientAddress = client.address
    this.forwardedFor = client.forwardedFor
    this.host = heard.flaw === null ? (client.host ?? heard.host) : null
    this.origin = settings.publicUrl ?? `${client.proto ?? scheme}://${this.host ?? ''}`
    this.bodyLength = heard.bodyLength
    this.flaw = heard.flaw ?? judgeHost(this.host, settings)
  }

  readonly headerValues = (name: string): readonly string[] => valuesOf(this.rawHeaders, name)

  abstract bodyStream(): Readable | null

  async readBody(bytesMax: number): Promise<ReadBody> {
    const stream = this.bodyStream()
    if (stream === null) return { kind: 'whole', bytes: Buffer.alloc(0) }
    const length = this.bodyLength
    if (length !== null && length > bytesMax) return { kind: 'stream', stream, length }
    return readBounded(stream, bytesMax, length)
  }
}

function judgeHost(host: string | null, { allowsHost }: ExchangeSettings): RequestFlaw | null {
  if (host === null) return BAD_HOST
  return allowsHost(host) ? null : OTHER_HOST
}
