import type { UpstreamConfig } from '../../config/gateway-config.ts'
import type { UpstreamTarget } from '../../config/upstream-config.ts'
import { createTargetCheck } from '../../upstream/check-target.ts'
import { openPool } from '../../upstream/open-pool.ts'
import { type Finding, findingsAt } from './finding.ts'
import type { Inquiry } from './inquiry.ts'

/**
 * Whether the servers of every upstream can be connected to, TLS included, and say that they are
 * well where the file tells how to ask. No route is asked for: that could cost something.
 */
export async function askUpstreams({ config, callMs }: Inquiry): Promise<Finding[]> {
  const asked = config.upstreams.flatMap(upstream => {
    const connectTimeoutMs = Math.min(upstream.connectTimeoutMs, callMs)
    const { health } = upstream
    const timely = health && { ...health, timeoutMs: Math.min(health.timeoutMs, callMs) }
    const bounded = { ...upstream, connectTimeoutMs, health: timely }
    return upstream.targets.map(target => askTarget(target, bounded))
  })
  return Promise.all(asked)
}

async function askTarget(target: UpstreamTarget, config: UpstreamConfig): Promise<Finding> {
  const connections = openPool(target, config, () => {})
  const check = createTargetCheck(target, config, connections)
  const fault = await check.run()
  await Promise.all([check.close(), connections.close()])
  const at = findingsAt('upstreams', ['upstreams', config.name, 'url'])
  if (fault === null) return at.ok(`${target.name} ${config.health ? 'is well' : 'can be reached'}`)
  const cure = 'Start it, correct the file, or ask from where the gateway will run.'
  return at.warning(`${target.name} is not well (${fault})`, cure)
}
