import { isIP } from 'node:net'
import type { Dispatcher } from 'undici'
import type { UpstreamConfig } from '../config/gateway-config.ts'
import { ForwardHandler } from './forward-handler.ts'
import { createHeaderRules, type HeaderRules } from './headers.ts'
import { openPool } from './open-pool.ts'
import { isSendable } from './sendable.ts'
import type { Upstream, UpstreamOutcome, UpstreamRequest } from './upstream.ts'

/** A stream may be silent for this long before it counts as dead. */
const BODY_IDLE_MS_MAX = 300_000

/** Requests that wait for a connection. Beyond these, waiting would not help any more. */
const WAITING_MAX = 1_024

/** An upstream over HTTP/1.1 with kept-alive connections. */
export function createUpstream(config: UpstreamConfig): Upstream {
  const [target] = config.targets
  if (target === undefined) throw new Error(`Unchecked upstream: ${config.name}`)
  const { pool, wasReset } = openPool(target, config)
  const { basePath } = target
  const { hostname } = new URL(target.origin)
  const rules = createHeaderRules(config.headers)
  let waiting = 0
  let closed: Promise<void> | null = null

  const dispatch = (options: Dispatcher.DispatchOptions, handler: ForwardHandler): void => {
    waiting++
    handler.onLeftQueue = () => waiting--
    pool.dispatch(options, handler)
  }

  return {
    name: config.name,
    send: (request, signalAbort) =>
      new Promise(resolve => {
        const refuse = (detail: string): void => resolve({ kind: 'unreachable', detail })
        const options = toDispatch(request, { basePath, rules, hostname })
        if (!isSendable(options)) return refuse('NOT_SENDABLE')
        if (waiting >= WAITING_MAX) return refuse('TOO_MANY_WAITING')
        const handler = new ForwardHandler({
          request,
          rules,
          wasReset,
          resolve: withDeadline(request.timeoutMs, resolve, () => handler.giveUp('timeout')),
        })
        signalAbort(() => handler.giveUp('aborted'))
        if (!handler.gaveUp) dispatch(options, handler)
      }),
    close: () => {
      closed ??= pool.close()
      return closed
    },
  }
}

function toDispatch(
  request: UpstreamRequest,
  {
    basePath,
    rules,
    hostname,
  }: { readonly basePath: string; readonly rules: HeaderRules; readonly hostname: string },
): Dispatcher.DispatchOptions & { headers: string[]; servername: string } {
  return {
    // Else undici takes it from Host, and opens a connection for each other one that it is given.
    servername: isIP(hostname) === 0 ? hostname : '',
    method: request.method,
    path: basePath + request.target,
    headers: rules.forRequest(request.rawHeaders, request.addedHeaders),
    body: request.body,
    // Our own deadline also covers the wait for a connection, and 1xx do not put it off.
    headersTimeout: 0,
    bodyTimeout: BODY_IDLE_MS_MAX,
  }
}

type Resolve = (outcome: UpstreamOutcome) => void

function withDeadline(timeoutMs: number, resolve: Resolve, onTimeout: () => void): Resolve {
  const timer = setTimeout(onTimeout, timeoutMs)
  return outcome => {
    clearTimeout(timer)
    resolve(outcome)
  }
}
