import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { TLSSocket } from 'node:tls'
import { readText } from '../pay/http.ts'

export interface WebAnswer {
  readonly kind: 'answer'
  readonly status: number
  /** By name in lower case; what came more than once is joined by ", ". */
  readonly header: (name: string) => string | null
  /** The status line and all headers, as they came over the wire. */
  readonly headBytes: number
  /** Null: longer than 1 MiB, or it broke off. */
  readonly body: string | null
  /** When the server's certificate ends; null without TLS. */
  readonly certificateEnds: Date | null
}

export type Asked =
  | WebAnswer
  /** No connection came about: it may not be running, or not be reachable from here. */
  | { readonly kind: 'unreachable'; readonly reason: string }
  /** The connection is not secure: buyers end it here. */
  | { readonly kind: 'insecure'; readonly reason: string }
  /** Connected, and then no whole answer. */
  | { readonly kind: 'no-answer'; readonly reason: string }

const BODY_BYTES_MAX = 1024 * 1024
const HEAD_BYTES_MAX = 64 * 1024

/**
 * One request as any buyer makes it, on a connection of its own. Follows no redirect. Its time-out
 * covers everything, the last byte of the body included.
 */
export function ask(
  url: URL,
  options: {
    readonly method: string
    readonly headers: Readonly<Record<string, string>>
    readonly timeoutMs: number
  },
): Promise<Asked> {
  const { method, headers, timeoutMs } = options
  const signal = AbortSignal.timeout(timeoutMs)
  const open = url.protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise(resolve => {
    let connected = false
    const settings = { method, headers, signal, agent: false, maxHeaderSize: HEAD_BYTES_MAX }
    const request = open(url, settings, response => {
      readAnswer(response).then(resolve, error => resolve(failureOf(error, true)))
    })
    request.on('socket', socket => socket.once('connect', () => (connected = true)))
    request.on('error', error => resolve(failureOf(error, connected)))
    request.end()
  })
}

async function readAnswer(response: IncomingMessage): Promise<WebAnswer> {
  const { socket, statusCode = 0, headers } = response
  const certificateEnds =
    socket instanceof TLSSocket ? new Date(socket.getPeerCertificate().valid_to) : null
  const body = await readText(response, BODY_BYTES_MAX)
  response.destroy()
  return {
    ...{ kind: 'answer', status: statusCode, headBytes: headSize(response), body, certificateEnds },
    header(name) {
      const value = headers[name]
      return typeof value === 'string' ? value : (value?.join(', ') ?? null)
    },
  }
}

function headSize({ httpVersion, statusCode, statusMessage = '', rawHeaders }: IncomingMessage) {
  const statusLine = `HTTP/${httpVersion} ${statusCode} ${statusMessage}\r\n`
  // A name and its value take ": " and a line's end; the head ends with an empty line.
  const lines = rawHeaders.reduce((sum, text) => sum + Buffer.byteLength(text, 'latin1') + 2, 0)
  return Buffer.byteLength(statusLine, 'latin1') + lines + 2
}

const INSECURE = /^(ERR_TLS|ERR_SSL|EPROTO|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_)/

function failureOf(error: unknown, connected: boolean): Asked {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'an error'
  if (INSECURE.test(code)) return { kind: 'insecure', reason: code }
  const isTimeout = code === 'ABORT_ERR' || (error instanceof Error && error.name === 'AbortError')
  const reason = isTimeout ? 'it took too long' : code
  return { kind: connected ? 'no-answer' : 'unreachable', reason }
}
