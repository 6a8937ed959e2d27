import type { ServerOptions } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { Socket } from 'node:net'
import type { SecureContextOptions, TLSSocket } from 'node:tls'
import type { TlsConfig } from '../config/tls-config.ts'

export interface TlsListener {
  readonly server: Server
  /** For new connections; those that stand keep theirs. */
  useCertificate(tls: TlsConfig): void
  /** Ends every connection, those that are still being secured included. */
  destroyConnections(): void
}

/** A handshake fails that offers others only; curl --http1.0 offers the second alone. */
const HTTP1 = ['http/1.1', 'http/1.0']

/**
 * node:http's server over TLS: what it says of HTTP/1.1 holds on both.
 *
 * @param acceptHttp2 Takes the connections whose client has chosen HTTP/2. Null: none may.
 */
export function createTlsListener(
  tls: TlsConfig,
  options: ServerOptions & { readonly handshakeTimeout: number },
  acceptHttp2: ((socket: TLSSocket) => void) | null,
): TlsListener {
  const server = createServer({
    ...options,
    ...secureContext(tls),
    ALPNProtocols: acceptHttp2 === null ? HTTP1 : ['h2', ...HTTP1],
    requestCert: tls.clientCa !== null,
    // Who has none is served as well: it is for the routes to say what a certificate opens.
    rejectUnauthorized: false,
  })
  if (acceptHttp2 !== null) divertHttp2(server, acceptHttp2)
  let inUse = tls
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  // What cannot be secured cannot be answered; node:https would treat it as a bad request.
  server.removeAllListeners('tlsClientError')
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  return {
    server,
    useCertificate(next) {
      // A new context forgets the sessions that clients could take up again.
      if (isSame(next, inUse)) return
      inUse = next
      server.setSecureContext(secureContext(next))
    },
    destroyConnections() {
      for (const socket of sockets) socket.destroy()
    },
  }
}

function secureContext({ cert, key, clientCa }: TlsConfig): SecureContextOptions {
  return { cert, key, ...(clientCa === null ? {} : { ca: clientCa }), minVersion: 'TLSv1.2' }
}

function isSame(one: TlsConfig, other: TlsConfig): boolean {
  return one.cert === other.cert && one.key === other.key && one.clientCa === other.clientCa
}

/** node:https takes every connection for HTTP/1.1, so its listener gets only those that are. */
function divertHttp2(server: Server, acceptHttp2: (socket: TLSSocket) => void): void {
  const takers = server.listeners('secureConnection')
  server.removeAllListeners('secureConnection')
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.alpnProtocol === 'h2') acceptHttp2(socket)
    else for (const take of takers) take.call(server, socket)
  })
}
