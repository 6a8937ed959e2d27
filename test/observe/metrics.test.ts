import { describe, expect, test } from 'vitest'
import { FacilitatorUnavailableError } from '../../src/errors.ts'
import { createMetrics, type Metrics } from '../../src/observe/metrics.ts'
import { createRequestCounts } from '../../src/observe/request-counts.ts'
import { createSeries } from '../../src/observe/series.ts'
import { paidRequest, payment, unpaidRequest } from './sample-events.ts'

const NO_ROWS = { forwarded: 0, settling: 0, settled: 0, delivered: 0, released: 0, unknown: 0 }

function create(countLedgerRows = async () => NO_ROWS): Metrics {
  return createMetrics({ facilitators: () => [], version: '1.2.3', countLedgerRows })
}

/** The samples of one metric, as "{labels} value". */
async function samples(metrics: Metrics, name: string): Promise<string[]> {
  const lines = (await metrics.render()).split('\n')
  return lines.filter(line => line.startsWith(name)).map(line => line.slice(name.length).trim())
}

describe('requests', () => {
  test('are counted by route, method, status and outcome', async () => {
    const metrics = create()
    metrics.observer.requestFinished(unpaidRequest)
    metrics.observer.requestFinished(unpaidRequest)
    metrics.observer.requestFinished({ ...paidRequest, method: 'HEAD' })
    const route = 'route="GET /v1/weather/{city}"'
    const expected = [
      `{${route},method="GET",status="402",outcome="payment_required"} 2`,
      `{${route},method="HEAD",status="200",outcome="paid"} 1`,
    ]
    expect(await samples(metrics, 'farebox_requests_total')).toEqual(expected)
    // A second scrape must not count anything twice.
    expect(await samples(metrics, 'farebox_requests_total')).toEqual(expected)
  })

  test('without a route and with invented methods make no labels of their own', async () => {
    const metrics = create()
    for (const method of ['HACK', '__proto__', 'PROPFIND']) {
      metrics.observer.requestFinished({ ...unpaidRequest, route: null, method, status: 404 })
    }
    expect(await samples(metrics, 'farebox_requests_total')).toEqual([
      '{route="(none)",method="OTHER",status="404",outcome="payment_required"} 3',
    ])
  })

  test('fall into cumulative buckets by their duration in seconds', async () => {
    const metrics = create()
    for (const durationMs of [0, 1, 1.001, 5, 59_999, 60_001]) {
      metrics.observer.requestFinished({ ...unpaidRequest, durationMs })
    }
    const buckets = await samples(metrics, 'farebox_request_duration_seconds')
    const at = (le: string) =>
      buckets
        .find(line => line.includes(`le="${le}"`))
        ?.split(' ')
        .at(-1)
    expect([at('0.001'), at('0.005'), at('30'), at('60'), at('+Inf')]).toEqual([
      '2',
      '4',
      '4',
      '5',
      '6',
    ])
    expect(buckets.at(-1)).toMatch(/^_count\{route=.*,outcome="payment_required"\} 6$/)
    expect(buckets.at(-2)).toMatch(/^_sum\{.*\} 120\.007/)
  })

  test('that reached an upstream are timed for it', async () => {
    const metrics = create()
    metrics.observer.requestFinished(unpaidRequest)
    metrics.observer.requestFinished(paidRequest)
    expect(await samples(metrics, 'farebox_upstream_duration_seconds_count')).toEqual([
      '{route="GET /v1/weather/{city}"} 1',
    ])
    expect(await samples(metrics, 'farebox_upstream_duration_seconds_sum')).toEqual([
      '{route="GET /v1/weather/{city}"} 0.012',
    ])
  })

  test('of routes beyond the limit are counted together', () => {
    const counts = createRequestCounts(2)
    for (const route of ['a', 'b', 'c', 'd', 'c', null, null]) {
      counts.add({ ...unpaidRequest, route })
    }
    const values = [...counts.requests()].map(({ labels, value }) => [labels['route'], value])
    expect(Object.fromEntries(values)).toEqual({ a: 1, b: 1, '(other)': 3, '(none)': 2 })
  })
})

describe('payments', () => {
  test('are counted, and revenue only where this request was charged', async () => {
    const metrics = create()
    metrics.observer.requestFinished(paidRequest)
    metrics.observer.requestFinished(paidRequest)
    const redeemed = { ...payment, charged: false, outcome: 'redeemed' }
    metrics.observer.requestFinished({ ...paidRequest, payment: redeemed })
    expect(await samples(metrics, 'farebox_revenue_token_units_total')).toEqual([
      '{network="eip155:84532",asset="USDC"} 0.003',
    ])
    const labels = 'route="GET /v1/weather/{city}",network="eip155:84532",asset="USDC"'
    expect(await samples(metrics, 'farebox_payments_total')).toEqual([
      `{${labels},outcome="paid"} 2`,
      `{${labels},outcome="redeemed"} 1`,
    ])
  })

  test('are summed without losing small ones to a large sum', async () => {
    const metrics = create()
    const pay = (amount: bigint): void => {
      metrics.observer.requestFinished({ ...paidRequest, payment: { ...payment, amount } })
    }
    pay(9_007_199_254_740_992n)
    for (let count = 0; count < 1000; count++) pay(1n)
    expect(await samples(metrics, 'farebox_revenue_token_units_total')).toEqual([
      expect.stringMatching(/ 9007199254\.74199/),
    ])
  })
})

