import type { PaymentPayload, PaymentRequirements } from '../../src/core/payment.ts'
import type { Reply } from '../../src/flow/exchange.ts'
import type { LedgerRow } from '../../src/ledger/ledger.ts'
import type { Chain } from './chain.ts'
import type { Disk } from './disk.ts'
import type { Asked } from './exchange.ts'
import type { Plan } from './plan.ts'
import type { Process } from './process.ts'
import { AMOUNT, PAY_TO, PAYMENTS, type SignedPayment } from './shop.ts'
import type { World } from './world.ts'

/**
 * Lies that nobody can refute without asking the chain, which a gateway does not do for what a
 * facilitator answers at once. They break the rules that depend on them, and no others.
 */
export type Excuse =
  /** "It is settled", with a transaction that does not exist: the content is given away. */
  | 'invented success'
  /** "Nothing was sent", in the words of a refusal, of what was: the client is asked again. */
  | 'denied transfer'
  /** The money did move, in another transaction than the one that is named. */
  | 'other hash'
  /** It is called invalid, and while that is said, another gateway is told that it is valid. */
  | 'called invalid'

interface Work {
  readonly process: Process
  readonly request: number
  /** Whoever comes now may work for the payment as well. */
  over: boolean
}

interface Remembered {
  readonly excuses: Set<Excuse>
  /** Requests that were forwarded for it. */
  readonly works: Work[]
  /** In flight now. */
  requests: number
  /** The target whose content it bought. */
  boughtFor: string | null
  /** A client had a whole priced response of it. */
  delivered: boolean
}

/** A settlement and the end of its hold are written down one after the other. */
const RECORDED_MS_MAX = 10_000

const OPEN_OR_PAID = new Set<LedgerRow['state']>(['settling', 'unknown', 'settled', 'delivered'])
const PAID = new Set<LedgerRow['state']>(['settled', 'delivered'])

/** Watches one seed for a broken rule: what can be seen at once is seen at once. */
export class Invariants {
  readonly #world: World
  readonly #plan: Plan
  readonly #disk: Disk
  readonly #chain: Chain
  readonly #payments = new Map<SignedPayment, Remembered>()

  constructor(world: World, parts: { plan: Plan; disk: Disk; chain: Chain }) {
    this.#world = world
    this.#plan = parts.plan
    this.#disk = parts.disk
    this.#chain = parts.chain
    parts.disk.onLetGo = key => {
      const payment = PAYMENTS.find(one => one.key === key)
      if (payment !== undefined) for (const work of this.of(payment).works) work.over = true
    }
  }

  of(payment: SignedPayment): Remembered {
    const known = this.#payments.get(payment)
    if (known !== undefined) return known
    const fresh: Remembered = {
      ...{ excuses: new Set(), works: [], requests: 0, boughtFor: null, delivered: false },
    }
    this.#payments.set(payment, fresh)
    return fresh
  }

  excuse(payment: SignedPayment, excuse: Excuse): void {
    this.of(payment).excuses.add(excuse)
  }

  isExcused(payment: SignedPayment, ...excuses: readonly Excuse[]): boolean {
    return excuses.some(excuse => this.of(payment).excuses.has(excuse))
  }

  /** A settle is about to leave a gateway. */
  settleLeaves(
    process: Process,
    payment: SignedPayment,
    sent: { payload: PaymentPayload; requirements: PaymentRequirements },
  ): void {
    if (!process.alive) return
    const row = this.#disk.rowOf(payment)
    // The resolver may not have heard that it has settled it: a nonce moves money once.
    if (row === null || !OPEN_OR_PAID.has(row.state)) {
      const state = row?.state ?? 'nothing'
      this.#world.violate('settles what is written', `${payment.name}: the store says ${state}`)
      return
    }
    const same =
      row.payload === JSON.stringify(sent.payload) &&
      row.requirements === JSON.stringify(sent.requirements)
    if (!same) this.#world.violate('settles what is written', `${payment.name}: other bytes`)
  }

  /** A gateway hands a request to the upstream. */
  forwarded(process: Process, payment: SignedPayment, request: number): number {
    const { works } = this.of(payment)
    const other = works.find(work => work.process.alive && !work.over)
    if (other !== undefined && process.alive) {
      const both = `requests ${other.request} and ${request} at once for ${payment.name}`
      this.#world.violate('one execution', both)
    }
    if (this.#disk.rowOf(payment)?.state === 'delivered') {
      this.#world.violate('one execution', `${payment.name} was delivered and is worked for again`)
    }
    works.push({ process, request, over: false })
    return works.length
  }

  requestBegun({ payment }: Asked): void {
    this.of(payment).requests++
  }

  requestEnded({ payment, number }: Asked): void {
    this.of(payment).requests--
    for (const work of this.of(payment).works) if (work.request === number) work.over = true
  }

  /** The head of an answer leaves. */
  answers(process: Process, asked: Asked, reply: Reply): void {
    if (!process.alive) return
    if (reply.status === 402) this.#checkRefusal(asked)
    if (reply.outcome === 'payment_in_progress') this.#checkWait(asked)
  }

