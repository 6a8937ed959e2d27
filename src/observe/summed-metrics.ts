import { AggregatorRegistry } from 'prom-client'
import type { MetricReport } from './metrics.ts'

/** Sums what several processes have counted, the way each metric says. */
export interface SummedMetrics {
  /**
   * Adds up, for one scrape. `reports` has what each process counts now, by any name that it keeps
   * for as long as it lives; a process that says nothing this once counts as it did before.
   */
  render(reports: ReadonlyMap<object, MetricReport | null>): Promise<string>
  /** A process is gone. What it was seen to have counted stays: a counter may never go back. */
  forget(process: object): void
}

export function createSummedMetrics(): SummedMetrics {
  const last = new Map<object, MetricReport>()
  let departed: Promise<MetricReport> = Promise.resolve([])
  return {
    async render(reports) {
      const seen: MetricReport[] = []
      for (const [process, now] of reports) {
        const report = now ?? last.get(process)
        if (report === undefined) continue
        last.set(process, report)
        seen.push(report)
      }
      return sum([...seen, await departed]).metrics()
    },
    forget(process) {
      const report = last.get(process)
      last.delete(process)
      if (report === undefined) return
      const counted = report.filter(({ type }) => KEPT_TYPES.has(String(type)))
      departed = departed.then(before => sum([before, counted]).getMetricsAsJSON())
    },
  }
}

/** A gauge says how things are now, and there are no things any more. */
const KEPT_TYPES = new Set(['counter', 'histogram'])

function sum(reports: readonly MetricReport[]) {
  return AggregatorRegistry.aggregate([...reports])
}
