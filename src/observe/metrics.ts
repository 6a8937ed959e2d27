import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client'
import type { UnixMs } from '../core/time.ts'
import { FareboxError } from '../errors.ts'
import type { ClaimState } from '../ledger/ledger.ts'
import { registerAccess } from './access-metrics.ts'
import { registerCertificate } from './certificate-metrics.ts'
import type { ErrorReported, GatewayObserver, PaymentSeen, RequestFinished } from './events.ts'
import {
  type FacilitatorSeen,
  registerConditions,
  registerExtensions,
  registerFacilitators,
  registerGasBalance,
  registerGasSpent,
  registerServed,
} from './facilitator-metrics.ts'
import { registerCounter, registerHistogram } from './kept-metrics.ts'
import { registerLimited } from './limit-metrics.ts'
import { createRequestCounts, NO_ROUTE } from './request-counts.ts'
import { createSeries, type Labels, mapValues, toChartNumber } from './series.ts'
import { registerChecked, registerResolved } from './settlement-metrics.ts'
import { registerShadow, registerShadowRoutes } from './shadow-metrics.ts'
import { registerTunnels } from './tunnel-metrics.ts'
import {
  registerEjections,
  registerQueueRefusals,
  registerTargets,
  type UpstreamSeen,
} from './upstream-metrics.ts'

export interface MetricsOptions {
  /** Of farebox. */
  readonly version: string
  /**
   * Asked at every scrape, which goes on without these rows when it fails or takes too long. Null:
   * others in the same gateway ask.
   */
  readonly countLedgerRows: (() => Promise<Readonly<Record<ClaimState, number>>>) | null
  /** Asked at every scrape: the facilitators of the configuration in force. */
  readonly facilitators: () => readonly FacilitatorSeen[]
  /** Asked at every scrape: priced routes in shadow mode. Default: none. */
  readonly shadowRoutes?: () => number
  /** Asked at every scrape: when the certificate in force ends. Left out: there is no TLS. */
  readonly certificateNotAfter?: (() => UnixMs | null) | undefined
  /** Asked at every scrape: the upstreams of the configuration in force. Default: none. */
  readonly upstreams?: () => readonly UpstreamSeen[]
}

/** The numbers of one process, to be summed with those of others. */
export type MetricReport = readonly MetricObjectWithValues<MetricValue<string>>[]

export interface Metrics {
  readonly observer: Omit<GatewayObserver, 'facilitatorChanged'>
  /** The Prometheus text format, version 0.0.4. */
  render(): Promise<string>
  report(): Promise<MetricReport>
}

interface Revenue {
  /** Atomic units. */
  amount: bigint
  decimals: number
}

/** A store that hangs must not take the metrics down with it: they are how people find out. */
const LEDGER_MS_MAX = 2_000

/**
 * Collects what Prometheus reads. Labels never carry paths, payers or hosts of callers: only what
 * the configuration names, and codes from fixed sets.
 */
export function createMetrics(options: MetricsOptions): Metrics {
  const { version, countLedgerRows, facilitators, certificateNotAfter } = options
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const countRequest = registerRequests(registry)
  const countPayment = registerPayments(registry)
  const countShadow = registerShadow(registry)
  const countAccess = registerAccess(registry)
  const countLimited = registerLimited(registry)
  const observer: Metrics['observer'] = {
    requestFinished(event) {
      countRequest(event)
      countLimited(event)
      countShadow(event)
      countAccess(event)
      if (event.payment !== undefined) countPayment(event.route, event.payment)
    },
    facilitatorAnswered: registerFacilitators(registry),
    extensionAnswered: registerExtensions(registry),
    upstreamChanged: registerEjections(registry),
    upstreamRefused: registerQueueRefusals(registry),
    configReloaded: registerReloads(registry),
    claimResolved: registerResolved(registry),
    settlementChecked: registerChecked(registry),
    gasBalanceRead: registerGasBalance(registry),
    gasSpent: registerGasSpent(registry),
    facilitatorServed: registerServed(registry),
    ...registerTunnels(registry),
    errorReported: registerErrors(registry),
    workerEnded: registerWorkers(registry),
  }
  if (countLedgerRows !== null) registerLedgerRows(registry, countLedgerRows)
  registerConditions(registry, facilitators)
  registerShadowRoutes(registry, options.shadowRoutes ?? (() => 0))
  if (certificateNotAfter !== undefined) registerCertificate(registry, certificateNotAfter)
  registerTargets(registry, options.upstreams ?? (() => []))
  const build = new Gauge({
    name: 'farebox_build_info',
    help: 'Always 1. The labels say what is running.',
    labelNames: ['version', 'node'],
    aggregator: 'first',
    registers: [registry],
  })
  build.set({ version, node: process.versions.node }, 1)
  return {
    observer,
    render: () => registry.metrics(),
    report: () => registry.getMetricsAsJSON(),
  }
}

