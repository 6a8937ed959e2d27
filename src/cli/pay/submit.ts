import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { headerValue, readText, type Send, type WebAnswer, type WebRequest } from './http.ts'
import { type Problem, readProblem } from './problem.ts'

export type Submission =
  | Answered
  /** The server still does not know whether the money moved. */
  | { readonly kind: 'pending'; readonly tries: number }
  /** No answer came to the first try. */
  | { readonly kind: 'no-answer'; readonly reason: string; readonly mayHaveArrived: boolean }

/** The server's word. `problem` is what its body says, where that is an error with a code. */
export interface Answered {
  readonly kind: 'answered'
  readonly answer: WebAnswer
  readonly problem: Problem | null
}

export interface SubmitOptions {
  readonly send: Send
  /** How long to keep asking, in milliseconds. */
  readonly waitMs: number
  /** Told before each wait. */
  readonly onWait: (pauseMs: number) => void
}

/** Codes by which a server says "this very payment, again, later". */
const SEND_AGAIN = new Set(['settlement_pending', 'payment_in_progress'])

const TRIES_MAX = 50
const PAUSE_MS_MIN = 200
const PAUSE_MS_MAX = 30_000
const PAUSE_MS_DEFAULT = 2000
const PROBLEM_BYTES_MAX = 64 * 1024

/**
 * Sends a request with its payment. While the server says that the fate of the payment is not
 * known, the same bytes go out again: they can be taken once only, where a second signature could
 * be taken as well.
 */
export async function submitPayment(
  request: WebRequest,
  paymentHeaders: Readonly<Record<string, string>>,
  options: SubmitOptions,
): Promise<Submission> {
  const deadline = Date.now() + options.waitMs
  for (let tries = 1; ; tries++) {
    const sent = await options.send(request, paymentHeaders)
    if (sent.kind === 'no-answer' && tries === 1) return sent
    let pauseMs = PAUSE_MS_DEFAULT
    if (sent.kind === 'answer') {
      const answered = await readAnswer(sent)
      if (!SEND_AGAIN.has(answered.problem?.code ?? '')) return answered
      pauseMs = pauseOf(headerValue(sent.headers, 'retry-after'))
    }
    if (tries === TRIES_MAX || Date.now() + pauseMs > deadline) return { kind: 'pending', tries }
    options.onWait(pauseMs)
    await delay(pauseMs)
  }
}

/** Reads an error that may carry a code; leaves every other body for the caller to pass on. */
export async function readAnswer(answer: WebAnswer): Promise<Answered> {
  const type = headerValue(answer.headers, 'content-type') ?? ''
  if (answer.status < 400 || !/^application\/(problem\+)?json\b/i.test(type)) {
    return { kind: 'answered', answer, problem: null }
  }
  const text = (await readText(answer.body, PROBLEM_BYTES_MAX)) ?? ''
  return {
    kind: 'answered',
    answer: { ...answer, body: Readable.from([Buffer.from(text)]) },
    problem: readProblem(text),
  }
}

/** Milliseconds to wait. A date, or nonsense, gets the default. */
function pauseOf(retryAfter: string | null): number {
  if (retryAfter === null || !/^\d{1,6}$/.test(retryAfter)) return PAUSE_MS_DEFAULT
  return Math.min(Math.max(Number(retryAfter) * 1000, PAUSE_MS_MIN), PAUSE_MS_MAX)
}
