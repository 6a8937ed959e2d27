import { readRequestTarget } from '../routing/request-target.ts'
import type { CheckContext } from './check-context.ts'
import type { Path } from './problems.ts'
import type { UpstreamSetting } from './schema-upstreams.ts'
import type { HealthCheckConfig } from './upstream-config.ts'

export function checkHealth(
  setting: UpstreamSetting['health'],
  path: Path,
  context: CheckContext,
): HealthCheckConfig | null {
  if (setting === undefined) return null
  const { interval, timeout } = setting
  const target = readRequestTarget(setting.path, null)
  if (target.kind === 'ambiguous') {
    const message = 'is not a path that can be asked for'
    context.report([...path, 'path'], { message, cure: 'Write a plain one, like /healthz.' })
  }
  if (timeout > interval) {
    const message = 'is longer than the interval between two checks'
    context.report([...path, 'timeout'], { message, cure: 'Write a shorter one.' })
  }
  return {
    path: target.kind === 'target' ? target.full : '/',
    intervalMs: interval,
    timeoutMs: timeout,
  }
}
