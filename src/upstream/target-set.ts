import type { UpstreamConfig } from '../config/gateway-config.ts'
import type { GatewayObserver } from '../observe/events.ts'
import { openTarget, type Target } from './target.ts'
import type { UpstreamCondition } from './upstream.ts'

export type UpstreamObserver = Pick<GatewayObserver, 'upstreamChanged' | 'upstreamRefused'>

/** The servers of one upstream, and whose turn it is. */
export interface TargetSet {
  readonly targets: readonly Target[]
  /**
   * The one with the least to do, of those that are up, have room and are not among `tried`; in
   * turn where several have. Null: there is none.
   */
  pick(tried: readonly Target[] | null): Target | null
  condition(): UpstreamCondition
  close(): Promise<void>
}

const READY: UpstreamCondition = { kind: 'ready' }
const OVERLOADED: UpstreamCondition = { kind: 'overloaded' }

export function openTargets(config: UpstreamConfig, observer: UpstreamObserver): TargetSet {
  const upstream = config.name
  const targets: readonly Target[] = config.targets.map(place => {
    return openTarget(place, config, {
      canBeSpared: () => targets.filter(({ health }) => health.isUp).length > 1,
      onChange({ name, health }) {
        const { fault, retryInMs } = health
        observer.upstreamChanged({ upstream, target: name, fault, forMs: retryInMs })
      },
    })
  })
  for (const { health } of targets) health.start()
  const outstandingMax = config.maxConnections + config.maxQueue
  let turn = -1

  return {
    targets,
    pick(tried) {
      let best: Target | null = null
      turn = turn + 1 < targets.length ? turn + 1 : 0
      for (let count = 0, index = turn; count < targets.length; count++, index++) {
        const target = targets[index < targets.length ? index : index - targets.length]
        if (target === undefined || !target.health.isUp) continue
        if (target.outstanding >= (best?.outstanding ?? outstandingMax)) continue
        if (tried === null || !tried.includes(target)) best = target
      }
      return best
    },
    condition() {
      let retryAfterMs = Number.POSITIVE_INFINITY
      let anyUp = false
      for (const { health, outstanding } of targets) {
        if (!health.isUp) retryAfterMs = Math.min(retryAfterMs, health.retryInMs)
        else if (outstanding < outstandingMax) return READY
        else anyUp = true
      }
      return anyUp ? OVERLOADED : { kind: 'unavailable', retryAfterMs }
    },
    async close() {
      await Promise.all(targets.map(target => target.close()))
    },
  }
}