test('nothing that a caller sent or owns becomes a label', async () => {
  const metrics = create()
  metrics.observer.requestFinished(paidRequest)
  metrics.observer.errorReported({ error: new Error('0xpayer'), requestId: 'r-2' })
  const text = await metrics.render()
  for (const secret of ['0xpayer', '0xhash', 'p-1', 'r-2', '198.51.100.1']) {
    expect(text).not.toContain(secret)
  }
})

test('facilitators are timed by operation and outcome', async () => {
  const metrics = create()
  const call = { facilitator: 'payai', operation: 'settle', durationMs: 250 } as const
  metrics.observer.facilitatorAnswered({ ...call, outcome: 'settled' })
  metrics.observer.facilitatorAnswered({ ...call, outcome: 'no_answer' })
  expect(await samples(metrics, 'farebox_facilitator_duration_seconds_count')).toEqual([
    '{facilitator="payai",operation="settle",outcome="settled"} 1',
    '{facilitator="payai",operation="settle",outcome="no_answer"} 1',
  ])
})

test('reloads are counted and the last one shows', async () => {
  const metrics = create()
  expect(await samples(metrics, 'farebox_config_last_reload_success')).toEqual(['1'])
  metrics.observer.configReloaded({ ok: true, problems: [] })
  metrics.observer.configReloaded({ ok: false, problems: ['gateway.yaml:1:1: bad'] })
  expect(await samples(metrics, 'farebox_config_last_reload_success')).toEqual(['0'])
  expect(await samples(metrics, 'farebox_config_reloads_total')).toEqual([
    '{result="success"} 1',
    '{result="failure"} 1',
  ])
})

test('settlements that were resolved are counted, and name no payer', async () => {
  const metrics = create()
  const look = { network: 'eip155:84532', route: 'GET /x', payer: '0xpayer', ageMs: 5 } as const
  const open = { ...look, outcome: 'open', reason: 'not_final', transaction: null } as const
  metrics.observer.claimResolved(open)
  metrics.observer.claimResolved(open)
  metrics.observer.claimResolved({ ...open, outcome: 'released', reason: 'cancelled' })
  expect(await samples(metrics, 'farebox_settlements_resolved_total')).toEqual([
    '{network="eip155:84532",outcome="open",reason="not_final"} 2',
    '{network="eip155:84532",outcome="released",reason="cancelled"} 1',
  ])
})

test('settlements that were checked are counted by what the chain said', async () => {
  const metrics = create()
  const check = { network: 'eip155:84532', route: 'GET /x' } as const
  metrics.observer.settlementChecked({ ...check, outcome: 'confirmed' })
  metrics.observer.settlementChecked({ ...check, outcome: 'confirmed' })
  metrics.observer.settlementChecked({ ...check, outcome: 'nothing_moved' })
  expect(await samples(metrics, 'farebox_settlements_checked_total')).toEqual([
    '{network="eip155:84532",outcome="confirmed"} 2',
    '{network="eip155:84532",outcome="nothing_moved"} 1',
  ])
})

test('errors are counted by their code', async () => {
  const metrics = create()
  const known = new FacilitatorUnavailableError('down', { fix: 'wait' })
  metrics.observer.errorReported({ error: known, requestId: null })
  metrics.observer.errorReported({ error: 'a string', requestId: null })
  expect(await samples(metrics, 'farebox_errors_total')).toEqual([
    '{code="facilitator_unavailable"} 1',
    '{code="internal_error"} 1',
  ])
})

describe('the ledger', () => {
  test('is asked at every scrape', async () => {
    let settled = 0
    const metrics = create(async () => ({ ...NO_ROWS, settled: ++settled }))
    await metrics.render()
    expect(await samples(metrics, 'farebox_ledger_rows')).toContain('{state="settled"} 2')
  })

  test('that fails leaves its rows out, and the rest of the scrape in', async () => {
    let works = true
    const metrics = create(() => (works ? Promise.resolve(NO_ROWS) : Promise.reject(new Error())))
    await metrics.render()
    works = false
    expect(await samples(metrics, 'farebox_ledger_rows')).toEqual([])
    expect(await samples(metrics, 'farebox_build_info')).toHaveLength(1)
  })

  test('that hangs does not hang the scrape', async () => {
    const metrics = create(() => new Promise(() => {}))
    expect(await samples(metrics, 'farebox_build_info')).toEqual([
      `{version="1.2.3",node="${process.versions.node}"} 1`,
    ])
  })
})

test('two gateways in one process count apart, and report the process itself', async () => {
  const first = create()
  const second = create()
  first.observer.requestFinished(unpaidRequest)
  expect(await samples(second, 'farebox_requests_total')).toEqual([])
  expect(await samples(first, 'process_cpu_seconds_total')).toHaveLength(1)
})

test('a series that is full counts everything new under one label', () => {
  const series = createSeries(() => ({ count: 0 }), 1)
  for (const key of ['a', 'b', 'c', 'a']) series.at(key, () => ({ name: key })).count++
  expect([...series.entries()]).toEqual([
    { labels: { name: 'a' }, value: { count: 2 } },
    { labels: { name: '(other)' }, value: { count: 2 } },
  ])
})
