import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws'

export interface SocketApi {
  readonly url: string
  /** Handshakes that arrived, oldest first. */
  readonly handshakes: readonly IncomingMessage[]
  /** Plain requests that arrived, oldest first. */
  readonly requests: readonly IncomingMessage[]
  /** Its ends of the WebSockets, oldest first. */
  readonly sockets: readonly WebSocket[]
  close(): Promise<void>
}

/** Whether a handshake is to be left to the `ws` server. */
type OnUpgrade = (request: IncomingMessage, socket: Duplex) => boolean

/** An API that says everything back, over WebSockets as `ws` has them. */
export async function startSocketApi(onUpgrade: OnUpgrade = () => true): Promise<SocketApi> {
  const handshakes: IncomingMessage[] = []
  const requests: IncomingMessage[] = []
  const sockets: WebSocket[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    response.end('plain')
  })
  const webSockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, socket, head) => {
    handshakes.push(request)
    if (!onUpgrade(request, socket)) return
    webSockets.handleUpgrade(request, socket, head, webSocket => {
      sockets.push(webSocket)
      webSocket.on('error', () => {})
      webSocket.on('message', (data, isBinary) => webSocket.send(data, { binary: isBinary }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a listening TCP server has one
  return {
    url: `http://127.0.0.1:${port}`,
    handshakes,
    requests,
    sockets,
    async close() {
      for (const socket of sockets) socket.terminate()
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** What became of a handshake. */
export type Shaken =
  | {
      readonly kind: 'open'
      readonly socket: WebSocket
      readonly headers: IncomingMessage['headers']
      /** How it closed, once it has. */
      readonly closed: Promise<{ readonly code: number; readonly reason: string }>
    }
  | {
      readonly kind: 'refused'
      readonly status: number
      readonly headers: IncomingMessage['headers']
      readonly body: string
    }
  | { readonly kind: 'broken'; readonly error: Error }

/** Opens a WebSocket as `ws` does. `url` may be one of http. */
export function shake(
  url: string,
  headers: Record<string, string> = {},
  options: ClientOptions = {},
): Promise<Shaken> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), { headers, ...options })
  return new Promise(resolve => {
    let head: IncomingMessage['headers'] = {}
    socket.on('error', error => resolve({ kind: 'broken', error }))
    socket.on('upgrade', response => {
      head = response.headers
    })
    const closed = once(socket, 'close').then(([code, reason]) => ({
      code,
      reason: String(reason),
    }))
    socket.on('open', () => resolve({ kind: 'open', socket, headers: head, closed }))
    socket.on('unexpected-response', (_request, response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const body = Buffer.concat(chunks).toString()
        resolve({
          kind: 'refused',
          status: response.statusCode ?? 0,
          headers: response.headers,
          body,
        })
      })
    })
  })
}

export type Open = Extract<Shaken, { kind: 'open' }>
export type Refused = Extract<Shaken, { kind: 'refused' }>

export async function shakeOpen(
  url: string,
  headers: Record<string, string> = {},
  options: ClientOptions = {},
): Promise<Open> {
  const shaken = await shake(url, headers, options)
  if (shaken.kind !== 'open') throw new Error(`Not open: ${JSON.stringify(shaken)}`)
  return shaken
}

export async function shakeRefused(
  url: string,
  headers: Record<string, string> = {},
): Promise<Refused> {
  const shaken = await shake(url, headers)
  if (shaken.kind !== 'refused') throw new Error(`Not refused: ${shaken.kind}`)
  return shaken
}

/** Says something, and what comes back next. */
export async function ask({ socket }: Open, text: string): Promise<string> {
  const answer = once(socket, 'message')
  socket.send(text)
  return String((await answer)[0])
}
