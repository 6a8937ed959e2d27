import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { EnvHttpProxyAgent, request as httpRequest } from 'undici'

/** What is sent, once without a payment and then with one. */
export interface WebRequest {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | null
}

export interface WebAnswer {
  readonly kind: 'answer'
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Readable
}

export type Sent =
  | WebAnswer
  /** `mayHaveArrived`: the server could have acted on the request before the connection broke. */
  | { readonly kind: 'no-answer'; readonly reason: string; readonly mayHaveArrived: boolean }

export type Send = (
  request: WebRequest,
  extraHeaders?: Readonly<Record<string, string>>,
) => Promise<Sent>

const HEAD_TIMEOUT_MS = 300_000
const CONNECT_TIMEOUT_MS = 10_000
/** A challenge may be long; a server must not make us hold more than this. */
const HEADER_BYTES_MAX = 64 * 1024

/**
 * Sends requests, through HTTP_PROXY and HTTPS_PROXY where they are set. Redirects are not
 * followed: a payment is for the server that asked for it. A body may take as long as it likes,
 * because it may be an event stream.
 */
export function createSend(): { send: Send; close: () => Promise<void> } {
  const dispatcher = new EnvHttpProxyAgent({
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: HEAD_TIMEOUT_MS,
    bodyTimeout: 0,
    maxHeaderSize: HEADER_BYTES_MAX,
  })
  const send: Send = async (request, extraHeaders = {}) => {
    try {
      const { statusCode, headers, body } = await httpRequest(request.url, {
        dispatcher,
        method: request.method,
        headers: { ...request.headers, ...extraHeaders },
        body: request.body,
      })
      return { kind: 'answer', status: statusCode, headers, body }
    } catch (error) {
      return noAnswer(error)
    }
  }
  return { send, close: () => dispatcher.destroy() }
}

/** Reads a body as text; null when it is longer than `bytesMax` or breaks off. */
export async function readText(body: Readable, bytesMax: number): Promise<string | null> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of body) {
      size += chunk.length
      if (size > bytesMax) return null
      chunks.push(chunk)
    }
  } catch {
    return null
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The header's value; null when it is absent or was sent more than once. */
export function headerValue(headers: IncomingHttpHeaders, name: string): string | null {
  const value = headers[name]
  return typeof value === 'string' ? value : null
}

/** Failures before a connection stands, so that no byte of the request can have left. */
const NEVER_LEFT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

function noAnswer(error: unknown): Sent {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const message = error instanceof Error ? error.message : String(error)
  return { kind: 'no-answer', reason: message || code, mayHaveArrived: !NEVER_LEFT.has(code) }
}
