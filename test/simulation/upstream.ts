import { PausedBody } from '../../src/upstream/paused-body.ts'
import type { Upstream, UpstreamOutcome, UpstreamRequest } from '../../src/upstream/upstream.ts'
import type { Invariants } from './invariants.ts'
import type { Plan } from './plan.ts'
import type { Process } from './process.ts'
import { PAYMENTS, type SignedPayment } from './shop.ts'
import type { World } from './world.ts'

/** Carries a request's number to the upstream, which passes it back in its body. */
export const REQUEST_HEADER = 'x-simulated-request'

/** Between the pieces of a response that outlasts its hold. */
const LONG_MS = 60_000

/** The API that is sold: slow, failing and interrupted as the seed has it. */
export class UpstreamService {
  readonly #world: World
  readonly #plan: Plan
  readonly #invariants: Invariants

  constructor(world: World, parts: { plan: Plan; invariants: Invariants }) {
    this.#world = world
    this.#plan = parts.plan
    this.#invariants = parts.invariants
  }

  clientOf(process: Process): Upstream {
    return {
      name: 'api',
      targets: [],
      condition: () => ({ kind: 'ready' }),
      send: (request, signalAbort) => process.ask(() => this.#send(process, request, signalAbort)),
      upgrade: () => Promise.reject(new Error('Nobody shakes hands in the simulation.')),
      close: async () => {},
    }
  }

  #send(
    process: Process,
    request: UpstreamRequest,
    signalAbort: (abort: () => void) => void,
  ): Promise<UpstreamOutcome> {
    const { random } = this.#world
    const { upstreamFault } = this.#plan
    const payment = paidWith(request)
    const answered = Promise.withResolvers<UpstreamOutcome>()
    let over = false
    const give = (outcome: UpstreamOutcome): void => {
      if (over) return
      over = true
      const said = outcome.kind === 'response' ? outcome.status : outcome.kind
      process.tell(`hears from the upstream for ${payment.name}: ${said}`)
      answered.resolve(outcome)
    }
    const work = this.#invariants.forwarded(process, payment, requestOf(request))
    signalAbort(() => give({ kind: 'aborted' }))
    process.after(request.timeoutMs, () => give({ kind: 'timeout' }))
    const slow = this.#world.mishap(upstreamFault)
    if (this.#world.mishap(upstreamFault / 4)) {
      process.after(5, () => give({ kind: 'unreachable', detail: 'simulated' }))
      return answered.promise
    }
    process.after(random.latency(2, slow ? request.timeoutMs * 1.5 : 300), () => {
      if (over) return
      const status = this.#world.mishap(upstreamFault / 2) ? random.pick([404, 500]) : 200
      if (this.#world.mishap(upstreamFault / 5)) {
        give({ kind: 'unreachable', detail: 'simulated, after it worked' })
        return
      }
      give({ kind: 'response', status, headers: [], body: this.#body(process, `${work}`) })
    })
    return answered.promise
  }

  /** A few pieces that wait for whoever reads them, and sometimes end too early. */
  #body(process: Process, text: string): PausedBody {
    let paused = false
    let aborted = false
    const left = [text, ' and more', ' and the end']
    const isLong = this.#world.mishap(this.#plan.longBody)
    const breaks = this.#world.mishap(this.#plan.upstreamFault / 4)
    const flow = (): void => {
      if (paused || aborted) return
      const piece = left.shift()
      if (piece === undefined) body.end([])
      else if (breaks && left.length === 0) body.fail()
      else {
        body.write(Buffer.from(piece))
        process.after(isLong ? LONG_MS : this.#world.random.latency(1, 900), flow)
      }
    }
    const body = new PausedBody(
      {
        pause: () => {
          paused = true
        },
        resume: () => {
          paused = false
          process.after(0, flow)
        },
        abort: () => {
          aborted = true
        },
      },
      null,
    )
    process.after(1, flow)
    return body
  }
}

function paidWith({ addedHeaders }: UpstreamRequest): SignedPayment {
  const id = addedHeaders[addedHeaders.indexOf('Farebox-Payment-Id') + 1]
  const payment = PAYMENTS.find(one => one.id === id)
  if (payment === undefined) throw new Error('The upstream was asked to work for nothing.')
  return payment
}

function requestOf({ rawHeaders }: UpstreamRequest): number {
  return Number(rawHeaders[rawHeaders.indexOf(REQUEST_HEADER) + 1])
}
