import { type Dispatcher, request } from 'undici'
import type { UpstreamConfig } from '../config/gateway-config.ts'
import type { HealthCheckConfig, UpstreamTarget } from '../config/upstream-config.ts'
import { openPool, type TargetPool } from './open-pool.ts'
import type { Fault } from './target-health.ts'

/** Looks at a target the way that its configuration asks for. */
export interface TargetCheck {
  run(): Promise<Fault>
  close(): Promise<void>
}

/** @param connections Those that requests use. */
export function createTargetCheck(
  target: UpstreamTarget,
  config: UpstreamConfig,
  connections: Pick<TargetPool, 'connect'>,
): TargetCheck {
  const { health } = config
  return health === null
    ? { run: () => connectOnce(target, connections), close: async () => {} }
    : askForHealth(target, health, config)
}

/** Whether a connection can be made, TLS included. Sends no request. */
export function connectOnce(
  { origin }: UpstreamTarget,
  { connect }: Pick<TargetPool, 'connect'>,
): Promise<Fault> {
  const { protocol, host, hostname, port } = new URL(origin)
  const place = { protocol, host, port, hostname: hostname.replace(/^\[|\]$/g, '') }
  return new Promise(resolve => {
    connect(place, (error, socket) => {
      socket?.destroy()
      resolve(error === null ? null : faultOf(error))
    })
  })
}

/** A connection of its own: those of requests may all be taken, which is no fault of the target. */
function askForHealth(
  target: UpstreamTarget,
  { path, timeoutMs }: HealthCheckConfig,
  config: UpstreamConfig,
): TargetCheck {
  const { requests, close } = openPool(target, { ...config, maxConnections: 1 }, () => {})
  const headers = Object.entries({ 'user-agent': 'farebox', ...config.headers }).flat()
  const dispatcher = requests as Dispatcher // nothing of it is called but `dispatch`
  const closing = new AbortController()
  return {
    async run() {
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(timeoutMs)])
      try {
        const options = { method: 'GET', headers, body: null, signal, dispatcher }
        const { statusCode, body } = await request(target.origin + path, options)
        await readToEnd(body)
        return statusCode < 400 ? null : `STATUS_${statusCode}`
      } catch (error) {
        return signal.aborted ? 'TIMEOUT' : faultOf(error)
      }
    },
    async close() {
      closing.abort()
      await close()
    },
  }
}

const HEALTH_BODY_BYTES_MAX = 64 * 1024

/** Rejects where it breaks off: undici's `dump` would not. */
async function readToEnd(body: AsyncIterable<Buffer>): Promise<void> {
  let bytesLeft = HEALTH_BODY_BYTES_MAX
  for await (const chunk of body) {
    bytesLeft -= chunk.length
    // It has said enough, and is given up with its connection.
    if (bytesLeft < 0) return
  }
}

/** The code of an error, which names nothing that an operator has written. */
export function faultOf(error: unknown): string {
  if (!(error instanceof Error)) return 'UNKNOWN'
  return 'code' in error ? String(error.code) : error.name
}
