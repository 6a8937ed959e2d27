import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo, Server as NetServer } from 'node:net'
import type { Duplex } from 'node:stream'
import express from 'express'
import fastify from 'fastify'

/** What an upstream made of the bytes that reached it. */
export interface Seen {
  readonly method: string
  readonly target: string
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[]
  readonly body: string
}

export interface Recorder {
  readonly url: string
  /** Whole requests, oldest first. */
  readonly seen: Seen[]
  /** It tells only of the first of several headers of one name, and of none that is empty. */
  readonly tellsFirstOnly: boolean
  /** Heads so far, whether or not the rest came. */
  begun(): number
  /** How often it got bytes that it could not read as a request. */
  refused(): number
  /** Resolves when `seen` has all that it was done with. */
  catchUp(): Promise<void>
  close(): Promise<void>
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** Handshakes for anything else are plain requests to it, as they are to most servers. */
const OPENING = '/ws/open/'
const OPTIONS: ServerOptions = {
  shouldUpgradeCallback: ({ url }) => url?.startsWith(OPENING) === true,
}

const SERVERS = {
  'node:http': async (handler: Handler): Promise<Server> => createServer(OPTIONS, handler),
  express: async (handler: Handler): Promise<Server> =>
    createServer(OPTIONS, express().use(handler)),
  fastify: async (handler: Handler): Promise<Server> => {
    const app = fastify({ http: OPTIONS })
    app.addHook('onRequest', async ({ raw }, reply) => {
      reply.hijack()
      handler(raw, reply.raw)
    })
    await app.ready()
    return app.server
  },
}

export type Framework = keyof typeof SERVERS
export const FRAMEWORKS = ['node:http', 'express', 'fastify'] as const satisfies Framework[]

/**
 * An upstream that answers everything with 200 and remembers what it read. Below `/ws/open/` it
 * takes WebSockets, and says everything back without a look at it.
 */
export async function startRecorder(framework: Framework): Promise<Recorder> {
  const seen: Seen[] = []
  let begun = 0
  let refused = 0
  const server = await SERVERS[framework]((request, response) => {
    begun++
    const chunks: Buffer[] = []
    request.on('error', () => {})
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url: target = '', rawHeaders } = request
      seen.push({ method, target, rawHeaders, body: Buffer.concat(chunks).toString('latin1') })
      response.end('ok')
    })
  })
  server.on('upgrade', (request, socket, early) => {
    begun++
    const { method = '', url: target = '', rawHeaders } = request
    seen.push({ method, target, rawHeaders, body: '' })
    sayBack(request, socket, early)
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // A request that we cut off is no request that it misread.
    const cut = ['ECONNRESET', 'HPE_INVALID_EOF_STATE'].includes(error.code ?? '')
    if (!cut) refused++
    socket.destroy()
  })
  return recorderAt(server, {
    seen,
    begun: () => begun,
    refused: () => refused,
    cutOff: () => server.closeAllConnections(),
  })
}

/** Has a server listen that writes down what it reads. `cutOff` ends its connections. */
export async function recorderAt(
  server: NetServer,
  { cutOff, ...counted }: Pick<Recorder, 'seen' | 'begun' | 'refused'> & { cutOff(): void },
): Promise<Recorder> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a listening TCP server has one
  return {
    ...counted,
    url: `http://127.0.0.1:${port}`,
    tellsFirstOnly: false,
    catchUp: () => Promise.resolve(),
    async close() {
      const closed = once(server, 'close')
      server.close()
      cutOff()
      await closed
    },
  }
}

/** RFC 6455 section 1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

function sayBack({ headers }: IncomingMessage, socket: Duplex, early: Buffer): void {
  const key = `${headers['sec-websocket-key']}${ACCEPT_SUFFIX}`
  const accept = createHash('sha1').update(key).digest('base64')
  socket.on('error', () => {})
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  )
  socket.write(early)
  socket.pipe(socket)
}
