import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { problemReply } from '../flow/answers.ts'
import type { ProblemCode } from '../flow/problems.ts'
import { AT_ONCE, closeInStages } from './staged-close.ts'

/** So many may wait for the answers before theirs; then no more is read. */
const WAITING_MAX = 16
/** More than this, which can come only in what was read at once, end the connection. */
const UNANSWERED_MAX = 100

export interface Connections {
  /**
   * Serves a request once those before it on its connection have their answers, so that a client
   * that waits for none has no more of our time than one that does. Not at all when the connection
   * has ended by then, or has had its last answer.
   */
  take(request: IncomingMessage, response: ServerResponse, serve: Serve): void
  /**
   * Called for a request that asks to change protocols: the connection's last. False: it gets no
   * answer, for others are still owed theirs, or none is owed any more.
   */
  leave(socket: Socket): boolean
  /** Answers bytes that are not HTTP, or that come too slowly, and ends their connection. */
  refuse(error: NodeJS.ErrnoException, socket: Socket): void
}

/** @returns Whether its answer is the connection's last, which may turn out when it is given. */
type Serve = () => { readonly isLast: boolean }

/** A request that waits. */
interface Waiting {
  readonly response: ServerResponse
  readonly serve: Serve
}

interface Line {
  takesMore: boolean
  /** Those that wait, and the one that is served. */
  unanswered: number
  readonly waiting: Waiting[]
  /** What was heard last. */
  request: IncomingMessage
  response: ServerResponse
}

/** What stands on each connection: a refusal must not fall into another request's response. */
export function createConnections(): Connections {
  const lines = new WeakMap<Socket, Line>()
  return {
    take(request, response, serve) {
      const { socket } = request
      const line = lines.get(socket) ?? newLine(request, response)
      if (!line.takesMore) return
      if (line.unanswered === UNANSWERED_MAX) {
        socket.destroy()
        return
      }
      line.unanswered++
      line.request = request
      line.response = response
      lines.set(socket, line)
      if (line.unanswered === 1) begin(line, socket, { response, serve })
      else wait(line, socket, { response, serve })
    },
    leave(socket) {
      const line = lines.get(socket)
      if (line === undefined) return true
      const isFree = line.takesMore && line.response.closed
      line.takesMore = false
      return isFree
    },
    refuse(error, socket) {
      const line = lines.get(socket)
      // It is being closed, and what comes is thrown away.
      if (line !== undefined && !line.takesMore && line.unanswered === 0) return
      if (!socket.writable || error.code === 'ECONNRESET' || !mayAnswer(line)) {
        socket.destroy()
        return
      }
      socket.end(refusal(PARSER_PROBLEMS[error.code ?? ''] ?? 'malformed_request'))
      // The parser is still at it.
      process.nextTick(closeInStages, socket, AT_ONCE)
    },
  }
}

function newLine(request: IncomingMessage, response: ServerResponse): Line {
  return { takesMore: true, unanswered: 0, waiting: [], request, response }
}

function begin(line: Line, socket: Socket, { response, serve }: Waiting): void {
  response.on('close', () => {
    line.unanswered--
    if (served.isLast) line.takesMore = false
    const next = line.takesMore && socket.writable ? line.waiting.shift() : undefined
    if (next === undefined) return
    if (line.waiting.length === WAITING_MAX - 1) socket.resume()
    begin(line, socket, next)
  })
  const served = serve()
  if (served.isLast) line.takesMore = false
}

function wait(line: Line, socket: Socket, next: Waiting): void {
  line.waiting.push(next)
  // Not before all that was read is parsed: at the end of each request the parser reads on.
  if (line.waiting.length !== WAITING_MAX) return
  process.nextTick(() => {
    if (line.waiting.length >= WAITING_MAX) socket.pause()
  })
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
