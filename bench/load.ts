import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** One answer as it came. */
export interface RawAnswer {
  readonly status: number
  /** Status line and headers, without the empty line. */
  readonly head: string
  /** A character for each byte. */
  readonly body: string
}

export interface Load {
  readonly port: number
  /** Sent in turn, from the first; longer loads begin anew. */
  readonly requests: readonly Buffer[]
  readonly count: number
  /** Each has one request on its way at a time. */
  readonly connections: number
  /** Any other answer fails the load. */
  readonly status: number
}

export interface LoadResult {
  readonly requestsPerSecond: number
  /** Ascending. */
  readonly latenciesMs: Float64Array
}

/**
 * Sends requests over kept-alive connections and waits for all answers.
 *
 * It reads sockets itself: on a machine with two cores, a whole HTTP client would take from whoever
 * is measured more than it needs to.
 */
export async function runLoad(load: Load): Promise<LoadResult> {
  const { port, requests, count, connections, status } = load
  const latenciesMs = new Float64Array(count)
  let sent = 0
  const begin = performance.now()
  const worker = async (): Promise<void> => {
    const connection = new Connection(port)
    while (sent < count) {
      const index = sent++
      const sentAt = performance.now()
      const answer = await connection.ask(requests[index % requests.length] ?? NOTHING)
      latenciesMs[index] = performance.now() - sentAt
      if (answer.status !== status) throw unexpected(answer, status)
    }
    connection.close()
  }
  await Promise.all(Array.from({ length: Math.min(connections, count) }, worker))
  const requestsPerSecond = (count / (performance.now() - begin)) * 1000
  return { requestsPerSecond, latenciesMs: latenciesMs.sort() }
}

/** One request on a connection of its own. */
export async function askOnce(port: number, request: Buffer): Promise<RawAnswer> {
  const connection = new Connection(port)
  try {
    return await connection.ask(request)
  } finally {
    connection.close()
  }
}

/** Asks again and again until `path` is answered: with `status`, or with any when that is 0. */
export async function waitForAnswer(
  port: number,
  { path = '/', status = 0, timeoutMs = 20_000, pauseMs = 10 } = {},
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (performance.now() < deadline) {
    const answer = await askOnce(port, get(path)).catch(() => null)
    if (answer !== null && (status === 0 || answer.status === status)) return
    await delay(pauseMs)
  }
  throw new Error(`Nothing answered on port ${port} within ${timeoutMs} ms.`)
}

/** A request as common clients write it. */
export function get(path: string, headers: Readonly<Record<string, string>> = {}): Buffer {
  const lines = [
    `GET ${path} HTTP/1.1`,
    'Host: api.example.com',
    'User-Agent: farebox-bench/1.0',
    'Accept: application/json',
    'Accept-Encoding: gzip, deflate, br',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

const NOTHING = Buffer.alloc(0)
const HEAD_END = '\r\n\r\n'
const LAST_CHUNK = '0\r\n\r\n'

interface Waiting {
  readonly resolve: (answer: RawAnswer) => void
  readonly reject: (error: Error) => void
}

/** A connection that is opened again when the server ends it between two answers. */
class Connection {
  readonly #port: number
  #socket: Socket | null = null
  #received = ''
  #waiting: Waiting | null = null

  constructor(port: number) {
    this.#port = port
  }

  ask(request: Buffer): Promise<RawAnswer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#socket ??= this.#open()
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = null
  }

  #open(): Socket {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true })
    // One character for each byte, so that a length in bytes is one in characters.
    socket.setEncoding('latin1')
    socket.on('data', chunk => this.#receive(String(chunk)))
    socket.on('error', error => this.#fail(socket, error))
    socket.on('close', () => this.#fail(socket, new Error('The server closed the connection.')))
    return socket
  }

  #receive(chunk: string): void {
    this.#received += chunk
    const answer = readAnswer(this.#received)
    if (answer === null) return
    this.#received = ''
    if (/\r\nconnection: close/i.test(answer.head)) this.close()
    const waiting = this.#waiting
    this.#waiting = null
    waiting?.resolve(answer)
  }

  #fail(socket: Socket, error: Error): void {
    if (socket !== this.#socket) return
    this.#socket = null
    this.#received = ''
    this.#waiting?.reject(error)
    this.#waiting = null
  }
}

/** Null while something is missing. Servers here send one answer at a time. */
function readAnswer(received: string): RawAnswer | null {
  const headEnd = received.indexOf(HEAD_END)
  if (headEnd === -1) return null
  const head = received.slice(0, headEnd)
  const body = received.slice(headEnd + HEAD_END.length)
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  const complete = length === undefined ? body.endsWith(LAST_CHUNK) : body.length >= Number(length)
  return complete ? { status: Number(head.slice(9, 12)), head, body } : null
}

function unexpected(answer: RawAnswer, status: number): Error {
  return new Error(`Expected status ${status}, got ${answer.status}: ${answer.body.slice(0, 300)}`)
}
