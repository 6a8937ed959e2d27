import { expect, test } from 'vitest'
import { createMetrics, type MetricReport } from '../../src/observe/metrics.ts'
import { createSummedMetrics } from '../../src/observe/summed-metrics.ts'
import { unpaidRequest } from './sample-events.ts'

function worker(rows: number) {
  const byState = {
    forwarded: 0,
    settling: 0,
    settled: 0,
    delivered: rows,
    released: 0,
    unknown: 0,
  }
  return createMetrics({
    facilitators: () => [],
    version: '1.2.3',
    countLedgerRows: async () => byState,
  })
}

async function served(requests: number): Promise<MetricReport> {
  const metrics = worker(7)
  for (let count = 0; count < requests; count++) metrics.observer.requestFinished(unpaidRequest)
  return metrics.report()
}

function requestsIn(text: string): number {
  return Number(/^farebox_requests_total\{.*\} (\d+)$/m.exec(text)?.[1] ?? 0)
}

test('what each process counts is added up, and what all of them see is told once', async () => {
  const summed = createSummedMetrics()
  const reports = new Map<object, MetricReport>([
    [{}, await served(2)],
    [{}, await served(3)],
  ])
  const text = await summed.render(reports)
  expect(requestsIn(text)).toBe(5)
  expect(text).toMatch(/farebox_request_duration_seconds_count\{.*\} 5/)
  expect(text).toContain('farebox_ledger_rows{state="delivered"} 7')
  expect(text).toMatch(/farebox_build_info\{version="1.2.3",.*\} 1/)
})

test('a counter never goes back: not when a process is silent, and not when it is gone', async () => {
  const summed = createSummedMetrics()
  const [one, other, third] = [{}, {}, {}]
  const two = await served(2)
  await summed.render(
    new Map<object, MetricReport>([
      [one, two],
      [other, await served(3)],
    ]),
  )
  expect(
    requestsIn(
      await summed.render(
        new Map<object, MetricReport | null>([
          [one, two],
          [other, null],
        ]),
      ),
    ),
  ).toBe(5)
  summed.forget(other)
  expect(requestsIn(await summed.render(new Map([[one, two]])))).toBe(5)
  summed.forget(one)
  const text = await summed.render(new Map([[third, await served(1)]]))
  expect(requestsIn(text)).toBe(6)
  // The memory of who is gone is nobody's.
  const memory = /^process_resident_memory_bytes (\d+)/m.exec(text)?.[1]
  expect(Number(memory)).toBeLessThan(process.memoryUsage.rss() * 1.5)
})

test('a bad file shows although the workers know nothing of it', async () => {
  const summed = createSummedMetrics()
  const primary = createMetrics({ facilitators: () => [], version: '1.2.3', countLedgerRows: null })
  primary.observer.configReloaded({ ok: false, problems: ['bad'] })
  const reports = new Map<object, MetricReport>([
    [{}, await served(1)],
    [primary, await primary.report()],
  ])
  const text = await summed.render(reports)
  expect(text).toContain('farebox_config_last_reload_success 0')
  expect(text).toContain('farebox_config_reloads_total{result="failure"} 1')
})
