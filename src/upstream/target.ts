import type { UpstreamConfig } from '../config/gateway-config.ts'
import type { UpstreamTarget } from '../config/upstream-config.ts'
import { createTargetCheck, faultOf } from './check-target.ts'
import { openPool, type TargetPool } from './open-pool.ts'
import { TargetHealth } from './target-health.ts'

/** One server of an upstream, as requests use it. */
export interface Target {
  readonly name: string
  readonly basePath: string
  /**
   * What undici tells the connections of a target apart by; else it would be the Host of each
   * request, and another one would close the connection.
   */
  readonly servername: string
  readonly connections: TargetPool
  readonly health: TargetHealth
  /** Requests that were handed to it and have not ended, whether or not they have been sent. */
  outstanding: number
  /** Finishes what runs, then closes the connections. */
  close(): Promise<void>
}

export interface TargetSurroundings {
  readonly canBeSpared: () => boolean
  readonly onChange: (target: Target) => void
}

export function openTarget(
  place: UpstreamTarget,
  config: UpstreamConfig,
  { canBeSpared, onChange }: TargetSurroundings,
): Target {
  const connections = openPool(place, config, error => health.connectFailed(faultOf(error)))
  const check = createTargetCheck(place, config, connections)
  const health: TargetHealth = new TargetHealth({
    check: check.run,
    periodMs: config.health?.intervalMs ?? null,
    canBeSpared,
    onChange: () => onChange(target),
  })
  const target: Target = {
    name: place.name,
    basePath: place.basePath,
    servername: new URL(place.origin).hostname,
    connections,
    health,
    outstanding: 0,
    async close() {
      health.close()
      await Promise.all([check.close(), connections.close()])
    },
  }
  return target
}
