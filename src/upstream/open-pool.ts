import { buildConnector, Pool } from 'undici'
import type { UpstreamConfig } from '../config/gateway-config.ts'
import type { UpstreamTarget } from '../config/upstream-config.ts'
import { Http2Pool, type Requests } from './http2-pool.ts'

/** The connections to one target. */
export interface TargetPool {
  readonly requests: Requests
  /** Connects as a request would. Whoever calls it owns the socket. */
  readonly connect: buildConnector.connector
  /** Finishes what runs. */
  close(): Promise<void>
  /** True while the connection in hand is being ended by a reset. */
  wasReset(): boolean
  /** True of an error that says why a connection did not come to be: nothing was sent over it. */
  isConnectFailure(error: Error): boolean
}

/**
 * Connections that are kept alive, over HTTP/1.1 or, where the configuration says so, HTTP/2.
 *
 * @param onConnectFailure Told of each connection that could not be made, the handshake of TLS
 *                         included, before the request that wanted it is.
 */
export function openPool(
  target: UpstreamTarget,
  config: UpstreamConfig,
  onConnectFailure: (error: Error) => void,
): TargetPool {
  const connect = pinServerName(
    buildConnector({
      timeout: config.connectTimeoutMs,
      socketPath: target.socketPath,
      allowH2: config.http2,
      ...tlsOptions(config.tls),
    }),
  )
  const watch = watchConnections(onConnectFailure)
  const requests = config.http2
    ? new Http2Pool(target.origin, watch.around(connect), {
        connectionsMax: config.maxConnections,
        silenceMsMax: config.connectTimeoutMs,
      })
    : new Pool(target.origin, {
        connections: config.maxConnections,
        pipelining: 1,
        connect: watch.around(connect),
        allowH2: false,
      })
  return { requests, connect, close: () => requests.close(), ...watch }
}

function tlsOptions(tls: UpstreamConfig['tls']) {
  return {
    // Said aloud, so that no variable of the environment can switch it off.
    rejectUnauthorized: true,
    ...(tls?.ca && { ca: tls.ca }),
    ...tls?.identity,
    ...(tls?.serverName && { servername: tls.serverName }),
  }
}

/**
 * Keeps the Host of a request, which a caller may have chosen, from being what a certificate is
 * held against: undici would take it from there. Empty, it takes the configured name, or the URL's.
 */
function pinServerName(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) => connect({ ...options, servername: '' }, callback)
}

interface ConnectionWatch extends Pick<TargetPool, 'wasReset' | 'isConnectFailure'> {
  around(connect: buildConnector.connector): buildConnector.connector
}

/**
 * undici takes a reset for a clean end where only the end of the connection ends a body
 * (client-h1.js, onHttpSocketError). It does so synchronously within the socket's error event, so a
 * mark that lasts for just as long tells the two apart.
 */
function watchConnections(onConnectFailure: (error: Error) => void): ConnectionWatch {
  const failures = new WeakSet<Error>()
  let isResetting = false
  const mark = (): void => {
    isResetting = true
    process.nextTick(() => {
      isResetting = false
    })
  }
  return {
    around: connect => (options, callback) =>
      connect(options, (...result) => {
        const [error, socket] = result
        if (error !== null) {
          failures.add(error)
          onConnectFailure(error)
        }
        socket?.on('error', mark)
        callback(...result)
      }),
    wasReset: () => isResetting,
    isConnectFailure: error => failures.has(error),
  }
}
