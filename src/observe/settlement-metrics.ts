import type { Registry } from 'prom-client'
import type { ClaimResolved, SettlementChecked } from './events.ts'
import { registerCounter } from './kept-metrics.ts'
import { createSeries, mapValues } from './series.ts'

export function registerResolved(registry: Registry): (event: ClaimResolved) => void {
  const looks = createSeries(() => ({ count: 0 }))
  registerCounter(registry, {
    name: 'farebox_settlements_resolved_total',
    help:
      'Looks at payments whose settlement got no answer: outcome="settled" and "released" are ' +
      'final, "open" is looked at again.',
    labelNames: ['network', 'outcome', 'reason'],
    entries: () => mapValues(looks.entries(), ({ count }) => count),
  })
  return ({ network, outcome, reason }) => {
    looks.at(`${network}\n${outcome}\n${reason}`, () => ({ network, outcome, reason })).count++
  }
}

export function registerChecked(registry: Registry): (event: SettlementChecked) => void {
  const checks = createSeries(() => ({ count: 0 }))
  registerCounter(registry, {
    name: 'farebox_settlements_checked_total',
    help:
      'Settlements that facilitators told of, by what the chain says of them. Anything but ' +
      '"confirmed" deserves a look; docs/recovery.md tells which.',
    labelNames: ['network', 'outcome'],
    entries: () => mapValues(checks.entries(), ({ count }) => count),
  })
  return ({ network, outcome }) => {
    checks.at(`${network}\n${outcome}`, () => ({ network, outcome })).count++
  }
}
