import type { DuelResult, Verdict } from './duel.ts'
import type { Latency } from './ledger-latency.ts'
import type { StartUp } from './start-up.ts'

export interface Report {
  readonly node: string
  readonly cpus: string
  readonly entry: string
  readonly rounds: number
  readonly seconds: number
  readonly paths: readonly DuelResult[]
  readonly ledgerLatencies: readonly Latency[]
  readonly startUp: StartUp
}

export function isWithinLimits({ paths, startUp }: Report): boolean {
  return startUp.ok && paths.every(({ verdicts }) => verdicts.every(({ ok }) => ok))
}

/** For people: a line for each contestant and what is held against it. */
export function toText(report: Report): string {
  const { node, cpus, entry, rounds, seconds, startUp } = report
  const head = `farebox (${entry}) and its peers; Node.js ${node}, ${cpus}, ${rounds} rounds`
  const start: Row = [
    'start to ready',
    'farebox',
    '',
    '',
    `${startUp.readyMs.toFixed(0)} ms`,
    `< ${startUp.limitMs} ms`,
    startUp.ok ? 'ok' : 'OVER',
  ]
  const rows = [...report.paths.flatMap(pathRows), start]
  const latencies = report.ledgerLatencies.map(
    ({ name, p50Ms, p99Ms }) => `  ${name}: ${p50Ms.toFixed(2)} ms p50, ${p99Ms.toFixed(2)} ms p99`,
  )
  const added = addedText(report.ledgerLatencies)
  const lines = [head, '', ...table([COLUMNS, ...rows]), '']
  return [
    ...lines,
    'One payment at a time, from request to response:',
    ...latencies,
    added,
    '',
    'CPU is user and system time of the whole process. Ratios are medians of ratios within a round;',
    `in brackets that of the quieter rounds alone. ${seconds.toFixed(0)} s.`,
    '',
  ].join('\n')
}

function addedText([first, second]: readonly Latency[]): string {
  if (first === undefined || second === undefined) return ''
  const p50 = (first.p50Ms - second.p50Ms).toFixed(2)
  const p99 = (first.p99Ms - second.p99Ms).toFixed(2)
  return `  added by the disk: ${p50} ms p50, ${p99} ms p99`
}

type Row = readonly string[]

const COLUMNS: Row = ['path', 'contestant', 'CPU us/request', 'req/s', 'ratio', 'limit', '']
const RIGHT = new Set([2, 3])

function pathRows({ path, standings, verdicts }: DuelResult): Row[] {
  return standings.map(({ name, cpuMicrosPerRequest, requestsPerSecond }, index) => [
    index === 0 ? path : '',
    name,
    cpuMicrosPerRequest.toFixed(1),
    requestsPerSecond.toFixed(0),
    ...verdictCells(verdicts.find(({ peer }) => peer === name)),
  ])
}

function verdictCells(verdict: Verdict | undefined): Row {
  if (verdict === undefined) return ['', '', '']
  const { ratio, quietRatio, limit, ok } = verdict
  const ratios = `${ratio.toFixed(2)}x (${quietRatio.toFixed(2)}x)`
  if ('atMost' in limit) return [ratios, `<= ${limit.atMost}x`, ok ? 'ok' : 'OVER']
  return [`${ratios} ahead`, `>= ${limit.atLeast}x ahead`, ok ? 'ok' : 'SHORT']
}

function table(rows: readonly Row[]): string[] {
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows.map(row =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return RIGHT.has(column) ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
}
