import type { UpstreamConfig } from '../config/gateway-config.ts'
import { ForwardHandler } from './forward-handler.ts'
import { createHeaderRules } from './headers.ts'
import { isSendable } from './sendable.ts'
import { openTargets, type UpstreamObserver } from './target-set.ts'
import type { Upstream, UpstreamOutcome } from './upstream.ts'

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

  return {
    name,
    targets: targets.targets,
    condition,
    send: (request, signalAbort) =>
      new Promise(resolve => {
        const options = {
          method: request.method,
          path: request.target,
          servername: '',
          headers: rules.forRequest(request.rawHeaders, request.addedHeaders),
          body: request.body,
          // Our own deadline also covers the wait for a connection, and 1xx do not put it off.
          headersTimeout: 0,
          bodyTimeout: bodyTimeoutMs,
        }
        if (!isSendable(options)) return resolve({ kind: 'unreachable', detail: 'NOT_SENDABLE' })
        const target = targets.pick(null)
        if (target === null) return resolve(refusal(condition()))
        const handler = new ForwardHandler({
          request,
          options,
          rules,
          targets,
          resolve: withDeadline(request.timeoutMs, resolve, () => handler.giveUp('timeout')),
        })
        signalAbort(() => handler.giveUp('aborted'))
        if (!handler.gaveUp) handler.sendTo(target)
      }),
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

type Resolve = (outcome: UpstreamOutcome) => void

function withDeadline(timeoutMs: number, resolve: Resolve, onTimeout: () => void): Resolve {
  const timer = setTimeout(onTimeout, timeoutMs)
  return outcome => {
    clearTimeout(timer)
    resolve(outcome)
  }
}