  /** Only what died, or could not be written down, may keep a payment held for nothing. */
  #checkWait({ payment, number }: Asked): void {
    const { diskFault, crashes, clockJumps } = this.#plan
    if (diskFault + crashes + clockJumps > 0 || this.of(payment).requests > 1) return
    const row = this.#disk.rowOf(payment)
    const since = this.#world.now() - (row?.settledAt ?? this.#world.now())
    if (row?.state !== 'settled' || since < RECORDED_MS_MAX) return
    const detail = `request ${number} waits for ${payment.name}, and nobody is working for it`
    this.#world.violate('redeemable', detail)
  }

  #checkRefusal({ payment, number }: Asked): void {
    const row = this.#disk.rowOf(payment)
    const taken = row !== null && OPEN_OR_PAID.has(row.state)
    const said = `request ${number} is told to pay again for ${payment.name}`
    if (this.isExcused(payment, 'denied transfer', 'called invalid')) return
    if (taken) this.#world.violate('no 402 after a settle', `${said}: it is ${row.state}`)
    const fate = this.#chain.fateOfSettles(payment)
    if (fate !== 'none') this.#world.violate('no 402 after a settle', `${said}: it ${fate}`)
  }

  /** A piece of an upstream's response leaves. */
  bytesLeave(process: Process, { payment, target, number }: Asked, { status }: Reply): void {
    if (!process.alive || status < 200 || status > 399) return
    const row = this.#disk.rowOf(payment)
    const said = `request ${number} with ${payment.name}`
    if (row === null || !PAID.has(row.state)) {
      this.#world.violate('paid before bytes', `${said}: the store says ${row?.state ?? 'nothing'}`)
    }
    if (!this.#chain.landed.has(payment.nonce) && !this.isExcused(payment, 'invented success')) {
      this.#world.violate('paid before bytes', `${said}: no money has moved`)
    }
    const remembered = this.of(payment)
    remembered.boughtFor ??= target
    if (remembered.boughtFor !== target) {
      const both = `${payment.name} buys ${remembered.boughtFor} and ${target}`
      this.#world.violate('one request', both)
    }
  }

  /** The last byte has been handed over. */
  delivered({ payment, number }: Asked, { status, body }: Reply): void {
    if (Buffer.isBuffer(body) || status > 399) return
    const remembered = this.of(payment)
    // Only whoever dies before it is written down may give it again: a store comes back.
    if (remembered.delivered && this.#plan.crashes === 0) {
      this.#world.violate('one execution', `request ${number} gets ${payment.name} once more`)
    }
    remembered.delivered = true
  }

  /** @param code Null: not one of ours. */
  reported(code: string | null, error: unknown): void {
    const { diskFault, crashes, clockJumps } = this.#plan
    if (code === 'store_unavailable' || code === 'chain_unavailable') return
    const isPossible = diskFault > 0 || crashes > 0 || clockJumps > 0
    if (code === 'ledger_transition' && isPossible) return
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.unexpected(text)
  }

  unexpected(detail: string): void {
    this.#world.violate('nothing unexpected', detail)
  }

  /** Once everything has ended: the store against the chain. */
  compareWithChain(): void {
    const rows = this.#disk.rows()
    for (const row of rows) this.#checkRow(row)
    for (const { transaction } of this.#chain.landed.values()) {
      const { payment, sender, kind } = transaction
      if (sender !== 'facilitator' || kind !== 'transfer') continue
      const own = rows.filter(({ key }) => key === payment.key)
      const excused = this.isExcused(payment, 'denied transfer')
      const isPaid = own.length === 1 && own[0] !== undefined && PAID.has(own[0].state)
      if (isPaid || excused || !this.#isFinished(own[0])) continue
      const state = own.map(one => one.state).join(' and ') || 'nothing'
      const detail = `${payment.name} moved, and the store says ${state}`
      this.#world.violate('transfer has its row', detail)
    }
  }

  #checkRow(row: LedgerRow): void {
    const payment = PAYMENTS.find(({ key }) => key === row.key)
    if (payment === undefined) {
      this.unexpected(`a row of nobody: ${row.key}`)
      return
    }
    if (row.state === 'released') {
      const fate = this.#chain.fateOfSettles(payment)
      if (fate === 'none' || this.isExcused(payment, 'denied transfer')) return
      this.#world.violate('released for good', `${payment.name} is released and ${fate}`)
    }
    if (!PAID.has(row.state) || this.isExcused(payment, 'invented success')) return
    const landing = this.#chain.landed.get(payment.nonce)
    const same =
      landing?.transaction.hash === row.transaction || this.isExcused(payment, 'other hash')
    const exact = row.amount === AMOUNT && row.payTo === PAY_TO
    if (landing !== undefined && same && exact) return
    const moved = landing?.transaction.hash ?? 'nothing'
    const detail = `${payment.name} is ${row.state} with ${row.transaction}, the chain has ${moved}`
    this.#world.violate('settled row has its transfer', detail)
  }

  /** Without a node, what was not answered at once may stay open for ever. */
  #isFinished(row: LedgerRow | undefined): boolean {
    return this.#plan.hasNode || (row?.state !== 'unknown' && row?.state !== 'settling')
  }

  wasDelivered(key: string): boolean {
    return PAYMENTS.some(payment => payment.key === key && this.of(payment).delivered)
  }

  /** Payments that a client has a right to have redeemed. */
  owed(): { payment: SignedPayment; row: LedgerRow }[] {
    return this.#disk.rows().flatMap(row => {
      const payment = PAYMENTS.find(({ key }) => key === row.key)
      return row.state === 'settled' && payment !== undefined ? [{ payment, row }] : []
    })
  }
}
