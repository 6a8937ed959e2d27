import { runLoad } from './load.ts'
import type { MeasuredProcess } from './measured-process.ts'

/** Who is measured, and what it is sent. */
export interface Contestant {
  readonly name: string
  readonly process: MeasuredProcess
  /** Sent once each, in order, over all rounds; or again and again when `repeats`. */
  readonly requests: readonly Buffer[]
  readonly status: number
}

/** The first contestant's CPU time over the peer's; `atLeast` turns it round: how far ahead it is. */
export interface Comparison {
  readonly contestant: string
  readonly peer: string
  readonly limit: { readonly atMost: number } | { readonly atLeast: number }
}

export interface DuelPlan {
  readonly path: string
  readonly contestants: readonly Contestant[]
  readonly comparisons: readonly Comparison[]
  readonly rounds: number
  /** Requests a round and contestant. */
  readonly count: number
  readonly warmUp: number
  /** False: a request can be sent only once, as one that pays can. */
  readonly repeats: boolean
}

export interface Standing {
  readonly name: string
  /** User and system time of the whole process; median of the rounds. */
  readonly cpuMicrosPerRequest: number
  readonly requestsPerSecond: number
}

export interface Verdict extends Comparison {
  /** Median of the rounds' ratios. */
  readonly ratio: number
  /** Ratio of the lower quartiles of CPU time: what is left when others leave the machine alone. */
  readonly quietRatio: number
  readonly ok: boolean
}

export interface DuelResult {
  readonly path: string
  readonly standings: readonly Standing[]
  readonly verdicts: readonly Verdict[]
}

const CONNECTIONS = 32

interface Sample {
  readonly cpuMicros: number
  readonly perSecond: number
}

/**
 * Measures everybody in turn, round after round, so that whatever else the machine does meets all of
 * them alike; the ratios are taken within a round for the same reason.
 */
export async function runDuel(plan: DuelPlan): Promise<DuelResult> {
  const { contestants, rounds, count, warmUp } = plan
  for (const contestant of contestants) await measure(plan, contestant, { from: 0, count: warmUp })
  const samples = new Map<string, Sample[]>(contestants.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    const part = { from: warmUp + round * count, count }
    // There and back again: nobody always follows the same neighbour.
    for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
      samples.get(contestant.name)?.push(await measure(plan, contestant, part))
    }
  }
  return {
    path: plan.path,
    standings: contestants.map(({ name }) => toStanding(name, samples.get(name) ?? [])),
    verdicts: plan.comparisons.map(comparison => judge(comparison, samples)),
  }
}

async function measure(
  plan: DuelPlan,
  { process, requests, status }: Contestant,
  { from, count }: { readonly from: number; readonly count: number },
): Promise<Sample> {
  const part = plan.repeats ? requests : requests.slice(from, from + count)
  if (!plan.repeats && part.length < count) throw new Error('Too few requests were prepared.')
  const before = await process.cpuMicros()
  const load = { port: process.port, requests: part, count, connections: CONNECTIONS, status }
  const { requestsPerSecond } = await runLoad(load)
  const after = await process.cpuMicros()
  return { cpuMicros: (after - before) / count, perSecond: requestsPerSecond }
}

function toStanding(name: string, samples: readonly Sample[]): Standing {
  return {
    name,
    cpuMicrosPerRequest: median(samples.map(({ cpuMicros }) => cpuMicros)),
    requestsPerSecond: median(samples.map(({ perSecond }) => perSecond)),
  }
}

function judge(comparison: Comparison, samples: ReadonlyMap<string, readonly Sample[]>): Verdict {
  const own = samples.get(comparison.contestant) ?? []
  const peer = samples.get(comparison.peer) ?? []
  const { limit } = comparison
  const compare = (mine: number, theirs: number): number =>
    'atMost' in limit ? mine / theirs : theirs / mine
  const ratio = median(
    own.map(({ cpuMicros }, round) => compare(cpuMicros, peer[round]?.cpuMicros ?? Number.NaN)),
  )
  return {
    ...comparison,
    ratio,
    quietRatio: compare(lowerQuartile(own), lowerQuartile(peer)),
    ok: 'atMost' in limit ? ratio <= limit.atMost : ratio >= limit.atLeast,
  }
}

function lowerQuartile(samples: readonly Sample[]): number {
  const sorted = samples.map(({ cpuMicros }) => cpuMicros).sort((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 4)] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}
