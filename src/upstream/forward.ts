import type { UpstreamConfig } from '../config/gateway-config.ts'
import { ForwardHandler, type Forwarding } from './forward-handler.ts'
import { createHeaderRules } from './headers.ts'
import { isSendable } from './sendable.ts'
import { openTargets, type UpstreamObserver } from './target-set.ts'
import { UpgradeHandler } from './upgrade-handler.ts'
import type { UpgradeOutcome, Upstream, UpstreamOutcome, UpstreamRequest } from './upstream.ts'

const UNOBSERVED: UpstreamObserver = { upstreamChanged() {}, upstreamRefused() {} }

/** An upstream over HTTP/1.1 with kept-alive connections to each of its targets. */
export function createUpstream(
  config: UpstreamConfig,
  observer: UpstreamObserver = UNOBSERVED,
): Upstream {
  const { name, bodyTimeoutMs } = config
  const targets = openTargets(config, observer)
  const rules = createHeaderRules(config.headers)
  let closed: Promise<void> | null = null

  const condition: Upstream['condition'] = () => {
    const now = targets.condition()
    if (now.kind === 'overloaded') observer.upstreamRefused({ upstream: name })
    return now
  }

  const ask = <T>(
    request: UpstreamRequest,
    signalAbort: (abort: () => void) => void,
    { upgrade, handle }: Asking<T>,
  ): Promise<T | UpstreamOutcome> =>
    new Promise(resolve => {
      const options = {
        method: request.method,
        path: request.target,
        servername: '',
        headers: rules.forRequest(request.rawHeaders, request.addedHeaders),
        body: request.body,
        upgrade,
        // Our own deadline also covers the wait for a connection, and 1xx do not put it off.
        headersTimeout: 0,
        bodyTimeout: bodyTimeoutMs,
      }
      if (!isSendable(options)) return resolve({ kind: 'unreachable', detail: 'NOT_SENDABLE' })
      const target = targets.pick(null)
      if (target === null) return resolve(refusal(condition()))
      const handler = handle({
        request,
        options,
        rules,
        targets,
        resolve: withDeadline(request.timeoutMs, resolve, () => handler.giveUp('timeout')),
      })
      signalAbort(() => handler.giveUp('aborted'))
      if (!handler.gaveUp) handler.sendTo(target)
    })

  return {
    name,
    targets: targets.targets,
    condition,
    send: (request, signalAbort) => ask(request, signalAbort, SENDING),
    upgrade: (request, signalAbort) => ask(request, signalAbort, UPGRADING),
    close: () => {
      closed ??= targets.close()
      return closed
    },
  }
}

/** A target may have come back since one was looked for: then it is as full as it was. */
function refusal(condition: ReturnType<Upstream['condition']>): UpstreamOutcome {
  return condition.kind === 'ready' ? { kind: 'overloaded' } : condition
}

/** What a request asks for, and who hears the answer. */
interface Asking<T> {
  readonly upgrade: string | null
  handle(forwarding: Forwarding & { resolve(outcome: T | UpstreamOutcome): void }): ForwardHandler
}

const SENDING: Asking<UpstreamOutcome> = {
  upgrade: null,
  handle: forwarding => new ForwardHandler(forwarding),
}

const UPGRADING: Asking<UpgradeOutcome> = {
  upgrade: 'websocket',
  handle: upgrading => new UpgradeHandler(upgrading),
}

function withDeadline<T>(
  timeoutMs: number,
  resolve: (outcome: T) => void,
  onTimeout: () => void,
): (outcome: T) => void {
  const timer = setTimeout(onTimeout, timeoutMs)
  return outcome => {
    clearTimeout(timer)
    resolve(outcome)
  }
}
