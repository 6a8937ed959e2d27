import type { PaymentKey } from '../../src/core/payment.ts'
import type { ClaimOutcome, LedgerRow } from '../../src/ledger/ledger.ts'
import type { LedgerThread } from '../../src/ledger/sqlite.ts'
import { SqliteDatabase } from '../../src/ledger/sqlite-database.ts'
import type {
  ClaimCall,
  RecallCall,
  SqliteAnswer,
  SqliteCall,
  SqliteReply,
  SqliteRequest,
} from '../../src/ledger/sqlite-protocol.ts'
import type { Plan } from './plan.ts'
import type { Process } from './process.ts'
import type { SignedPayment } from './shop.ts'
import type { World } from './world.ts'

const BROKEN: SqliteReply = {
  kind: 'not-committed',
  failure: { kind: 'unavailable', message: 'Simulated.', fix: 'Wait.' },
}

/** The store itself, which outlives every process: real tables and real statements, in memory. */
export class Disk {
  readonly #database = new SqliteDatabase({ path: ':memory:', lockWaitMs: 0 })
  readonly #world: World
  readonly #plan: Plan
  readonly #threads: SimulatedThread[] = []
  readonly #claimedBy = new Map<string, string>()
  /** As read since the last write; null: to be read. */
  #rows: readonly LedgerRow[] | null = null

  /** Told of a payment that its holder gave up, or let be redeemed. */
  onLetGo: (key: PaymentKey) => void = () => {}

  constructor(world: World, plan: Plan) {
    this.#world = world
    this.#plan = plan
    const { kind } = this.#database.open()
    if (kind !== 'opened') throw new Error(`The simulated store is ${kind}.`)
  }

  /** What is durable now. */
  rows(): readonly LedgerRow[] {
    this.#rows ??= this.#read()
    return this.#rows
  }

  #read(): readonly LedgerRow[] {
    const { MAX_SAFE_INTEGER } = Number
    const reply = this.#database.run([['list', 0, 0, MAX_SAFE_INTEGER, null, null, null, 1000]])
    if (reply.kind !== 'committed') throw new Error(`The simulated store is ${reply.kind}.`)
    return reply.answers[0] as readonly LedgerRow[] // what `list` answers
  }

  /** How many rows are in none of these states. */
  countBeyond(states: ReadonlySet<string>): number {
    const reply = this.#database.run([['count']])
    if (reply.kind !== 'committed') throw new Error(`The simulated store is ${reply.kind}.`)
    const counts = reply.answers[0] as Record<string, number> // what `count` answers
    return Object.entries(counts)
      .filter(([state]) => !states.has(state))
      .reduce((sum, [, rows]) => sum + rows, 0)
  }

  rowOf({ key }: SignedPayment): LedgerRow | null {
    return this.rows().find(row => row.key === key) ?? null
  }

  /** One process's thread. Others have theirs, on the same tables. */
  threadOf(process: Process): SimulatedThread {
    const thread = new SimulatedThread(batch => this.#perform(process, batch, thread))
    this.#threads.push(thread)
    return thread
  }

  close(): void {
    for (const thread of this.#threads) thread.exit()
    this.#database.close()
  }

  #perform(process: Process, batch: readonly SqliteCall[], thread: SimulatedThread): void {
    const { random } = this.#world
    const { diskFault, diskMsMax } = this.#plan
    const most = this.#world.troubled ? diskMsMax : 5
    this.#world.after(random.latency(1, most), () => {
      // What a process had in the air when it died may be durable, or not.
      if (!process.alive && random.chance(0.5)) return
      const fails = this.#world.mishap(diskFault)
      const isLost = fails && random.chance(0.5)
      const reply = isLost ? BROKEN : this.#run(batch)
      this.#tell(process, batch, isLost ? 'fails' : fails ? 'is written, and said to fail' : null)
      process.after(random.latency(0, most / 2), () => thread.answer(fails ? BROKEN : reply))
    })
  }

  #run(batch: readonly SqliteCall[]): SqliteReply {
    const lettingGo = batch.map(call =>
      call[0] === 'released' || call[0] === 'hold ended' ? this.#keyOf(call[2]) : null,
    )
    if (!batch.every(([kind]) => ALTERS_NO_STATE.has(kind))) this.#rows = null
    const reply = this.#database.run(batch)
    if (reply.kind !== 'committed') return reply
    for (const [index, call] of batch.entries()) {
      const key = lettingGo[index] ?? null
      if (key !== null && !reply.failures.some(([at]) => at === index)) this.onLetGo(key)
      if (call[0] === 'claim' || call[0] === 'recall') this.#onAsked(call, reply.answers[index])
    }
    return reply
  }

  /** A payment belongs to the request that claimed it; no other one learns what became of it. */
  #onAsked([, , key, fingerprint]: ClaimCall | RecallCall, answer: SqliteAnswer | undefined): void {
    const { kind } = answer as ClaimOutcome // what both are answered with, or `unclaimed`
    if (kind === 'claimed') this.#claimedBy.set(key, fingerprint)
    if (kind !== 'entitled' && kind !== 'used') return
    if (this.#claimedBy.get(key) === fingerprint) return
    this.#world.violate('one request', `another request than the one that paid is told "${kind}"`)
  }

  #keyOf(claim: number): PaymentKey | null {
    return this.rows().find(({ id }) => id === claim)?.key ?? null
  }

  #tell(process: Process, batch: readonly SqliteCall[], fault: string | null): void {
    const writes = batch.filter(([kind]) => !QUIET.has(kind)).map(([kind]) => kind)
    if (writes.length === 0 && fault === null) return
    const kinds = (writes.length === 0 ? batch.map(([kind]) => kind) : writes).join(', ')
    const of = process.alive ? '' : ' of the dead process'
    this.#world.tell(process.name, `store${of}: ${kinds} ${fault ?? 'is durable'}`)
  }
}

const ALTERS_NO_STATE = new Set(['take', 'list', 'count'])

/** Asked all the time. */
const QUIET = new Set(['take', 'abandon', 'prune', 'list', 'count', 'recall'])

export class SimulatedThread implements LedgerThread {
  readonly #perform: (batch: readonly SqliteCall[]) => void
  #onMessage: (reply: SqliteReply) => void = () => {}
  #onExit: () => void = () => {}
  /** Batches that no answer came for. */
  waiting = 0

  constructor(perform: (batch: readonly SqliteCall[]) => void) {
    this.#perform = perform
  }

  on(event: 'message' | 'error', listener: (told: SqliteReply) => void): void {
    if (event === 'message') this.#onMessage = listener
  }

  once(_event: 'exit', listener: () => void): void {
    this.#onExit = listener
  }

  postMessage(request: SqliteRequest): void {
    if (request === 'close') {
      this.exit()
      return
    }
    this.waiting++
    this.#perform(request)
  }

  answer(reply: SqliteReply): void {
    this.waiting--
    this.#onMessage(reply)
  }

  exit(): void {
    this.#onExit()
  }

  terminate(): void {
    this.exit()
  }
}