function registerRequests(registry: Registry): (event: RequestFinished) => void {
  const counts = createRequestCounts()
  registerCounter(registry, {
    name: 'farebox_requests_total',
    help: 'Requests that have ended. Those that no route matched have route="(none)".',
    labelNames: ['route', 'method', 'status', 'outcome'],
    entries: counts.requests,
  })
  registerHistogram(registry, {
    name: 'farebox_request_duration_seconds',
    help: 'From the request to the last byte of its response.',
    entries: counts.durations,
  })
  registerHistogram(registry, {
    name: 'farebox_upstream_duration_seconds',
    help: "Until the head of the upstream's response arrived.",
    entries: counts.upstreams,
  })
  return counts.add
}

function registerPayments(registry: Registry): (route: string | null, seen: PaymentSeen) => void {
  const payments = createSeries(() => ({ count: 0 }))
  const revenue = createSeries<Revenue>(() => ({ amount: 0n, decimals: 0 }))
  registerCounter(registry, {
    name: 'farebox_payments_total',
    help: 'Requests that came with a payment, by what became of it.',
    labelNames: ['route', 'network', 'asset', 'outcome'],
    entries: () => mapValues(payments.entries(), ({ count }) => count),
  })
  registerCounter(registry, {
    name: 'farebox_revenue_token_units_total',
    help:
      'Money taken, in whole tokens. A rounded number for charts since the start of the process; ' +
      'the exact amounts are in the ledger.',
    labelNames: ['network', 'asset'],
    entries: () =>
      mapValues(revenue.entries(), ({ amount, decimals }) => toChartNumber(amount, decimals)),
  })
  return (matched, { network, asset, outcome, amount, decimals, charged }) => {
    const route = matched ?? NO_ROUTE
    const labels = (): Labels => ({ route, network, asset, outcome })
    payments.at(`${route}\n${network}\n${asset}\n${outcome}`, labels).count++
    if (!charged) return
    const sum = revenue.at(`${network}\n${asset}\n${decimals}`, () => ({ network, asset }))
    sum.amount += amount
    sum.decimals = decimals
  }
}

function registerErrors(registry: Registry): (event: ErrorReported) => void {
  const errors = createSeries(() => ({ count: 0 }))
  registerCounter(registry, {
    name: 'farebox_errors_total',
    help: 'Things that broke, by error code. The log tells more of each.',
    labelNames: ['code'],
    entries: () => mapValues(errors.entries(), ({ count }) => count),
  })
  return ({ error }) => {
    const code = error instanceof FareboxError ? error.code : 'internal_error'
    errors.at(code, () => ({ code })).count++
  }
}

function registerReloads(registry: Registry): GatewayObserver['configReloaded'] {
  const reloads = new Counter({
    name: 'farebox_config_reloads_total',
    help: 'Times that the configuration file was read again.',
    labelNames: ['result'],
    registers: [registry],
  })
  const lastSuccess = new Gauge({
    name: 'farebox_config_last_reload_success',
    help: '1: the configuration file is in force. 0: it is bad, and an older one is in force.',
    aggregator: 'min',
    registers: [registry],
  })
  lastSuccess.set(1)
  return ({ ok }) => {
    reloads.inc({ result: ok ? 'success' : 'failure' })
    lastSuccess.set(ok ? 1 : 0)
  }
}

function registerWorkers(registry: Registry): () => void {
  const ended = new Counter({
    name: 'farebox_workers_ended_total',
    help: 'Workers that ended without being asked to, and were replaced.',
    registers: [registry],
  })
  return () => ended.inc()
}

function registerLedgerRows(
  registry: Registry,
  count: NonNullable<MetricsOptions['countLedgerRows']>,
): void {
  const rows = new Gauge({
    name: 'farebox_ledger_rows',
    help: 'Claims in the ledger by state. Missing while the store does not answer.',
    // Every worker counts the same rows.
    aggregator: 'first',
    labelNames: ['state'],
    registers: [registry],
    async collect() {
      const byState = await withinTime(count)
      rows.reset()
      for (const [state, number] of Object.entries(byState ?? {})) rows.set({ state }, number)
    },
  })
}

/** Null when it fails or takes too long. */
async function withinTime<T>(ask: () => Promise<T>): Promise<T | null> {
  const timer = Promise.withResolvers<null>()
  const timeout = setTimeout(() => timer.resolve(null), LEDGER_MS_MAX)
  try {
    return await Promise.race([ask(), timer.promise])
  } catch {
    return null
  } finally {
    clearTimeout(timeout)
  }
}
