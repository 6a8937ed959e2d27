import type { GatewayConfig } from '../../config/gateway-config.ts'
import type { SharedKey, Tally } from '../../flow/rate-counters.ts'
import type { ReadinessReport } from '../../flow/readiness.ts'
import type { MetricReport } from '../../observe/metrics.ts'

/**
 * What the primary asks of a worker, and what it gets. A configuration travels as the primary has
 * read it: the file is read once, whatever it says a moment later, and a worker that is replaced
 * gets what is in force although the file may be bad by then.
 */
export interface Questions {
  start: { readonly asked: Start; readonly answer: { readonly url: string } }
  apply: { readonly asked: GatewayConfig; readonly answer: null }
  readiness: { readonly asked: null; readonly answer: ReadinessReport }
  metrics: { readonly asked: null; readonly answer: MetricReport }
  /** The worker ends once it has answered. */
  stop: { readonly asked: null; readonly answer: null }
}

export interface Start {
  /** From 1. */
  readonly worker: number
  readonly config: GatewayConfig
}

export type QuestionName = keyof Questions

export interface Question {
  readonly id: number
  readonly name: QuestionName
  readonly asked: unknown
}

/** What a worker has counted of one caller. */
export interface Counting {
  readonly kind: 'count'
  readonly id: number
  readonly key: SharedKey
  readonly count: number
}

/** What all workers have counted of it. */
export interface Counted {
  readonly kind: 'counted'
  readonly id: number
  readonly tally: Tally
}

/** What a worker says to the primary. */
export type Told =
  /** Whole lines of its log. */
  { readonly kind: 'log'; readonly lines: string } | Counting | Answer

export type Answer =
  | { readonly id: number; readonly kind: 'answered'; readonly answer: unknown }
  | { readonly id: number; readonly kind: 'failed'; readonly failure: Failed }

/** An error as it travels: without its cause and its stack. */
export interface Failed {
  readonly code: string
  readonly message: string
  readonly fix: string
}
