import { once } from 'node:events'
import { createServer } from 'node:http'
import {
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Writable } from 'node:stream'

/** A request that has reached the API, which says nothing unless a test does. */
export interface Held {
  readonly path: string
  /** Sends the head at once. What is written to what it returns is the body. */
  begin(status?: number, headers?: Record<string, string>): Writable
  /** Resolves once its connection, or its stream, is over. */
  readonly closed: Promise<void>
}

export interface HeldApi {
  readonly url: string
  /** The next request that no test has taken yet. */
  next(): Promise<Held>
  close(): Promise<void>
}

export const PROTOCOLS = ['HTTP/1.1', 'HTTP/2'] as const
export type Protocol = (typeof PROTOCOLS)[number]

export async function startHeldApi(protocol: Protocol): Promise<HeldApi> {
  const waiting: ((held: Held) => void)[] = []
  const arrived: Held[] = []
  const arrive = (held: Held): void => {
    const take = waiting.shift()
    if (take === undefined) arrived.push(held)
    else take(held)
  }
  const server = protocol === 'HTTP/2' ? serveHttp2(arrive) : serveHttp1(arrive)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a listening TCP server has one
  return {
    url: `http://127.0.0.1:${port}`,
    async next() {
      const held = arrived.shift()
      if (held !== undefined) return held
      const { promise, resolve } = Promise.withResolvers<Held>()
      waiting.push(resolve)
      return promise
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.drop()
      await closed
    },
  }
}

function serveHttp1(arrive: (held: Held) => void) {
  const server = createServer((request, response) => {
    arrive({
      path: request.url ?? '',
      begin(status = 200, headers = {}) {
        response.writeHead(status, headers).flushHeaders()
        return response
      },
      closed: new Promise(resolve => void response.once('close', () => resolve())),
    })
  })
  return Object.assign(server, { drop: () => server.closeAllConnections() })
}

function serveHttp2(arrive: (held: Held) => void) {
  const server = createHttp2Server()
  const sessions = new Set<{ destroy(): void }>()
  server.on('session', session => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
  })
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => {})
    arrive({
      path: headers[':path'] ?? '',
      begin(status = 200, fields = {}) {
        stream.respond({ ...fields, ':status': status })
        return stream
      },
      closed: new Promise(resolve => void stream.once('close', () => resolve())),
    })
  })
  const drop = (): void => {
    for (const session of sessions) session.destroy()
  }
  return Object.assign(server, { drop })
}
