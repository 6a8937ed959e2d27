import { Gauge, type Registry } from 'prom-client'
import type { FacilitatorAnswered, FacilitatorChanged, GatewayObserver } from './events.ts'
import { registerCounter, registerHistogram } from './kept-metrics.ts'
import {
  addDuration,
  createDurations,
  createSeries,
  type Labels,
  mapValues,
  toChartNumber,
} from './series.ts'

export interface FacilitatorSeen {
  readonly name: string
  condition(): { readonly kind: FacilitatorChanged['condition'] }
}

/** Facilitators that we ask. */
export function registerFacilitators(registry: Registry): (event: FacilitatorAnswered) => void {
  const calls = createSeries(createDurations)
  registerHistogram(registry, {
    name: 'farebox_facilitator_duration_seconds',
    help: 'How long facilitators took to answer, or not to.',
    entries: calls.entries,
  })
  return ({ facilitator, operation, outcome, durationMs }) => {
    const key = `${facilitator}\n${operation}\n${outcome}`
    addDuration(
      calls.at(key, () => ({ facilitator, operation, outcome })),
      durationMs,
    )
  }
}

export function registerExtensions(registry: Registry): GatewayObserver['extensionAnswered'] {
  const answers = createSeries(() => ({ count: 0 }))
  registerCounter(registry, {
    name: 'farebox_facilitator_extensions_total',
    help:
      'What facilitators said that they did with extensions of payments, like a listing in their ' +
      'catalogue. The log has the reasons of what was rejected.',
    labelNames: ['facilitator', 'extension', 'status'],
    entries: () => mapValues(answers.entries(), ({ count }) => count),
  })
  return ({ facilitator, extension, status }) => {
    const labels = (): Labels => ({ facilitator, extension, status })
    answers.at(`${facilitator}\n${extension}\n${status}`, labels).count++
  }
}

const CONDITIONS = ['up', 'down', 'resting'] as const

export function registerConditions(
  registry: Registry,
  facilitators: () => readonly FacilitatorSeen[],
): void {
  const conditions = new Gauge({
    name: 'farebox_facilitator_condition',
    help: 'Processes of the gateway to which a facilitator is in this condition.',
    labelNames: ['facilitator', 'condition'],
    registers: [registry],
    collect() {
      conditions.reset()
      for (const one of facilitators()) {
        const { kind } = one.condition()
        for (const condition of CONDITIONS) {
          conditions.set({ facilitator: one.name, condition }, condition === kind ? 1 : 0)
        }
      }
    },
  })
}

export function registerGasBalance(registry: Registry): GatewayObserver['gasBalanceRead'] {
  const balance = new Gauge({
    name: 'farebox_gas_balance_coins',
    help:
      "What a local facilitator's key had left for gas when it was last read, in whole coins of " +
      'the chain, rounded.',
    labelNames: ['network', 'address'],
    registers: [registry],
  })
  return ({ network, address, balanceWei }) =>
    balance.set({ network, address }, toChartNumber(balanceWei, 18))
}

export function registerGasSpent(registry: Registry): GatewayObserver['gasSpent'] {
  const spent = createSeries(() => ({ wei: 0n }))
  registerCounter(registry, {
    name: 'farebox_gas_spent_coins_total',
    help:
      "What a local facilitator's key has paid for execution, in whole coins of the chain, " +
      'rounded. Counted once the block of a transaction stays.',
    labelNames: ['network', 'address'],
    entries: () => mapValues(spent.entries(), ({ wei }) => toChartNumber(wei, 18)),
  })
  return ({ network, address, wei }) => {
    spent.at(`${network}\n${address}`, () => ({ network, address })).wei += wei
  }
}

/** Requests to a facilitator of our own. */
export function registerServed(registry: Registry): GatewayObserver['facilitatorServed'] {
  const requests = createSeries(() => ({ count: 0 }))
  const durations = createSeries(createDurations)
  registerCounter(registry, {
    name: 'farebox_served_requests_total',
    help: 'Requests to this facilitator. Those whose key is not known have key="(none)".',
    labelNames: ['key', 'operation', 'outcome'],
    entries: () => mapValues(requests.entries(), ({ count }) => count),
  })
  registerHistogram(registry, {
    name: 'farebox_served_duration_seconds',
    help: 'From a request to this facilitator to the last byte of its answer.',
    entries: durations.entries,
  })
  return ({ caller, operation: asked, outcome, durationMs }) => {
    const key = caller ?? NONE
    const operation = asked ?? NONE
    const labels = (): Labels => ({ key, operation, outcome })
    requests.at(`${key}\n${operation}\n${outcome}`, labels).count++
    const slot = `${operation}\n${outcome}`
    addDuration(
      durations.at(slot, () => ({ operation, outcome })),
      durationMs,
    )
  }
}

const NONE = '(none)'
