import type { Registry } from 'prom-client'
import type { RequestFinished } from './events.ts'
import { registerCounter } from './kept-metrics.ts'
import { NO_ROUTE } from './request-counts.ts'
import { createSeries, mapValues } from './series.ts'

export function registerLimited(registry: Registry): (event: RequestFinished) => void {
  const limited = createSeries(() => ({ count: 0 }))
  registerCounter(registry, {
    name: 'farebox_limited_requests_total',
    help: 'Requests that were over a limit, by which: docs/limits.md lists them.',
    labelNames: ['route', 'limit'],
    entries: () => mapValues(limited.entries(), ({ count }) => count),
  })
  return ({ route: matched, limitedBy: limit }) => {
    if (limit === undefined) return
    const route = matched ?? NO_ROUTE
    limited.at(`${route}\n${limit}`, () => ({ route, limit })).count++
  }
}
