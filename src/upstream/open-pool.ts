import { buildConnector, Pool } from 'undici'
import type { UpstreamConfig } from '../config/gateway-config.ts'
import type { UpstreamTarget } from '../config/upstream-config.ts'

/** The connections to one target. */
export interface TargetPool {
  readonly pool: Pool
  /** Connects as a request would. Whoever calls it owns the socket. */
  readonly connect: buildConnector.connector
  /** True while the connection in hand is being ended by a reset. */
  wasReset(): boolean
}

/** Connections over HTTP/1.1 that are kept alive. */
export function openPool(target: UpstreamTarget, config: UpstreamConfig): TargetPool {
  const connect = buildConnector({
    timeout: config.connectTimeoutMs,
    socketPath: target.socketPath,
    allowH2: false,
  })
  const resets = watchResets()
  const pool = new Pool(target.origin, {
    connections: config.maxConnections,
    pipelining: 1,
    connect: resets.watch(connect),
    allowH2: false,
  })
  return { pool, connect, wasReset: resets.wasReset }
}

interface ResetWatch {
  watch(connect: buildConnector.connector): buildConnector.connector
  wasReset(): boolean
}

/**
 * undici takes a reset for a clean end where only the end of the connection ends a body
 * (client-h1.js, onHttpSocketError). It does so synchronously within the socket's error event, so a
 * mark that lasts for just as long tells the two apart.
 */
function watchResets(): ResetWatch {
  let isResetting = false
  const mark = (): void => {
    isResetting = true
    process.nextTick(() => {
      isResetting = false
    })
  }
  return {
    watch: connect => (options, callback) =>
      connect(options, (...result) => {
        result[1]?.on('error', mark)
        callback(...result)
      }),
    wasReset: () => isResetting,
  }
}
