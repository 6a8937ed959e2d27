import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { problemReply } from '../flow/answers.ts'
import type { ProblemCode } from '../flow/problems.ts'

/** More requests than this on one connection, sent without waiting for answers, end it. */
const UNANSWERED_MAX = 100

/** How long we read on after a refusal: closing at once could take the answer from the client. */
const LINGER_MS = 1_000

export interface Connections {
  /** Called for each request. Null: the connection may not ask for this one; it gets no answer. */
  begin(request: IncomingMessage, response: ServerResponse): BegunRequest | null
  /**
   * Called for a request that asks to change protocols: the connection's last. False: it gets no
   * answer, for others are still owed theirs, or none is owed any more.
   */
  leave(socket: Socket): boolean
  /** Answers bytes that are not HTTP, or that come too slowly, and ends their connection. */
  refuse(error: NodeJS.ErrnoException, socket: Socket): void
}

export interface BegunRequest {
  /** Whatever follows on the connection is not a request; its answer is the connection's last. */
  takeNoMore(): void
  end(): void
}

interface Line {
  takesMore: boolean
  unanswered: number
  request: IncomingMessage
  response: ServerResponse
}

/** What stands on each connection: a refusal must not fall into another request's response. */
export function createConnections(): Connections {
  const lines = new WeakMap<Socket, Line>()
  const refused = new WeakSet<Socket>()
  return {
    begin(request, response) {
      const { socket } = request
      const line = lines.get(socket) ?? { takesMore: true, unanswered: 0, request, response }
      if (!line.takesMore) return null
      if (line.unanswered === UNANSWERED_MAX) {
        socket.destroy()
        return null
      }
      line.unanswered++
      line.request = request
      line.response = response
      lines.set(socket, line)
      return {
        takeNoMore: () => {
          line.takesMore = false
        },
        end: () => line.unanswered--,
      }
    },
    leave(socket) {
      const line = lines.get(socket)
      if (line === undefined) return true
      const isFree = line.takesMore && line.response.closed
      line.takesMore = false
      return isFree
    },
    refuse(error, socket) {
      // What still comes is read and thrown away.
      if (refused.has(socket)) return
      if (!socket.writable || error.code === 'ECONNRESET' || !mayAnswer(lines.get(socket))) {
        socket.destroy()
        return
      }
      refused.add(socket)
      socket.end(refusal(PARSER_PROBLEMS[error.code ?? ''] ?? 'malformed_request'))
      const timer = setTimeout(() => socket.destroy(), LINGER_MS)
      socket.once('close', () => clearTimeout(timer))
    },
  }
}

/** Whether the bytes in question are what the next response on this connection would answer. */
function mayAnswer(line: Line | undefined): boolean {
  if (line === undefined) return true
  if (line.unanswered === 0) return line.request.complete
  return line.unanswered === 1 && !line.request.complete && !line.response.headersSent
}

const PARSER_PROBLEMS: Readonly<Record<string, ProblemCode>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'body_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}

function refusal(code: ProblemCode): string {
  const { status, headers, body } = problemReply(code)
  const text = Buffer.isBuffer(body) ? body.toString() : ''
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`]
  for (let index = 0; index < headers.length; index += 2) {
    lines.push(`${headers[index]}: ${headers[index + 1]}`)
  }
  lines.push(`Content-Length: ${Buffer.byteLength(text)}`, 'Connection: close')
  return `${lines.join('\r\n')}\r\n\r\n${text}`
}
