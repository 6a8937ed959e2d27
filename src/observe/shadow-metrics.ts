import { Gauge, type Registry } from 'prom-client'
import type { RequestFinished } from './events.ts'
import { registerCounter } from './kept-metrics.ts'
import { NO_ROUTE } from './request-counts.ts'
import { createSeries, mapValues, toChartNumber } from './series.ts'

/** What would have been charged, had the routes not been in shadow mode. */
export function registerShadow(registry: Registry): (event: RequestFinished) => void {
  const charges = createSeries(() => ({ count: 0 }))
  const sums = createSeries(() => ({ amount: 0n, decimals: 0 }))
  registerCounter(registry, {
    name: 'farebox_shadow_charges_total',
    help: 'Requests that would have been charged for, by whether a payment came along.',
    labelNames: ['route', 'network', 'asset', 'payment'],
    entries: () => mapValues(charges.entries(), ({ count }) => count),
  })
  registerCounter(registry, {
    name: 'farebox_shadow_token_units_total',
    help:
      'Money that would have been taken, in whole tokens. A rounded number for charts since the ' +
      'start of the process; the exact amounts are in the log.',
    labelNames: ['route', 'network', 'asset'],
    entries: () =>
      mapValues(sums.entries(), ({ amount, decimals }) => toChartNumber(amount, decimals)),
  })
  return ({ route: matched, shadow }) => {
    if (shadow === undefined || !shadow.due) return
    const { network, asset, amount, decimals, payment } = shadow
    const route = matched ?? NO_ROUTE
    const labels = { route, network, asset }
    charges.at(`${route}\n${network}\n${asset}\n${payment}`, () => ({ ...labels, payment })).count++
    const sum = sums.at(`${route}\n${network}\n${asset}\n${decimals}`, () => labels)
    sum.amount += amount
    sum.decimals = decimals
  }
}

/** So that nobody gives everything away without knowing it. */
export function registerShadowRoutes(registry: Registry, count: () => number): void {
  new Gauge({
    name: 'farebox_shadow_routes',
    help: 'Priced routes that are served for nothing, because of mode: shadow. Alert on it.',
    aggregator: 'max',
    registers: [registry],
    collect() {
      this.set(count())
    },
  })
}
