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
  /** On disk, then in memory. */
  readonly ledgerLatencies: readonly Latency[]
  /** On SQLite, by one process. */
  readonly claimsPerSecond: number
  readonly startUp: StartUp
}

/** What the store may add to a payment, and how many it must take. */
const ADDED_P50_MS_MAX = 3
const CLAIMS_PER_SECOND_MIN = 2_000

export function isWithinLimits(report: Report): boolean {
  const { paths, startUp, ledgerLatencies, claimsPerSecond } = report
  const kept = paths.every(({ verdicts }) => verdicts.every(({ ok }) => ok))
  const storeOk =
    addedMs(ledgerLatencies).p50 < ADDED_P50_MS_MAX && claimsPerSecond >= CLAIMS_PER_SECOND_MIN
  return startUp.ok && kept && storeOk
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
  const lines = [head, '', ...table([COLUMNS, ...rows]), '']
  return [
    ...lines,
    'One payment at a time, from request to response:',
    ...latencies,
    ...storeLines(report),
    '',
    'CPU is user and system time of the whole process. Ratios are medians of ratios within a round;',
    `in brackets that of the quieter rounds alone. ${seconds.toFixed(0)} s.`,
    '',
  ].join('\n')
}

/** What the store costs and carries, with the disk beside without it. */
function storeLines({ paths, ledgerLatencies, claimsPerSecond }: Report): readonly string[] {
  const { p50, p99 } = addedMs(ledgerLatencies)
  const [on, off] = paths.find(({ path }) => path === 'ledger')?.standings ?? []
  const perSecond = (standing: typeof on): string => standing?.requestsPerSecond.toFixed(0) ?? '?'
  return [
    `  added by the store: ${p50.toFixed(2)} ms p50, ${p99.toFixed(2)} ms p99` +
      limitText(`p50 < ${ADDED_P50_MS_MAX} ms`, p50 < ADDED_P50_MS_MAX),
    '',
    `Payments a second: ${perSecond(on)} with the store on disk, ${perSecond(off)} in memory`,
    `Claims a second on SQLite: ${claimsPerSecond.toFixed(0)}` +
      limitText(`>= ${CLAIMS_PER_SECOND_MIN}`, claimsPerSecond >= CLAIMS_PER_SECOND_MIN),
  ]
}

function limitText(limit: string, ok: boolean): string {
  return ` (${limit}: ${ok ? 'ok' : 'MISSED'})`
}

function addedMs([on, off]: readonly Latency[]): { readonly p50: number; readonly p99: number } {
  if (on === undefined || off === undefined) return { p50: Number.NaN, p99: Number.NaN }
  return { p50: on.p50Ms - off.p50Ms, p99: on.p99Ms - off.p99Ms }
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
